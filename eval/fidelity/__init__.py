"""What each part of the generator and of the objective is worth, and what it costs."""
