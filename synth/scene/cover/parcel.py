"""Parcels: ways of farming, and how each cuts its blocks of land into fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import Cells, partition
from terraficta.synth.scene.world.chance import hashed, heading, turn, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.places import Places
from terraficta.synth.types.key import SceneKey

HEADLAND_M = 12.0
"""strip at either end of a field where machines turn and rows run across [m]"""
BLOCK_M = 420.0
"""least width of a block, however small its fields [m]"""
PADDY_M = (14.0, 60.0)
"""least and most side of a paddy [m]: level basins are small"""


@dataclass(frozen=True)
class FieldSystem:
    """A way of farming.

    Parameters
    ----------
    usual_m : float
        side of its fields where nothing else is asked for [m]
    block : float
        how many fields wide a block is
    jitter : float
        0: square blocks; 1: blocks of any shape
    bend : float
        0: straight edges; 1: edges that wind
    stretch : float
        length of a typical field over its width
    surveyed : bool
        one direction for the whole scene
    hedge_m : float
        half the width of a hedge [m]
    hedged : float
        share of the fields that have one
    track_m : float
        half the width of the tracks between blocks [m]
    pivot : float
        share of the squares watered by centre pivots
    terrace_m : float
        rise from terrace to terrace on sloping blocks [m]; 0: no terraces
    rice : bool
        wet lowland is under rice
    """

    usual_m: float
    block: float
    jitter: float
    stretch: float
    bend: float = 0.0
    surveyed: bool = False
    hedge_m: float = 0.0
    hedged: float = 0.0
    track_m: float = 1.5
    pivot: float = 0.0
    terrace_m: float = 0.0
    rice: bool = False

    def block_m(self, field_m: float) -> float:
        """Width of its blocks where a typical field has this side [m]."""
        return max(field_m * self.block, BLOCK_M)

    def varied(self, r: Sequence[float], rice: bool) -> FieldSystem:
        """The same way of farming as one region practises it; by seven numbers in [0, 1)."""
        return replace(
            self,
            block=self.block * (0.75 + 0.5 * r[0]),
            stretch=1.0 + (self.stretch - 1.0) * (0.5 + r[1]),
            hedge_m=self.hedge_m * (0.5 + r[2]),
            hedged=min(1.0, self.hedged * (0.6 + 0.8 * r[3])),
            track_m=self.track_m * (0.6 + 0.8 * r[4]),
            pivot=min(1.0, self.pivot * (0.5 + r[5])),
            terrace_m=self.terrace_m * (0.6 + 0.8 * r[6]),
            rice=rice,
        )


SYSTEMS: dict[str, FieldSystem] = {
    "patchwork": FieldSystem(180, block=3.5, jitter=0.9, bend=0.5, stretch=1.8, hedge_m=0.7, hedged=0.4, track_m=2.0),
    "strips": FieldSystem(140, block=4.5, jitter=0.9, bend=0.6, stretch=7.0, track_m=1.6),
    "bocage": FieldSystem(110, block=2.6, jitter=0.95, bend=0.9, stretch=1.4, hedge_m=2.8, hedged=0.9, track_m=1.8),
    "long_lots": FieldSystem(170, block=6.0, jitter=0.3, stretch=11.0, surveyed=True, hedge_m=1.0, hedged=0.3,
                             track_m=2.5),
    "prairie": FieldSystem(420, block=2.4, jitter=0.0, stretch=1.5, surveyed=True, track_m=2.8),
    "pivots": FieldSystem(330, block=4.0, jitter=0.0, stretch=1.3, surveyed=True, track_m=2.2, pivot=0.65),
    "mosaic": FieldSystem(55, block=3.2, jitter=1.0, bend=1.0, stretch=1.6, hedge_m=0.9, hedged=0.35, track_m=0.9),
    "terraces": FieldSystem(60, block=4.0, jitter=0.9, bend=0.7, stretch=2.0, hedge_m=0.6, hedged=0.2, track_m=1.2,
                            terrace_m=2.5),
}  # fmt: skip
"""by name; numbers chosen. Forms after Vink and others in J. Meynier 1970, Les paysages agraires: openfield with
strips, bocage, rang; and the Public Land Survey's square miles."""
PRACTICE: dict[str, Mapping[str, float]] = {
    "tundra": {"patchwork": 1.0},
    "boreal": {"patchwork": 0.6, "long_lots": 0.25, "strips": 0.15},
    "temperate": {"patchwork": 0.35, "strips": 0.2, "bocage": 0.2, "prairie": 0.15, "long_lots": 0.1},
    "mediterranean": {"patchwork": 0.35, "mosaic": 0.25, "terraces": 0.3, "strips": 0.1},
    "steppe": {"prairie": 0.4, "pivots": 0.3, "strips": 0.3},
    "desert": {"pivots": 0.5, "mosaic": 0.3, "prairie": 0.2},
    "savanna": {"mosaic": 0.65, "prairie": 0.2, "pivots": 0.15},
    "monsoon": {"mosaic": 0.6, "terraces": 0.25, "strips": 0.15},
    "rainforest": {"mosaic": 0.6, "terraces": 0.3, "patchwork": 0.1},
}
"""how often each system occurs in each climate; chosen"""
RICE = {"mediterranean": 0.25, "desert": 0.1, "savanna": 0.25, "monsoon": 0.9, "rainforest": 0.7}
"""share of the scenes in which wet lowland is under rice; chosen"""
USES = {
    "tundra": (0.8, 0.0, 0.1), "boreal": (0.3, 0.0, 0.08), "temperate": (0.25, 0.05, 0.05),
    "mediterranean": (0.06, 0.4, 0.12), "steppe": (0.12, 0.03, 0.2), "desert": (0.02, 0.3, 0.15),
    "savanna": (0.15, 0.06, 0.3), "monsoon": (0.05, 0.08, 0.12), "rainforest": (0.2, 0.15, 0.15),
}  # fmt: skip
"""typical shares of pasture, orchard (and vineyard), fallow in the farmed ground; chosen after FAOSTAT Land Use 2019"""


