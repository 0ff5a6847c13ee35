"""Terrain: the height of the ground, its slope, and where water gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from synth.scene.fractal import Points, Window, fbm, hashed, octave, per_scene, planes, warp, words
from synth.spec.key import SceneKey
from synth.spec.recipe import TerrainRecipe
from synth.spec.refusal import Refusal

DETAIL_OCTAVES = 11
VALLEY_OCTAVES = 4
FOVEA_CELL_M = 60.0
"""finest detail in a fovea [m]"""


@dataclass(frozen=True)
class Terrain:
    """The ground of N scenes.

    Parameters
    ----------
    elevation_m : (N, H, W) height [m]
    slope : (N, H, W) rise over run
    wetness : (N, H, W) 0 on a crest .. 1 where water gathers
    channel_m : (N, H, W) distance to the line of the nearest main valley [m]
    brook_m : (N, H, W) distance to the line of the nearest side valley [m]; large on divides
    cell_m : (N,) [m]
    window : where in the world
    reference_m : (N, P) heights of the world around the origin, by which ranks are taken [m]
    facts : what was drawn for each scene
    """

    elevation_m: Tensor
    slope: Tensor
    wetness: Tensor
    channel_m: Tensor
    brook_m: Tensor
    cell_m: Tensor
    window: Window
    reference_m: Tensor
    facts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Landform:
    """What was drawn for the ground of one scene.

    Parameters
    ----------
    relief_m : height between low and high ground [m]
    landform_m : size of the largest landforms [m]
    hurst : roughness exponent of the detail
    dissection : share of the relief that is cut by valleys; the rest is rolling
    tilt : regional slope towards the outlet [m/m]
    """

    relief_m: float
    landform_m: float
    hurst: float
    dissection: float
    tilt: float
    tilt_rad: float


def draw_landform(recipe: TerrainRecipe, key: SceneKey) -> Landform:
    """Draw the shape of one scene's ground."""
    rng = key.at("terrain", "landform").rng()

    def log_uniform(span: tuple[float, float]) -> float:
        low, high = (math.log(max(v, 1e-6)) for v in span)
        return math.exp(low + (high - low) * rng.random())

    relief = log_uniform(recipe.relief_m) if recipe.relief_m[1] > 0 else 0.0
    landform = 1000.0 * log_uniform(recipe.landform_km)
    hurst = recipe.hurst[0] + (recipe.hurst[1] - recipe.hurst[0]) * rng.random()
    return Landform(relief, landform, hurst, dissection=0.3 + 0.65 * rng.random(), tilt=0.15 * relief / landform,
                    tilt_rad=2 * math.pi * rng.random())  # fmt: skip


