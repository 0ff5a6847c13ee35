"""Label recipes: what happens to perfect labels, step by step; each step draws its chance by address, then does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from terraficta.synth.labels.mass import blocks, chosen, confuse, footprints, generalise, others, patchy, shift, strokes
from terraficta.synth.types.crosswalk import crosswalk_to
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, Crosswalk, Legend
from terraficta.synth.types.recipe import Recipe, Share, Span
from terraficta.synth.types.refusal import Refusal

RECIPES = Path(__file__).parents[1] / "recipes" / "labels"


class Shifted(Recipe):
    """The label map lies beside the image."""

    kind: Literal["shifted"]
    by_m: Span = (0.0, 20.0)
    """length of the displacement [m]; its direction is drawn"""

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        rng = key.rng()
        length, angle = rng.uniform(*self.by_m) / gsd_m, rng.uniform(0.0, 2 * math.pi)
        return shift(mass, length * math.sin(angle), length * math.cos(angle))


class Generalised(Recipe):
    """The map as a person draws it: whatever fills most of a neighbourhood, one class a pixel."""

    kind: Literal["generalised"]
    within_m: Span = (20.0, 100.0)
    """side of the neighbourhood [m]"""

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        return generalise(mass, 2 * round(key.rng().uniform(*self.within_m) / gsd_m / 2) + 1)


class Blocks(Recipe):
    """Coarse pixels: every pixel of a block knows no more than the block's fractions."""

    kind: Literal["blocks"]
    side_m: float = Field(default=500.0, gt=0)
    """e.g. 500 m of MODIS over 10 m of Sentinel-2"""

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        return blocks(mass, max(1, round(self.side_m / gsd_m)))


class Confused(Recipe):
    """Wrong labels, patch by patch."""

    kind: Literal["confused"]
    rate: Share = 0.1
    """chance of a wrong label, spread evenly over the other classes, where no matrix says otherwise"""
    matrix: dict[str, dict[str, float]] | None = None
    """{true class: {given class: chance}}; what is left over stays right"""
    patch_m: float = Field(default=0.0, ge=0)
    """pixels this close are mistaken together [m]; 0: one by one"""

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey, legend: Legend) -> Tensor:
        chances = self.chances(legend)
        return confuse(mass, chances, patchy(mass.shape[-2:], self.patch_m / gsd_m, key.rng()).to(mass.device))

    def chances(self, legend: Legend) -> Tensor:
        """(K, K): chance that the true class (row) is given as another (column)."""
        size = len(legend)
        if self.matrix is None:
            even = self.rate / max(size - 1, 1)
            return torch.full((size, size), even).fill_diagonal_(1 - self.rate if size > 1 else 1.0)
        chances = torch.eye(size)
        for true, given in self.matrix.items():
            if min(given.values()) < 0 or sum(given.values()) > 1:
                raise Refusal("labels", f"matrix.{true}", given, "chances that sum to at most 1", "scale them down")
            row = legend.index(true)
            chances[row, row] -= sum(given.values())
            for name, chance in given.items():
                chances[row, legend.index(name)] += chance
        return chances


class Votes(Recipe):
    """Several annotators, each with habits of their own; a pixel's mass is the share of votes."""

    kind: Literal["votes"]
    annotators: int = Field(default=5, ge=1, le=100)
    error: Share = 0.15
    """mean chance that an annotator errs; habits differ from person to person and class to class"""

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        size, total = mass.shape[0], torch.zeros_like(mass)
        for number in range(self.annotators):
            rng = key.at("annotator", number).rng()
            habits = rng.dirichlet(np.full(size, 0.5), size) if size > 1 else np.ones((1, 1))
            slips = np.clip(self.error * rng.gamma(4.0, 0.25, (size, 1)), 0, 1)
            chances = torch.as_tensor((1 - slips) * np.eye(size) + slips * others(habits), dtype=torch.float32)
            total += confuse(mass, chances, torch.as_tensor(rng.random(mass.shape[-2:])).to(mass))
        return total / self.annotators


class Points(Recipe):
    """A few labelled pixels of every class."""

    kind: Literal["points"]
    per_class: int = Field(default=25, ge=1)

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        return mass * chosen(mass, self.per_class, key.rng())


class Scribbles(Recipe):
    """Strokes drawn within what the annotator takes for one class."""

    kind: Literal["scribbles"]
    per_class: int = Field(default=5, ge=1)
    length_m: Span = (50.0, 400.0)

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        return mass * strokes(mass, self.per_class, (self.length_m[0] / gsd_m, self.length_m[1] / gsd_m), key.rng())


class Footprints(Recipe):
    """What a spaceborne lidar samples: discs along straight tracks.

    Source
    ------
    GEDI, R. Dubayah et al. 2020, doi:10.1016/j.srs.2020.100002: 25 m discs, 60 m along and 600 m across track.
    """

    kind: Literal["footprints"]
    diameter_m: float = Field(default=25.0, gt=0)
    along_m: float = Field(default=60.0, gt=0)
    across_m: float = Field(default=600.0, gt=0)

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        return footprints(mass, gsd_m, self.diameter_m, self.along_m, self.across_m, key.rng())


class Merged(Recipe):
    """A coarser legend."""

    kind: Literal["merged"]
    groups: dict[str, list[str]]
    """{new class: [old classes]}; what is named nowhere becomes unlabelled"""

    def crosswalk(self, legend: Legend) -> Crosswalk:
        """From the legend to its groups, each in the colour of its first class."""
        for name, members in self.groups.items():
            if not members:
                raise Refusal("labels", f"groups.{name}", "no class", "at least one class", "name its members")
        colours = tuple(legend.colours[legend.index(members[0])] for members in self.groups.values())
        target = Legend(f"{legend.name}, merged", tuple(self.groups), colours)
        return Crosswalk.from_names(legend, target, {old: new for new, olds in self.groups.items() for old in olds})


class Translated(Recipe):
    """The legend of another product, from `terraficta.synth.types.crosswalk`."""

    kind: Literal["translated"]
    legend: str

    def crosswalk(self, legend: Legend) -> Crosswalk:
        """From our own legend to it."""
        if legend != TERRAFICTA:
            raise Refusal("labels", "translated", legend.name, TERRAFICTA.name, "translate before any merging")
        return crosswalk_to(self.legend)


Step = Annotated[
    Shifted | Generalised | Blocks | Confused | Votes | Points | Scribbles | Footprints | Merged | Translated,
    Field(discriminator="kind"),
]


class LabelRecipe(Recipe):
    """What happens to perfect labels, in order. No step: they stay perfect."""

    name: str
    about: str
    steps: tuple[Step, ...] = ()


def read_label_recipe(name_or_file: str | Path, changes: list[str] | None = None) -> LabelRecipe:
    """Read one of `synth/recipes/labels`, or a file."""
    return LabelRecipe.read(name_or_file, RECIPES, changes)