@dataclass(frozen=True)
class FieldUses:
    """Shares of the farmed ground that are not under annual crops; what is left is sown.

    Parameters
    ----------
    pasture, orchard, fallow : float
        sum to 0.9 at most
    """

    pasture: float
    orchard: float
    fallow: float


def draw_field_system(climate: Climate, key: SceneKey) -> FieldSystem:
    """Draw one scene's way of farming: of its climate, and rather one that goes with the size of its fields."""
    fit = {
        name: share / (1 + 3 * math.log(climate.field_m / SYSTEMS[name].usual_m) ** 2)
        for name, share in PRACTICE[climate.kind].items()
    }
    rng = key.at("field", "system").rng()
    name = rng.choice(list(fit), p=[share / sum(fit.values()) for share in fit.values()])
    rice = key.at("field", "paddy").rng().random() < RICE.get(climate.kind, 0.0)
    return SYSTEMS[str(name)].varied(key.at("field", "system", "numbers").rng().random(7).tolist(), bool(rice))


def draw_field_uses(climate: Climate, key: SceneKey) -> FieldUses:
    """Draw what one scene's fields are used for: about what is usual in its climate."""
    taste = 2.0 * key.at("field", "uses").rng().random(3) ** 1.5
    asked = [float(t) * usual for t, usual in zip(taste, USES[climate.kind], strict=True)]
    whole = max(1.0, sum(asked) / 0.9)
    return FieldUses(*(share / whole for share in asked))


@dataclass(frozen=True)
class Blocks(Cells):
    """Blocks of fields that share a direction and an owner's habits; farmsteads stand where they meet.

    Parameters
    ----------
    y_m, x_m : Tensor
        (N, H, W) float32, the places in the bent frame in which blocks are cut [m]
    """

    y_m: Tensor
    x_m: Tensor


@dataclass(frozen=True)
class Parcels:
    """Fields of the cells asked for, all (M,).

    Parameters
    ----------
    identity : Tensor
        int64, of the field
    strip : Tensor
        int64 identity of the row of fields it lies in
    edge_m : Tensor
        distance to its edge [m]
    idle : Tensor
        bool, corners that a pivot does not reach, banks of terraces
    row : Tensor
        direction of its rows [rad]; across it on the headlands
    """

    identity: Tensor
    strip: Tensor
    edge_m: Tensor
    idle: Tensor
    row: Tensor


