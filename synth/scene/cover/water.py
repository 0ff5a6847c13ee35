"""Water: the sea, lakes in the low ground, in hollows and behind dams, rivers, and what lies beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.terrain.drainage import Drainage, downstream, first_below
from terraficta.synth.scene.terrain.glacier import NO_LEVEL_M, kettle_level
from terraficta.synth.scene.terrain.ground import FAR_M
from terraficta.synth.scene.terrain.landform import SURVEYED
from terraficta.synth.scene.terrain.rivers import CHANNEL_KM2
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, seeds_of, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.places import covered

RUNNING_WIDTH_M = (0.8, 2.6)
"""channels narrower than this carry no water that could be seen [m]: in mountains, and on plains, which are drained"""
DAMS = {SURVEYED: 0.0, "glacial": 0.2, "karst": 0.0, "coast": 0.0}
"""how many dams a valley has, per share of water asked for; moraines in glacial land, and 0.05 elsewhere"""
DRY_BED = 0.2
"""below this moisture rivers run only after rain: their beds are sand"""
HIGH_SEAS = 0.85
"""share of the water asked for on coasts that full seas have; the rest is left to seas that have drawn back"""
MIDDLING = 0.28
"""a window in the middle of the look is seldom its lowest ground: so much more is flooded (measured: 300 windows lie
in the lowest tenth of their look with a chance of 0.07, in the lowest quarter with 0.20)"""
FLAT = 0.06
"""slope up to which mud and sand stay on a shore"""
BEACH_M = 80.0
"""width of the widest beach [m]; on flat shores plants grow down to the water"""


@dataclass(frozen=True)
class Water:
    """Where water stands and flows.

    Parameters
    ----------
    open_water : Tensor
        (N, H, W) bool, lakes, sea and rivers
    river : Tensor
        (N, H, W) bool, the flowing part, which roads may bridge
    above_m : Tensor
        (N, H, W) height above the nearest water level [m]
    shore : Tensor
        (N, H, W) bool, beaches, river bars and the beds of dry rivers
    surface_m : Tensor
        (N, H, W) height of the ground, or of the water that stands on it [m]
    sea : Tensor
        (N, H, W) bool, the part of the open water that is salt
    tidal : Tensor
        (N, H, W) bool, mud between the tides
    """

    open_water: Tensor
    river: Tensor
    above_m: Tensor
    shore: Tensor
    surface_m: Tensor
    sea: Tensor
    tidal: Tensor


def _held(
    plans: Sequence[CoverPlan], terrain: Terrain, seed: Tensor, keep: Tensor, brooks: Sequence[Tensor] | None = None
) -> Tensor:
    """(N, H, W) level of the water that a dam, a moraine or a kettle holds; `NO_LEVEL_M` where nothing does.

    `keep` (N, 1): share of the dams and of the kettles that are there; `brooks`: of `_brooks`, where it is at hand.
    """
    climates = [p.climate for p in plans]
    device, drainage, styles = seed.device, terrain.drainage, [f["style"] for f in terrain.facts]
    top, area = drainage.elevation_m.flatten(1), drainage.area_km2.flatten(1)
    u01 = uniform(hashed(seed[:, None], drainage.place, salt.Pond.DAM), salt.Dam.SHARE)
    tall = per_scene([min(25.0, 0.15 * f["relief_m"]) for f in terrain.facts], device).to(torch.float32)[:, None]
    height = tall * (0.1 + uniform(hashed(seed[:, None], drainage.place, salt.Pond.HEIGHT), salt.Dam.SHARE) ** 2)
    rates = [c.water * DAMS.get(style, 0.05) for c, style in zip(climates, styles, strict=True)]
    rate = per_scene(rates, device).to(torch.float32)[:, None]
    dam = (area > 4 * CHANNEL_KM2) & (area < 400 * CHANNEL_KM2) & (u01 < rate * keep) & ~drainage.valley
    below = first_below(drainage.receiver, dam, _brooks(drainage) if brooks is None else brooks)
    level = choose(below >= 0, (top + height).gather(1, below.clamp(min=0)), NO_LEVEL_M)
    rows = [n for n, style in enumerate(styles) if style == "glacial"]
    if rows:
        kettles = kettle_level(drainage, rows, [terrain.plans[n].glacier for n in rows])
        kept = uniform(drainage.place[rows], salt.Node.KETTLE_KEPT) < keep[rows]
        level[rows] = torch.maximum(level[rows], choose(kept, kettles, NO_LEVEL_M))
    ends = [c.water > 0 and style != "coast" for c, style in zip(climates, styles, strict=True)]
    inland = torch.tensor(ends, device=device)[:, None]  # a great valley ends in a lake, on a coast in the sea
    level = choose(inland, torch.maximum(level, drainage.lake_m), level)
    return level.gather(1, terrain.node.flatten(1)).reshape(terrain.slope.shape)


def _brooks(drainage: Drainage) -> list[Tensor]:
    """The ways down to the lines of the great valleys, as `downstream` has them."""
    own = torch.arange(drainage.receiver.shape[1], device=drainage.receiver.device)
    return downstream(choose(drainage.valley, own, drainage.receiver))


@dataclass(frozen=True)
class _Channel:
    """Channels (N, H, W): breadth of a texture along them, distance to their middle and half of their width [m]."""

    breadth: Tensor
    middle_m: Tensor
    half_m: Tensor


def _channels(plans: Sequence[CoverPlan], terrain: Terrain, seed: Tensor) -> _Channel:
    """How wide the water runs: with the rain, wider and narrower along the way, much wider where the tide comes in."""
    device, climates = seed.device, [p.climate for p in plans]
    breadth = fbm(terrain.window, per_scene([400.0] * len(plans), device), hashed(seed, salt.Water.BREADTH), 4)
    runoff = planes([1.2 * c.moisture**0.5 for c in climates], device)
    width = terrain.river_width_m * runoff * (1 + 0.2 * breadth).clamp(min=0.3)
    high = planes([0.5 * t for t in _tides(terrain)], device)
    width = width * (1 + 3 * (1 - terrain.river_level_m.abs() / (high + 1e-3)).clamp(min=0.0))
    hills, plains = RUNNING_WIDTH_M
    runs = (terrain.river_m < FAR_M) & (width > plains + (hills - plains) * terrain.uplift)
    runs &= planes([float(c.water > 0) for c in climates], device) > 0
    return _Channel(breadth, terrain.river_m + 0.5 * terrain.river_width_m, choose(runs, 0.5 * width, 0.0))


def _tides(terrain: Terrain) -> list[float]:
    """From low to high tide [m], one a scene; 0 inland."""
    return [plan.coast.tide_m if plan.form.style == "coast" else 0.0 for plan in terrain.plans]


def _levels(plans: Sequence[CoverPlan], terrain: Terrain, seed: Tensor) -> tuple[list[float], list[bool], Tensor]:
    """Level of the low ground's lake, or of the sea at low tide; whether it is the sea; share (N, 1) of full hollows.

    Set on the look from afar, so that all water together, rivers included, has the share of the ground that was asked
    for. A sea reaches its coast by the chance that gives the right share in the mean; else it lies lower and is small.
    """
    far = terrain.far or terrain
    climates = [p.climate for p in plans]
    every, weight = torch.ones(len(plans), 1, device=seed.device), _weights(far)
    asked = per_scene([c.water * (1 + MIDDLING * (1 - c.water)) for c in climates], seed.device)
    height = far.elevation_m

    def share(part: Tensor) -> Tensor:
        """(N,) share of the ground that `part` (N, P) of the looks covers; summed in order, for equal bits."""
        return torch.cumsum(part * weight, 1)[:, -1]

    brooks = _brooks(far.drainage)
    ponds = share((height < _held(plans, far, seed, every, brooks)).flatten(1))
    keep = (0.7 * asked / ponds.clamp(min=1e-6)).clamp(max=1.0).to(torch.float32)[:, None]
    channel = _channels(plans, far, seed)
    cell = far.cell_m.to(torch.float32)[:, None, None]
    over = torch.minimum(channel.middle_m + 0.5 * cell, channel.half_m)
    wet = ((over - torch.maximum(channel.middle_m - 0.5 * cell, -channel.half_m)) / cell).clamp(0.0, 1.0)
    wet = wet * planes([float(c.moisture > DRY_BED) for c in climates], seed.device)
    wet = choose(height < _held(plans, far, seed, keep, brooks), 1.0, wet).flatten(1)
    ranked, order = height.flatten(1).sort(1)
    flooded = torch.cumsum(((1 - wet) * weight).gather(1, order), 1)
    missing = asked - share(wet)
    levels, salt = [], []
    for n, tide in enumerate(_tides(terrain)):
        water = climates[n].water
        under = float(share((height < -0.5 * tide).flatten(1))[n]) if tide else 0.0
        full = min(1.0, HIGH_SEAS * water / under) if under > 0 else 0.0
        sea = plans[n].shore.sea_rank < full
        left = missing[n] - (asked[n] * (HIGH_SEAS - full) / (1 - full) if full < 1 and tide else 0.0)
        last = int(torch.searchsorted(flooded[n], left.clamp(min=0.0)))
        known = terrain.facts[n]["style"] != SURVEYED
        lake = float(ranked[n, min(last, wet.shape[1] - 1)]) if left > 0 and known else NO_LEVEL_M
        levels.append(-0.5 * tide if sea else min(lake, -0.5 * tide) if tide else lake)
        salt.append(sea or (tide > 0 and water > 0))
    return levels, salt, keep


def _weights(far: Terrain) -> Tensor:
    """(N, P) float64 share of the ground that each place of a look from afar stands for."""
    wide_y, wide_x = (torch.cat([v[:, 1:2] - v[:, :1], v[:, 2:] - v[:, :-2], v[:, -1:] - v[:, -2:-1]], 1)
                      for v in (far.window.y_m, far.window.x_m))  # fmt: skip
    weight = (wide_y[:, :, None] * wide_x[:, None, :]).flatten(1)
    return weight / torch.cumsum(weight, 1)[:, -1:]


def fill_water(plans: Sequence[CoverPlan], terrain: Terrain, u01: Tensor) -> Water:
    """Fill N scenes with water.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene
    terrain : Terrain
        the ground
    u01 : Tensor
        (N, H, W) uniform in [0, 1): what is narrower than a cell covers its share of cells
    """
    device, ground = terrain.slope.device, terrain.elevation_m
    seed, climates = seeds_of([p.seeds.water for p in plans], device), [p.climate for p in plans]
    levels, salt, keep = _levels(plans, terrain, seed)
    any_water, salty = (
        planes(v, device) > 0 for v in ([float(c.water > 0) for c in climates], [float(s) for s in salt])
    )
    held = choose(any_water, _held(plans, terrain, seed, keep), NO_LEVEL_M)
    level = torch.maximum(planes(levels, device), held)
    lake = ground < level
    sea = salty & lake & (held <= ground)
    high = planes([low + tide for low, tide in zip(levels, _tides(terrain), strict=True)], device)
    tidal = salty & ~lake & (ground < high) & (terrain.slope < FLAT)

    channel = _channels(plans, terrain, seed)
    cell = terrain.cell_m.to(torch.float32)[:, None, None]
    bed = covered(channel.middle_m, channel.half_m, cell, u01)
    wet = planes([float(c.moisture > DRY_BED) for c in climates], device) > 0
    river = bed & wet
    shores = [p.shore for p in plans]
    tall = [min(4.0, 0.02 * f["relief_m"]) * s.beaches * s.beach for s, f in zip(shores, terrain.facts, strict=True)]
    tall = [1.0 + 2.0 * s.beach if sea else t for s, t, sea in zip(shores, tall, salt, strict=True)]
    beach = planes(tall, device) * (0.5 + channel.breadth).clamp(min=0)
    above = ground - choose(salty & (held <= ground), high, level)
    sandy = channel.breadth > planes([1.2 - 1.2 * s.bars for s in shores], device)
    bar = (channel.half_m > 0) & sandy & (channel.middle_m < channel.half_m + 0.3 * terrain.river_width_m)
    strand = (above >= 0) & (above < beach) & (above < BEACH_M * terrain.slope) & (terrain.slope < 2 * FLAT)
    shore = strand | bar | (bed & ~wet)
    open_water = lake | river
    running = (terrain.river_m < FAR_M) & any_water & wet
    over_river = choose(running, (ground - terrain.river_level_m).clamp(min=0.0), -NO_LEVEL_M)
    return Water(
        open_water,
        river & ~lake,
        torch.minimum(above, over_river),
        shore & ~open_water & ~tidal,
        choose(lake, level, ground),
        sea,
        tidal & ~open_water,
    )
