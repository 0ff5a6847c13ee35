"""Fields: which ground is farmed, how it is parcelled, and what stands on each parcel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from synth.scene.climate import Climate
from synth.scene.crop import draw_crops, rotate
from synth.scene.fractal import (
    Cells,
    Places,
    Points,
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
from synth.scene.habitat import Habitat
from synth.scene.terrain import Terrain
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA


@dataclass(frozen=True)
class Fields:
    """The parcels of the farmed ground; elsewhere parcel is 0.

    Parameters
    ----------
    parcel : (N, H, W) int64 identity of the parcel
    edge_m : (N, H, W) distance to its edge [m]; 1e6 where nothing is farmed
    idle : (N, H, W) bool, corners that a pivot does not reach, banks of terraces
    row_rad : (N, H, W) direction of the rows [rad], as in `synth/scene/crop.py`
    """

    parcel: Tensor
    edge_m: Tensor
    idle: Tensor
    row_rad: Tensor


@dataclass(frozen=True)
class FieldSystem:
    """How the land of one scene is parcelled.

    Parameters
    ----------
    block : how many fields wide a block is
    surveyed : one direction for the whole scene
    stretch : length of a typical field over its width; long strips where it is large
    pivot : share of the blocks watered by centre pivots
    terrace_m : rise from terrace to terrace on sloping blocks [m]; 0: no terraces
    """

    block: float
    surveyed: bool
    stretch: float
    pivot: float
    terrace_m: float


def draw_field_system(climate: Climate, key: SceneKey) -> FieldSystem:
    """Draw one scene's way of farming: pivots where dry, terraces where warm and wet, strips anywhere."""
    rng = key.at("field", "system").rng()
    block, survey, stretch, pivot, terrace, rise = rng.random(6)
    dry = climate.moisture < 0.45 and climate.field_m > 120 and pivot < 0.6
    steep = climate.moisture > 0.5 and climate.warmth > 0.5 and terrace < 0.5
    return FieldSystem(
        block=2.5 + 3.5 * block,
        surveyed=bool(survey < 0.3) or dry,
        stretch=1.2 + 7.0 * stretch**3,
        pivot=0.3 + 0.6 * pivot if dry else 0.0,
        terrace_m=1.5 + 2.5 * rise if steep else 0.0,
    )


def lay_blocks(climates: Sequence[Climate], points: Points, keys: Sequence[SceneKey]) -> Cells:
    """Blocks of fields that share a direction and an owner's habits; farmsteads stand where they meet."""
    device = points.y_m.device
    word = words([k.at("field").word() for k in keys], device)
    systems = [draw_field_system(c, k) for c, k in zip(climates, keys, strict=True)]
    block_m = per_scene([c.field_m * s.block for c, s in zip(climates, systems, strict=True)], device)
    bent = warp(points, block_m * 1.2, hashed(word, 1), block_m * 0.10)
    return voronoi(bent, block_m, hashed(word, 2))


def cut_parcels(
    climates: Sequence[Climate], terrain: Terrain, blocks: Cells, farmed: Tensor, keys: Sequence[SceneKey]
) -> Fields:
    """Cut the farmed cells (N, H, W) of every block into parcels."""
    device = farmed.device
    cells = Places.where(farmed)
    scene = cells.scene
    systems = [draw_field_system(c, k) for c, k in zip(climates, keys, strict=True)]

    def number(values: Sequence[float]) -> Tensor:
        return per_scene(values, device).to(torch.float32)[scene]

    word = words([k.at("field").word() for k in keys], device)[scene]
    block, block_edge = cells.of(blocks.identity), cells.of(blocks.edge_m)
    y = cells.of(terrain.window.y_m.to(torch.float32)[:, :, None])
    x = cells.of(terrain.window.x_m.to(torch.float32)[:, None, :])
    surveyed = number([float(s.surveyed) for s in systems]) > 0
    own, one = turn(block, 1), turn(hashed(word, 3), 2)
    sin, cos = (torch.where(surveyed, b, a) for a, b in zip(own, one, strict=True))
    along_m, across_m = x * cos + y * sin, y * cos - x * sin

    side = number([c.field_m for c in climates])
    short = side * (0.6 + 0.8 * uniform(block, 3))
    long = short * number([s.stretch for s in systems]) * (0.7 + 0.6 * uniform(block, 4))
    short = short / torch.where(long > 3 * short, 2.0, 1.0)
    # terraces: rows follow the contour lines instead of a direction
    rise = number([s.terrace_m for s in systems])
    slope = cells.of(terrain.slope)
    terraced = (rise > 0) & (slope > 0.04) & (uniform(block, 5) < 0.7)
    high = cells.of(terrain.elevation_m) / rise.clamp(min=0.1)
    u, v = torch.where(terraced, high, along_m / long), across_m / short
    row, du, _ = partition(u, hashed(block, 5), 0.6)
    column, dv, _ = partition(v, hashed(block, 6, row), 0.6)
    du = du * torch.where(terraced, rise / slope.clamp(min=0.01), long)
    edge = torch.minimum(torch.minimum(du, dv * short), block_edge)
    parcel = hashed(block, row, column)
    idle = terraced & (du < 1.0)
    # pivots: circles in the squares of a survey, some cut into sectors
    square = 2.2 * side
    p, q = along_m / square, across_m / square
    ring, spoke = torch.floor(p), torch.floor(q)
    py, px = p - ring - 0.5, q - spoke - 0.5
    name = hashed(word, 9, ring.to(torch.int64), spoke.to(torch.int64))
    pivoted = uniform(name, 1) < number([s.pivot for s in systems])
    reach = (0.47 - torch.sqrt(py * py + px * px)) * square
    half = (uniform(name, 2) < 0.35) & (py > 0)
    parcel = torch.where(pivoted, hashed(name, half.to(torch.int64)), parcel)
    edge = torch.where(pivoted, reach.abs(), edge)
    idle = torch.where(pivoted, reach < 0, idle)
    # rows run along the field, along the contour on terraces, round the middle of a pivot
    row = torch.atan2(sin, cos)
    contour = torch.atan2(cells.of(terrain.rise_x), -cells.of(terrain.rise_y))
    row = torch.where(terraced, contour, row)
    row = torch.where(pivoted, row + torch.atan2(px, py) + 0.5 * math.pi, row)
    plane = cells.onto(row, 0.0)
    return Fields(cells.onto(parcel | (1 << 33), 0), cells.onto(edge, 1e6), cells.onto(idle, False), plane)


