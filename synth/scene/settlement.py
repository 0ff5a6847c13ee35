"""Settlements: roads that meet, towns where they meet, and streets, lots and roofs within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.climate import Climate
from synth.scene.fractal import (
    Cells,
    Places,
    Points,
    covered,
    fbm,
    hashed,
    partition,
    per_scene,
    planes,
    turn,
    uniform,
    voronoi,
    warp,
    words,
)
from synth.scene.terrain import Terrain
from synth.spec.key import SceneKey

HIGHWAY_M = 3000.0
"""typical distance between main roads [m]"""
HOUSE_CELL_M = 6.0
"""in cells wider than this a house is drawn by its chance, not by its outline [m]"""


@dataclass(frozen=True)
class Settlement:
    """Where people live. All (N, H, W).

    Parameters
    ----------
    inside : bool, within a town, village or farmstead
    road : bool, main roads and streets
    main_road : bool, roads that cross rivers
    roof : bool
    park : bool, quarters that are kept green
    garden : 0..1, which of the open covers a yard has
    lot : int64 identity of the lot
    height_m : of the roof above the ground [m]
    """

    inside: Tensor
    road: Tensor
    main_road: Tensor
    roof: Tensor
    park: Tensor
    garden: Tensor
    lot: Tensor
    height_m: Tensor


@dataclass(frozen=True)
class TownPlan:
    """How the towns of one scene are built.

    Parameters
    ----------
    highway_m : distance between main roads [m]
    block_m : sides of a street block [m]
    lot_m : sides of a lot [m]
    street_m : half the width of a street [m]
    winding_m : how far old streets stray from straight lines [m]
    """

    highway_m: float
    block_m: tuple[float, float]
    lot_m: tuple[float, float]
    street_m: float
    winding_m: float


def draw_town_plan(key: SceneKey) -> TownPlan:
    """Draw one scene's way of building."""
    r = [float(v) for v in key.at("settlement", "plan").rng().random(7)]
    return TownPlan(
        highway_m=HIGHWAY_M * (0.6 + r[0]),
        block_m=(70 + 90 * r[1], 55 + 50 * r[2]),
        lot_m=(13 + 14 * r[3], 20 + 12 * r[4]),
        street_m=3.0 + 3.5 * r[5],
        winding_m=80.0 * max(r[6] - 0.3, 0.0),
    )


def settle(
    climates: Sequence[Climate],
    terrain: Terrain,
    points: Points,
    blocks: Cells,
    keys: Sequence[SceneKey],
    dry: Tensor,
    dice: Tensor,
) -> Settlement:
    """Settle N scenes.

    Parameters
    ----------
    climates, keys : one a scene
    terrain, points : the ground and its cells
    blocks : of fields; farmsteads stand where they meet
    dry : (N, H, W) bool, where one can build
    dice : (N, H, W) uniform in [0, 1)
    """
    device = points.y_m.device
    word = words([k.at("settlement").word() for k in keys], device)
    plans = [draw_town_plan(k) for k in keys]
    spacing = per_scene([p.highway_m for p in plans], device)
    wide = spacing.to(torch.float32)[:, None, None]
    cell = terrain.cell_m.to(torch.float32)[:, None, None]
    roads = voronoi(warp(points, spacing * 0.7, hashed(word, 1), spacing * 0.06, octaves=3), spacing, hashed(word, 2))

    # a town's radius is heavy-tailed (rank-size rule); the mean area is such that the towns take the share asked for
    share = planes([math.sqrt(c.settlement) for c in climates], device)
    radius = wide * share * 0.21 * (uniform(roads.junction, 1) + 0.05).rsqrt()
    ragged = 1 + 0.25 * fbm(terrain.window, spacing * 0.15, hashed(word, 3), 6, 0.7)
    town = 1 - roads.junction_m / (radius * ragged).clamp(min=1.0)
    farms = planes([0.8 * float(c.settlement > 0) * min(1.0, 2 * c.farmland * c.arable) for c in climates], device)
    yard = torch.where(uniform(blocks.junction, 2) < farms, 25.0 + 70.0 * uniform(blocks.junction, 3) ** 2, 0.0)
    farm = (1 - blocks.junction_m / yard.clamp(min=1.0)) * 0.4
    rank = torch.maximum(town, farm)
    inside = (rank > 0) & (terrain.slope < 0.3) & dry

    bend = fbm(terrain.window, per_scene([250.0] * len(keys), device), hashed(word, 4), 2)
    name = torch.where(town > farm, roads.junction, blocks.junction)
    cells = Places.where(inside)
    street, roof, park, garden, lot, height = _build(terrain, plans, cells, name, rank, bend, dice)

    lanes = planes([1.6 * p.street_m for p in plans], device)
    people = planes([float(c.settlement > 0.004 or c.farmland * c.arable > 0.02) for c in climates], device)
    main_road = covered(roads.edge_m, lanes * people, cell, dice) & (terrain.slope < 0.5)
    road = cells.onto(street, False) | main_road
    yard_id = torch.where(road, hashed(roads.identity, 11), cells.onto(lot, 0)) | (1 << 34)
    roof = cells.onto(roof, False) & ~road
    tall = torch.where(roof, cells.onto(height, 0.0), 0.0)
    green = cells.onto(park, False) & ~road
    return Settlement(inside, road, main_road, roof, green, cells.onto(garden, 0.0), yard_id, tall)


