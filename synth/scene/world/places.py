"""Places: some cells of some windows as a list, and the cells that a line covers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def covered(distance_m: Tensor, half_m: Tensor | float, cell_m: Tensor, u01: Tensor) -> Tensor:
    """(N, H, W) bool: cells that a line covers, each by the chance of its covered share.

    A line narrower than a cell thus covers its true area in the mean, and one much wider has an edge one cell soft.

    Parameters
    ----------
    distance_m : Tensor
        (N, H, W) from the cell's middle to the line's middle [m]
    half_m : Tensor | float
        half the line's width [m]; 0: no line
    cell_m : Tensor
        (N, 1, 1) [m]
    u01 : Tensor
        (N, H, W) uniform in [0, 1)
    """
    far, near = distance_m + 0.5 * cell_m, distance_m - 0.5 * cell_m
    share = torch.minimum(far, torch.as_tensor(half_m)) - torch.maximum(near, -torch.as_tensor(half_m))
    return share > u01 * cell_m


@dataclass(frozen=True)
class Places:
    """Some cells of N windows, as a list: what few cells have need not be worked out for all.

    Parameters
    ----------
    at : Tensor
        (M,) int64 flat position in (N, H, W)
    shape : tuple[int, int, int]
        (N, H, W)
    """

    at: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def where(cls, chosen: Tensor) -> Places:
        """The cells that are True in (N, H, W)."""
        n, h, w = chosen.shape
        return cls(chosen.flatten().nonzero()[:, 0], (n, h, w))

    @property
    def scene(self) -> Tensor:
        """(M,) which scene each lies in."""
        return self.at // (self.shape[1] * self.shape[2])

    def of(self, plane: Tensor) -> Tensor:
        """(M,) their values of a plane (N, H, W)."""
        return plane.expand(self.shape).reshape(-1).index_select(0, self.at)

    def onto(self, values: Tensor, elsewhere: float | int | bool) -> Tensor:
        """(N, H, W) plane with these values, and `elsewhere` in all other cells."""
        plane = torch.full((math.prod(self.shape),), elsewhere, dtype=values.dtype, device=values.device)
        plane[self.at] = values
        return plane.reshape(self.shape)
