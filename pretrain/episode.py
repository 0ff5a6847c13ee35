"""Episodes: whole few-label mapping tasks, dealt out from fictional scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from terraficta.pretrain.recipe import EpisodeRecipe
from terraficta.pretrain.scaling import Scaling
from terraficta.pretrain.stream import Batch
from terraficta.synth.labels.mass import generalise, shift
from terraficta.synth.types.key import SceneKey

LEAST_SHARE = 0.003
"""of the pixels, below which a class is too rare to be asked for"""


@dataclass(frozen=True)
class Task:
    """One map to make.

    Parameters
    ----------
    scenes : (S,) positions in the batch
    mass : (S, K, H, W) class mass in the legend of this task
    support : (P,) flat pixel positions, in the S scenes laid end to end, whose label is given
    given : (P, K) the labels given; some may be wrong
    """

    scenes: Tensor
    mass: Tensor
    support: Tensor
    given: Tensor


@dataclass(frozen=True)
class Episode:
    """Scaled images and the tasks set on them.

    Parameters
    ----------
    views : (N, 2, B, H, W) from `Scaling`
    mass : (N, K, H, W) class mass in the generator's own legend
    valid : (N, H, W)
    centre_nm, fwhm_nm : (B,) [nm]
    tasks : each over some of the N scenes
    """

    views: Tensor
    mass: Tensor
    valid: Tensor
    centre_nm: Tensor
    fwhm_nm: Tensor
    tasks: list[Task]


def deal_episode(recipe: EpisodeRecipe, batch: Batch, key: SceneKey) -> Episode:
    """Deal an episode from a batch: turn the scenes, choose bands, hide calibration, set tasks."""
    batch = _turned(batch, key.at("turn").rng())
    rng = key.at("bands").rng()
    bands = _some_bands(recipe, batch, rng)
    image = batch.image[:, bands]
    relative = rng.random() < recipe.relative or batch.level not in ("BOA", "TOA")
    if relative:
        image = _displayed(image, rng)
    scenes, device = len(image), image.device
    together = key.at("together").rng().random() < recipe.together
    parts = [torch.arange(scenes, device=device)] if together else list(torch.arange(scenes, device=device)[:, None])
    views = torch.empty(scenes, 2, *image.shape[1:], device=device)
    tasks = []
    for number, part in enumerate(parts):
        task_rng = key.at("task", number).rng()
        known = int(task_rng.integers(1, len(part))) if len(part) > 1 else 1
        pixels = image[part[:known]].transpose(0, 1).flatten(1)[:, ::5]
        scaling = Scaling.of_pixels(pixels, "DN" if relative else batch.level)
        views[part] = scaling(image[part])
        task = _set_task(recipe, batch, part, known, task_rng)
        if task is not None:
            tasks.append(task)
    sensor = batch.sensor
    return Episode(
        views, batch.mass, batch.valid,
        sensor.centre_nm[bands].to(device), sensor.fwhm_nm[bands].to(device), tasks,
    )  # fmt: skip


def _turned(batch: Batch, rng: np.random.Generator) -> Batch:
    """Turn and mirror the whole batch: land has no north."""
    quarter, mirror = int(rng.integers(4)), bool(rng.integers(2))

    def turn(x: Tensor) -> Tensor:
        x = torch.rot90(x, quarter, (-2, -1))
        return x.flip(-1) if mirror else x

    image, valid, mass, material = (turn(x) for x in (batch.image, batch.valid, batch.mass, batch.material))
    return Batch(image, valid, mass, material, batch.sensor, batch.level)


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


def _set_task(recipe: EpisodeRecipe, batch: Batch, part: Tensor, known: int, rng: np.random.Generator) -> Task | None:
    """Draw a legend that the scenes can show, and the few labels that are given."""
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
    return None if support is None else Task(part, target, support, given)


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
