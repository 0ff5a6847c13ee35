"""Fields: how farmed ground is parcelled, and what stands on each parcel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.climate import Climate
from synth.scene.fractal import Points, hashed, partition, per_scene, planes, turn, uniform, voronoi, warp, words
from synth.spec.key import SceneKey


@dataclass(frozen=True)
class Fields:
    """The parcels of the farmed ground, defined everywhere; the cover decides where there is farming.

    Parameters
    ----------
    parcel : (N, H, W) int64 identity of the parcel
    edge_m : (N, H, W) distance to its edge [m]
    block : (N, H, W) int64 identity of the block of parcels that share a direction and an owner's habits
    block_edge_m : (N, H, W) distance to the block's edge, along which the tracks run [m]
    junction_m, junction : (N, H, W) nearness and identity of the places where blocks meet, where farmsteads stand
    """

    parcel: Tensor
    edge_m: Tensor
    block: Tensor
    block_edge_m: Tensor
    junction_m: Tensor
    junction: Tensor


def lay_fields(climates: Sequence[Climate], points: Points, keys: Sequence[SceneKey]) -> Fields:
    """Lay out parcels: blocks that follow the land, cut into rows of strips with their own direction and size."""
    device = points.y_m.device
    word = words([k.at("field").word() for k in keys], device)
    rng = [k.at("field", "style").rng().random(4) for k in keys]
    side = per_scene([c.field_m for c in climates], device)
    block_m = side * per_scene([3.0 + 3.0 * r[0] for r in rng], device)
    bent = warp(points, block_m * 1.2, hashed(word, 1), block_m * 0.10)
    blocks = voronoi(bent, block_m, hashed(word, 2))

    aligned = planes([float(r[1] < 0.3) for r in rng], device) > 0  # surveyed land: one direction for the whole scene
    own_sin, own_cos = turn(blocks.identity, 1)
    one_sin, one_cos = turn(hashed(word, 3)[:, None, None], 2)
    sin, cos = torch.where(aligned, one_sin, own_sin), torch.where(aligned, one_cos, own_cos)
    y, x = (v.to(torch.float32) for v in (points.y_m, points.x_m))
    scale = side.to(torch.float32)[:, None, None] * (0.6 + 0.8 * uniform(blocks.identity, 3))
    stretch = planes([1.2 + 4.0 * r[2] ** 2 for r in rng], device) * (0.7 + 0.6 * uniform(blocks.identity, 4))
    long_m, short_m = scale * stretch, scale
    u, v = (x * cos + y * sin) / long_m, (y * cos - x * sin) / short_m
    row, across, breadth = partition(u, hashed(blocks.identity, 5))
    number, along, length = partition(v, hashed(blocks.identity, 6, row))
    edge = torch.minimum(torch.minimum(across * long_m, along * short_m), blocks.edge_m)
    parcel = hashed(blocks.identity, row, number) | (1 << 33)
    return Fields(parcel, edge, blocks.identity, blocks.edge_m, blocks.junction_m, blocks.junction)
