"""Coasts: where the land meets a sea at height 0. Cliffs where it is steep; tidal flats, beaches and bars where not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.drainage import Drainage
from terraficta.synth.scene.terrain.landform import Landform
from terraficta.synth.scene.terrain.relief import RaisedGround
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, planes
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.scatter import turned
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey

SHORE_M = 1.2
"""waves and tides flatten what lies so near to the level of the sea [m], chosen"""
BAR_M = (-1.6, 0.9, 3.0)
"""bars: water depth that they form in, half of the depths that they span, and their height [m], chosen"""
NEAR = 0.5
"""the shore crosses the land within so many landforms of the world's origin"""
QUIET_M = 150.0
"""no cliff and no bar so near to a river [m]: it keeps its mouth open"""


@dataclass(frozen=True)
class Coast:
    """One scene's coast.

    Parameters
    ----------
    sea : float
        share of the land around the world's origin that lies below the sea, where there is one
    cliff_m : float
        height of the cliffs where mountains reach the sea [m]
    tide_m : float
        from low to high tide [m]; 0.3 in inland seas, 2 in the open, 8 in funnels
    bars : float
        0 none .. 1 along most of the flat coast
    offshore_rad : float
        direction of the sea, from south over east [rad]
    """

    sea: float
    cliff_m: float
    tide_m: float
    bars: float
    offshore_rad: float


def draw_coast(key: SceneKey) -> Coast:
    """Draw the coast of one scene.

    Source
    ------
    half of the world's coasts have tides of less than 2 m: J. Davies 1980, Geographical Variation in Coastal
    Development.
    """
    sea, cliff, tide, bars = (float(v) for v in key.at("terrain", "coast").rng().random(4))
    offshore_rad = 2 * math.pi * key.at("terrain", "offshore").rng().random()
    return Coast(0.1 + 0.5 * sea, 6.0 * 10.0**cliff, 0.3 * 25.0**tide, bars, offshore_rad)


def tilt_to_sea(
    at: Window, forms: Sequence[Landform], coasts: Sequence[Coast], seed: Tensor, ground: RaisedGround
) -> RaisedGround:
    """Let the ground of coastal scenes sink on one side, from a bent line on; all others keep their bits.

    Rivers sink with it: they run to the sea, whichever way they ran. `seed` (N,), `TerrainSeeds.shore`.
    """
    rows = _coastal(forms)
    if not rows:
        return ground
    device, some, sides = ground.elevation_m.device, [forms[n] for n in rows], [coasts[n] for n in rows]
    here = Window(at.y_m[rows], at.x_m[rows], at.cell_m[rows])
    reach = per_scene([NEAR * f.landform_m for f in some], device)
    metres = reach.to(torch.float32)[:, None, None]
    sine, cosine = (per_scene([part(c.offshore_rad) for c in sides], device) for part in (math.sin, math.cos))
    along = turned(here, sine, cosine).y_m.to(torch.float32) / metres
    line = planes([1.0 - 2.0 * c.sea for c in sides], device)
    off = (along - line + 0.2 * fbm(here, reach, hashed(seed[rows], salt.Shore.LINE), 5, 0.8)).clamp(min=0.0)
    sunk = planes([0.8 * f.relief_m for f in some], device) * off * off / (off * off + 0.06)
    elevation, levels = ground.elevation_m.clone(), ground.river_level_m.clone()
    elevation[rows] -= sunk
    levels[rows] -= sunk
    return replace(ground, elevation_m=elevation, river_level_m=levels)


def sea_level(forms: Sequence[Landform], coasts: Sequence[Coast], far: RaisedGround) -> Tensor:
    """(N,) height at which the sea covers its share of the look from afar [m]; 0 for scenes without a coast."""
    ranked = far.elevation_m.flatten(1).sort(1).values
    levels = torch.zeros_like(ranked[:, 0])
    for n, (form, coast) in enumerate(zip(forms, coasts, strict=True)):
        if form.style == "coast":
            levels[n] = ranked[n, int(coast.sea * ranked.shape[1])]
    return levels


def worn(height_m: Tensor) -> Tensor:
    """Height above the sea once it is flattened near the sea's level: keeps who stands above whom."""
    size = height_m.abs()
    return height_m * size / (size + SHORE_M)


def lower_rivers(forms: Sequence[Landform], drainage: Drainage, level: Tensor) -> Drainage:
    """Measure the rivers of coastal scenes from the sea, as their ground is; all others keep their bits."""
    rows = _coastal(forms)
    if not rows:
        return drainage
    elevation = drainage.elevation_m.clone()
    elevation[rows] = worn(elevation[rows] - level[rows, None, None])
    return replace(drainage, elevation_m=elevation)


def shape_coast(
    at: Window, forms: Sequence[Landform], coasts: Sequence[Coast], seed: Tensor, ground: RaisedGround, level: Tensor
) -> RaisedGround:
    """Shape the ground of coastal scenes by the sea, and measure their heights from it; all others keep their bits.

    `seed` (N,), `TerrainSeeds.coast`; `level` (N,) of the sea [m].
    """
    rows = _coastal(forms)
    if not rows:
        return ground
    device, seed, sides = level.device, seed[rows], [coasts[n] for n in rows]
    here = Window(at.y_m[rows], at.x_m[rows], at.cell_m[rows])
    river = worn(ground.river_level_m[rows] - level[rows, None, None])
    raw = ground.elevation_m[rows] - level[rows, None, None]
    wild = (ground.river_m[rows] / QUIET_M).clamp(max=1.0)
    stretch = fbm(here, per_scene([3000.0] * len(rows), device), hashed(seed, salt.Coast.CLIFFS), 3)
    steep = (2.5 * ground.uplift[rows] - 0.7 + 0.5 * stretch).clamp(0.0, 1.0) * wild
    cliff = steep * planes([min(c.cliff_m, 0.15 * forms[n].relief_m) for n, c in zip(rows, sides, strict=True)], device)
    height = worn(raw) + cliff * raw / (raw.abs() + cliff / 6.0 + 0.1) * torch.where(raw > 0, 1.0, 0.3)

    depth, span, tall = BAR_M
    ridge = (1 - ((height - depth) / span) ** 2).clamp(min=0.0)
    along = fbm(here, per_scene([1800.0] * len(rows), device), hashed(seed, salt.Coast.BARS), 3)
    enough = (along + planes([3.0 * c.bars - 1.8 for c in sides], device)).clamp(0.0, 1.0)
    height = height + tall * ridge * enough * (1 - 2 * steep).clamp(min=0.0) * wild
    elevation, levels = ground.elevation_m.clone(), ground.river_level_m.clone()
    elevation[rows], levels[rows] = torch.where(ground.river_m[rows] <= 0, river, height), river
    return replace(ground, elevation_m=elevation, river_level_m=levels)


def _coastal(forms: Sequence[Landform]) -> list[int]:
    return [n for n, form in enumerate(forms) if form.style == "coast"]
