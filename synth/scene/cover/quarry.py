"""Quarries and open-cast mines: pits with benches, a lake at the bottom, heaps around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.habitat import Habitat
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, seeds_of, turn, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.places import Places

SITES_M = (1200.0, 7000.0)
"""distance between possible quarries, and between possible mines [m]"""
WIDEST = 0.2
"""largest radius of a pit, as a share of that distance: with its heaps it stays within its own square"""
BLUNT = 2.59
"""area of a pit over the square of its radius: a square with its corners cut"""
HEAP = 0.2
"""width of the heaps around a pit, as a share of its radius"""


@dataclass(frozen=True)
class Quarries:
    """Dug ground, all (N, H, W).

    Parameters
    ----------
    pit : Tensor
        bool, dug
    lake : Tensor
        bool, the part of the pit under water
    heap : Tensor
        bool, what was dug lies here
    bench : Tensor
        int64 identity of the step of a pit, or of the heap; 0 elsewhere
    """

    pit: Tensor
    lake: Tensor
    heap: Tensor
    bench: Tensor


def dig(plans: Sequence[CoverPlan], terrain: Terrain, habitat: Habitat, free: Tensor) -> Quarries:
    """Dig N scenes: `Climate.quarry` of the ground, half in small quarries and half in mines; more of it widens pits.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene
    terrain : Terrain
        the ground; it is not lowered
    habitat : Habitat
        the ground; it is not lowered
    free : Tensor
        (N, H, W) bool, where one can dig

    Error
    -----
    a pit lake is as sloping as the ground; the share asked for is met up to about 0.1.
    """
    device = free.device
    seed = seeds_of([p.seeds.quarry for p in plans], device)
    # a share of the squares is worked, with areas spread evenly up to the largest: their mean is half of that
    rate = [min(1.0, p.climate.quarry / (BLUNT * WIDEST * WIDEST)) for p in plans]
    chance = per_scene(rate, device).to(torch.float32)
    cells = Places.where(free & _worked(terrain, seed, chance))
    axes = ((terrain.window.y_m, salt.Squares.Y), (terrain.window.x_m, salt.Squares.X))
    bench = torch.zeros_like(cells.at)
    deepest, lake = torch.full_like(bench, -1.0, dtype=torch.float32), torch.zeros_like(bench, dtype=torch.bool)
    heaped = lake.clone()
    ragged, moist = 1 + 0.1 * cells.of(habitat.stand).clamp(-2.0, 2.0), cells.of(habitat.moisture) > 0.3
    for tier, spacing_m in enumerate(SITES_M):
        tier_seed = hashed(seed, tier)
        (y, fy), (x, fx) = (_axis(m, spacing_m, tier_seed, side) for m, side in axes)
        identity = hashed(hashed(cells.each(tier_seed), cells.of(y[:, :, None])), cells.of(x[:, None, :]))
        dy = cells.of(fy[:, :, None]) - (0.38 + 0.24 * uniform(identity, salt.Pit.Y))
        dx = cells.of(fx[:, None, :]) - (0.38 + 0.24 * uniform(identity, salt.Pit.X))
        radius = WIDEST * torch.sqrt(_area(identity, cells.each(chance))) * ragged
        # faces are worked straight, the longer way into the ground: a blunt rectangle; its floor lies to one side
        sin, cos = turn(identity, salt.Pit.DIRECTION)
        slender = 0.7 + 0.3 * uniform(identity, salt.Pit.SLENDER)
        p, q = (dx * cos + dy * sin) * slender, (dy * cos - dx * sin) / slender
        across = torch.maximum(torch.maximum(p.abs(), q.abs()) * 1.1, (p.abs() + q.abs()) * 0.82)
        inner = 1 - across / radius.clamp(min=1e-6)  # 1 in the middle, 0 at the rim
        inner = inner * (1 + (uniform(identity, salt.Pit.FLOOR) - 0.5) * (p / radius.clamp(min=1e-6)).clamp(-1.0, 1.0))
        heaped |= (inner > -HEAP) & (q > 0.3 * p)
        steps = 3.0 + 4.0 * uniform(identity, salt.Pit.STEPS)
        step = hashed(identity, torch.floor(inner.clamp(min=-1.0) * steps).to(torch.int64)) | (1 << 37)
        bench = choose(inner > deepest, step, bench)
        lake |= (inner > 0.62) & (uniform(identity, salt.Pit.LAKE) < 0.5) & moist
        deepest = torch.maximum(deepest, inner)
    pit, heap = deepest > 0, (deepest <= 0) & heaped
    return Quarries(
        pit=cells.onto(pit & ~lake, False),
        lake=cells.onto(pit & lake, False),
        heap=cells.onto(heap, False),
        bench=cells.onto(choose(pit | heap, bench, 0), 0),
    )


def _axis(m: Tensor, spacing_m: float, seed: Tensor, side: salt.Squares) -> tuple[Tensor, Tensor]:
    """Number (N, H) of the square along an axis, and the way into it (float32, 0..1)."""
    along = m / spacing_m + uniform(seed, side).to(torch.float64)[:, None]
    number = torch.floor(along)
    return number.to(torch.int64), (along - number).to(torch.float32)


def _area(identity: Tensor, chance: Tensor) -> Tensor:
    """Area of a pit over the largest; 0: no pit. A share `chance` of the squares has one; more widens all."""
    return (1 - uniform(identity, salt.Pit.AREA) / chance.clamp(min=1e-9)).clamp(min=0.0)


def _worked(terrain: Terrain, seed: Tensor, chance: Tensor) -> Tensor:
    """(N, H, W) bool: squares in which there is a pit."""
    axes = ((terrain.window.y_m, salt.Squares.Y), (terrain.window.x_m, salt.Squares.X))
    any_pit = torch.zeros_like(terrain.slope, dtype=torch.bool)
    for tier, spacing_m in enumerate(SITES_M):
        tier_seed = hashed(seed, tier)
        (y, _), (x, _) = (_axis(m, spacing_m, tier_seed, side) for m, side in axes)
        y, x = y - y[:, :1], x - x[:, :1]
        rows, columns = (torch.arange(int(v.max()) + 1, device=seed.device) for v in (y, x))
        first_y, first_x = (_axis(m[:, :1], spacing_m, tier_seed, side)[0] for m, side in axes)
        identity = hashed(hashed(tier_seed[:, None], first_y + rows)[:, :, None], (first_x + columns)[:, None, :])
        worked = _area(identity, chance[:, None, None]) > 0
        if bool(worked.any()):
            tall = worked.gather(1, y[:, :, None].expand(-1, -1, worked.shape[2]))
            any_pit |= tall.gather(2, x[:, None, :].expand(-1, y.shape[1], -1))
    return any_pit
