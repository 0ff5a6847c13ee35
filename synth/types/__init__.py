"""The shared vocabulary: the nouns that every room of the house speaks. Imports nothing else of ours."""
