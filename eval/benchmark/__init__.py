"""Arms beside each other on the same labels."""
