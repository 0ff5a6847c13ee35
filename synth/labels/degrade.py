"""The label degrader: from the perfect labels of fiction to labels as people have them, with the damage on record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from terraficta.synth.types.crosswalk import crosswalk_to
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, Crosswalk, Legend
from terraficta.synth.types.recipe import Recipe, Share, Span
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

RECIPES = Path(__file__).parents[1] / "recipes" / "labels"
PURE = 0.5
"""a pixel has a class to speak of where that class fills more than this"""


# --- what can happen to labels: each step draws its chance by address, then does -------------------------------------


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
        return confuse(mass, chances, _patchy(mass.shape[-2:], self.patch_m / gsd_m, key.rng()).to(mass.device))

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
            chances = torch.as_tensor((1 - slips) * np.eye(size) + slips * _others(habits), dtype=torch.float32)
            total += confuse(mass, chances, torch.as_tensor(rng.random(mass.shape[-2:])).to(mass))
        return total / self.annotators


class Points(Recipe):
    """A few labelled pixels of every class."""

    kind: Literal["points"]
    per_class: int = Field(default=25, ge=1)

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        return mass * _chosen(mass, self.per_class, key.rng())


class Scribbles(Recipe):
    """Strokes drawn within what the annotator takes for one class."""

    kind: Literal["scribbles"]
    per_class: int = Field(default=5, ge=1)
    length_m: Span = (50.0, 400.0)

    def __call__(self, mass: Tensor, gsd_m: float, key: SceneKey) -> Tensor:
        return mass * _strokes(mass, self.per_class, (self.length_m[0] / gsd_m, self.length_m[1] / gsd_m), key.rng())


class Footprints(Recipe):
    """What a spaceborne lidar samples: discs along straight tracks.

    Source: GEDI, R. Dubayah et al. 2020, doi:10.1016/j.srs.2020.100002: 25 m discs, 60 m along and 600 m across track.
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


