"""The world: where things lie and what chance they have; all that physics may borrow of the scene."""
