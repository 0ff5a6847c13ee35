"""Water: lakes and seas in the low ground, rivers and brooks along the valleys, and what lies beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.climate import Climate
from synth.scene.fractal import covered, fbm, hashed, per_scene, planes, words
from synth.scene.terrain import Terrain
from synth.spec.key import SceneKey


@dataclass(frozen=True)
class Water:
    """Where water stands and flows.

    Parameters
    ----------
    open_water : (N, H, W) bool, lakes, sea and rivers
    river : (N, H, W) bool, the flowing part, which roads may bridge
    above_m : (N, H, W) height above the level of the standing water [m]; negative under it
    shore : (N, H, W) bool, beaches, river bars and the beds of dry rivers
    """

    open_water: Tensor
    river: Tensor
    above_m: Tensor
    shore: Tensor


def fill_water(climates: Sequence[Climate], terrain: Terrain, keys: Sequence[SceneKey], dice: Tensor) -> Water:
    """Fill N scenes with water.

    Parameters
    ----------
    climates, keys : one a scene
    terrain : the ground
    dice : (N, H, W) uniform in [0, 1): what is narrower than a cell covers its share of cells
    """
    device = terrain.slope.device
    word = words([k.at("water").word() for k in keys], device)
    ranked = terrain.reference_m.sort(1).values
    rank = [min(int(0.75 * c.water * ranked.shape[1]), ranked.shape[1] - 1) for c in climates]
    level = torch.stack([ranked[n, r] for n, r in enumerate(rank)])[:, None, None]
    level = torch.where(planes([c.water for c in climates], device) > 0, level, ranked[:, :1, None] - 1e4)
    above = terrain.elevation_m - level
    lake = above < 0

    rng = [k.at("water", "river").rng().random(4) for k in keys]
    wide = [8.0 + 90.0 * r[0] ** 3 * (0.3 + c.moisture) for r, c in zip(rng, climates, strict=True)]
    exists = [float(c.water > 0) for c in climates]
    flows = [float(c.water > 0 and c.moisture > 0.18) for c in climates]
    breadth = fbm(terrain.window, per_scene([400.0] * len(keys), device), hashed(word, 1), 4)
    half = planes([0.5 * w for w in wide], device) * (1 + 0.3 * breadth).clamp(min=0.3)
    cell = terrain.cell_m.to(torch.float32)[:, None, None]
    bed = covered(terrain.channel_m, half * planes(exists, device), cell, dice)
    brooks = [e + 3.0 * r[1] * c.moisture * e for e, r, c in zip(exists, rng, climates, strict=True)]
    brook = covered(terrain.brook_m, planes(brooks, device), cell, dice)
    wet = planes(flows, device) > 0
    river = (bed | brook) & wet
    beach = planes([6.0 * r[2] ** 2 if r[2] > 0.4 else 0.0 for r in rng], device) * (0.5 + breadth).clamp(min=0)
    bar = (terrain.channel_m < half * 1.6) & (breadth > planes([1.0 - r[3] for r in rng], device))
    shore = ((above >= 0) & (above < beach) & (terrain.slope < 0.15)) | (bar & (planes(exists, device) > 0))
    shore = shore | (bed & ~wet)
    open_water = lake | river
    return Water(open_water, river & ~lake, above, shore & ~open_water)
