"""The expectation: how good a map is, told from the labels that made it, with intervals and warnings."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraficta.eval.expect.area import estimate_areas, shares_of_land
from terraficta.eval.expect.crossvalidation import CrossValidation
from terraficta.synth.types.key import SceneKey

Numbers = NDArray[np.float64]

DRAWS = 400
"""resamples of blocks: standard errors to about 4 %"""
SIGMAS = 2.0
"""half an interval in standard errors: 95 %, were the error normal"""
DOUBT = 1.0
"""labels a class that are imagined, half of them mapped wrong: 5 of 5 right is no proof that none is wrong"""
BELIEF = 5.0
"""labels a class that tell as much of areas as the map itself does; of 0 to 20, 3 to 8 did best on eight tilesets"""
LEAST_LABELS, LEAST_BLOCKS = 10, 4
"""labels and blocks that a number needs: with fewer nothing is said"""
FEW_LABELS, FEW_BLOCKS = 5, 10
"""of a class, and of all: with fewer there is a warning"""


@dataclass(frozen=True)
class Expectation:
    """What a map is expected to be worth, on the land that it shows.

    Parameters
    ----------
    classes : tuple[str, ...]
        K class names
    labels, judged : tuple[int, ...]
        (K,) labels of each class that were asked for, and those that could be asked
    blocks, block_m : float
        in how many blocks of ground labels lie, and their side [m]; 0 where the split is random
    accuracy, accuracy_se : float
        share of the land that is mapped right; NaN where labels are too few or too clustered to tell
    miou, miou_se : float
        mean intersection over union of the judged classes
    confusion : NDArray[np.float64]
        (K, K) share of the land that is class j (row) and is mapped as class i (column)
    producer, user : NDArray[np.float64]
        (K,) of what is a class, the share that is mapped as it; of what is mapped as a class, the share that is it
    mapped, share, share_se : NDArray[np.float64]
        (K,) share of the map; share of the land as estimated, and its standard error
    random : bool
        whether neighbours were dealt out at random
    warnings : tuple[str, ...]
        sentences that stand beside every number
    """

    classes: tuple[str, ...]
    labels: tuple[int, ...]
    judged: tuple[int, ...]
    blocks: int
    block_m: float
    accuracy: float
    accuracy_se: float
    miou: float
    miou_se: float
    confusion: Numbers
    producer: Numbers
    user: Numbers
    mapped: Numbers
    share: Numbers
    share_se: Numbers
    random: bool
    warnings: tuple[str, ...]

    @property
    def told(self) -> bool:
        """Whether an accuracy can be told."""
        return math.isfinite(self.accuracy)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """Two standard errors to each side, within 0..1."""
        return _interval(self.accuracy, self.accuracy_se)

    @property
    def miou_interval(self) -> tuple[float, float]:
        """Likewise."""
        return _interval(self.miou, self.miou_se)

    def confused(self, most: int = 3) -> list[tuple[str, str, float]]:
        """(class, mapped as, share of the class) of what is most land mapped wrong, the largest first."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0.0)
        found = []
        for flat in np.argsort(-wrong, axis=None)[:most].tolist():
            j, i = divmod(flat, len(self.classes))
            if wrong[j, i] > 0.001:
                found.append((self.classes[j], self.classes[i], float(wrong[j, i] / self.confusion[j].sum())))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain data, NaN as None."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def expect(cv: CrossValidation, classes: tuple[str, ...], mapped: Numbers, gsd_m: float, seed: int = 0) -> Expectation:
    """What cross-validated labels say of a map.

    How often each class is mapped as each is counted among its labels, however many of them there are; how much land
    is of each class follows from these rates and from the map (`shares_of_land`), so that labels picked class by class
    do as well as labels picked at random. Standard errors: the spread over resampled blocks of ground, or that of
    Olofsson et al. for independent labels where it is larger.

    Parameters
    ----------
    cv : CrossValidation
        what was said of labels
    classes : tuple[str, ...]
        K names
    mapped : NDArray[np.float64]
        (K,) share of the map that is each class; sums to 1
    gsd_m : float
        side of a pixel [m]
    """
    asked, k = cv.judged, len(classes)
    counts = _counts(cv, np.ones(len(asked)), k)
    labels = tuple(np.bincount(cv.classes, minlength=k).tolist())
    judged = tuple(np.bincount(cv.classes[asked], minlength=k).tolist())
    blocks = len(np.unique(cv.blocks))
    enough = asked.sum() >= LEAST_LABELS and len(np.unique(cv.blocks[asked])) >= LEAST_BLOCKS
    told = bool(enough and (np.array(judged) > 0).sum() > 1)
    table = _of_land(counts, mapped)
    accuracy, miou = _scores(table)
    spread, closed = _spread(cv, counts, mapped, seed), _closed_form(counts, mapped)
    accuracy_se = max(spread[0], closed[0]) if told else math.nan
    total = table.sum(1)
    share_se = np.maximum(spread[2], closed[1]) if told else np.full(k, math.nan)
    return Expectation(
        classes, labels, judged, blocks, cv.block_px * gsd_m,
        accuracy if told else math.nan, accuracy_se, miou if told else math.nan, spread[1] if told else math.nan,
        table, _divide(table.diagonal(), total), _divide(table.diagonal(), table.sum(0)),
        mapped, total if told else np.full(k, math.nan), share_se, cv.random,
        _warnings(cv, classes, labels, judged, blocks, told),
    )  # fmt: skip