# --- the whole: degrade a tile, and say how much ---------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """What a label map lost, held against the truth in the same legend.

    Parameters
    ----------
    labelled : share of the truly labelled pixels that still carry a label
    wrong : share of those whose heaviest class is not the true one
    distance : mean total variation between given and true class fractions, 0 equal .. 1 disjoint
    """

    labelled: float
    wrong: float
    distance: float


def degrade(tile: Tile, recipe: LabelRecipe, key: SceneKey) -> Tile:
    """The tile with damaged labels; `facts["label_damage"]` says how much, `facts["labels"]` by what.

    The layer `truth` keeps the perfect label map, in the legend that the labels end up in.

    Parameters
    ----------
    tile : with perfect labels
    recipe : steps, in order
    key : address of the scene; every step draws at its own
    """
    mass, truth, legend = tile.mass, tile.mass, tile.legend
    for number, step in enumerate(recipe.steps):
        own = key.at("labels", number)
        if isinstance(step, Merged | Translated):
            walk = step.crosswalk(legend)
            mass, truth, legend = walk(mass), walk(truth), walk.target
        elif isinstance(step, Confused):
            mass = step(mass, tile.grid.gsd_m, own, legend)
        else:
            mass = step(mass, tile.grid.gsd_m, own)
    facts = dict(tile.facts) | {"labels": recipe.name, "label_damage": asdict(damage_of(mass, truth))}
    perfect = replace(tile, mass=truth, legend=legend).label()
    return replace(tile, mass=mass, legend=legend, facts=facts, layers={**tile.layers, "truth": perfect})


def damage_of(given: Tensor, truth: Tensor) -> Damage:
    """Hold class mass (K, H, W) against the truth."""
    has, had = given.sum(0) > 0, truth.sum(0) > 0
    both = has & had
    count = int(both.sum())
    if count == 0:
        return Damage(0.0, 0.0, 0.0)
    p, q = given[:, both], truth[:, both]
    apart = 0.5 * (p / p.sum(0) - q / q.sum(0)).abs().sum(0)
    wrong = q.gather(0, p.argmax(0, keepdim=True))[0] < q.amax(0)
    return Damage(count / int(had.sum()), float(wrong.float().mean()), float(apart.mean()))


# --- the verbs: class mass (..., K, H, W) in and out -----------------------------------------------------------------


def shift(mass: Tensor, down_px: float, right_px: float) -> Tensor:
    """Move class mass, by fractions of a pixel too; what comes in over the border is unlabelled."""
    y, x = math.floor(down_px), math.floor(right_px)
    fy, fx = down_px - y, right_px - x
    moved = torch.zeros_like(mass)
    for j, i, share in ((0, 0, (1 - fy) * (1 - fx)), (0, 1, (1 - fy) * fx), (1, 0, fy * (1 - fx)), (1, 1, fy * fx)):
        if share > 0:
            moved += share * _moved(mass, y + j, x + i)
    return moved


def _moved(mass: Tensor, down: int, right: int) -> Tensor:
    height, width = mass.shape[-2:]
    moved = torch.zeros_like(mass)
    if abs(down) < height and abs(right) < width:
        rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        back = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
        moved[..., rows, columns] = mass[..., back[0], back[1]]
    return moved


def generalise(mass: Tensor, side_px: int) -> Tensor:
    """Class mass (N, K, H, W) or (K, H, W): the heaviest class of the neighbourhood, wherever there was a label."""
    whole = mass if mass.dim() == 4 else mass[None]
    around = functional.avg_pool2d(whole, side_px, 1, side_px // 2, count_include_pad=False)
    hard = functional.one_hot(around.argmax(1), whole.shape[1]).permute(0, 3, 1, 2).to(mass.dtype)
    hard = hard * (whole.sum(1, keepdim=True) > PURE)
    return hard if mass.dim() == 4 else hard[0]


def blocks(mass: Tensor, side_px: int) -> Tensor:
    """Class mass (K, H, W), each pixel with the mean of its block of side_px x side_px."""
    mean = functional.avg_pool2d(mass[None], side_px, ceil_mode=True, count_include_pad=False)
    spread = mean.repeat_interleave(side_px, 2).repeat_interleave(side_px, 3)
    return spread[0, :, : mass.shape[1], : mass.shape[2]]


def confuse(mass: Tensor, chances: Tensor, dice: Tensor) -> Tensor:
    """Hard labels (K, H, W) as a confusion matrix (K, K), true class by row, turns them out; dice (H, W) in [0, 1)."""
    true = mass.argmax(0)
    ladder = chances.to(mass).cumsum(1)[true]
    given = (dice[..., None].to(mass) >= ladder[..., :-1]).sum(-1)
    hard = functional.one_hot(given, mass.shape[0]).permute(2, 0, 1).to(mass.dtype)
    return hard * (mass.sum(0) > 0)


def footprints(
    mass: Tensor, gsd_m: float, diameter_m: float, along_m: float, across_m: float, rng: np.random.Generator
) -> Tensor:
    """Class mass (K, H, W) within the discs of straight tracks, each disc with its mean; elsewhere none."""
    classes, height, width = mass.shape
    angle, start_u, start_v = rng.uniform(0, math.pi), rng.uniform(0, along_m), rng.uniform(0, across_m)
    y = torch.arange(height, device=mass.device, dtype=torch.float64)[:, None] * gsd_m
    x = torch.arange(width, device=mass.device, dtype=torch.float64)[None] * gsd_m
    u = (x * math.cos(angle) + y * math.sin(angle) - start_u) / along_m
    v = (y * math.cos(angle) - x * math.sin(angle) - start_v) / across_m
    shot, track = u.round(), v.round()
    away = torch.hypot((u - shot) * along_m, (v - track) * across_m)
    # a disc smaller than a pixel is seen by the pixel that holds its middle
    inside = away <= max(0.5 * diameter_m, 0.5 * gsd_m)
    span = int(track.max() - track.min()) + 1
    name = ((shot - shot.min()) * span + (track - track.min())).long()[inside]
    _, disc = name.unique(return_inverse=True)
    found = mass[:, inside]
    total = torch.zeros(classes, int(disc.max()) + 1 if len(disc) else 0, device=mass.device, dtype=mass.dtype)
    total.index_add_(1, disc, found)
    mean = total / torch.bincount(disc, minlength=total.shape[1])
    sampled = torch.zeros_like(mass)
    sampled[:, inside] = mean[:, disc]
    return sampled


def _others(habits: np.ndarray) -> np.ndarray:
    """What is given instead of the truth: rows (K, K) without their diagonal, summing to 1."""
    apart = habits * (1 - np.eye(len(habits))) + 1e-9 * (len(habits) > 1)
    np.fill_diagonal(apart, 0.0 if len(habits) > 1 else 1.0)
    rows: np.ndarray = apart / apart.sum(1, keepdims=True)
    return rows


def _patchy(shape: torch.Size, patch_px: float, rng: np.random.Generator) -> Tensor:
    """(H, W) uniform dice, the same within squares of patch_px."""
    side = max(1, round(patch_px))
    rows, columns = -(-shape[0] // side) + 1, -(-shape[1] // side) + 1
    dice = torch.as_tensor(rng.random((rows, columns)), dtype=torch.float32)
    y, x = (int(v) for v in rng.integers(0, side, 2))
    return dice.repeat_interleave(side, 0).repeat_interleave(side, 1)[y : y + shape[0], x : x + shape[1]]


def _chosen(mass: Tensor, per_class: int, rng: np.random.Generator) -> Tensor:
    """(H, W) bool: up to per_class pixels of every class, where it is pure enough."""
    weight, label = mass.max(0)
    rank = torch.as_tensor(rng.random(label.shape), device=mass.device)
    chosen = torch.zeros_like(label, dtype=torch.bool).flatten()
    for k in range(mass.shape[0]):
        mine = ((label == k) & (weight > PURE)).flatten().nonzero()[:, 0]
        chosen[mine[rank.flatten()[mine].argsort()[:per_class]]] = True
    return chosen.reshape(label.shape)


def _strokes(mass: Tensor, per_class: int, length_px: tuple[float, float], rng: np.random.Generator) -> Tensor:
    """(H, W) bool: bent strokes that begin in a pure pixel of their class and end where it does."""
    weight, label = mass.max(0)
    height, width = label.shape
    begin = _chosen(mass, per_class, rng).nonzero()
    count, steps = len(begin), max(2, 2 * math.ceil(length_px[1]))
    drawn = torch.as_tensor(rng.random((count, 3)), device=mass.device)
    length = length_px[0] + (length_px[1] - length_px[0]) * drawn[:, :1]
    way = torch.arange(steps, device=mass.device) * 0.5  # half a pixel a step, so that no pixel is jumped over
    heading = 2 * math.pi * drawn[:, 1:2] + (drawn[:, 2:] - 0.5) * 2.5 * way / length.clamp(min=1.0)
    y = (begin[:, :1] + (0.5 * heading.sin()).cumsum(1)).round().long()
    x = (begin[:, 1:] + (0.5 * heading.cos()).cumsum(1)).round().long()
    on = (y >= 0) & (y < height) & (x >= 0) & (x < width) & (way <= length)
    at = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten()
    own = label[begin[:, 0], begin[:, 1]][:, None]
    on = on & (label.flatten()[at].view(count, steps) == own) & (weight.flatten()[at].view(count, steps) > PURE)
    on = on.long().cumprod(1).bool()  # the first step out of the class ends the stroke
    drawn_on = torch.zeros(height * width, dtype=torch.bool, device=mass.device)
    drawn_on[at[on.flatten()]] = True
    drawn_on[begin[:, 0] * width + begin[:, 1]] = True
    return drawn_on.reshape(height, width)
