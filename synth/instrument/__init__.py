"""The instrument: optics, detector, and the product a user downloads."""