def _build(
    terrain: Terrain, plans: Sequence[TownPlan], cells: Places, name: Tensor, rank: Tensor, bend: Tensor, dice: Tensor
) -> tuple[Tensor, ...]:
    """Street, roof, park, garden, lot and roof height of the built-up cells (M,)."""
    device, scene = rank.device, cells.scene

    def number(values: Sequence[float]) -> Tensor:
        return per_scene(values, device).to(torch.float32)[scene]

    name, rank, bend, dice = cells.of(name), cells.of(rank).clamp(0.0, 1.0), cells.of(bend), cells.of(dice)
    cell = terrain.cell_m.to(torch.float32)[scene]
    # cells wider than a house look anywhere within themselves, so that houses, yards and streets keep their shares
    loose = ((cell - HOUSE_CELL_M) / HOUSE_CELL_M).clamp(0.0, 1.0) * cell
    other = uniform((dice * (1 << 24)).to(torch.int64), 9)
    y = cells.of(terrain.window.y_m.to(torch.float32)[:, :, None]) + (dice - 0.5) * loose
    x = cells.of(terrain.window.x_m.to(torch.float32)[:, None, :]) + (other - 0.5) * loose
    sin, cos = turn(name, 5)
    stray = bend * number([p.winding_m for p in plans]) * (uniform(name, 6) < 0.6)
    u, v = x * cos + y * sin + stray, y * cos - x * sin - stray
    block_u, block_v = (number([p.block_m[k] for p in plans]) for k in (0, 1))
    i, du, _ = partition(u / block_u, hashed(name, 6), 0.5)
    j, dv, _ = partition(v / block_v, hashed(name, 7), 0.5)
    from_street = torch.minimum(du * block_u, dv * block_v)
    block = hashed(name, i, j)
    use = uniform(block, 1)
    works = (use > 0.8) & (rank > 0.1) & (rank < 0.8)
    core = (rank > 0.55 + 0.3 * (use - 0.5)) & ~works
    park = (use < 0.06) & (rank < 0.9)
    lot_u = torch.where(works, 48.0, number([p.lot_m[0] for p in plans]))
    lot_v = torch.where(works, 64.0, number([p.lot_m[1] for p in plans]))
    a, da, _ = partition(u / lot_u, hashed(block, 8), 0.4)
    b, db, _ = partition(v / lot_v, hashed(block, 9), 0.4)
    lot = hashed(block, a, b)
    half_street = number([p.street_m for p in plans])
    wall = torch.minimum(da * lot_u, db * lot_v)
    own = uniform(lot, 2)
    # houses stand apart in their gardens, halls fill their yards, old cores line the streets around courtyards
    house = (wall > 2.5 + 2.5 * own) & (from_street > half_street + 3.0)
    hall = (wall > 3.0 + 6.0 * own) & (from_street > half_street + 6.0)
    row = (from_street > half_street + 1.5) & (from_street < half_street + 11 + 8 * own) & (own > 0.06)
    roof = torch.where(works, hall, torch.where(core, row, house))
    built = uniform(lot, 3) < 0.4 + 0.55 * torch.sqrt(rank)
    roof = roof & (built | core) & ~park
    floors = torch.where(core, 2 + 6 * rank * own, 1 + 1.3 * own)
    height = torch.where(works, 6 + 6 * own, 2.5 + 3.0 * floors)
    garden = uniform(lot, 4)
    garden = torch.where(park, 0.3 + 0.5 * garden, torch.where(works, 0.5 + 0.5 * garden, garden))
    return from_street < half_street, roof, park, garden, lot, height
