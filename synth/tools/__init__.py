"""Physics as commands; nothing in the scene imports them."""
