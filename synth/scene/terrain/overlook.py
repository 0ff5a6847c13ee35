"""The overlook: the height of the world around its origin, at any place, as seen from afar."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.window import Window


@dataclass(frozen=True)
class Overlook:
    """The coarse look of N scenes (`Terrain.far`), between whose places heights are interpolated.

    It is the same in every window of a world, so what asks it is as well; and it is smooth, as roads see the land.

    Parameters
    ----------
    rows, columns : Tensor
        (N, 64) float32 where its places lie [m]
    height_m : Tensor
        (N, 64, 64) height there [m]
    """

    rows: Tensor
    columns: Tensor
    height_m: Tensor

    @classmethod
    def of(cls, far: Terrain) -> Overlook:
        """That of a look."""
        return cls(far.window.y_m.to(torch.float32), far.window.x_m.to(torch.float32), far.elevation_m)

    def height_at(self, y_m: Tensor, x_m: Tensor, scene: Tensor) -> Tensor:
        """(M,) height at places (M,) of scenes (M,) [m]; beyond the look, that of its rim."""
        wide, height = self.columns.shape[1], self.height_m.flatten()
        row, way_y = _between(self.rows, y_m, scene)
        column, way_x = _between(self.columns, x_m, scene)
        first = (scene * self.rows.shape[1] + row) * wide + column
        above, below = (
            torch.lerp(height.index_select(0, line), height.index_select(0, line + 1), way_x)
            for line in (first, first + wide)
        )
        return torch.lerp(above, below, way_y)

    def over(self, window: Window, planes: Tensor) -> Tensor:
        """(K, N, H, W) what planes (K, N, 64, 64) at the places of the look are in a window."""
        row, way_y = _between(self.rows, *_listed(window.y_m))
        column, way_x = _between(self.columns, *_listed(window.x_m))
        (n, h), w = window.y_m.shape, window.x_m.shape[1]
        k, columns = len(planes), planes.shape[3]
        row, way_y = row.view(1, n, h, 1).expand(k, n, h, columns), way_y.view(1, n, h, 1)
        tall = torch.lerp(planes.gather(2, row), planes.gather(2, row + 1), way_y)
        column, way_x = column.view(1, n, 1, w).expand(k, n, h, w), way_x.view(1, n, 1, w)
        return torch.lerp(tall.gather(3, column), tall.gather(3, column + 1), way_x)


def _listed(axis: Tensor) -> tuple[Tensor, Tensor]:
    """Places (N * H,) along the axis (N, H) of a window, and their scenes."""
    number, length = axis.shape
    return axis.to(torch.float32).flatten(), torch.arange(number, device=axis.device).repeat_interleave(length)


def _between(axis: Tensor, at_m: Tensor, scene: Tensor) -> tuple[Tensor, Tensor]:
    """Number (M,) of the line before each place, and the way from there to the next, 0 .. 1."""
    number, lines = len(axis), axis.shape[1]
    low, span = axis[:, :1], axis[:, -1:] - axis[:, :1]
    # one sorted row for all scenes: each has a stretch of its own
    first = torch.arange(number, device=axis.device, dtype=torch.float32)[:, None]
    own = 2 * scene.to(torch.float32) + ((at_m - low[:, 0][scene]) / span[:, 0][scene]).clamp(0.0, 1.0)
    line = torch.searchsorted(((axis - low) / span + 2 * first).flatten(), own, right=True) - 1 - scene * lines
    line = line.clamp(0, lines - 2)
    flat = axis.flatten()
    before, after = flat[scene * lines + line], flat[scene * lines + line + 1]
    return line, ((at_m - before) / (after - before)).clamp(0.0, 1.0)
