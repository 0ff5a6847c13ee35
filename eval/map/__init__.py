"""Maps of real places, of any size."""
