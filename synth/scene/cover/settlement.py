"""Settlements: towns where roads meet, villages and farmsteads between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.building import build
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.cover.road import lay_roads
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import Cells
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, seeds_of, uniform
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.places import Places
from terraficta.synth.scene.world.window import Points

STEEPEST = 0.3
"""slope above which nobody builds"""
CUSTOMARY = 0.08
"""share of settled ground at which a town has its customary radius; its old quarters are laid out for that"""
FARMSTEADS = 0.5
"""share of the corners of blocks with a farmstead, where all is farmed"""
REACH = 0.21
"""radius of a town of middling size, over the distance of roads, at a settled share of 1: what makes the towns of a
corpus take the share asked for"""


@dataclass(frozen=True)
class Settlement:
    """Where people live. All (N, H, W).

    Parameters
    ----------
    inside : Tensor
        bool, within a town, village or farmstead
    road : Tensor
        bool, main roads and streets
    main_road : Tensor
        bool, roads that cross rivers
    roof : Tensor
        bool
    park : Tensor
        bool, mown green within a town
    garden : Tensor
        0..1, which of the open covers a yard has
    lot : Tensor
        int64 identity of the building, or of the lot around it, or of the stretch of road
    height_m : Tensor
        of the roof above the ground [m]
    """

    inside: Tensor
    road: Tensor
    main_road: Tensor
    roof: Tensor
    park: Tensor
    garden: Tensor
    lot: Tensor
    height_m: Tensor


def settle(
    plans: Sequence[CoverPlan],
    terrain: Terrain,
    points: Points,
    blocks: Cells,
    dry: Tensor,
    u01: Tensor,
) -> Settlement:
    """Settle N scenes. With the same plan otherwise, a larger `Climate.settlement` adds ground and changes none.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene
    terrain : Terrain
        the ground and its cells
    points : Points
        the ground and its cells
    blocks : Cells
        of fields; farmsteads stand where they meet
    dry : Tensor
        (N, H, W) bool, where one can build
    u01 : Tensor
        (N, H, W) uniform in [0, 1)

    Source
    ------
    areas of towns by rank, G. Zipf 1949; an area with the tail 1 / a comes of a radius that goes with the inverse
    square root of a uniform number, cut off at 20 times the least area.
    """
    device = points.y_m.device
    seed = seeds_of([p.seeds.settlement for p in plans], device)
    climates, towns = [p.climate for p in plans], [p.town for p in plans]
    spacing = per_scene([t.highway_m for t in towns], device)
    wide = spacing.to(torch.float32)[:, None, None]
    people = [float(c.settlement > 0.004 or c.farmland * c.arable > 0.02) for c in climates]
    half_m = [1.6 * t.street_m * lived for t, lived in zip(towns, people, strict=True)]
    roads = lay_roads(terrain, points, [t.highway_m for t in towns], half_m, seed, u01)

    meeting, way = roads.cells.junction, roads.cells.junction_m
    ragged = 1 + 0.25 * fbm(terrain.window, spacing * 0.15, hashed(seed, salt.Settlement.OUTLINE), 6, 0.7)
    size = wide * REACH * (uniform(meeting, salt.Town.SIZE) + 0.05).rsqrt() * ragged.clamp(min=0.2)
    town = 1 - way / (size * planes([math.sqrt(c.settlement) for c in climates], device)).clamp(min=1.0)
    farms = planes(
        [FARMSTEADS * float(c.settlement > 0) * min(1.0, 2 * c.farmland * c.arable) for c in climates], device
    )
    yard = torch.where(
        uniform(blocks.junction, salt.Corner.FARMSTEAD) < farms,
        25.0 + 70.0 * uniform(blocks.junction, salt.Corner.YARD) ** 2,
        0.0,
    )
    farmstead = blocks.junction_m < yard
    inside = ((town > 0) | farmstead) & (terrain.slope < STEEPEST) & dry

    bend = fbm(terrain.window, per_scene([250.0] * len(plans), device), hashed(seed, salt.Settlement.STREET_BEND), 2)
    identity = torch.where(farmstead, blocks.junction, meeting)
    away = torch.where(farmstead, 0.9, way / (size * math.sqrt(CUSTOMARY)))
    cells = Places.where(inside)
    quarter = build(terrain, towns, cells, identity, away, bend, u01)

    road = cells.onto(quarter.street, False) | roads.surface
    built = torch.where(quarter.roof, quarter.building, quarter.lot)
    lot = torch.where(road, roads.identity, cells.onto(built, 0)) | (1 << 34)
    roof = cells.onto(quarter.roof, False) & ~road
    return Settlement(
        inside=inside,
        road=road,
        main_road=roads.surface,
        roof=roof,
        park=cells.onto(quarter.park, False) & ~road,
        garden=cells.onto(quarter.garden, 0.0),
        lot=lot,
        height_m=torch.where(roof, cells.onto(quarter.height_m, 0.0), 0.0),
    )
