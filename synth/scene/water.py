"""Water: standing in the low ground and behind dams, flowing in the channels, and what lies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.climate import Climate
from synth.scene.drainage import first_below
from synth.scene.fractal import covered, fbm, hashed, per_scene, planes, uniform, words
from synth.scene.ground import FAR_M
from synth.scene.river_system import CHANNEL_KM2
from synth.scene.terrain import Terrain
from synth.spec.key import SceneKey

RUNNING_WIDTH_M = 0.8
"""channels narrower than this carry no water that could be seen [m]"""


@dataclass(frozen=True)
class Water:
    """Where water stands and flows.

    Parameters
    ----------
    open_water : (N, H, W) bool, lakes, sea and rivers
    river : (N, H, W) bool, the flowing part, which roads may bridge
    above_m : (N, H, W) height above the nearest water level [m]
    shore : (N, H, W) bool, beaches, river bars and the beds of dry rivers
    surface_m : (N, H, W) height of the ground, or of the water that stands on it [m]
    sea : (N, H, W) bool, the part of the open water that is salt
    tidal : (N, H, W) bool, mud between the tides
    """

    open_water: Tensor
    river: Tensor
    above_m: Tensor
    shore: Tensor
    surface_m: Tensor
    sea: Tensor
    tidal: Tensor


def _dam(climates: Sequence[Climate], terrain: Terrain, word: Tensor) -> Tensor:
    """(N, H, W) level of the lake that the ground would drown in; -1e9 where no dam or moraine lies downstream."""
    device, drainage = word.device, terrain.drainage
    n, nodes = drainage.elevation_m.shape[:2]
    own = torch.arange(nodes * nodes, device=device)
    dice = uniform(hashed(word[:, None], drainage.place, 7), 1)
    height = 2.0 + 25.0 * uniform(hashed(word[:, None], drainage.place, 8), 1) ** 3
    area = drainage.area_km2.flatten(1)
    rate = per_scene([0.03 * c.water for c in climates], device).to(torch.float32)[:, None]
    dam = (area > 4 * CHANNEL_KM2) & (area < 400 * CHANNEL_KM2) & (dice < rate) & ~drainage.valley
    below = first_below(torch.where(drainage.valley, own, drainage.receiver), dam)
    crest = (drainage.elevation_m.flatten(1) + height).gather(1, below.clamp(min=0))
    return torch.where(below >= 0, crest, -1e9).gather(1, terrain.node.flatten(1)).reshape(terrain.slope.shape)


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
    rank = [min(int(0.65 * c.water * ranked.shape[1]), ranked.shape[1] - 1) for c in climates]
    level = torch.stack([ranked[n, r] for n, r in enumerate(rank)])[:, None, None]
    any_water = planes([float(c.water > 0) for c in climates], device) > 0
    level = torch.where(any_water, level, -1e9)
    level = torch.maximum(level, torch.where(any_water, _dam(climates, terrain, word), -1e9))
    above = terrain.elevation_m - level
    lake = above < 0

    rng = [k.at("water", "river").rng().random(3) for k in keys]
    breadth = fbm(terrain.window, per_scene([400.0] * len(keys), device), hashed(word, 1), 4)
    runoff = planes([1.2 * c.moisture**0.5 for c in climates], device)
    width = terrain.river_width_m * runoff * (1 + 0.2 * breadth).clamp(min=0.3)
    cell = terrain.cell_m.to(torch.float32)[:, None, None]
    middle = terrain.river_m + 0.5 * terrain.river_width_m
    channel = (terrain.river_m < FAR_M) & any_water
    half = torch.where(channel & (width > RUNNING_WIDTH_M), 0.5 * width, 0.0)
    bed = covered(middle, half, cell, dice)
    wet = planes([float(c.moisture > 0.2) for c in climates], device) > 0
    river = bed & wet
    tall = [min(4.0, 0.02 * f["relief_m"]) * (r[0] > 0.5) * r[2] for r, f in zip(rng, terrain.facts, strict=True)]
    beach = planes(tall, device) * (0.5 + breadth).clamp(min=0)
    sandy = breadth > planes([1.2 - 1.2 * r[1] for r in rng], device)
    bar = channel & sandy & (middle < 0.5 * width + 0.3 * terrain.river_width_m)
    shore = ((above >= 0) & (above < beach) & (terrain.slope < 0.15)) | bar | (bed & ~wet)
    open_water = lake | river
    over_river = torch.where(channel & wet, (terrain.elevation_m - terrain.river_level_m).clamp(min=0.0), 1e9)
    surface = torch.where(lake, level, terrain.elevation_m)
    none = torch.zeros_like(open_water)
    above = torch.minimum(above, over_river)
    return Water(open_water, river & ~lake, above, shore & ~open_water, surface, sea=none, tidal=none)
