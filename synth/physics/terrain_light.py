"""Light on relief: cosine of incidence, cast shadow, sky view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from terraficta.synth.physics.sun import Sun

SKY_DIRECTIONS = 12
"""azimuths of the horizon that the sky view is summed over"""
STEEPEST = 0.7
"""slope at which the sides of objects are lit at most: from above, walls are not seen, and crowns are rough"""
CANOPY_CONTRAST, CANOPY_GAIN = 0.55, 1.23
"""how much of the shade between crowns is drawn, and what restores the mean of a stand: it keeps within 10 % of
the same stand in large cells, for a sun at 25 to 50 degrees (`test_crown`)"""
SKY_POOL = 4
"""sky view is smooth: it is computed on cells this many times coarser"""


@dataclass(frozen=True)
class TerrainLight:
    """What relief does to the light.

    Parameters
    ----------
    direct : Tensor
        (N, H, W) direct light relative to level ground in the open: cos(incidence) / cos(sza), 0 in cast shadow
    sky_view : Tensor
        (N, H, W) share of the sky's diffuse light that arrives; the rest of the hemisphere is land
    """

    direct: Tensor
    sky_view: Tensor


def terrain_light(
    elevation_m: Tensor,
    cell_m: Tensor,
    sun: Sun,
    relief: float = 1.0,
    standing: tuple[Tensor, Tensor] | None = None,
) -> TerrainLight | None:
    """Light on the relief `relief * elevation_m`, and on what stands on it; None for flat light (relief 0).

    Parameters
    ----------
    elevation_m : Tensor
        (N, H, W), row 0 in the north [m]
    cell_m : Tensor
        (N,) side of a cell [m]
    relief : float
        0 flattens the ground and what stands on it, 1 leaves it
    standing : tuple[Tensor, Tensor] | None
        (N, H, W) each: height of roofs and crowns, which shade the ground and have a lit and a shaded side [m]; and
        0..1 how far they are a canopy, whose spectrum has the mean of its own shade in it already

    Error
    -----
    Exact on planes. Cast shadow of a straight ridge is within one cell of its closed form, sky view of a
    V-valley within 0.02; `test_terrain_light` repeats both.

    Source
    ------
    Sandmeier & Itten 1997, doi:10.1109/36.581991; horizons after Dozier & Frew 1990, doi:10.1109/36.58986.
    """
    if relief == 0:
        return None
    height = elevation_m * relief
    ground = gradient(height, cell_m)
    direct = cos_incidence_ratio(*ground, sun) * lit(height, cell_m, sun)
    if standing is not None:
        objects, canopy = standing[0] * relief, standing[1]
        rise = gradient(objects, cell_m)
        east, north = (g + r.clamp(-STEEPEST, STEEPEST) for g, r in zip(ground, rise, strict=True))
        seen = cos_incidence_ratio(east, north, sun) * lit(height + objects, cell_m, sun)
        within = CANOPY_GAIN * (CANOPY_CONTRAST * seen + (1 - CANOPY_CONTRAST) * direct)
        direct = seen + canopy * (within - seen)
    return TerrainLight(direct, sky_view(height, cell_m))


def gradient(height_m: Tensor, cell_m: Tensor) -> tuple[Tensor, Tensor]:
    """Slope towards east and north (N, H, W) [m/m], central differences, one-sided at the border."""
    padded = F.pad(height_m[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    span_x = torch.full_like(height_m[0, 0], 2.0)
    span_x[0] = span_x[-1] = 1.0
    span_y = torch.full_like(height_m[0, :, 0], 2.0)
    span_y[0] = span_y[-1] = 1.0
    cell = cell_m.to(height_m)[:, None, None]
    east = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / (span_x * cell)
    north = (padded[:, :-2, 1:-1] - padded[:, 2:, 1:-1]) / (span_y[:, None] * cell)
    return east, north


def cos_incidence_ratio(east: Tensor, north: Tensor, sun: Sun) -> Tensor:
    """cos(incidence) / cos(sza) (N, H, W) on slopes towards east and north, 0 where they face away from the sun."""
    azimuth = torch.deg2rad(sun.saa_deg.to(east))
    tangent = torch.tan(torch.deg2rad(sun.sza_deg.to(east)))
    to_east, to_north = ((tangent * f(azimuth))[:, None, None] for f in (torch.sin, torch.cos))
    return ((1 - to_east * east - to_north * north) * (1 + east * east + north * north).rsqrt()).clamp(min=0)


def _ahead(plane: Tensor, rows: float, columns: float) -> Tensor:
    """The plane (H, W) seen `rows` down and `columns` right, one of them whole; -inf beyond the border."""
    y, x = int(rows // 1), int(columns // 1)
    share = (rows - y) + (columns - x)
    near = _shifted(plane, y, x)
    if share == 0:
        return near
    far = _shifted(plane, y + (rows != y), x + (columns != x))
    return torch.lerp(near, far, share)


def _shifted(plane: Tensor, rows: int, columns: int) -> Tensor:
    here, ahead = _overlap(plane.shape, rows, columns)
    out = torch.full_like(plane, -1e9)
    out[here] = plane[ahead]
    return out


def _overlap(shape: Sequence[int], rows: int, columns: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Cells (y, x) that have another `rows` down and `columns` right of them inside the plane; and those others."""
    height, width = shape
    y0, y1, x0, x1 = max(0, -rows), min(height, height - rows), max(0, -columns), min(width, width - columns)
    if y1 <= y0 or x1 <= x0:
        return (slice(0, 0), slice(0, 0)), (slice(0, 0), slice(0, 0))
    there = slice(y0 + rows, y1 + rows), slice(x0 + columns, x1 + columns)
    return (slice(y0, y1), slice(x0, x1)), there


