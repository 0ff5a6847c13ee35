"""The coverage of conformal sets: how often the truth is among the classes that a map does not rule out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from terraficta.finetune.conformal import ConformalSets


@dataclass
class Coverage:
    """Running sums of the mass that sets cover, and of their sizes.

    Parameters
    ----------
    classes : int
        K

    Examples
    --------
    >>> sets = ConformalSets(torch.tensor([0.5, 0.5]), 0.9, 0.9, torch.tensor([True, True]))
    >>> coverage = Coverage(2)
    >>> coverage.add(sets, torch.tensor([[0.9, 0.4], [0.1, 0.6]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    >>> coverage.share, coverage.size
    (0.5, 1.0)
    """

    classes: int
    _covered: Tensor = field(init=False)
    _mass: Tensor = field(init=False)
    _size: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._covered, self._mass = torch.zeros(2, self.classes, dtype=torch.float64)

    def add(self, sets: ConformalSets, probabilities: Tensor, mass: Tensor) -> None:
        """Count pixels by probabilities (K, P) and class mass (K, P)."""
        members, p = sets.members(probabilities), mass.double()
        self._covered += (p * members).sum(1)
        self._mass += p.sum(1)
        self._size += float((members.sum(0) * p.sum(0)).sum())

    @property
    def share(self) -> float:
        """Of all pixels; NaN where none were counted."""
        total = float(self._mass.sum())
        return float(self._covered.sum()) / total if total else math.nan

    @property
    def worst(self) -> float:
        """Of the class that is covered least; NaN where none were counted."""
        seen = self._mass > 0
        return float((self._covered[seen] / self._mass[seen]).min()) if bool(seen.any()) else math.nan

    @property
    def size(self) -> float:
        """Mean number of classes in a set; NaN where none were counted."""
        total = float(self._mass.sum())
        return self._size / total if total else math.nan
