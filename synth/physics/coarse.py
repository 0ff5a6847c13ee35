"""The coarse cell: the air is smooth, so its terms are computed on cells several times as wide, and interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from terraficta.synth.types.sensor import Sensor

COARSE, COARSE_M = 8, 40.0
"""the air is smooth: its terms are computed on cells up to this many times coarser and interpolated; and the coarsest
such cell, from the sensor's sampling distance [m], so that the inner part of the adjacency effect is resolved"""


def pool_factor(height: int, width: int, sensor: Sensor) -> int:
    wanted = min(COARSE, COARSE_M / sensor.gsd_m)  # not from the scene's own cell: a batch shares it
    return next(f for f in (COARSE, 4, 2, 1) if f == 1 or (f <= wanted and height % f == 0 and width % f == 0))


def coarse(plane: Tensor, factor: int) -> Tensor:
    """Means of factor x factor cells: rows first, which fill SIMD lanes, then the few columns. One cell stays one."""
    if factor == 1 or plane.shape[-2:] == (1, 1):
        return plane
    rows = reduce(torch.add, plane.unflatten(-2, (-1, factor)).unbind(-2))
    return reduce(torch.add, rows.unflatten(-1, (-1, factor)).unbind(-1)) / factor**2


def fine(plane: Tensor, size: tuple[int, int]) -> Tensor:
    if plane.shape[-2:] in {size, (1, 1)}:
        return plane
    return F.interpolate(plane, size=size, mode="bilinear", align_corners=False)


def on_rows(maps: Tensor, factor: int, row: int) -> Tensor:
    """Every `factor`-th fine row, from `row` on, of bilinear maps: (N, M, h + 2, W) to (N, M, h, W).

    Maps are those of `on_columns`. Row by row, so that nothing is formed that leaves the cache.
    """
    if factor == 1:
        return maps[:, :, 1:-1]
    place = (row + 0.5) / factor + 0.5
    first, height = int(place), maps.shape[2] - 2
    return torch.lerp(maps[:, :, first : first + height], maps[:, :, first + 1 : first + 1 + height], place - first)


def on_columns(maps: Sequence[Tensor], width: int) -> Tensor:
    """Coarse maps (N, h, w) with fine columns, and first and last row repeated: (N, M, h + 2, W)."""
    wide = torch.stack(list(maps), 1)
    if wide.shape[-1] != width:
        wide = F.interpolate(wide.flatten(1, 2), size=width, mode="linear", align_corners=False).view(
            *wide.shape[:3], width
        )
    return torch.cat([wide[:, :, :1], wide, wide[:, :, -1:]], 2)
