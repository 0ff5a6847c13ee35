"""Windows and points of the world: where a scene lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.world.chance import hashed

CELLS_AT_ONCE = 1 << 18
"""a float for each of so many cells is a megabyte: what a stage works on stays in the cache of a core"""


def portions_of(shape: tuple[int, int, int]) -> Iterator[slice]:
    """Which of N scenes of H x W cells are worked on together."""
    step = max(1, CELLS_AT_ONCE // (shape[1] * shape[2]))
    yield from (slice(first, min(first + step, shape[0])) for first in range(0, shape[0], step))


@dataclass(frozen=True)
class Points:
    """Places in the world.

    Parameters
    ----------
    y_m, x_m : Tensor
        (N, H, W) float64 [m]
    cell_m : Tensor
        (N,) float64, distance between neighbouring places [m]: finer detail than this fades out
    """

    y_m: Tensor
    x_m: Tensor
    cell_m: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        return self.y_m.shape[0], self.y_m.shape[1], self.y_m.shape[2]

    def part(self, rows: slice) -> Points:
        """Some of the scenes."""
        return Points(self.y_m[rows], self.x_m[rows], self.cell_m[rows])

    def moved(self, dy_m: Tensor, dx_m: Tensor) -> Points:
        """The places that lie (dy, dx) [m] away: domain warp."""
        return Points(self.y_m + dy_m, self.x_m + dx_m, self.cell_m)


@dataclass(frozen=True)
class Window:
    """A north-up rectangle of the world, one a scene, as its two axes (y grows to the south).

    Parameters
    ----------
    y_m : Tensor
        (N, H) float64 [m]
    x_m : Tensor
        (N, W) float64 [m]
    cell_m : Tensor
        (N,) float64 [m]
    """

    y_m: Tensor
    x_m: Tensor
    cell_m: Tensor

    @classmethod
    def over(cls, height: int, width: int, cell_m: Tensor, origin_cell: Tensor | None = None, pad: int = 0) -> Window:
        """The window whose middle lies `origin_cell` (N, 2) whole cells (y, x) from the world's origin.

        World coordinates are whole cell numbers times the cell size, so two windows agree on every cell they share.
        """
        cell = cell_m.to(torch.float64)
        if origin_cell is None:
            origin_cell = torch.zeros(len(cell), 2, dtype=torch.int64, device=cell.device)
        rows = torch.arange(-pad, height + pad, device=cell.device) - height // 2
        columns = torch.arange(-pad, width + pad, device=cell.device) - width // 2
        y = (rows[None] + origin_cell[:, :1]).to(torch.float64) + 0.5
        x = (columns[None] + origin_cell[:, 1:]).to(torch.float64) + 0.5
        return cls(y * cell[:, None], x * cell[:, None], cell)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        return self.y_m.shape[0], self.y_m.shape[1], self.x_m.shape[1]

    def part(self, rows: slice) -> Window:
        """Some of the scenes."""
        return Window(self.y_m[rows], self.x_m[rows], self.cell_m[rows])

    def cells(self) -> Tensor:
        """(N, H, W) a hash for every cell of the world, the same in every window that has its cell size."""
        y, x = (torch.floor(m / self.cell_m[:, None]).to(torch.int64) for m in (self.y_m, self.x_m))
        return hashed(hashed(torch.zeros_like(y), y)[:, :, None], x[:, None, :])

    def points(self) -> Points:
        """Its cells, one by one."""
        return Points(self.y_m[:, :, None].expand(self.shape), self.x_m[:, None, :].expand(self.shape), self.cell_m)
