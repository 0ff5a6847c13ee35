"""Parcels: how each way of farming cuts its blocks of land into fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.cells import Cells, partition
from terraficta.synth.scene.world.chance import hashed, heading, per_scene, seeds_of, turn, uniform
from terraficta.synth.scene.world.places import Places
from terraficta.synth.types.key import SceneKey

HEADLAND_M = 12.0
"""strip at either end of a field where machines turn and rows run across [m]"""
PADDY_M = (14.0, 60.0)
"""least and most side of a paddy [m]: level basins are small"""


@dataclass(frozen=True)
class FieldSystem:
    """A way of farming.

    Parameters
    ----------
    usual_m : side of its fields where nothing else is asked for [m]
    block : how many fields wide a block is
    jitter : 0: square blocks; 1: blocks of any shape
    bend : 0: straight edges; 1: edges that wind
    stretch : length of a typical field over its width
    surveyed : one direction for the whole scene
    hedge_m : half the width of a hedge [m]
    hedged : share of the fields that have one
    track_m : half the width of the tracks between blocks [m]
    pivot : share of the squares watered by centre pivots
    terrace_m : rise from terrace to terrace on sloping blocks [m]; 0: no terraces
    rice : wet lowland is under rice
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

    def varied(self, key: SceneKey, rice: bool) -> FieldSystem:
        """The same way of farming as one region practises it."""
        r = [float(v) for v in key.rng().random(7)]
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


@dataclass(frozen=True)
class Blocks(Cells):
    """Blocks of fields that share a direction and an owner's habits; farmsteads stand where they meet.

    Parameters
    ----------
    y_m, x_m : (N, H, W) float32, the places in the bent frame in which blocks are cut [m]
    """

    y_m: Tensor
    x_m: Tensor


@dataclass(frozen=True)
class Parcels:
    """Fields of the cells asked for, all (M,).

    Parameters
    ----------
    name : int64 identity of the field
    strip : int64 identity of the row of fields it lies in
    edge_m : distance to its edge [m]
    idle : bool, corners that a pivot does not reach, banks of terraces
    row : direction of its rows [rad]; across it on the headlands
    """

    name: Tensor
    strip: Tensor
    edge_m: Tensor
    idle: Tensor
    row: Tensor


def cut_parcels(
    systems: Sequence[FieldSystem],
    climates: Sequence[Climate],
    terrain: Terrain,
    blocks: Blocks,
    cells: Places,
    keys: Sequence[SceneKey],
    paddy: Tensor,
) -> Parcels:
    """Cut the farmed cells into parcels: strips along the block, fields along the strip; sizes are heavy-tailed.

    Parameters
    ----------
    systems, climates, keys : one a scene
    terrain : the ground
    blocks : (N, H, W) of `lay_blocks`
    cells : the M farmed ones
    paddy : (M,) bool, cut into level basins
    """
    scene, device = cells.scene, paddy.device

    def number(values: Sequence[float]) -> Tensor:
        return per_scene(values, device).to(torch.float32)[scene]

    word = seeds_of([k.at("field").word() for k in keys], device)[scene]
    block, block_edge = cells.of(blocks.identity), cells.of(blocks.edge_m)
    surveyed = number([float(s.surveyed) for s in systems]) > 0
    way = torch.where(surveyed, hashed(word, 3), block)
    sin, cos = turn(way, 2)
    y, x = cells.of(blocks.y_m), cells.of(blocks.x_m)
    along_m, across_m = x * cos + y * sin, y * cos - x * sin

    asked = number([c.field_m for c in climates])
    side = torch.where(paddy, (0.5 * asked).clamp(*PADDY_M), asked)
    short = side * (0.75 + 1.1 * uniform(block, 3))  # larger than asked for, as the ends of blocks cut many fields
    stretch = 1 + (number([s.stretch for s in systems]) - 1) * (0.5 + uniform(block, 4))
    squeeze = torch.sqrt(stretch.clamp(max=4.0))  # long fields are narrow: the area asked for stays
    long, short = short * stretch / squeeze, short / squeeze
    # terraces: strips follow the contour lines
    rise = number([s.terrace_m for s in systems])
    slope = cells.of(terrain.slope)
    terraced = (rise > 0) & (slope > 0.04) & (uniform(block, 5) < 0.7)
    high = cells.of(terrain.elevation_m) / rise.clamp(min=0.1)
    strip, du, _ = partition(torch.where(terraced, high, along_m / long), hashed(block, 5, paddy.long()), 0.6)
    band = hashed(block, strip, paddy.long())
    lot = uniform(band, 7)
    short = short * torch.where(lot < 0.08, 3.5, torch.where(lot < 0.3, 2.0, 1.0))
    field, dv, _ = partition(across_m / short, hashed(band, 6), 0.6)
    end_m = du * torch.where(terraced, rise / slope.clamp(min=0.01), long)
    edge = torch.minimum(torch.minimum(end_m, dv * short), block_edge)
    name = hashed(band, field)
    idle = terraced & (du < 0.12)
    headland = (end_m < HEADLAND_M) & (long > 8 * HEADLAND_M) & ~terraced
    row = heading(way, 2) + torch.where(headland, 0.5 * math.pi, 0.0)
    # pivots: circles in the squares of a survey, some cut into sectors
    square = 2.2 * asked
    p, q = along_m / square, across_m / square
    ring, spoke = torch.floor(p), torch.floor(q)
    py, px = p - ring - 0.5, q - spoke - 0.5
    centre = hashed(word, 9, ring.to(torch.int64), spoke.to(torch.int64))
    pivoted = uniform(centre, 1) < number([s.pivot for s in systems])
    reach = (0.47 - torch.sqrt(py * py + px * px)) * square
    half = (uniform(centre, 2) < 0.35) & (py > 0)
    name = torch.where(pivoted, hashed(centre, half.to(torch.int64)), name)
    edge = torch.where(pivoted, reach.abs(), edge)
    idle = torch.where(pivoted, reach < 0, idle)
    row = torch.where(pivoted, heading(way, 2), row)
    return Parcels(name, band, edge, idle, row)
