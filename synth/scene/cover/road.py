"""Roads between towns: they meet where towns lie, follow the valleys of hilly land, and cross rivers by bridges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.overlook import Overlook
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import BorderedCells, Cells, bordered
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, uniform
from terraficta.synth.scene.world.lattice import warp
from terraficta.synth.scene.world.places import Places, covered
from terraficta.synth.scene.world.window import Points

STEEPEST = 0.4
"""slope beyond which a road is in a tunnel: its own grade is less, as it runs aslant [rise over run]"""
GRADE = 0.12
"""steepest grade of a main road [rise over run]. AASHTO 2018, A Policy on Geometric Design of Highways and Streets,
tables 5-2 and 6-2: 7 to 12 % for collectors, up to 16 % for local roads in mountains"""
REACH_M = (150.0, 300.0)
"""how far along a road, or to the sides of a valley, is looked for whether the land is too steep [m]; chosen"""
SPUR_M = 300.0
"""half the width of the hills and hollows that a road goes round [m]; chosen"""
ROUND_M = 120.0
"""furthest that it goes round them [m]; chosen"""
EVEN = 0.1
"""slope of ground on which going round gains little height [rise over run]; chosen"""
WIDEST_BRIDGE_M = 250.0
"""rivers wider than this are crossed by one road in four [m]"""


@dataclass(frozen=True)
class Roads:
    """The main roads of N scenes.

    Parameters
    ----------
    cells : Cells
        what lies between them; towns lie where three meet
    surface : Tensor
        (N, H, W) bool, paved, bridges included wherever a river is crossed
    identity : Tensor
        (N, H, W) int64, which stretch; 0 off roads
    """

    cells: Cells
    surface: Tensor
    identity: Tensor


def lay_roads(
    terrain: Terrain, points: Points, spacing_m: Sequence[float], half_m: Sequence[float], seed: Tensor, u01: Tensor
) -> Roads:
    """Lay roads `spacing_m` apart and twice `half_m` wide (0: none), one number a scene.

    Parameters
    ----------
    terrain : Terrain
        the ground and its cells
    points : Points
        the ground and its cells
    seed : Tensor
        (N,) int64
    u01 : Tensor
        (N, H, W) uniform in [0, 1): a road narrower than a cell covers its share of cells
    """
    device = points.y_m.device
    spacing = per_scene(spacing_m, device)
    bent = warp(terrain.window, spacing * 0.7, hashed(seed, salt.Settlement.ROAD_BEND), spacing * 0.06, octaves=3)
    bent = bent.moved(*_aside(terrain))
    lined = bordered(bent, spacing, hashed(seed, salt.Settlement.ROADS))
    cell, half = terrain.cell_m.to(torch.float32)[:, None, None], planes(half_m, device)
    straight = covered(lined.edge_m, half, cell, u01)
    foot = covered(terrain.valley_foot_m, half, cell, u01)
    straight, foot = _passable(terrain, lined, straight, foot)
    cells = Cells(lined.identity, lined.edge_m, lined.junction_m, lined.junction)
    surface = (straight | foot) & (terrain.slope < STEEPEST)
    paved = Places.where(surface)
    identity = hashed(paved.of(cells.identity), salt.RoadCell.STRETCH)
    narrow = (
        (paved.of(terrain.river_m) > 0)
        | (paved.of(terrain.river_width_m) < WIDEST_BRIDGE_M)
        | (uniform(identity, salt.Stretch.LONG_BRIDGE) < 0.25)
    )
    return Roads(cells, paved.onto(narrow, False), paved.onto(identity, 0))


def _aside(terrain: Terrain) -> tuple[Tensor, Tensor]:
    """How far (N, H, W) south and east of each place the straight road runs that comes to lie there [m].

    A road goes round the hills and hollows that it meets: down where the ground stands above what surrounds it, up
    where it lies below, as far as the slope takes to make that even.
    """
    if terrain.far is None:
        return torch.zeros_like(terrain.slope), torch.zeros_like(terrain.slope)
    look, at = Overlook.of(terrain.far), terrain.far.window
    scene = torch.arange(at.shape[0], device=at.y_m.device)[:, None, None].expand(at.shape).flatten()
    y, x = (v.to(torch.float32).expand(at.shape).flatten() for v in (at.y_m[:, :, None], at.x_m[:, None, :]))
    around = [look.height_at(y + SPUR_M * j, x + SPUR_M * i, scene) for j, i in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    height, rise_y, rise_x = (v.flatten() for v in (look.height_m, terrain.far.rise_y, terrain.far.rise_x))
    above = height - 0.25 * (around[0] + around[1] + around[2] + around[3])
    slope = torch.sqrt(rise_y * rise_y + rise_x * rise_x)
    run = (above * slope / (slope * slope + EVEN * EVEN)).clamp(-ROUND_M, ROUND_M) / slope.clamp(min=1e-6)
    south, east = look.over(terrain.window, torch.stack([run * rise_y, run * rise_x]).view(2, *at.shape))
    return south, east


def _passable(terrain: Terrain, cells: BorderedCells, straight: Tensor, foot: Tensor) -> tuple[Tensor, Tensor]:
    """Which cells of straight roads are kept, and which at the feet of valleys get one, all (N, H, W) bool.

    A straight road ends where it would climb steeper than `GRADE`; where hills as steep as that stand around a valley,
    the road runs along its river.
    """
    if terrain.far is None:
        return straight, foot & False
    look = Overlook.of(terrain.far)
    kept = []
    for there, roads in ((straight, True), (foot, False)):
        at = Places.where(there)
        y, x = (at.of(v.to(torch.float32)) for v in (terrain.window.y_m[:, :, None], terrain.window.x_m[:, None, :]))
        here = look.height_at(y, x, at.scene)
        ways: list[tuple[Tensor | float, Tensor | float]] = [(1.0, 0.0), (0.0, 1.0)]
        if roads:
            first, second = cells.borders
            nearest = at.of(first.away_m) <= at.of(second.away_m)
            south, east = (
                torch.where(nearest, at.of(one), at.of(two))
                for one, two in ((first.south, second.south), (first.east, second.east))
            )
            apart = torch.sqrt(south * south + east * east).clamp(min=1e-3)
            ways = [(-east / apart, south / apart)]
        rise = torch.zeros_like(here)
        for reach_m in REACH_M:
            for way_y, way_x in ways:
                for away in (reach_m, -reach_m):
                    there_m = look.height_at(y + away * way_y, x + away * way_x, at.scene) - here
                    rise = torch.maximum(rise, (there_m.abs() if roads else there_m) / reach_m)
        kept.append(at.onto(rise < GRADE if roads else rise > GRADE, False))
    return kept[0], kept[1]
