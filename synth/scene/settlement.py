"""Settlements: roads that meet, towns where they meet, and streets, lots and roofs within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.climate import Climate
from synth.scene.field import Fields
from synth.scene.fractal import (
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


@dataclass(frozen=True)
class Settlement:
    """Where people live.

    Parameters
    ----------
    inside : (N, H, W) bool, within a town, village or farmstead
    road : (N, H, W) bool, main roads and streets
    main_road : (N, H, W) bool, roads that cross rivers
    roof : (N, H, W) bool
    garden : (N, H, W) 0..1, which of the open covers a yard has
    lot : (N, H, W) int64 identity of the lot
    """

    inside: Tensor
    road: Tensor
    main_road: Tensor
    roof: Tensor
    garden: Tensor
    lot: Tensor


def settle(
    climates: Sequence[Climate],
    terrain: Terrain,
    points: Points,
    fields: Fields,
    keys: Sequence[SceneKey],
    dice: Tensor,
) -> Settlement:
    """Settle N scenes."""
    device = points.y_m.device
    word = words([k.at("settlement").word() for k in keys], device)
    rng = [k.at("settlement", "style").rng().random(6) for k in keys]
    spacing = per_scene([HIGHWAY_M * (0.6 + r[0]) for r in rng], device)
    wide = spacing.to(torch.float32)[:, None, None]
    cell = terrain.cell_m.to(torch.float32)[:, None, None]
    roads = voronoi(warp(points, spacing * 0.7, hashed(word, 1), spacing * 0.06, octaves=3), spacing, hashed(word, 2))

    # a town's radius is heavy-tailed (rank-size rule); the mean area is such that the towns take the share asked for
    share = planes([math.sqrt(c.settlement) for c in climates], device)
    radius = wide * share * 0.21 * (uniform(roads.junction, 1) + 0.05).rsqrt()
    ragged = 1 + 0.25 * fbm(terrain.window, spacing * 0.15, hashed(word, 3), 6, 0.7)
    town = 1 - roads.junction_m / (radius * ragged).clamp(min=1.0)
    farms = planes([0.8 * float(c.settlement > 0) * min(1.0, 2 * c.farmland * c.arable) for c in climates], device)
    yard = torch.where(uniform(fields.junction, 2) < farms, 25.0 + 70.0 * uniform(fields.junction, 3) ** 2, 0.0)
    farm = 1 - fields.junction_m / yard.clamp(min=1.0)
    rank = torch.maximum(town, farm * 0.4)
    inside = (rank > 0) & (terrain.slope < 0.3)

    name = torch.where(town > farm * 0.4, roads.junction, fields.junction)
    sin, cos = turn(name, 5)
    loose = ((cell - 6) / 6).clamp(0.0, 1.0) * cell  # cells wider than a house look anywhere within themselves
    other = uniform(hashed(mix_cells(terrain), 9)) - 0.5
    y = points.y_m.to(torch.float32) + (dice - 0.5) * loose
    x = points.x_m.to(torch.float32) + other * loose
    u, v = x * cos + y * sin, y * cos - x * sin
    block_u, block_v = planes([70 + 90 * r[1] for r in rng], device), planes([55 + 50 * r[2] for r in rng], device)
    i, du, _ = partition(u / block_u, hashed(name, 6), 0.5)
    j, dv, _ = partition(v / block_v, hashed(name, 7), 0.5)
    street = torch.minimum(du * block_u, dv * block_v)
    block = hashed(name, i, j)
    use = uniform(block, 1)
    big = (use > 0.78) & (rank > 0.1)  # halls, works, malls
    lot_u = torch.where(big, 45.0, planes([14 + 14 * r[3] for r in rng], device))
    lot_v = torch.where(big, 60.0, planes([20 + 12 * r[4] for r in rng], device))
    a, da, _ = partition(u / lot_u, hashed(block, 8), 0.4)
    b, db, _ = partition(v / lot_v, hashed(block, 9), 0.4)
    lot = hashed(block, a, b)
    gap = 1.0 + 5.0 * uniform(lot, 2) * (1.1 - rank.clamp(0.0, 1.0))
    walls = torch.minimum(torch.minimum(da * lot_u, db * lot_v), street - 5.0)
    built = uniform(lot, 3) < 0.35 + 0.6 * rank.clamp(0.0, 1.0).sqrt()
    park = (use < 0.05) & (rank < 0.9)
    roof = inside & (walls > gap) & built & ~park

    lanes = planes([3.0 + 3.5 * r[5] for r in rng], device)
    people = planes([float(c.settlement > 0.004 or c.farmland * c.arable > 0.02) for c in climates], device)
    main_road = covered(roads.edge_m, lanes * 1.6 * people, cell, dice) & (terrain.slope < 0.5)
    road = (inside & (street < lanes)) | main_road
    yard_id = torch.where(road, hashed(roads.identity, 11), lot) | (1 << 34)
    garden = torch.where(park, 0.3 * uniform(lot, 4), uniform(lot, 4))
    return Settlement(inside, road, main_road, roof & ~road, garden, yard_id)


def mix_cells(terrain: Terrain) -> Tensor:
    """(N, H, W) a hash for every fine cell of the world, the same in every window that has its cell size."""
    size = terrain.cell_m[:, None]
    y, x = (torch.floor(m / size).to(torch.int64) for m in (terrain.window.y_m, terrain.window.x_m))
    return hashed(hashed(torch.zeros_like(y), y)[:, :, None], x[:, None, :])
