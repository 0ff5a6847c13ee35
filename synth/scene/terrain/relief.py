"""The relief: the ground as rivers leave it, and the ground once wind, ice, solution and channels have shaped it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.landform import Landform
from terraficta.synth.scene.world.chance import planes
from terraficta.synth.scene.world.window import Window


@dataclass(frozen=True)
class Relief:
    """The ground of some scenes as rivers have left it, for other forces to work on.

    Parameters
    ----------
    at : Window
        where
    forms : list[Landform]
        one a scene
    seed : Tensor
        (N,) int64, of the fields of what shapes it
    height_m : Tensor
        (N, H, W) [m]
    rough_m : Tensor
        (N, H, W) the part of it that is detail [m]
    steep : Tensor
        (N, H, W) slope of the land between drainage nodes
    uplift : Tensor
        (N, H, W) 0 plain .. 1 mountain
    above_m : Tensor
        (N, H, W) height above the stream that the ground drains to [m]
    """

    at: Window
    forms: list[Landform]
    seed: Tensor
    height_m: Tensor
    rough_m: Tensor
    steep: Tensor
    uplift: Tensor
    above_m: Tensor

    def part(self, style: str) -> tuple[list[int], Relief]:
        """Which scenes have this style, and the relief of those alone."""
        rows = [n for n, form in enumerate(self.forms) if form.style == style]
        at = Window(self.at.y_m[rows], self.at.x_m[rows], self.at.cell_m[rows])
        fields = (v[rows] for v in (self.seed, self.height_m, self.rough_m, self.steep, self.uplift, self.above_m))
        return rows, Relief(at, [self.forms[n] for n in rows], *fields)

    def seen(self, size_m: Sequence[float]) -> Tensor:
        """(N, 1, 1) 0 .. 1: whether cells are small enough for forms of this size, one a scene [m]."""
        size = planes(size_m, self.height_m.device)
        return (size / self.at.cell_m.to(torch.float32)[:, None, None] * 0.5 - 1.0).clamp(0.0, 1.0)


@dataclass(frozen=True)
class RaisedGround:
    """The ground at some places, with its channels. All (N, H, W); see `Terrain`."""

    elevation_m: Tensor
    above_river_m: Tensor
    uplift: Tensor
    river_m: Tensor
    river_width_m: Tensor
    river_level_m: Tensor
    valley_foot_m: Tensor
    node: Tensor
