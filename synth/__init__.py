"""Fictional land: what is there, how it is lit, and how an instrument records it."""
