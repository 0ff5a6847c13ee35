"""Settlements: towns where roads meet, villages and farmsteads between them, and what lies within their cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.building import GROUND, ROOF, STREET, Built, Spots, build
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.cover.road import Roads, lay_roads
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import Cells
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, seeds_of, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.places import Places
from terraficta.synth.scene.world.window import Points
from terraficta.synth.types.within import MORE

STEEPEST = 0.3
"""slope above which nobody builds"""
CUSTOMARY = 0.08
"""share of settled ground at which a town has its customary radius; its quarters are laid out for that"""
FARMSTEADS = 0.5
"""share of the corners of blocks with a farmstead, where all is farmed and blocks are `FARM_M` wide"""
FARM_M = 1000.0
"""width of the blocks at whose corners farmsteads have their full size [m]. Where blocks are smaller they are both
rarer and smaller, so that farmsteads and villages take the same 3 % of the farmed land: farmsteads, buildings, yards
and ponds, 30 of 900 million acres of farms (USDA 2019, Census of Agriculture 2017, table 8)"""
VILLAGES = 0.12
"""share of the farmsteads that grew to a hamlet or a village"""
REACH = 0.21
"""radius of a town of middling size, over the distance of roads, at a settled share of 1: what makes the towns of a
corpus take the share asked for"""
RIBBON_M = 70.0
"""how far from a main road towns stretch out along it [m]"""
HOUSE_CELL_M = 6.0
"""in cells wider than this a house is drawn by its chance, not by its outline [m]"""
WHOLE_CELL_M = 2.0
"""cells wider than this may hold more than one thing: what they reflect is the mean of several places within them"""
PLASTIC = (0.7548776662466927, 0.5698402909980532)
"""steps of a sequence that fills a square evenly. Source: M. Roberts 2018, R2 of the plastic number"""


@dataclass(frozen=True)
class Settlement:
    """Where people live. All (N, H, W), but what stands in single cells.

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
    lot : Tensor
        int64 identity of the building, or of the lot around it, or of the stretch of road; 0: ground left as it was
    height_m : Tensor
        of the roof or the vehicle above the ground [m]
    what : Tensor
        int8, what lies there as `building` has it; -1 outside
    cells : Places
        the K settled cells that may hold more than one thing
    more : Built
        what else lies in each of them, (MORE, K)
    """

    inside: Tensor
    road: Tensor
    main_road: Tensor
    roof: Tensor
    lot: Tensor
    height_m: Tensor
    what: Tensor
    cells: Places
    more: Built


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
    square root of a uniform number, cut off at 20 times the least area. Density falls from the middle as C. Clark 1951,
    doi:10.2307/2981088, has it.
    """
    device = points.y_m.device
    seed = seeds_of([p.seeds.settlement for p in plans], device)
    climates, towns = [p.climate for p in plans], [p.town for p in plans]
    people = [float(c.settlement > 0.004 or c.farmland * c.arable > 0.02) for c in climates]
    half_m = [t.main_m * lived for t, lived in zip(towns, people, strict=True)]
    roads = lay_roads(terrain, points, [t.highway_m for t in towns], half_m, seed, u01)
    spacing = per_scene([t.highway_m for t in towns], device)
    ragged = 1 + 0.25 * fbm(terrain.window, spacing * 0.15, hashed(seed, salt.Settlement.OUTLINE), 6, 0.7)
    size = spacing.to(torch.float32)[:, None, None] * REACH * ragged.clamp(min=0.2)
    size = size * (uniform(roads.cells.junction, salt.Town.SIZE) + 0.05).rsqrt()

    along = roads.cells.junction_m * (1 - 0.35 * torch.exp(-roads.cells.edge_m / RIBBON_M))
    town = along < size * planes([math.sqrt(c.settlement) for c in climates], device)
    farmstead = blocks.junction_m < _yard_m(plans, blocks.junction) * ragged
    inside = (town | farmstead) & (terrain.slope < STEEPEST) & dry
    cells = Places.where(inside)
    alone = cells.of(farmstead)
    identity = choose(alone, cells.of(blocks.junction), cells.of(roads.cells.junction))
    bend = fbm(terrain.window, per_scene([250.0] * len(plans), device), hashed(seed, salt.Settlement.STREET_BEND), 2)
    away = cells.of(roads.cells.junction_m) / (cells.of(size) * math.sqrt(CUSTOMARY))
    density = _density(plans, cells, identity, away, choose(alone, cells.of(blocks.junction_m), -1.0))
    bend = cells.of(bend)
    density = (density + 0.07 * bend).clamp(0.02, 1.0)

    y, x = _places(terrain, cells, cells.of(u01))
    wide = cells.number(terrain.cell_m).expand(len(cells.at))
    loose = ((wide - HOUSE_CELL_M) / HOUSE_CELL_M).clamp(0.0, 1.0)
    y_m, x_m = (axis[0] + loose * (axis[1] - axis[0]) for axis in (y, x))
    own = Spots(y_m, x_m, cells.scene, identity, density, bend, wide, cells.of(u01))
    mixed = (wide > WHOLE_CELL_M).nonzero()[:, 0]
    at = mixed.repeat(MORE)
    more = build(towns, own.some(at, y[2:, mixed].flatten(), x[2:, mixed].flatten()))
    return _settled(cells, inside, roads, build(towns, own), Places(cells.at[mixed], cells.shape), more)


