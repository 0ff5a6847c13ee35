"""Shares: by how much each natural class is favoured, so that a scene has as much of it as a recipe asks for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.cover.fire import burn
from terraficta.synth.scene.cover.habitat import find_habitat, suitability
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.cover.water import fill_water
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.chance import hashed, planes, uniform
from terraficta.synth.types.biome import BIOMES, can_grow, carries, chances
from terraficta.synth.types.scene_recipe import CoverRecipe

BARRED = -99.0
"""what keeps a class out of a climate"""
FARTHEST = 8.0
"""a class is favoured by no more than this: forests do not climb far above the treeline"""
SNOW_FARTHEST = 24.0
"""the same for snow, whose line is sharp: it comes down by 6 K at most, and not into the tropics"""
MOST = 0.95
"""no scene has more of a class than this"""
ROUNDS = 3
"""the shares of several classes hang on each other: each is set anew so often"""


def favour_classes(
    recipe: CoverRecipe, plans: Sequence[CoverPlan], terrain: Terrain, seed: Tensor
) -> dict[str, Tensor]:
    """What to add to the suitability of each class: (N, 1, 1) by name; classes not named are left alone.

    A class is barred from climates where it does not occur. Where the recipe asks for a share, it is met on the look
    from afar (`terrain.far`), never in the window, so that windows agree; climates that have the class make up for
    those that have not.

    Error
    -----
    the look sees neither fields nor towns, and no slopes finer than itself: the shares of a corpus come out within a
    quarter of what is asked, less for classes that few places allow.
    """
    device, climates = seed.device, [p.climate for p in plans]
    barred = {
        name: planes([0.0 if can_grow(name, c.kind) else BARRED for c in climates], device)
        for name in dict.fromkeys(n for biome in BIOMES.values() for n in biome.grows)
    }
    if not any(recipe.shares.values()) or terrain.far is None:
        nothing = {name: planes([BARRED] * len(plans), device) for name, share in recipe.shares.items() if share == 0}
        return barred | nothing
    far = terrain.far
    u01 = uniform(hashed(seed[:, None, None], far.window.cells()))
    water = fill_water(plans, far, u01)
    habitat = find_habitat(climates, far, seed)
    fire = burn(far, [p.burnt for p in plans], seed, "burnt" in recipe.shares)
    scores = {name: score.expand(far.slope.shape).flatten(1).clone()
              for name, score in suitability(climates, far, habitat, water, fire)}  # fmt: skip
    for name, plane in barred.items():
        scores[name] += plane[:, 0]
    dry = ~water.open_water.flatten(1)
    favour = dict.fromkeys(recipe.shares, torch.zeros(len(plans), 1, device=device))
    wanted = {name: _wanted(recipe, name, share, climates, device) for name, share in recipe.shares.items()}
    for _ in range(ROUNDS):
        for name, share in wanted.items():
            rivals = [score + favour.get(other, 0.0) for other, score in scores.items() if other != name]
            behind = torch.stack(rivals).amax(0) - scores[name]
            farthest = SNOW_FARTHEST if name == "snow" else FARTHEST
            favour[name] = _quantile(torch.where(dry, behind, 1e9), share * dry.sum(1)).clamp(BARRED, farthest)
    return barred | {name: barred.get(name, 0.0) + value[:, :, None] for name, value in favour.items()}


def _wanted(recipe: CoverRecipe, name: str, share: float, climates: Sequence[Climate], device: torch.device) -> Tensor:
    """(N,) share of each scene: more where the climate allows it, as others cannot have it; 0 in those."""
    rates = dict(zip(recipe.climates, chances(recipe.climates, recipe.warmth, recipe.moisture), strict=True))
    able = carries(name, [climate for climate, rate in rates.items() if rate > 0])
    part = sum(rates[climate] for climate in able)
    return torch.tensor([min(share / part, MOST) if c.kind in able else 0.0 for c in climates], device=device)


def _quantile(values: Tensor, count: Tensor) -> Tensor:
    """(N, 1) what exceeds the `count` (N,) least values of each row (N, P), and no more."""
    ranked = values.sort(1).values
    at = count.round().long().clamp(0, values.shape[1] - 1)[:, None]
    return torch.where(at > 0, ranked.gather(1, at), BARRED)
