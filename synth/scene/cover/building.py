"""Buildings: streets, lots, roofs and yards within the settled ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import partition
from terraficta.synth.scene.world.chance import hashed, per_scene, turn, uniform
from terraficta.synth.scene.world.places import Places
from terraficta.synth.types.key import SceneKey

HIGHWAY_M = 3000.0
"""typical distance between main roads [m]"""
HOUSE_CELL_M = 6.0
"""in cells wider than this a house is drawn by its chance, not by its outline [m]"""
PITCH = 0.55
"""rise over run of a pitched roof: 29 degrees"""
DRY, TROPICAL = ("desert", "steppe", "mediterranean"), ("savanna", "monsoon", "rainforest")
"""where towns are of courtyards, and where they are of small lots; elsewhere houses stand in gardens"""


@dataclass(frozen=True)
class TownPlan:
    """How the towns of one scene are built.

    Parameters
    ----------
    highway_m : float
        distance between main roads [m]
    block_m : tuple[float, float]
        sides of a street block [m]
    lot_m : tuple[float, float]
        sides of a lot [m]
    street_m : float
        half the width of a street [m]
    winding_m : float
        how far old streets stray from straight lines [m]
    core : float
        how far the rows and courtyards of the old town reach, over its customary radius
    industry : float
        share of the street blocks that are works
    greenery : float
        share of the street blocks that are parks
    """

    highway_m: float
    block_m: tuple[float, float]
    lot_m: tuple[float, float]
    street_m: float
    winding_m: float
    core: float
    industry: float
    greenery: float


def draw_town_plan(climate: Climate, key: SceneKey) -> TownPlan:
    """Draw one scene's way of building: courtyards and winding lanes where dry, small lots in the tropics."""
    r = [float(v) for v in key.at("settlement", "plan").rng().random(8)]
    dry, tropical = climate.kind in DRY, climate.kind in TROPICAL
    small = 0.75 if tropical else 0.9 if dry else 1.0
    return TownPlan(
        highway_m=HIGHWAY_M * (0.6 + r[0]),
        block_m=(70 + 90 * r[1], 55 + 50 * r[2]),
        lot_m=(small * (13 + 14 * r[3]), small * (20 + 12 * r[4])),
        street_m=(3.0 + 3.5 * r[5]) * (0.8 if dry or tropical else 1.0),
        winding_m=80.0 * max(r[6] - (0.1 if dry else 0.3), 0.0),
        core=(0.6 if dry else 0.3) * (0.6 + 0.8 * r[7]),
        industry=climate.industry,
        greenery=climate.greenery,
    )


@dataclass(frozen=True)
class Quarter:
    """What was built on the settled cells (M,).

    Parameters
    ----------
    street : Tensor
        bool
    roof : Tensor
        bool
    park : Tensor
        bool
    garden : Tensor
        0..1, which of the open covers a yard has; alike within a street block
    lot : Tensor
        int64 identity of the lot
    building : Tensor
        int64 identity of the building
    height_m : Tensor
        of the roof above the ground; pitched on houses, flat on halls and rows [m]
    """

    street: Tensor
    roof: Tensor
    park: Tensor
    garden: Tensor
    lot: Tensor
    building: Tensor
    height_m: Tensor


