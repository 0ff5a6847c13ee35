"""Material: what every class is made of, and its spectrum."""
