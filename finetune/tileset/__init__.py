"""Real tiles: read, checked, split, and their labels drawn."""
