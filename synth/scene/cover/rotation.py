"""Rotation: which crop each sown parcel carries, year after year."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from terraficta.synth.scene.world.chance import hashed, uniform
from terraficta.synth.types.crop import LEY_YEARS, Crop


def rotate(
    lists: Sequence[Sequence[Crop]], scene: Tensor, parcel: Tensor, paddy: Tensor, years: Sequence[int]
) -> Tensor:
    """Number of the crop (M,) uint8, 1 + place in the scene's list, that sown parcels carry; 0 where the list has none.

    Annual crops follow each other by lot; perennials stay for `LEY_YEARS`, begun in another year on every parcel.

    Parameters
    ----------
    lists : of `draw_crops`, one a scene
    scene, parcel : (M,) int64 which scene, and identity of the parcel
    paddy : (M,) bool, it carries rice
    years : since the first, one a scene
    """
    device = parcel.device
    year = torch.tensor(list(years), device=device)[scene]
    lasting = torch.tensor([sum(c.share for c in crops if c.perennial) for crops in lists], device=device)[scene]
    begun = torch.div(hashed(parcel, 51) % LEY_YEARS + year, LEY_YEARS, rounding_mode="floor")
    stays = uniform(hashed(parcel, begun), 52) < lasting
    group = torch.where(paddy, 2, torch.where(stays, 0, 1))
    edges = torch.tensor([_edges(crops, max(map(len, lists))) for crops in lists], device=device)[scene, group]
    pick = uniform(hashed(parcel, torch.where(stays, begun, year)), 53)
    passed = (pick[:, None] >= edges).sum(1)
    return torch.where(edges[:, -1] > 0, passed + 1, 0).to(torch.uint8)


def _edges(crops: Sequence[Crop], slots: int) -> list[list[float]]:
    """[perennials, annuals, paddy rice][slots] where the part of each crop ends in 0 .. 1; past 1 after the last."""
    rows = []
    for cover, perennial in (("cropland", True), ("cropland", False), ("paddy", False)):
        parts = [c.share if (c.cover, c.perennial) == (cover, perennial) else 0.0 for c in crops]
        parts += [0.0] * (slots - len(parts))
        total = sum(parts)
        last = max((n for n, part in enumerate(parts) if part > 0), default=slots)
        rows.append([2.0 if n >= last else sum(parts[: n + 1]) / max(total, 1e-9) for n in range(slots)])
    return rows