def lit(height_m: Tensor, cell_m: Tensor, sun: Sun) -> Tensor:
    """1 where the sun is seen over the terrain, 0 in cast shadow (N, H, W).

    Marches towards the sun in strides that double: the highest ground seen in 2^(k+1) strides is the higher of
    that in 2^k strides from here and from 2^k strides ahead, lowered by the climb of the ray.
    """
    return torch.stack([_lit_one(z, *drop) for z, drop in zip(height_m, _rays(cell_m, sun), strict=True)])


def _rays(cell_m: Tensor, sun: Sun) -> list[tuple[float, float, float]]:
    """(rows, columns, climb [m]) of one stride towards the sun, the larger of the two being one cell."""
    rays = []
    for cell, azimuth, zenith in zip(cell_m.tolist(), sun.saa_deg.tolist(), sun.sza_deg.tolist(), strict=True):
        row, column = -math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))
        longest = max(abs(row), abs(column))
        climb = cell / longest * math.tan(math.radians(90 - zenith))
        rays.append((_tidy(row / longest), _tidy(column / longest), climb))
    return rays


def _tidy(stride: float) -> float:
    return float(round(stride)) if abs(stride - round(stride)) < 1e-6 else stride


def _lit_one(height_m: Tensor, rows: float, columns: float, climb_m: float) -> Tensor:
    rise = float(height_m.max() - height_m.min())
    strides = min(rise / climb_m, max(height_m.shape)) if climb_m > 0 else max(height_m.shape)
    if strides < 1:
        return torch.ones_like(height_m)
    seen = _ahead(height_m, rows, columns) - climb_m  # the highest ray that is met, as height above here
    reach = 1
    while reach < strides:
        further = _ahead(seen, rows * reach, columns * reach) - climb_m * reach
        seen = torch.maximum(seen, further)
        reach *= 2
    return (seen <= height_m + 1e-4 * climb_m).to(height_m.dtype)


def sky_view(height_m: Tensor, cell_m: Tensor, pool: int = SKY_POOL, directions: int = SKY_DIRECTIONS) -> Tensor:
    """Share of an even sky that a sloping surface sees over its horizon (N, H, W).

    Source
    ------
    Dozier & Frew 1990, eq. 7b, doi:10.1109/36.58986; the horizon is looked for at distances that grow by sqrt(2).
    """
    size = height_m.shape[-2:]
    pool = pool if min(size) >= 8 * pool and size[0] % pool == 0 and size[1] % pool == 0 else 1
    coarse = F.avg_pool2d(height_m[:, None], pool)[:, 0]
    east, north = gradient(coarse, cell_m * pool)
    upright = (1 + east * east + north * north).rsqrt()  # cosine of the slope
    total = torch.zeros_like(coarse)
    for k in range(directions):
        azimuth = 2 * math.pi * k / directions
        rise = east * math.sin(azimuth) + north * math.cos(azimuth)  # the slope's own horizon, where it climbs
        tangent = torch.maximum(_horizon(coarse, cell_m * pool, azimuth), rise)
        down = 1 / (1 + tangent * tangent)  # squared sine of the horizon's zenith angle
        zenith = math.pi / 2 - torch.atan(tangent.double()).to(tangent)
        total += upright * (down - rise * (zenith - tangent * down))
    view = (total / directions).clamp(0, 1)
    return F.interpolate(view[:, None], size=size, mode="bilinear", align_corners=False)[:, 0] if pool > 1 else view


def _horizon(height_m: Tensor, cell_m: Tensor, azimuth: float) -> Tensor:
    """Tangent of the highest horizon elevation towards an azimuth [rad], (N, H, W), at least 0."""
    row, column = -math.cos(azimuth), math.sin(azimuth)
    tangent, distance, cell = torch.zeros_like(height_m), 1.0, cell_m.to(height_m)[:, None, None]
    seen: set[tuple[int, int]] = set()
    while distance < max(height_m.shape[-2:]):
        step = round(distance * row), round(distance * column)
        if step not in seen:
            seen.add(step)
            (here, there), run = _overlap(height_m.shape[-2:], *step), cell * (step[0] ** 2 + step[1] ** 2) ** 0.5
            seen_here = tangent[:, *here]  # beyond the border nothing stands
            torch.maximum(seen_here, (height_m[:, *there] - height_m[:, *here]) / run, out=seen_here)
        distance *= 2**0.5
    return tangent
