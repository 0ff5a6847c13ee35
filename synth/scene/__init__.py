"""Matter: terrain, water, land cover, settlements, and what they are made of."""
