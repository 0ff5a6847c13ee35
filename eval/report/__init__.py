"""One page from run records."""
