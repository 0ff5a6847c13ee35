"""Conformal sets: the classes that a pixel may be, so many that the truth is among them as often as was asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SLACK = 1e-6
"""sums of probabilities are compared in float32"""


@dataclass(frozen=True)
class ConformalSets:
    """How far a set reaches down the classes of a pixel, likeliest first.

    A class is in the set of a pixel where the likelier classes together hold no more than its limit. The likeliest
    class is always in, so no set is empty.

    Parameters
    ----------
    limits : Tensor
        (K,) most that likelier classes may hold
    asked : float
        coverage asked for
    stated : float
        coverage that the labels let expect, in the mean over classes: more than asked for where the likeliest class is
        right more often than that, less where the labels are too few to tell
    own : Tensor
        (K,) bool; whether a class has its limit from its own labels; the others share one of all labels

    Error
    -----
    Exact in the mean for pixels that are exchangeable with the labels; between two ranks the limit is interpolated, so
    that a class of n labels may miss the coverage asked for by 1 / (n + 1). Labels judge models that have seen fewer
    labels than the map's (cross-conformal: in theory 2 `asked` - 1, in practice `asked`). On nine tilesets, test pixels
    in other blocks than the labels: .960 and .961 with 25 and 100 labels a class, for .95.

    Source
    ------
    Vovk, Gammerman & Shafer 2005, Algorithmic learning in a random world, ch. 4.5 (per class: Mondrian); Romano, Sesia
    & Candes 2020, arXiv 2006.02544 (sums of likelier classes; theirs draw a number for each pixel, ours do not, so no
    set is empty); Vovk 2015, doi 10.1007/s10472-013-9368-4 (cross-conformal); Angelopoulos & Bates 2021, arXiv
    2107.07511
    """

    limits: Tensor
    asked: float
    stated: float
    own: Tensor

    def members(self, probabilities: Tensor) -> Tensor:
        """Probabilities (K, ...) to the classes in each set (K, ...) bool."""
        limits = self.limits.view(-1, *[1] * (probabilities.ndim - 1)).to(probabilities)
        return likelier(probabilities) <= limits + SLACK

    def sizes(self, probabilities: Tensor) -> Tensor:
        """Probabilities (K, ...) to the number of classes in each set (...) int64."""
        return self.members(probabilities).sum(0)

    def content(self) -> dict[str, Any]:
        """Plain numbers and tensors, for a file."""
        return dict(vars(self))

    @classmethod
    def of_content(cls, content: Mapping[str, Any] | None) -> ConformalSets | None:
        """From what `content` gave."""
        return None if content is None else cls(**content)


def likelier(probabilities: Tensor) -> Tensor:
    """What classes likelier than each hold together, of probabilities (K, ...): 0 for the likeliest.

    Examples
    --------
    >>> likelier(torch.tensor([0.2, 0.7, 0.1])).tolist()
    [0.699999988079071, 0.0, 0.8999999761581421]
    """
    ordered, place = probabilities.sort(dim=0, descending=True, stable=True)
    return torch.empty_like(ordered).scatter_(0, place, ordered.cumsum(0) - ordered)


def limit_of(scores: NDArray[np.float64], asked: float) -> float:
    """The score that one more like these stays under with probability `asked`; the largest where they are too few."""
    place, ordered = asked * (len(scores) + 1) - 1, np.sort(scores)
    return float(np.interp(place, np.arange(len(scores)), ordered))


def fit_sets(probabilities: Tensor, classes: Tensor, asked: float) -> ConformalSets:
    """Sets from labels, by probabilities of a model that has not seen them.

    Parameters
    ----------
    probabilities : Tensor
        (K, P) at the temperature of the map, each by a model that has not seen the label
    classes : Tensor
        (P,) int64 class of every label
    asked : float
        coverage
    """
    count, enough = len(probabilities), math.ceil(asked / (1 - asked) - 1e-9)
    scores = likelier(probabilities.double()).gather(0, classes[None])[0].numpy()
    mine = [scores[(classes == k).numpy()] for k in range(count)]
    common, own = limit_of(scores, asked), torch.tensor([len(some) >= enough for some in mine])
    limits = [limit_of(some, asked) if own[k] else common for k, some in enumerate(mine)]
    stated = []
    for some, limit, alone in zip(mine, limits, own.tolist(), strict=True):
        learnt_from = len(some) if alone else len(scores)
        within = int((some <= limit).sum()) / (len(some) + 1)
        if len(some):
            stated.append(max(within, min(asked, learnt_from / (learnt_from + 1))))
    return ConformalSets(torch.tensor(limits, dtype=torch.float32), asked, float(np.mean(stated)), own)
