"""Quarries and open-cast mines: pits with benches, a lake at the bottom, heaps around."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.climate import Climate
from synth.scene.fractal import hashed, planes, uniform, words
from synth.scene.habitat import Habitat
from synth.scene.terrain import Terrain
from synth.spec.key import SceneKey

SITES_M = (1200.0, 7000.0)
"""distance between possible quarries, and between possible mines [m]"""
WIDEST = 0.25
"""largest radius of a pit, as a share of that distance: with its heaps it stays within its own square"""
HEAP = 0.2
"""width of the heaps around a pit, as a share of its radius"""


@dataclass(frozen=True)
class Quarries:
    """Dug ground, all (N, H, W).

    Parameters
    ----------
    pit : bool, dug
    lake : bool, the part of the pit under water
    heap : bool, what was dug lies here
    bench : int64 identity of the step of a pit, or of the heap; 0 elsewhere
    """

    pit: Tensor
    lake: Tensor
    heap: Tensor
    bench: Tensor


def dig(
    climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, free: Tensor, keys: Sequence[SceneKey]
) -> Quarries:
    """Dig N scenes: `Climate.quarry` of the ground, half in small quarries and half in mines; more of it widens pits.

    Parameters
    ----------
    climates, keys : one a scene
    terrain, habitat : the ground; it is not lowered
    free : (N, H, W) bool, where one can dig

    Error: a pit lake is as sloping as the ground; the share asked for is met up to about 0.1.
    """
    device = free.device
    word = words([k.at("quarry").word() for k in keys], device)
    # a share of the squares is worked, with areas spread evenly up to the largest: their mean is half of that
    active = [min(1.0, c.quarry * 2 / (math.pi * WIDEST * WIDEST)) for c in climates]
    chance = planes(active, device)
    moist = planes([float(c.moisture > 0.3) for c in climates], device) > 0
    bench = torch.zeros_like(terrain.node)
    deepest, lake = torch.full_like(terrain.slope, -1.0), torch.zeros_like(free)
    if not any(active):
        return Quarries(lake, lake, lake, bench)
    ragged = 1 + 0.12 * habitat.stand.clamp(-2.0, 2.0)
    for tier, spacing_m in enumerate(SITES_M):
        seed = hashed(word, tier)
        y, fy = _square(terrain.window.y_m, spacing_m, seed, 1)
        x, fx = _square(terrain.window.x_m, spacing_m, seed, 2)
        name = hashed(hashed(seed[:, None], y)[:, :, None], x[:, None, :])
        dy = fy[:, :, None] - (0.38 + 0.24 * uniform(name, 1))
        dx = fx[:, None, :] - (0.38 + 0.24 * uniform(name, 2))
        worked = (1 - uniform(name, 3) / (0.5 * chance).clamp(min=1e-9)).clamp(min=0.0)
        radius = WIDEST * torch.sqrt(worked) * ragged
        inner = 1 - torch.sqrt(dy * dy + dx * dx) / radius.clamp(min=1e-6)  # 1 in the middle, 0 at the rim
        steps = 3.0 + 4.0 * uniform(name, 4)
        step = hashed(name, torch.floor(inner.clamp(min=-1.0) * steps).to(torch.int64)) | (1 << 37)
        bench = torch.where(inner > deepest, step, bench)
        lake |= (inner > 0.62) & (uniform(name, 5) < 0.5) & moist
        deepest = torch.maximum(deepest, inner)
    pit, heap = (deepest > 0) & free, (deepest <= 0) & (deepest > -HEAP) & free
    return Quarries(pit & ~lake, pit & lake, heap, torch.where(pit | heap, bench, 0))


def _square(m: Tensor, spacing_m: float, seed: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Number (N, H) of the square along an axis, and the way into it (float32, 0..1)."""
    along = m / spacing_m + uniform(seed, side).to(torch.float64)[:, None]
    number = torch.floor(along)
    return number.to(torch.int64), (along - number).to(torch.float32)
