"""Land that is: real tilesets, sparse labels, and adapting a pretrained model to them."""
