"""Corridors: canals through flat farmed land, and the swaths that power lines need through forest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, seeds_of, turn, uniform
from terraficta.synth.scene.world.places import Places, covered

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


def _turned(terrain: Terrain, cells: Places, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (M,) along and across a random direction of each scene [m]."""
    sin, cos = turn(seed, salt.Survey.DIRECTION)
    y = cells.of(terrain.window.y_m.to(torch.float32)[:, :, None])
    x = cells.of(terrain.window.x_m.to(torch.float32)[:, None, :])
    return x * cos + y * sin, y * cos - x * sin


def _lines(across_m: Tensor, spacing_m: float, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Distance [m] to the one line in each strip of `spacing_m`, and the hash of that line."""
    strip = torch.floor(across_m / spacing_m)
    line = hashed(seed, strip.to(torch.int64))
    middle = strip + 0.2 + 0.6 * uniform(line, salt.Corridor.PLACE)
    return (across_m - middle * spacing_m).abs(), line


def dig_canals(
    plans: Sequence[CoverPlan],
    terrain: Terrain,
    free: Tensor,
    u01: Tensor,
) -> Tensor:
    """(N, H, W) bool: straight canals on the low ground of scenes with water and farms, in the direction of a survey.

    The share `Climate.canal` of the possible ones has been dug.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene
    terrain : Terrain
        the ground
    free : Tensor
        (N, H, W) bool, where one can dig
    u01 : Tensor
        (N, H, W) uniform in [0, 1)
    """
    device = u01.device
    asked = per_scene([p.climate.canal * float(p.climate.farmland > 0 < p.climate.water) for p in plans], device).to(
        torch.float32
    )
    low = (terrain.slope < 0.025) & (terrain.above_river_m < LOW_M)
    cells = Places.where(free & low & (asked > 0)[:, None, None])
    share = cells.each(asked)
    along, across = _turned(
        terrain, cells, cells.each(hashed(seeds_of([p.seeds.field for p in plans], device), salt.Field.SURVEY))
    )
    seed = cells.each(seeds_of([p.seeds.canal for p in plans], device))
    cell, own_u01 = cells.number(terrain.cell_m), cells.of(u01)
    wet = torch.zeros_like(cells.at, dtype=torch.bool)
    for number, (place, (spacing_m, half_m)) in enumerate(zip((across, along), CANALS, strict=True)):
        away, line = _lines(place, spacing_m, hashed(seed, number))
        half = half_m * (0.6 + 0.8 * uniform(line, salt.Corridor.WIDTH))
        wet |= (uniform(line, salt.Corridor.BUILT) < share) & covered(away, half, cell, own_u01)
    return cells.onto(wet, False)


def clear_swaths(plans: Sequence[CoverPlan], terrain: Terrain, forest: Tensor, u01: Tensor) -> Tensor:
    """(N, H, W) bool: swaths through `forest` under power lines, straight but for a bend every `SPAN_M`.

    The share `Climate.power_line` of the possible lines has been built, in two directions.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene
    terrain : Terrain
        the ground
    forest : Tensor
        (N, H, W) bool, where a swath is to be seen
    u01 : Tensor
        (N, H, W) uniform in [0, 1)
    """
    device = u01.device
    asked = per_scene([p.climate.power_line for p in plans], device).to(torch.float32)
    cells = Places.where(forest & (asked > 0)[:, None, None])
    share = cells.each(asked)
    seed = cells.each(seeds_of([p.seeds.power_line for p in plans], device))
    cell, own_u01 = cells.number(terrain.cell_m), cells.of(u01)
    along, across = _turned(terrain, cells, seed)
    swath = torch.zeros_like(cells.at, dtype=torch.bool)
    for number, (way, place) in enumerate(((along, across), (across, along))):
        way_seed = hashed(seed, number)
        stretch = torch.floor(way / SPAN_M)
        part = way / SPAN_M - stretch
        here, there = (uniform(hashed(way_seed, salt.PowerLine.BEND, stretch.to(torch.int64) + end)) for end in (0, 1))
        away, line = _lines(
            place + 180.0 * (here + part * (there - here)), LINES_M, hashed(way_seed, salt.PowerLine.LINES)
        )
        half = SWATH_M[0] + (SWATH_M[1] - SWATH_M[0]) * uniform(line, salt.Corridor.WIDTH)
        swath |= (uniform(line, salt.Corridor.BUILT) < share) & covered(away, half, cell, own_u01)
    return cells.onto(swath, False)