def _counts(cv: CrossValidation, weight: Numbers, k: int) -> Numbers:
    """(K, K) labels of class j (row) that were mapped as class i (column)."""
    asked = cv.judged
    found = np.zeros((k, k))
    best = cv.probabilities[asked].argmax(1)
    np.add.at(found, (cv.classes[asked], best), weight[asked] * cv.mass[asked].sum(1))
    return found


def _rates(counts: Numbers) -> Numbers:
    total = counts.sum(-1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def _doubted(counts: Numbers) -> Numbers:
    """With imagined labels of every class that has some: half right, half wrong, spread over the others that occur."""
    k = counts.shape[-1]
    there = counts.sum(-1) > 0
    others = max(int(there.sum()) - 1, 1)
    wrong = np.where(there[:, None] & there[None], DOUBT / 2 / others, 0.0)
    wrong[np.arange(k), np.arange(k)] = np.where(there, DOUBT / 2, 0.0)
    return counts + wrong


def _of_land(counts: Numbers, mapped: Numbers) -> Numbers:
    """(..., K, K) share of the land that is class j and is mapped as class i, from counts (..., K, K) of labels."""
    rates, labels = _rates(counts), counts.sum((-1, -2)).mean() / max(int((counts.sum(-1) > 0).sum(-1).max()), 1)
    return shares_of_land(rates, mapped, BELIEF / max(float(labels), 1.0))[..., None] * rates


def _scores(table: Numbers) -> tuple[Any, Any]:
    """Accuracy and mean IoU of tables (..., K, K); classes without land do not count."""
    right = np.diagonal(table, axis1=-2, axis2=-1)
    union = table.sum(-1) + table.sum(-2) - right
    there = table.sum(-1) > 1e-9
    iou = np.divide(right, union, out=np.zeros_like(union), where=there)
    return right.sum(-1), iou.sum(-1) / np.maximum(there.sum(-1), 1)


def _spread(cv: CrossValidation, counts: Numbers, mapped: Numbers, seed: int) -> tuple[float, float, Numbers]:
    """Standard deviations of accuracy, mean IoU and shares over resampled blocks of ground."""
    names, which = np.unique(cv.blocks, return_inverse=True)
    k = len(mapped)
    by_block = np.stack([_counts(cv, (which == b).astype(float), k) for b in range(len(names))])
    rng = SceneKey(seed, 0).at("expect").rng()
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    resampled = np.einsum("db,bji->dji", drawn.astype(float), by_block)
    doubted = resampled + (_doubted(counts) - counts)  # a class that no block of a draw holds keeps the imagined ones
    accuracy, miou = _scores(table := _of_land(doubted, mapped))
    return float(accuracy.std()), float(miou.std()), table.sum(-1).std(0)


def _closed_form(counts: Numbers, mapped: Numbers) -> tuple[float, Numbers]:
    """Standard errors for independent labels, each weighed by the land that its class covers."""
    doubted = _doubted(counts)
    table = _of_land(doubted, mapped)
    n = doubted.sum(1)
    weight = _divide(table.sum(1), n)  # land that one label stands for
    weight = np.nan_to_num(weight)
    total, squares = weight @ doubted, (weight**2) @ doubted
    effective = _divide(total**2, squares)  # Kish: labels that weighed alike would tell as much
    by_map = np.nan_to_num(_divide(table, table.sum(0))) * np.nan_to_num(effective)
    estimate = estimate_areas(by_map.T, table.sum(0))
    return estimate.overall_se, estimate.share_se


def _warnings(
    cv: CrossValidation, classes: tuple[str, ...], labels: tuple[int, ...], judged: tuple[int, ...], blocks: int,
    told: bool,
) -> tuple[str, ...]:  # fmt: skip
    found = []
    if cv.random:
        found.append("RANDOM SPLIT: labels next to each other were dealt out at random, which flatters the map")
    lost = [name for name, has, asked in zip(classes, labels, judged, strict=True) if has and not asked]
    if lost:
        found.append(f"{', '.join(lost)}: labels in one block of ground only, so nothing is known of how it is mapped")
    none = [name for name, has in zip(classes, labels, strict=True) if not has]
    if none:
        found.append(f"{', '.join(none)}: no label")
    few = [f"{name} ({n})" for name, n in zip(classes, labels, strict=True) if 0 < n < FEW_LABELS and name not in lost]
    if few:
        found.append(f"few labels of {', '.join(few)}: its numbers are rough")
    if not told:
        found.append(f"{sum(labels)} labels in {blocks} blocks of ground are too few or too clustered to tell")
    elif blocks < FEW_BLOCKS and not cv.random:
        found.append(f"labels lie in {blocks} blocks of ground only: elsewhere the map may be worse than they tell")
    return tuple(found)


def _interval(value: float, se: float) -> tuple[float, float]:
    return max(0.0, value - SIGMAS * se), min(1.0, value + SIGMAS * se)


def _divide(a: Numbers, b: Numbers) -> Numbers:
    found: Numbers = np.divide(a, b, out=np.full(np.broadcast(a, b).shape, math.nan), where=b > 0)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
