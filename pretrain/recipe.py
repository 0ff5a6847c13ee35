"""Pretraining recipes: the network, the lands it sees, the tasks it rehearses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from terraficta.synth.types.recipe import Recipe, Share, plain_values
from terraficta.synth.types.refusal import Refusal


class ModelRecipe(Recipe):
    """The network."""

    spectral: int = Field(default=64, ge=8)
    """width of the per-pixel spectral path"""
    encoder: str = "convnext_atto"
    """any timm model with features_only"""
    encoder_args: Annotated[dict[str, object], BeforeValidator(plain_values)] = {
        "dims": (32, 64, 96, 128),
        "depths": (1, 1, 2, 1),
    }
    """handed to timm.create_model; {} for the model as published"""
    pretrained: Annotated[bool | str, BeforeValidator(plain_values)] = False
    """timm weights: True where timm can reach them, or the path of a file of them"""
    context: int = Field(default=32, ge=8)
    """width of the decoder, at every scale up to full size"""


class EpisodeRecipe(Recipe):
    """The few-label mapping tasks that are dealt out."""

    scenes: int = Field(default=4, ge=1)
    """fictional scenes an episode"""
    together: Share = 0.5
    """share of episodes that map several scenes from the labels of some; the others each map one"""
    classes: tuple[int, int] = (2, 8)
    labels: tuple[int, int] = (1, 50)
    """labelled pixels a class, drawn log-uniformly"""
    split: Share = 0.3
    """share of legends that tell parcels of one class apart, as a crop map does"""
    generalise: Share = 0.2
    """share of maps drawn as people draw them: whole areas of one class, small ones dropped, edges a little off"""
    relative: Share = 0.5
    """share of tasks whose image is not calibrated: no absolute view, and the contrast of a display"""
    drop_bands: Share = 0.5
    """share of tasks that see a random part of the bands"""
    apart: Share = 0.5
    """share of tasks over several scenes that are scored only in scenes that gave no label"""
    lottery: Share = 0.0
    """share of episodes whose classes have spectra drawn at random: shapes, mixtures and light stay as they are. They
    teach to map from labels, but no names"""
    radiometry: float = Field(default=0.0, ge=0)
    """strength of gains by band, gamma and haze that no physics asked for; 1 is about what bad products show"""
    crop_px: int | None = Field(default=None, ge=32, multiple_of=32)
    """side of the part of a scene that an episode sees; None: all of it"""
    scored_px: int = Field(default=4096, ge=1)
    """pixels of an episode that are scored; more cost time and change little"""
    dense_px: int = Field(default=2048, ge=1)
    """of these, how many are also scored over the generator's own legend"""


class PretrainRecipe(Recipe):
    """A whole pretraining run."""

    name: str
    about: str
    lands: dict[str, float] = {"tier3": 1.0}
    """scene recipes, and how often each is drawn"""
    size_px: int = Field(default=96, ge=32, multiple_of=32)
    ground_px: int = Field(default=192, ge=32)
    """side of a ground; every look sees a part of it"""
    looks: int = Field(default=8, ge=1)
    """how often each ground is seen"""
    pool: int = Field(default=16, ge=1)
    """groups of grounds that are seen in turn"""
    model: ModelRecipe = ModelRecipe()
    episode: EpisodeRecipe = EpisodeRecipe()
    rehearsal: float = Field(default=1.0, ge=0)
    """weight of the few-label tasks; 0: they are not dealt at all"""
    dense: float = Field(default=1.0, ge=0)
    """weight of soft cross-entropy over our own legend"""
    steps: int = Field(default=20_000, ge=1)
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    warmup_steps: int = 100
    averaging: float = Field(default=0.998, ge=0, lt=1)
    """decay of the running mean of the weights, which is what is kept; 0: the last weights"""
    memory: int = Field(default=32, ge=1)
    """groups of scenes kept at hand; every step draws from them anew"""
    reuse: int = Field(default=4, ge=1)
    """steps for every group of scenes that is rendered"""

    @model_validator(mode="after")
    def _wide_enough(self) -> Self:
        if self.ground_px < self.size_px:
            raise Refusal("", "ground_px", self.ground_px, f"at least size_px, {self.size_px}", "raise it")
        return self


RECIPES = Path(__file__).parent / "recipes"


def read_pretrain_recipe(name_or_file: str | Path, changes: list[str] | None = None) -> PretrainRecipe:
    """Read one of `pretrain/recipes`, or a file."""
    return PretrainRecipe.read(name_or_file, RECIPES, changes)