def cut_parcels(
    systems: Sequence[FieldSystem],
    field_m: Sequence[float],
    terrain: Terrain,
    blocks: Blocks,
    cells: Places,
    seed: Tensor,
    paddy: Tensor,
) -> Parcels:
    """Cut the farmed cells into parcels: strips along the block, fields along the strip; sizes are heavy-tailed.

    Parameters
    ----------
    systems : Sequence[FieldSystem]
        one a scene
    field_m : Sequence[float]
        side of a typical field, one a scene [m]
    terrain : Terrain
        the ground
    blocks : Blocks
        (N, H, W) of `lay_blocks`
    cells : Places
        the M farmed ones
    seed : Tensor
        (N,) int64
    paddy : Tensor
        (M,) bool, cut into level basins
    """
    number, seed = cells.number, cells.each(seed)
    block, block_edge = cells.of(blocks.identity), cells.of(blocks.edge_m)
    surveyed = number([float(s.surveyed) for s in systems]) > 0
    way = choose(surveyed, hashed(seed, salt.Field.SURVEY), block)
    sin, cos = turn(way, salt.Survey.DIRECTION)
    y, x = cells.of(blocks.y_m), cells.of(blocks.x_m)
    along_m, across_m = x * cos + y * sin, y * cos - x * sin

    asked = number(field_m)
    side = choose(paddy, (0.5 * asked).clamp(*PADDY_M), asked)
    # larger than asked for, as the ends of blocks cut many fields
    short = side * (0.75 + 1.1 * uniform(block, salt.Block.WIDTH))
    stretch = 1 + (number([s.stretch for s in systems]) - 1) * (0.5 + uniform(block, salt.Block.STRETCH))
    squeeze = torch.sqrt(stretch.clamp(max=4.0))  # long fields are narrow: the area asked for stays
    long, short = short * stretch / squeeze, short / squeeze
    # terraces: strips follow the contour lines
    rise = number([s.terrace_m for s in systems])
    slope = cells.of(terrain.slope)
    terraced, place = torch.zeros_like(paddy), along_m / long
    if any(system.terrace_m for system in systems):
        terraced = (rise > 0) & (slope > 0.04) & (uniform(block, salt.Block.TERRACED) < 0.7)
        place = choose(terraced, cells.of(terrain.elevation_m) / rise.clamp(min=0.1), place)
    strip, du, _ = partition(place, hashed(block, salt.BlockSeed.STRIPS, paddy.long()), 0.6)
    band = hashed(block, strip, paddy.long())
    lot = uniform(band, salt.Strip.LENGTH)
    short = short * choose(lot < 0.08, 3.5, choose(lot < 0.3, 2.0, 1.0))
    field, dv, _ = partition(across_m / short, hashed(band, salt.Strip.FIELDS), 0.6)
    end_m = du * choose(terraced, rise / slope.clamp(min=0.01), long)
    edge = torch.minimum(torch.minimum(end_m, dv * short), block_edge)
    identity = hashed(band, field)
    idle = terraced & (du < 0.12)
    headland = (end_m < HEADLAND_M) & (long > 8 * HEADLAND_M) & ~terraced
    row = heading(way, salt.Survey.DIRECTION) + choose(headland, 0.5 * math.pi, 0.0)
    if not any(system.pivot for system in systems):
        return Parcels(identity, band, edge, idle, row)
    # pivots: circles in the squares of a survey, some cut into sectors
    square = 2.2 * asked
    p, q = along_m / square, across_m / square
    ring, spoke = torch.floor(p), torch.floor(q)
    py, px = p - ring - 0.5, q - spoke - 0.5
    centre = hashed(seed, salt.Field.PIVOTS, ring.to(torch.int64), spoke.to(torch.int64))
    pivoted = uniform(centre, salt.Pivot.PRESENT) < number([s.pivot for s in systems])
    reach = (0.47 - torch.sqrt(py * py + px * px)) * square
    half = (uniform(centre, salt.Pivot.HALVED) < 0.35) & (py > 0)
    identity = choose(pivoted, hashed(centre, half.to(torch.int64)), identity)
    edge = choose(pivoted, reach.abs(), edge)
    idle = choose(pivoted, reach < 0, idle)
    row = choose(pivoted, heading(way, salt.Survey.DIRECTION), row)
    return Parcels(identity, band, edge, idle, row)
