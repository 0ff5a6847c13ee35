"""Cover: what lies on the ground, season by season."""