def _gradient(plane: Tensor, cell_m: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of a plane padded by one cell: (N, H+2, W+2) -> twice (N, H, W) [1/m]."""
    twice = (2 * cell_m).to(torch.float32)[:, None, None]
    return ((plane[:, 2:, 1:-1] - plane[:, :-2, 1:-1]) / twice, (plane[:, 1:-1, 2:] - plane[:, 1:-1, :-2]) / twice)


@dataclass(frozen=True)
class Relief:
    """The height field before anything is derived from it: heights and the zero lines that carve valleys."""

    elevation_m: Tensor
    valley: Tensor
    side_valley: Tensor
    crest: Tensor


def raise_relief(at: Window | Points, forms: Sequence[Landform], keys: Sequence[SceneKey]) -> Relief:
    """Heights anywhere in the world.

    Valleys are the zero lines of warped gradient noise: the widest field gives the main valleys, each narrower one
    cuts side valleys only into ground that the wider ones left high, so that side valleys end in main valleys and
    rise to nothing on the divides.
    """
    device = at.cell_m.device
    word = words([k.at("terrain", "relief").word() for k in keys], device)

    landform = per_scene([f.landform_m for f in forms], device)
    warped = warp(at, landform * 0.6, hashed(word, 1), landform * 0.09, octaves=4)
    total = torch.zeros(at.shape, dtype=torch.float32, device=device)
    weight = torch.ones_like(total)
    cuts = []
    for k in range(VALLEY_OCTAVES):
        noise = octave(warped, landform / 2**k, hashed(word, 2, k))
        if noise is None:
            break
        cuts.append(noise)
        bank = torch.sqrt(noise * noise + 0.0025) - 0.05  # a valley with a floor, not a crease
        total += bank * weight * 0.55**k
        weight = weight * (bank * 1.3).clamp(max=1.0)
    rolling = fbm(at, landform, hashed(word, 3), DETAIL_OCTAVES, [f.hurst for f in forms])
    fine = fbm(at, landform / 8, hashed(word, 4), DETAIL_OCTAVES - 3, [f.hurst for f in forms])
    high = (total * 0.8).clamp(max=1.0)  # valley floors are smooth, slopes and crests rough
    height = planes([f.dissection for f in forms], device) * total * 0.55
    height += planes([1 - f.dissection for f in forms], device) * (0.22 * rolling + 0.25)
    height += fine * (0.004 + 0.05 * high) * planes([1.35 - f.hurst for f in forms], device)
    down_y, down_x = (planes([f.tilt * g(f.tilt_rad) for f in forms], device) for g in (math.sin, math.cos))
    if isinstance(at, Window):
        y, x = at.y_m.to(torch.float32)[:, :, None], at.x_m.to(torch.float32)[:, None, :]
    else:
        y, x = at.y_m.to(torch.float32), at.x_m.to(torch.float32)
    elevation = height * planes([f.relief_m for f in forms], device) + (y * down_y + x * down_x)
    side = cuts[1] if len(cuts) > 1 else cuts[0]
    return Relief(elevation, cuts[0], side, total)


def fovea(keys: Sequence[SceneKey], device: torch.device | str, points: int = 64, reach_m: float = 7500.0) -> Window:
    """A coarse look at the world around its origin, denser in the middle: (N, 64, 64) places up to 7.5 km away.

    What is set by rank (sea level, treeline) is ranked here and not in the window that happens to be drawn, so that
    the ground is the same in every window and at every ground sampling distance.
    """
    axis = [reach_m * math.sinh(5.0 * t) / math.sinh(5.0) for t in ((2 * i + 1) / points - 1 for i in range(points))]
    along = per_scene(axis, device)[None].expand(len(keys), -1)
    return Window(along, along, torch.full((len(keys),), FOVEA_CELL_M, dtype=torch.float64, device=device))


def grow_terrain(
    recipe: TerrainRecipe,
    keys: Sequence[SceneKey],
    height: int,
    width: int,
    cell_m: Tensor,
    device: torch.device | str = "cpu",
    origin_cell: Tensor | None = None,
) -> Terrain:
    """Grow the ground of N scenes.

    Parameters
    ----------
    recipe : span of each number
    keys : one a scene
    height, width : [fine cells]
    cell_m : (N,) cell size [m]
    device : where to compute
    origin_cell : (N, 2) int64, the window's middle in whole cells (y, x) from the world's origin; None: at the origin

    Raises
    ------
    Refusal : a window without cells, or a cell size that is not positive
    """
    if len(keys) == 0 or cell_m.shape != (len(keys),):
        raise Refusal("terrain", "cell_m", tuple(cell_m.shape), f"({len(keys)},), one a key", "give one a scene")
    if not bool((cell_m > 0).all()):
        raise Refusal("terrain", "cell_m", cell_m.tolist(), "positive sizes in metres", "correct the cell size")
    forms = [draw_landform(recipe, key) for key in keys]
    cell = cell_m.to(device)
    window = Window.over(height, width, cell, origin_cell)
    relief = raise_relief(Window.over(height, width, cell, origin_cell, pad=1), forms, keys)
    rise_y, rise_x = _gradient(relief.elevation_m, cell)
    slope = torch.sqrt(rise_y * rise_y + rise_x * rise_x)
    landform = planes([f.landform_m for f in forms], device)

    def distance(noise: Tensor, spacing: Tensor) -> Tensor:
        gy, gx = _gradient(noise, cell)
        steep = torch.sqrt(gy * gy + gx * gx)
        return noise[:, 1:-1, 1:-1].abs() / torch.maximum(steep, 0.6 / spacing)

    channel = distance(relief.valley, landform)
    brook = distance(relief.side_valley, landform / 2)
    crest = relief.crest[:, 1:-1, 1:-1]
    brook = brook * (1 + (relief.valley[:, 1:-1, 1:-1].abs() * 1.5) ** 4)
    low = (1 - crest * 1.6).clamp(min=0.0)
    flat = 1 / (1 + 8 * slope)
    return Terrain(
        elevation_m=relief.elevation_m[:, 1:-1, 1:-1].contiguous(),
        slope=slope,
        wetness=(low * low * flat).clamp(0.0, 1.0),
        channel_m=channel,
        brook_m=brook,
        cell_m=cell,
        window=window,
        reference_m=raise_relief(fovea(keys, device), forms, keys).elevation_m.flatten(1),
        facts=[{"relief_m": f.relief_m, "landform_m": f.landform_m, "hurst": f.hurst} for f in forms],
    )
