"""The smallest network, for tests that need one of the right shape and not of any worth."""

from terraficta.pretrain.recipe import ModelRecipe

SMALL = ModelRecipe(spectral=16, context=8, encoder_args={"dims": (8, 8, 8, 8), "depths": (1, 1, 1, 1)})
