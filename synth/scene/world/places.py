"""Places: some cells of some windows as a list, and the cells that a line covers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.scene.world.choice import less


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
    return less(u01 * cell_m, share)


def listed(chosen: Tensor) -> Tensor:
    """(M,) int64 flat positions at which a mask is True, in order."""
    if chosen.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(chosen.numpy()))
    return chosen.flatten().nonzero()[:, 0]


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
        return cls(listed(chosen), (n, h, w))

    @cached_property
    def scene(self) -> Tensor:
        """(M,) which scene each lies in."""
        return torch.zeros_like(self.at) if self.shape[0] == 1 else self.at // (self.shape[1] * self.shape[2])

    @cached_property
    def row(self) -> Tensor:
        """(M,) which row of all scenes, one below the other."""
        return self.at // self.shape[2]

    @cached_property
    def column(self) -> Tensor:
        """(M,) which column."""
        return self.at - self.row * self.shape[2]

    def of(self, plane: Tensor) -> Tensor:
        """(M,) their values of a plane (N, H, W), or of the axes (N, H, 1) or (N, 1, W) of one."""
        n, height, width = self.shape
        if plane.shape == (n, height, 1) and width > 1:
            return plane.reshape(-1).index_select(0, self.row)
        if plane.shape == (n, 1, width) and height > 1:
            along = self.column if n == 1 else self.scene * width + self.column
            return plane.reshape(-1).index_select(0, along)
        return plane.expand(self.shape).reshape(-1).index_select(0, self.at)

    def each(self, values: Tensor) -> Tensor:
        """What the scene of each has of values (N,): (M,), or (1,) where there is one scene, to be broadcast."""
        return values if self.shape[0] == 1 else values.index_select(0, self.scene)

    def number(self, values: Sequence[float] | Tensor) -> Tensor:
        """The same of numbers, in float32."""
        return self.each(torch.as_tensor(values, dtype=torch.float64, device=self.at.device).to(torch.float32))

    def onto(self, values: Tensor, elsewhere: float | int | bool) -> Tensor:
        """(N, H, W) plane with these values, and `elsewhere` in all other cells."""
        plane = torch.full((math.prod(self.shape),), elsewhere, dtype=values.dtype, device=values.device)
        plane[self.at] = values
        return plane.reshape(self.shape)
