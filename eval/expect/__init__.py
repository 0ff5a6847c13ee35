"""What a map is worth, told from the labels that made it."""
