"""Light: the sun, the surface's reflection of it, and the air and clouds in between."""
