"""Scores of a map: what of it is right, and whether it knows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-6
"""least probability that the logarithm sees: a forest says 0 and means 'never seen'; one such pixel costs 13.8 nats"""
RELIABILITY_BINS = 15
"""as in Guo et al. 2017, doi 10.48550/arXiv.1706.04599"""
FINE_BINS = 200 * RELIABILITY_BINS
"""confidence is tallied this finely, so that bins of equal width and of equal mass both come out of one pass"""


@dataclass(frozen=True)
class Scores:
    """The scores of one map on one set of labelled pixels.

    Parameters
    ----------
    accuracy : float
        share of the mass that is mapped right
    miou, macro_f1 : float
        plain means over the classes that occur in the labels or in the map. A class that is mapped but never occurs
        counts 0; one that occurs in neither does not count. This is scikit-learn's `average="macro"`
    ece, ece_mass : float
        expected calibration error in 15 bins of equal width, and of equal mass
    ece_class : float
        the same of every class's own probability, mean over the classes (Kull et al. 2019, arXiv 1910.12656): whether
        30 % of water is water in 3 of 10 pixels, also where water is not the likeliest class
    nll : float
        mean negative log likelihood [nat], probabilities held above `EPSILON`
    brier : float
        mean squared distance of the probabilities from the class mass, summed over classes: 0..2
    weight : float
        labelled mass that the scores rest on [px]
    iou : tuple[float, ...]
        IoU a class; NaN where a class occurs in neither
    """

    accuracy: float
    miou: float
    macro_f1: float
    ece: float
    ece_mass: float
    ece_class: float
    nll: float
    brier: float
    weight: float
    iou: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, NaN as None."""
        return {**asdict(self), "iou": [None if math.isnan(v) else v for v in self.iou]}


@dataclass(frozen=True)
class Reliability:
    """The reliability curve: one row a bin, empty bins left out.

    Parameters
    ----------
    confidence, accuracy : Tensor
        (n,) mean probability of the mapped class, and how often it was right
    weight : Tensor
        (n,) share of the mass in the bin; sums to 1
    """

    confidence: Tensor
    accuracy: Tensor
    weight: Tensor

    def error(self) -> float:
        """Expected calibration error: sum over bins of weight |accuracy - confidence|."""
        return float((self.weight * (self.accuracy - self.confidence).abs()).sum())


@dataclass
class Tally:
    """Running sums from which every score follows, so that a test fold of any size needs no more memory than K^2.

    Parameters
    ----------
    classes : int
        K

    Attributes
    ----------
    confusion : Tensor
        (K, K) mass of class i (row) that is mapped as class j (column)

    Examples
    --------
    >>> tally = Tally(2)
    >>> tally.add(torch.tensor([[0.9, 0.2], [0.1, 0.8]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    >>> tally.scores().accuracy
    0.5
    """

    classes: int
    confusion: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = torch.zeros(self.classes, self.classes, dtype=torch.float64)
        self._bins = torch.zeros(3, FINE_BINS, dtype=torch.float64)  # weight, sum of confidence, weight that is right
        self._by_class = torch.zeros(3, self.classes * RELIABILITY_BINS, dtype=torch.float64)  # weight, stated, true
        self._nll = self._brier = 0.0

    def add(self, probabilities: Tensor, mass: Tensor) -> None:
        """Count some pixels.

        Parameters
        ----------
        probabilities : Tensor
            (K, ...) that sum to 1
        mass : Tensor
            (K, ...) class mass; pixels without any are passed over, soft ones count by their shares
        """
        q = probabilities.detach().cpu().double().reshape(self.classes, -1)
        p = mass.detach().cpu().double().reshape(self.classes, -1)
        weight = p.sum(0)
        q, p, weight = q[:, weight > 0], p[:, weight > 0], weight[weight > 0]
        confidence, best = q.max(0)
        right = p.gather(0, best[None])[0]
        self.confusion.index_add_(1, best, p)
        index = (confidence * FINE_BINS).long().clamp(0, FINE_BINS - 1)
        self._bins.index_add_(1, index, torch.stack([weight, weight * confidence, right]))
        self._add_by_class(q, p, weight)
        self._nll -= float((p * q.clamp(min=EPSILON).log()).sum())
        self._brier += float((weight * (q - p / weight).square().sum(0)).sum())

    def _add_by_class(self, q: Tensor, p: Tensor, weight: Tensor) -> None:
        first = torch.arange(self.classes)[:, None] * RELIABILITY_BINS
        index = first + (q * RELIABILITY_BINS).long().clamp(0, RELIABILITY_BINS - 1)
        sums = torch.stack([weight.expand_as(q), weight * q, p]).flatten(1)
        self._by_class.index_add_(1, index.flatten(), sums)

    def merge(self, other: Tally) -> None:
        """Take in the sums of another tally of the same classes."""
        self.confusion += other.confusion
        self._bins += other._bins
        self._by_class += other._by_class
        self._nll += other._nll
        self._brier += other._brier

    def reliability(self, bins: int = RELIABILITY_BINS, equal_mass: bool = False) -> Reliability:
        """The reliability curve, in bins of equal width or of equal mass."""
        weight = self._bins[0]
        if equal_mass:
            middle = weight.cumsum(0) - weight / 2
            index = (middle / weight.sum().clamp(min=1e-12) * bins).long().clamp(0, bins - 1)
        else:
            index = torch.arange(FINE_BINS) * bins // FINE_BINS
        total, confidence, right = torch.zeros(3, bins, dtype=torch.float64).index_add_(1, index, self._bins)
        kept = total > 0
        total, confidence, right = total[kept], confidence[kept], right[kept]
        return Reliability(confidence / total, right / total, total / total.sum())

    def class_errors(self) -> Tensor:
        """(K,) calibration error of every class's own probability, in bins of equal width."""
        weight, stated, true = self._by_class.unflatten(1, (self.classes, RELIABILITY_BINS))
        return (stated - true).abs().sum(1) / weight.sum(1)

    def scores(self) -> Scores:
        """Every score; NaN throughout where nothing was counted."""
        weight = float(self.confusion.sum())
        truth, mapped, right = self.confusion.sum(1), self.confusion.sum(0), self.confusion.diagonal()
        iou = right / (truth + mapped - right)  # 0 / 0 = NaN: the class occurs in neither
        f1 = 2 * right / (truth + mapped)
        nothing = weight == 0
        return Scores(
            accuracy=math.nan if nothing else float(right.sum()) / weight,
            miou=float(iou.nanmean()),
            macro_f1=float(f1.nanmean()),
            ece=math.nan if nothing else self.reliability().error(),
            ece_mass=math.nan if nothing else self.reliability(equal_mass=True).error(),
            ece_class=math.nan if nothing else float(self.class_errors().mean()),
            nll=math.nan if nothing else self._nll / weight,
            brier=math.nan if nothing else self._brier / weight,
            weight=weight,
            iou=tuple(iou.tolist()),
        )
