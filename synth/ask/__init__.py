"""Questions about fictional land whose answers are exact, and cannot be guessed from their words."""
