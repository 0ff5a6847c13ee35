"""Terrain: the shape of the ground, and where its water runs."""
