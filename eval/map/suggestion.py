"""The suggestion: which pixels, once labelled, would teach a map most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TERMS = ("torn", "unsure", "unlike", "rare")
"""what speaks for a pixel: margin, entropy, core-set, rare class"""


@dataclass(frozen=True)
class Candidates:
    """Pixels that may be asked for.

    Parameters
    ----------
    probabilities : Tensor
        (P, K) of the map
    features : Tensor
        (P, D) of the network
    scene : Tensor
        (P,) int64 which image each lies in
    y, x : Tensor
        (P,) int64 row and column [px]
    """

    probabilities: Tensor
    features: Tensor
    scene: Tensor
    y: Tensor
    x: Tensor

    def __len__(self) -> int:
        return len(self.scene)

    def take(self, rows: Tensor) -> Candidates:
        """Some of them, by position."""
        return Candidates(*(value[rows] for value in vars(self).values()))


@dataclass(frozen=True)
class Weights:
    """How much each term counts; each lies in 0..1.

    Parameters
    ----------
    torn : float
        one less the margin between the two likeliest classes
    unsure : float
        entropy, of ln K
    unlike : float
        core-set: distance of the features from all labels and all pixels asked for so far
    rare : float
        expected rarity of the class: labels of a class count less, the more there are
    spread_px : float
        a pixel at this distance from the nearest that is asked for counts 1 - 1/e as much [px]

    Source
    ------
    margin: Scheffer et al. 2001, doi 10.1007/3-540-44816-0_31; core-set as greedy k-centre: Sener & Savarese 2018,
    arXiv 1708.00489; a survey for remote sensing: Tuia et al. 2011, doi 10.1109/JSTSP.2011.2139193
    """

    torn: float = 0.5
    unsure: float = 0.0
    unlike: float = 1.0
    rare: float = 1.0
    spread_px: float = 20.0

    def of_terms(self) -> Tensor:
        """(4,) in the order of `TERMS`."""
        return torch.tensor([getattr(self, name) for name in TERMS])


@dataclass(frozen=True)
class Suggestion:
    """A pixel to label.

    Parameters
    ----------
    row : int
        among the candidates
    reason : str
        the term that speaks most for it, one of `TERMS`
    """

    row: int
    reason: str


def suggest(
    candidates: Candidates, labelled: Tensor, counts: Tensor, number: int, weights: Weights | None = None
) -> list[Suggestion]:
    """Choose pixels one by one, each in view of the labels and of those chosen before.

    Parameters
    ----------
    candidates : Candidates
        P of them
    labelled : Tensor
        (L, D) features of the labels that there are; L may be 0
    counts : Tensor
        (K,) labels a class
    number : int
        pixels wanted; fewer where there are fewer candidates
    weights : Weights | None
        of the terms; None: the usual ones
    """
    weights = weights or Weights()
    strength, p = weights.of_terms(), candidates.probabilities
    entropy = -torch.special.xlogy(p, p).sum(1) / math.log(max(p.shape[1], 2))
    two = p.topk(min(2, p.shape[1]), 1).values
    margin = 1 - (two[:, 0] - two[:, -1])
    x, known = standardised(candidates.features, labelled)
    far = torch.cdist(x, known).amin(1) if len(known) else torch.full((len(x),), torch.inf)
    counts, apart = counts.float().clone(), torch.ones(len(x))
    chosen: list[Suggestion] = []
    for _ in range(min(number, len(x))):
        rarity = 1 / (counts + 1)
        reach = far.clamp(max=float(x.norm(dim=1).max())) if bool(far.isinf().any()) else far
        unlike = reach / (reach * (apart > 0)).max().clamp(min=1e-9)
        terms = torch.stack([margin, entropy, unlike, p @ rarity / rarity.max()], 1) * strength
        score = terms.sum(1) * apart
        row = int(score.argmax())
        if float(score[row]) <= 0:
            break
        typical = terms[apart > 0].mean(0)
        chosen.append(Suggestion(row, TERMS[int((terms[row] - typical).argmax())]))
        counts += p[row]
        far = torch.minimum(far, (x - x[row]).norm(dim=1))
        apart = torch.minimum(apart, _apart(candidates, row, weights.spread_px))
    return chosen


def standardised(features: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Features (P, D) and (L, D) with the mean and spread of the former taken out."""
    mean, spread = features.mean(0), features.std(0, correction=0).clamp(min=1e-3)
    return (features - mean) / spread, (labelled - mean) / spread


def _apart(candidates: Candidates, row: int, spread_px: float) -> Tensor:
    """(P,) 0 at a pixel of the candidates, near 1 far from it and in other scenes."""
    dy, dx = (at - at[row] for at in (candidates.y, candidates.x))
    squared = (dy.square() + dx.square()).double()
    near = 1 - torch.exp(-squared / max(spread_px, 1e-6) ** 2)
    return torch.where(candidates.scene == candidates.scene[row], near, 1.0).float()


def in_words(reason: str, first: str, second: str) -> str:
    """A reason for people.

    Examples
    --------
    >>> in_words("torn", "forest", "scrub")
    'forest or scrub?'
    """
    return {
        "torn": f"{first} or {second}?",
        "unsure": "many classes are possible",
        "unlike": "unlike every label so far",
        "rare": f"may be {first}, which has few labels",
    }[reason]


def strewn(count: int, places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most `count` of some places, evenly through their order."""
    if len(places) <= count:
        return list(places)
    return [places[i * len(places) // count] for i in range(count)]
