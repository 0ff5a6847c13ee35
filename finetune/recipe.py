"""Fine-tuning recipes: how a few real labels make a mapper a map of a real place."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from terraficta.pretrain.recipe import ModelRecipe
from terraficta.synth.labels.recipe import Footprints
from terraficta.synth.types.recipe import Recipe, Share

HeadKind = Literal["default", "ridge", "linear", "full"]
ValueHead = Literal["frozen", "full", "unet", "forest"]
"""of a quantity: one convolution over frozen features; every weight; a U-Net from scratch; a forest on context"""


class BlendRecipe(Recipe):
    """The default head: a product of forest, linear expert and names; a ridge where names tell nothing apart.

    Exponents are good in the mean over tilesets; choosing them by the likelihood of a tileset's few labels lost .00 to
    .01 mIoU against fixed ones. More labels need names less. Beside names a ridge gained nothing (.00 to -.01).
    """

    ridge: float = Field(default=0.25, ge=0)
    """exponent of the ridge on the network's features, where there are labels and no names"""
    alone: float = Field(default=0.5, ge=0)
    """exponent of the ridge that learns from names, where there are no labels"""
    forest: float = Field(default=1.0, ge=0)
    """exponent of the forest"""
    linear: float = Field(default=0.6, ge=0)
    """exponent of the linear expert"""
    names: tuple[tuple[float, float], ...] = ((5, 0.8), (25, 0.6), (100, 0.3))
    """exponent of the names by labels a class, between which it changes with the logarithm of their number"""
    trees: int = Field(default=100, ge=2)
    """half of them on the context alone, half on the network's features too"""
    temperature: float = Field(default=1.0, gt=0)
    """what the product is divided by, good in the mean over tilesets"""
    temperature_doubt: float = Field(default=0.25, gt=0)
    """how far the logarithm of the right one is believed to lie from that before a label is seen: few labels of even
    classes tell little of it"""
    check_trees: int = Field(default=50, ge=1)
    """of the forests that find the temperature, five of them"""

    def names_at(self, labels_per_class: float) -> float:
        """Exponent of the names for so many labels a class."""
        at, value = zip(*self.names, strict=True)
        return float(np.interp(np.log(labels_per_class), np.log(at), value))


class LinearRecipe(Recipe):
    """Logistic regression on frozen features."""

    penalties: tuple[float, ...] = (0.03, 0.003, 0.3, 3.0)
    """values of C that cross-validation chooses from, the customary one first"""


class FullRecipe(Recipe):
    """Training of the network's weights: all of them, or some."""

    moving: Literal["all", "decoder", "lora"] = "all"
    """all weights; those after the encoder and the spectral path; or a change of low rank to every layer"""
    rank: int = Field(default=4, ge=1)
    """of that change"""

    steps: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    """of pretrained weights; AdamW, one-cycle"""
    scratch_learning_rate: float = Field(default=2e-3, gt=0)
    """of weights that start at random"""
    weight_decay: float = Field(default=0.02, ge=0)
    crop_px: int = Field(default=64, ge=8)
    batch: int = Field(default=8, ge=1)
    turn: bool = True
    """quarter turns and mirror images: land has no north; radiometry is never touched"""
    stretch: Share = 0.0
    """free turns, and stretches and shears of up to this share; 0: none"""
    label_smoothing: Share = 0.02
    calibration_share: Share = 0.5
    """steps of the held-out training that finds the temperature, as a share of `steps`; 0: no temperature"""


class ValueRecipe(Recipe):
    """A map of a quantity from samples of it: biomass, canopy height."""

    footprints: Footprints | None = None
    """sample the known values as a spaceborne lidar does: discs along tracks, each with its mean; None: pixels"""
    penalties: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    """of the ridge over frozen features, which cross-validation chooses from; features have variance 1"""
    unet_width: int = Field(default=16, ge=4)
    """channels of the first scale of the U-Net from scratch"""
    full: FullRecipe = FullRecipe(learning_rate=3e-4, scratch_learning_rate=2e-3, label_smoothing=0.0)
    """training of every weight, of the pretrained network and of the U-Net"""


class FinetuneRecipe(Recipe):
    """A whole fine-tuning run.

    Its task is that of the tileset: classes of one date, change between two, or a quantity (`task: value`).
    """

    name: str
    about: str
    model: ModelRecipe = ModelRecipe()
    """the network, where there are no weights to start from"""
    folds: int = Field(default=5, ge=2)
    """of the cross-validation that finds temperature and penalty"""
    temperature_doubt: float = Field(default=0.5, gt=0)
    """how far log T is believed to lie from 0 before a label is seen; few labels barely move it"""
    coverage: float = Field(default=0.95, gt=0, lt=1)
    """share of the pixels whose class shall be in their conformal set"""
    most_labels: int = Field(default=4000, ge=1)
    """labels a class that the closed-form and linear heads take at most"""
    blend: BlendRecipe = BlendRecipe()
    linear: LinearRecipe = LinearRecipe()
    full: FullRecipe = FullRecipe()
    value: ValueRecipe = ValueRecipe()


RECIPES = Path(__file__).parent / "recipes"


def read_finetune_recipe(name_or_file: str | Path, changes: list[str] | None = None) -> FinetuneRecipe:
    """Read one of `finetune/recipes`, or a file."""
    return FinetuneRecipe.read(name_or_file, RECIPES, changes)
