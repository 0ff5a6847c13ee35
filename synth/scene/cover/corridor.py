"""Corridors: canals through flat farmed land, and the swaths that power lines need through forest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.chance import hashed, per_scene, seeds_of, turn, uniform
from terraficta.synth.scene.world.places import Places, covered
from terraficta.synth.types.key import SceneKey

CANALS = ((2600.0, 7.0), (650.0, 1.8))
"""distance between canals, half their width [m]: mains, and the laterals that branch off at right angles"""
LOW_M = 12.0
"""canals run at most so high above the river [m]"""
LINES_M = 1800.0
"""distance between possible power lines [m]: a quarter of them make 0.3 km of line to the square kilometre"""
SPAN_M = 1800.0
"""stretch between two bends of a power line [m]"""
SWATH_M = (12.0, 30.0)
"""least and most half width of a cleared swath [m]; 110 to 400 kV lines. Chosen after common rules of grid owners"""


def _turned(terrain: Terrain, cells: Places, word: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (M,) along and across a random direction of each scene [m]."""
    sin, cos = turn(word, 2)
    y = cells.of(terrain.window.y_m.to(torch.float32)[:, :, None])
    x = cells.of(terrain.window.x_m.to(torch.float32)[:, None, :])
    return x * cos + y * sin, y * cos - x * sin


def _lines(across_m: Tensor, spacing_m: float, word: Tensor) -> tuple[Tensor, Tensor]:
    """Distance [m] to the one line in each strip of `spacing_m`, and the hash of that line."""
    strip = torch.floor(across_m / spacing_m)
    line = hashed(word, strip.to(torch.int64))
    middle = strip + 0.2 + 0.6 * uniform(line, 1)
    return (across_m - middle * spacing_m).abs(), line


def dig_canals(
    climates: Sequence[Climate],
    terrain: Terrain,
    free: Tensor,
    keys: Sequence[SceneKey],
    dice: Tensor,
) -> Tensor:
    """(N, H, W) bool: straight canals on the low ground of scenes with water and farms, in the direction of a survey.

    The share `Climate.canal` of the possible ones has been dug.

    Parameters
    ----------
    climates, keys : one a scene
    terrain : the ground
    free : (N, H, W) bool, where one can dig
    dice : (N, H, W) uniform in [0, 1)
    """
    device = dice.device
    asked = per_scene([c.canal * float(c.farmland > 0 < c.water) for c in climates], device).to(torch.float32)
    low = (terrain.slope < 0.025) & (terrain.above_river_m < LOW_M)
    cells = Places.where(free & low & (asked > 0)[:, None, None])
    share = asked[cells.scene]
    along, across = _turned(
        terrain, cells, hashed(seeds_of([k.at("field").word() for k in keys], device), 3)[cells.scene]
    )
    word = seeds_of([k.at("canal").word() for k in keys], device)[cells.scene]
    cell, throw = per_scene(terrain.cell_m.tolist(), device).to(torch.float32)[cells.scene], cells.of(dice)
    wet = torch.zeros_like(cells.at, dtype=torch.bool)
    for number, (place, (spacing_m, half_m)) in enumerate(zip((across, along), CANALS, strict=True)):
        away, line = _lines(place, spacing_m, hashed(word, number))
        half = half_m * (0.6 + 0.8 * uniform(line, 2))
        wet |= (uniform(line, 3) < share) & covered(away, half, cell, throw)
    return cells.onto(wet, False)


def clear_swaths(
    climates: Sequence[Climate], terrain: Terrain, forest: Tensor, keys: Sequence[SceneKey], dice: Tensor
) -> Tensor:
    """(N, H, W) bool: swaths through `forest` under power lines, straight but for a bend every `SPAN_M`.

    The share `Climate.power_line` of the possible lines has been built, in two directions.

    Parameters
    ----------
    climates, keys : one a scene
    terrain : the ground
    forest : (N, H, W) bool, where a swath is to be seen
    dice : (N, H, W) uniform in [0, 1)
    """
    device = dice.device
    asked = per_scene([c.power_line for c in climates], device).to(torch.float32)
    cells = Places.where(forest & (asked > 0)[:, None, None])
    share = asked[cells.scene]
    word = seeds_of([k.at("power_line").word() for k in keys], device)[cells.scene]
    cell, throw = per_scene(terrain.cell_m.tolist(), device).to(torch.float32)[cells.scene], cells.of(dice)
    along, across = _turned(terrain, cells, word)
    swath = torch.zeros_like(cells.at, dtype=torch.bool)
    for number, (way, place) in enumerate(((along, across), (across, along))):
        seed = hashed(word, number)
        stretch = torch.floor(way / SPAN_M)
        part = way / SPAN_M - stretch
        here, there = (uniform(hashed(seed, 5, stretch.to(torch.int64) + end)) for end in (0, 1))
        away, line = _lines(place + 180.0 * (here + part * (there - here)), LINES_M, hashed(seed, 6))
        half = SWATH_M[0] + (SWATH_M[1] - SWATH_M[0]) * uniform(line, 2)
        swath |= (uniform(line, 3) < share) & covered(away, half, cell, throw)
    return cells.onto(swath, False)