def build(
    terrain: Terrain, plans: Sequence[TownPlan], cells: Places, town: Tensor, away: Tensor, bend: Tensor, u01: Tensor
) -> Quarter:
    """Build on the settled cells.

    What stands on a lot hangs on its town and on the way to the centre alone, not on how far the town reaches by now:
    a town that grows adds quarters and changes none.

    Parameters
    ----------
    terrain : Terrain
        the ground
    plans : Sequence[TownPlan]
        one a scene
    cells : Places
        the M settled cells
    town, away, bend, u01 : Tensor
        (N, H, W) identity of the town; way to its centre over its customary radius; how far old streets stray; uniform
        in [0, 1)
    """
    device, scene = away.device, cells.scene

    def number(values: Sequence[float]) -> Tensor:
        return per_scene(values, device).to(torch.float32)[scene]

    town, away, bend, u01 = (cells.of(plane) for plane in (town, away, bend, u01))
    cell = terrain.cell_m.to(torch.float32)[scene]
    # cells wider than a house look anywhere within themselves, so that houses, yards and streets keep their shares
    loose = ((cell - HOUSE_CELL_M) / HOUSE_CELL_M).clamp(0.0, 1.0) * cell
    other = uniform((u01 * (1 << 24)).to(torch.int64), salt.Spot.X)
    y = cells.of(terrain.window.y_m.to(torch.float32)[:, :, None]) + (u01 - 0.5) * loose
    x = cells.of(terrain.window.x_m.to(torch.float32)[:, None, :]) + (other - 0.5) * loose
    sin, cos = turn(town, salt.Town.DIRECTION)
    stray = bend * number([p.winding_m for p in plans]) * (uniform(town, salt.Town.WINDING) < 0.6)
    u, v = x * cos + y * sin + stray, y * cos - x * sin - stray
    block_u, block_v = (number([p.block_m[k] for p in plans]) for k in (0, 1))
    i, du, _ = partition(u / block_u, hashed(town, salt.TownSeed.BLOCKS_U), 0.5)
    j, dv, _ = partition(v / block_v, hashed(town, salt.TownSeed.BLOCKS_V), 0.5)
    from_street = torch.minimum(du * block_u, dv * block_v)
    block = hashed(town, i, j)
    # what a street block is used for: old rows in the middle, works at the rim, parks anywhere
    use, ragged = uniform(block, salt.StreetBlock.USE), 0.3 * (uniform(block, salt.StreetBlock.OUTLINE) - 0.5)
    core = away + ragged < number([p.core for p in plans])
    works = (uniform(block, salt.StreetBlock.WORKS) < number([p.industry for p in plans])) & ~core & (away > 0.35)
    park = (use < number([p.greenery for p in plans])) & ~works & (away > 0.08)
    lot_u = torch.where(works, 48.0, number([p.lot_m[0] for p in plans]))
    lot_v = torch.where(works, 64.0, number([p.lot_m[1] for p in plans]))
    a, da, _ = partition(u / lot_u, hashed(block, salt.StreetBlock.LOTS_U), 0.4)
    b, db, _ = partition(v / lot_v, hashed(block, salt.StreetBlock.LOTS_V), 0.4)
    lot = hashed(block, a, b)
    half_street = number([p.street_m for p in plans])
    wall = torch.minimum(da * lot_u, db * lot_v)
    own = uniform(lot, salt.Lot.SIZE)
    # houses stand apart in their gardens, halls fill their yards, old cores line the streets around courtyards
    setback = torch.where(works, 3.0 + 6.0 * own, 2.5 + 2.5 * own)
    apart = (wall > setback) & (from_street > half_street + torch.where(works, 6.0, 3.0))
    row = (from_street > half_street + 1.5) & (from_street < half_street + 11 + 8 * own) & (own > 0.06)
    roof = torch.where(core, row, apart)
    # quarters differ, lots follow
    dense = 0.45 + 0.5 * torch.exp(-1.2 * away) + 0.25 * (uniform(block, salt.StreetBlock.DENSITY) - 0.5)
    roof &= ((uniform(lot, salt.Lot.BUILT) < dense) | core) & ~park
    floors = torch.where(core, 2 + 6 * torch.exp(-3 * away) * own, 1 + 1.3 * own)
    eaves = torch.where(works, 6 + 6 * own, 2.5 + 3.0 * floors)
    ridge = torch.where(works | core, 0.0, PITCH * (wall - setback).clamp(0.0, 5.0))
    garden = 0.8 * uniform(block, salt.StreetBlock.GARDEN) + 0.2 * uniform(lot, salt.Lot.GARDEN)
    garden = torch.where(park, 0.2 + 0.3 * garden, torch.where(works, 0.5 + 0.5 * garden, garden))
    # a row of houses is one building along the street
    building = torch.where(core, hashed(block, salt.StreetBlock.ROW, a), lot)
    return Quarter(from_street < half_street, roof, park, garden, lot, building, eaves + ridge)