def _yard_m(plans: Sequence[CoverPlan], corner: Tensor) -> Tensor:
    """Radius of the farmstead or village at each corner of blocks (N, H, W) [m]; 0: none."""
    climates, device = [p.climate for p in plans], corner.device
    close = [min(1.0, p.system.block_m(p.climate.field_m) / FARM_M) for p in plans]
    chance = [
        FARMSTEADS * near * float(c.settlement > 0) * min(1.0, 2 * c.farmland * c.arable)
        for c, near in zip(climates, close, strict=True)
    ]
    if not any(chance):
        return torch.zeros_like(corner, dtype=torch.float32)
    more = uniform(corner, salt.Corner.YARD) ** 2
    yard = choose(uniform(corner, salt.Corner.VILLAGE) < VILLAGES, 90.0 + 190.0 * more, 25.0 + 70.0 * more)
    yard = yard * planes([math.sqrt(near) for near in close], device)
    return choose(uniform(corner, salt.Corner.FARMSTEAD) < planes(chance, device), yard, 0.0)


def _density(plans: Sequence[CoverPlan], cells: Places, identity: Tensor, away: Tensor, yard_m: Tensor) -> Tensor:
    """How densely the settled cells (M,) are built up, 0 .. 1.

    It falls smoothly from the middle of a town, which is the denser the larger the town is, and hangs on nothing that
    changes as towns grow.

    Parameters
    ----------
    identity : Tensor
        of the town, or of the farmstead
    away : Tensor
        way to the middle of the town over its customary radius
    yard_m : Tensor
        way to the middle of a farmstead or village [m]; -1 in towns
    """
    compact, reach = (cells.number([getattr(p.town, name) for p in plans])
                      for name in ("compact", "reach"))  # fmt: skip
    large = (0.05 / (uniform(identity, salt.Town.SIZE) + 0.05)).sqrt()  # radius over that of the largest town
    rim = 0.16 + 0.26 * compact
    middle = (0.38 + 0.8 * large + 0.3 * compact).clamp(max=1.1)
    town = rim + (middle - rim) * _fallen(away / (reach * (0.5 + large)))
    village = 0.1 + (0.25 + 0.35 * compact) * torch.exp(-yard_m / 110.0)
    return choose(yard_m < 0, town, torch.maximum(town, village))


def _fallen(away: Tensor) -> Tensor:
    """exp(-away^1.3), of no power: torch rounds the powers at the end of a list otherwise than those before."""
    return torch.exp(-torch.exp(1.3 * torch.log(away.clamp(min=1e-6))))


def _places(terrain: Terrain, cells: Places, u01: Tensor) -> tuple[Tensor, Tensor]:
    """(2 + MORE, M) y and x: the middle of each cell, any place in it, and more that fill it evenly [m]."""
    cell = cells.number(terrain.cell_m)
    other = uniform((u01 * (1 << 24)).to(torch.int64), salt.Spot.X)
    middle = [
        cells.of(axis)
        for axis in (terrain.window.y_m.to(torch.float32)[:, :, None], terrain.window.x_m.to(torch.float32)[:, None, :])
    ]
    steps = torch.arange(1 + MORE, device=u01.device, dtype=torch.float32)[:, None]
    out = []
    for mid, first, step in zip(middle, (u01, other), PLASTIC, strict=True):
        way = torch.remainder(first + steps * step, 1.0) - 0.5
        out.append(torch.cat([mid[None], mid + way * cell]))
    return out[0], out[1]


def _settled(cells: Places, inside: Tensor, roads: Roads, own: Built, mixed: Places, more: Built) -> Settlement:
    """Everything put onto the cells; main roads lie over what else is there."""
    road = cells.onto(own.what == STREET, False) | roads.surface
    roof = cells.onto(own.what == ROOF, False) & ~road
    lot = choose(own.identity & GROUND > 0, 0, own.identity | (1 << 34))  # 0: the ground that nature left
    lot = choose(roads.surface, roads.identity | (1 << 34), cells.onto(lot, 0))
    shape = (MORE, len(mixed.at))
    return Settlement(
        inside=inside,
        road=road,
        main_road=roads.surface,
        roof=roof,
        lot=lot,
        height_m=choose(roads.surface, 0.0, cells.onto(own.height_m, 0.0)),
        what=cells.onto(own.what, -1),
        cells=mixed,
        more=Built(*(value.view(shape) for value in (more.what, more.identity, more.height_m))),
    )