def choose_farmed(climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, blocks: Cells) -> Tensor:
    """(N, H, W) bool: flat, warm, drained ground, farmed in whole blocks where people chose to."""
    device = terrain.slope.device
    quantile = [NormalDist().inv_cdf(min(max(c.farmland * c.arable**0.15, 1e-6), 1 - 1e-6)) for c in climates]
    will = 0.45 * habitat.region + 0.35 * habitat.patch + 2.2 * (uniform(blocks.identity, 14) - 0.5)
    will = will / math.sqrt(0.45**2 + 0.35**2 + 2.2**2 / 12)
    steep = ((terrain.slope - 0.10) * 10).clamp(min=0) + ((9.0 - habitat.summer_c) * 0.8).clamp(min=0)
    return will + steep < planes(quantile, device)


def choose_crops(climates: Sequence[Climate], blocks: Cells, fields: Fields, keys: Sequence[SceneKey]) -> Tensor:
    """(N, H, W) class of each parcel: shares differ by climate, season, scene and block."""
    device = fields.parcel.device
    shares = []
    for climate, key in zip(climates, keys, strict=True):
        rng = key.at("field", "crops").rng()
        pasture = 0.9 * max(0.0, min(1.0, climate.moisture * 1.2 - climate.warmth * 0.5 + 0.1)) * rng.random()
        orchard = 0.9 * max(0.0, climate.warmth - 0.3) * rng.random() ** 2
        fallow = (0.1 + 0.5 * climate.winter) * rng.random() + 0.15 * (climate.moisture < 0.35)
        crop = 0.35 + rng.random()
        total = pasture + orchard + fallow + crop
        shares.append([pasture / total, (pasture + orchard) / total, (pasture + orchard + fallow) / total])
    habit = uniform(blocks.identity, 11)
    pick = uniform(fields.parcel, 12)
    pick = torch.where(uniform(fields.parcel, 13) < 0.3, habit, pick)
    first, second, third = (planes([s[k] for s in shares], device) for k in range(3))
    at = TERRAFICTA.index
    kind = torch.where(pick < third, at("fallow"), at("cropland"))
    kind = torch.where(pick < second, at("orchard"), kind)
    return torch.where(pick < first, at("pasture"), kind).to(torch.uint8)


def sow(
    climates: Sequence[Climate], keys: Sequence[SceneKey], cover: Tensor, parcel: Tensor, years: Sequence[int]
) -> Tensor:
    """(N, H, W) uint8: 1 + place in the scene's list of the crop that each sown parcel carries in a year; 0 elsewhere.

    Parameters
    ----------
    climates, keys, years : one a scene; years since the first
    cover : (N, H, W) uint8 class
    parcel : (N, H, W) int64 identity
    """
    at = TERRAFICTA.index
    paddy = cover == at("paddy")
    cells = Places.where(paddy | (cover == at("cropland")))
    lists = [draw_crops(c, k) for c, k in zip(climates, keys, strict=True)]
    return cells.onto(rotate(lists, cells.scene, cells.of(parcel), cells.of(paddy), years), 0)
