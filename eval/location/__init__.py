"""Where on Earth: a location as numbers that know no seam at the date line and no pole."""
