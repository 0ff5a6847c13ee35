"""The experts of the default head: names, ridge, forest and a linear one, and their blend."""
