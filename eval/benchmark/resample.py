"""Resampling: intervals of mIoU and of its differences, over draws of labels and over blocks of ground together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraficta.synth.types.key import SceneKey

REPEATS = 500
"""resamples; an end of a 95 % interval then moves by about a tenth of its half width"""
CONFIDENCE = 0.95
CHUNK = 50
"""resamples at once: bounds the memory"""

Cell = tuple[str, int]
"""tileset, labels a class"""


@dataclass(frozen=True)
class Blocks:
    """Confusion of one arm in one cell, by draw and by block of ground.

    Parameters
    ----------
    confusion : NDArray[np.float64]
        (S, M, K, K) mass of class i mapped as class j
    seeds : tuple[int, ...]
        S draws
    """

    confusion: NDArray[np.float64]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, details: Sequence[Mapping[str, Any]], count: int) -> Blocks:
        """From details of a benchmark's rows, one a draw; `count` blocks."""
        ordered = sorted(details, key=lambda d: int(d["seed"]))
        classes = len(ordered[0]["classes"])
        found = np.zeros((len(ordered), count, classes, classes))
        for s, detail in enumerate(ordered):
            for b, i, j, mass in detail["blocks"]:
                found[s, b, i, j] += mass
        return cls(found, tuple(int(d["seed"]) for d in ordered))

    def take(self, seeds: Sequence[int]) -> Blocks:
        """Some draws."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return Blocks(self.confusion[rows], tuple(seeds))


def miou(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean IoU of confusions (..., K, K), over the classes that occur in the labels or in the map.

    Examples
    --------
    >>> round(float(miou(np.array([[1.0, 1.0], [0.0, 2.0]]))), 4)
    0.5833
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    union = confusion.sum(-1) + confusion.sum(-2) - right
    seen = union > 0
    share = np.divide(right, union, out=np.zeros_like(right), where=seen)
    found: NDArray[np.float64] = share.sum(-1) / np.maximum(seen.sum(-1), 1)
    return found


def cells_of(details: Sequence[Mapping[str, Any]]) -> dict[Cell, dict[str, Blocks]]:
    """Blocks by cell and arm, from the details of a benchmark."""
    groups: dict[Cell, dict[str, list[Mapping[str, Any]]]] = {}
    for detail in details:
        cell = str(detail["tileset"]), int(detail["labels_per_class"])
        groups.setdefault(cell, {}).setdefault(str(detail["arm"]), []).append(detail)
    found = {}
    for cell, arms in groups.items():
        count = 1 + max((b for own in arms.values() for d in own for b, *_ in d["blocks"]), default=0)
        found[cell] = {arm: Blocks.of(own, count) for arm, own in arms.items()}
    return found


def resampled(arms: Mapping[str, Blocks], name: str, repeats: int = REPEATS) -> dict[str, NDArray[np.float64]]:
    """(R,) mean mIoU of each arm in resamples that all arms share: of draws, and of blocks, both with replacement.

    Draws that not every arm has are left out; an arm of one draw (names, which has no labels to draw) keeps it.

    Parameters
    ----------
    arms : Mapping[str, Blocks]
        of one tileset
    name : str
        by which chance is addressed
    """
    many = [set(arm.seeds) for arm in arms.values() if len(arm.seeds) > 1]
    seeds = sorted(set.intersection(*many)) if many else []
    rng = SceneKey(0, 0).at("sample", "resample", name).rng()
    blocks = next(iter(arms.values())).confusion.shape[1]
    times = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=repeats).astype(float)
    drawn = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), size=repeats) if seeds else None
    found = {}
    for arm, own in arms.items():
        mine = own.take(seeds) if seeds and len(own.seeds) > 1 else own
        scores = np.concatenate(
            [miou(np.einsum("rm,smij->rsij", times[n : n + CHUNK], mine.confusion)) for n in range(0, repeats, CHUNK)]
        )
        weight = drawn if drawn is not None and len(mine.seeds) == len(seeds) else np.ones_like(scores)
        found[arm] = (scores * weight).sum(1) / weight.sum(1)
    return found


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
