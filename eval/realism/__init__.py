"""How like real land fiction is: statistics, a classifier that tells them apart, and what gives it away."""
