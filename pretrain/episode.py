"""Episodes: whole few-label mapping tasks, dealt out from fictional scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from terraficta.pretrain.recipe import EpisodeRecipe
from terraficta.pretrain.scaling import task_views
from terraficta.pretrain.stream import Batch
from terraficta.synth.labels.mass import generalise, shift
from terraficta.synth.scene.material.lottery import draw_lottery, lottery_reflectance
from terraficta.synth.types.key import SceneKey

DARK_OBJECT = 0.15
"""chance that the darkest pixel of a scene was taken for black, and taken off all others, as plain corrections do.
Source: Chavez 1988, doi:10.1016/0034-4257(88)90019-3"""
LEAST_SHARE = 0.003
"""of the pixels, below which a class is too rare to be asked for"""


@dataclass(frozen=True)
class Task:
    """One map to make, over some of the scenes of an episode.

    Parameters
    ----------
    support : Tensor
        (S,) rows of `Episode.pixels` whose label is given
    given : Tensor
        (S, K) the labels given, in the legend of this task; some may be wrong
    query : Tensor
        (Q,) rows of `Episode.pixels` on which the map is scored
    mass : Tensor
        (Q, K) class mass there
    """

    support: Tensor
    given: Tensor
    query: Tensor
    mass: Tensor


@dataclass(frozen=True)
class Episode:
    """Scaled images, the tasks set on them, and the pixels that these ask for.

    Parameters
    ----------
    views : Tensor
        (N, V, B, H, W) from `Scaling`
    centre_nm, fwhm_nm : Tensor
        (B,) [nm]
    pixels : Tensor
        (P,) flat positions in the N images laid end to end; the scored ones first
    tasks : list[Task]
        each over some of the N scenes
    mass : Tensor
        (Q, K) class mass of the first Q pixels in the generator's own legend; all 0 under a lottery look
    uses : Tensor
        (Q, U) what the areas are used for in which these lie
    """

    views: Tensor
    centre_nm: Tensor
    fwhm_nm: Tensor
    pixels: Tensor
    tasks: list[Task]
    mass: Tensor
    uses: Tensor


def deal_episode(recipe: EpisodeRecipe, batch: Batch, key: SceneKey) -> Episode:
    """Deal an episode from a batch: turn the scenes, choose bands, hide calibration, set tasks."""
    batch = _turned(batch, key.at("turn").rng())
    if recipe.crop_px is not None:
        batch = _cropped(batch, recipe.crop_px, key.at("crop").rng())
    rng = key.at("bands").rng()
    bands = _some_bands(recipe, batch, rng)
    image, level = batch.image[:, bands], batch.level
    repainted = key.at("look").rng().random() < recipe.lottery
    if repainted:
        drawn = draw_lottery(key, len(image), batch.mass.shape[1])
        image = lottery_reflectance(image, batch.mass, batch.material, batch.sensor.centre_nm[bands], drawn)
    if recipe.radiometry > 0:
        image = misread(image, batch.sensor.centre_nm[bands], recipe.radiometry, key.at("radiometry").rng())
    if rng.random() < recipe.relative or level not in ("BOA", "TOA"):
        image, level = _displayed(image, rng), "DN"
    scenes, device = len(image), image.device
    together = key.at("together").rng().random() < recipe.together
    parts = [list(range(scenes))] if together else [[scene] for scene in range(scenes)]
    scored = _scored(recipe, batch, key.at("scored").rng())
    pixels, tasks, views = [scored], [], []
    for number, part in enumerate(parts):
        task_rng = key.at("task", number).rng()
        known = int(task_rng.integers(1, len(part))) if len(part) > 1 else 1
        views.append(task_views(image[part], known, level))
        first = sum(map(len, pixels))
        dealt = _set_task(recipe, batch, part, known, scored, first, task_rng)
        if dealt is not None:
            tasks.append(dealt[0])
            pixels.append(dealt[1])
    sensor, dense = batch.sensor, scored[: recipe.dense_px]
    mass = _at(batch.mass * batch.valid[:, None], dense)
    if repainted:  # a class in the colours of another must not be called by its name
        mass = torch.zeros_like(mass)
    return Episode(
        torch.cat(views), sensor.centre_nm[bands].to(device), sensor.fwhm_nm[bands].to(device),
        torch.cat(pixels), tasks, mass, _at(batch.uses, dense),
    )  # fmt: skip


def _at(planes: Tensor, pixels: Tensor) -> Tensor:
    """(P, K) of planes (N, K, H, W) at flat positions in N maps."""
    size = planes.shape[-2] * planes.shape[-1]
    return planes.flatten(2)[pixels // size, :, pixels % size]


def _scored(recipe: EpisodeRecipe, batch: Batch, rng: np.random.Generator) -> Tensor:
    """Pixels to score, in random order, none twice."""
    total = batch.valid.numel()
    chosen = rng.choice(total, min(recipe.scored_px, total), replace=False, shuffle=True)
    return torch.as_tensor(chosen, device=batch.image.device)


def _turned(batch: Batch, rng: np.random.Generator) -> Batch:
    """Turn and mirror the whole batch: land has no north."""
    quarter, mirror = int(rng.integers(4)), bool(rng.integers(2))

    def turn(x: Tensor) -> Tensor:
        x = torch.rot90(x, quarter, (-2, -1))
        return x.flip(-1) if mirror else x

    return _each(batch, turn)


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """The same change of image and all truth."""
    planes: dict[str, Any] = {n: change(getattr(batch, n)) for n in ("image", "valid", "mass", "material", "uses")}
    return replace(batch, **planes)


def _cropped(batch: Batch, side: int, rng: np.random.Generator) -> Batch:
    """The same part of every scene."""
    height, width = batch.valid.shape[-2:]
    side_y, side_x = min(side, height), min(side, width)
    y, x = int(rng.integers(height - side_y + 1)), int(rng.integers(width - side_x + 1))
    return _each(batch, lambda p: p[..., y : y + side_y, x : x + side_x])


def _some_bands(recipe: EpisodeRecipe, batch: Batch, rng: np.random.Generator) -> list[int]:
    total = len(batch.sensor)
    if total <= 3 or rng.random() >= recipe.drop_bands:
        return list(range(total))
    if rng.random() < 0.3:  # what a common camera would see of it
        red, green, blue = batch.sensor.reading_order()
        nir = int((batch.sensor.centre_nm - 850.0).abs().argmin())
        picks = [red, green, blue] if rng.random() < 0.5 else [red, green, blue, nir]
        if len(set(picks)) == len(picks):
            return picks
    count = int(rng.integers(3, total + 1))
    return sorted(int(b) for b in rng.choice(total, count, replace=False))


def _displayed(image: Tensor, rng: np.random.Generator) -> Tensor:
    """What display stretching does to an image: a gamma per scene set, and at times 8 bits."""
    flat = image.transpose(0, 1).flatten(1)
    low = flat[:, ::7].quantile(0.01, 1)[:, None, None]
    high = flat[:, ::7].quantile(0.99, 1)[:, None, None]
    unit = ((image - low) / (high - low).clamp(min=1e-4)).clamp(0, 1.2)
    unit = unit.pow(float(np.exp(rng.normal(0, 0.25))))
    return (unit * 255).round() / 255 if rng.random() < 0.5 else unit


def misread(image: Tensor, centre_nm: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Images (N, B, H, W) as products of doubtful radiometry give them: each scene with errors of its own.

    A gain that varies smoothly with wavelength and a little from band to band, a gamma of brightness, and bluish haze
    that the whole scene lies under; at times the darkest object was taken for black. The spreads are ours: set so that
    strength 1 is as bad as the worst of the products that we have seen, and most draws are much better.
    """
    count, bands = image.shape[:2]
    share = rng.beta(1.0, 2.0, (count, 1)) * strength
    wave_um = centre_nm.numpy()[None] / 1000.0
    slope = rng.normal(0, 0.15, (count, 1)) * (wave_um - 1.0)
    gain = np.exp(share * (rng.normal(0, 0.2, (count, 1)) + slope + rng.normal(0, 0.08, (count, bands))))
    haze = share * np.abs(rng.normal(0, 0.03, (count, 1))) * (wave_um / 0.5) ** -1.5
    power = np.exp(share * rng.normal(0, 0.15, (count, 1)))

    def plane(values: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(values, dtype=image.dtype, device=image.device)[..., None, None]

    level = image.mean((1, 2, 3), keepdim=True).clamp(min=1e-4)
    bent = level * (image.clamp(min=0.0) / level).pow(plane(power))
    seen = torch.where(image > 0, bent, image) * plane(gain) + plane(haze) * (level / 0.15)
    if rng.random() < DARK_OBJECT * strength:
        seen = (seen - seen.flatten(2).quantile(0.005, 2)[..., None, None]).clamp(min=0.0)
    return seen


def _set_task(
    recipe: EpisodeRecipe, batch: Batch, part: list[int], known: int, scored: Tensor, first: int,
    rng: np.random.Generator,
) -> tuple[Task, Tensor] | None:  # fmt: skip
    """Draw a legend that the scenes can show, and the few labels that are given; also where these lie.

    Parameters
    ----------
    part : list[int]
        scenes of the task; the first `known` of them give labels
    scored : Tensor
        flat positions of the scored pixels of the episode
    first : int
        row of the first label among the pixels of the episode
    """
    mass, valid = batch.mass[part], batch.valid[part]
    if rng.random() < recipe.split and len(part) == 1:  # codes of two scenes do not compare
        mass = _split_parcels(mass, batch.material[part], rng)
    share = (mass * valid[:, None]).mean((0, 2, 3))
    in_known = (mass[:known] * valid[:known, None]).mean((0, 2, 3))
    present = torch.nonzero((share > LEAST_SHARE) & (in_known > LEAST_SHARE)).flatten().tolist()
    if len(present) < 2:
        return None
    most = min(len(present), recipe.classes[1])
    count = int(rng.integers(min(recipe.classes[0], most), most + 1))
    order = rng.permutation(present)
    group = np.concatenate([np.arange(count), rng.integers(-1, count, len(order) - count)])  # -1: left out
    merge = torch.zeros(count, mass.shape[1], device=mass.device)
    for position, goal in zip(order, group, strict=True):
        if goal >= 0:
            merge[int(goal), int(position)] = 1.0
    target = torch.einsum("tk,nkhw->nthw", merge, mass)
    if rng.random() < recipe.generalise:
        target = _generalised(target, rng)
    target = target * valid[:, None]
    support, given = _give_labels(recipe, target[:known], rng)
    if support is None:
        return None
    apart = len(part) > 1 and rng.random() < recipe.apart
    size = batch.valid[0].numel()
    scene = scored // size - part[0]
    query = torch.nonzero((scene >= (known if apart else 0)) & (scene < len(part)))[:, 0]
    mass_there = _at(target, scored[query] - part[0] * size)
    rows = torch.arange(first, first + len(support), device=support.device)
    return Task(rows, given, query, mass_there), support + part[0] * size


def _split_parcels(mass: Tensor, material: Tensor, rng: np.random.Generator) -> Tensor:
    """Split the class that has most parcels into two or three kinds, by the material of the parcel."""
    kinds = int(rng.integers(2, 4))
    farmed = material > 0
    if not bool(farmed.any()):
        return mass
    parcels = (mass * farmed[:, None]).mean((0, 2, 3))
    chosen = int(parcels.argmax())
    codes = int(material.max()) + 1
    kind_of = torch.as_tensor(rng.integers(0, kinds, codes), device=mass.device)[material]
    parts = [mass[:, chosen] * (kind_of == kind) for kind in range(kinds)]
    rest = torch.cat([mass[:, :chosen], mass[:, chosen + 1 :]], 1)
    return torch.cat([rest, torch.stack(parts, 1)], 1)


def _generalised(target: Tensor, rng: np.random.Generator) -> Tensor:
    """The map as a person would draw it: the class that fills most of a neighbourhood, one a pixel, up to 2 px off."""
    whole = generalise(target, 2 * int(rng.integers(1, 7)) + 1)
    dy, dx = (int(d) for d in rng.integers(-2, 3, 2)) if rng.random() < 0.3 else (0, 0)
    return shift(whole, dy, dx)


def _give_labels(recipe: EpisodeRecipe, target: Tensor, rng: np.random.Generator) -> tuple[Tensor | None, Tensor]:
    """Choose the labelled pixels: pure enough, some of one part of the land only, some wrong."""
    scenes, classes, height, width = target.shape
    weight, label = target.max(1)
    usable = weight > 0.5
    if rng.random() < 0.5:  # labels from one side only, as a survey along a road gives
        angle, y, x = rng.uniform(0, 2 * np.pi), np.arange(height)[:, None], np.arange(width)[None]
        side = (y - height / 2) * np.sin(angle) + (x - width / 2) * np.cos(angle) > rng.uniform(-0.3, 0.1) * height
        usable = usable & torch.as_tensor(side, device=target.device)
    low, high = recipe.labels
    per_class = int(round(float(np.exp(rng.uniform(np.log(low), np.log(high + 1))))))
    flat_label = label.flatten().cpu().numpy()
    usable_flat = usable.flatten().cpu().numpy()
    chosen = []
    for k in range(classes):
        candidates = np.flatnonzero(usable_flat & (flat_label == k))
        if len(candidates) == 0:
            return None, target
        chosen.append(rng.choice(candidates, min(per_class, len(candidates)), replace=False))
    support = np.concatenate(chosen)
    given = flat_label[support]
    if rng.random() < 0.3:
        wrong = rng.random(len(given)) < rng.uniform(0, 0.15)
        given = np.where(wrong, rng.integers(0, classes, len(given)), given)
    one_hot = functional.one_hot(torch.as_tensor(given), classes).float()
    return torch.as_tensor(support, device=target.device), one_hot.to(target.device)
