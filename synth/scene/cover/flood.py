"""The flood: rivers and lakes above their mean level, and the tide."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from terraficta.synth.scene.cover.season import LOW_TIDE, Moment
from terraficta.synth.scene.cover.water import Water
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.chance import planes
from terraficta.synth.scene.world.choice import choose


def flood(terrain: Terrain, water: Water, moments: Sequence[Moment]) -> tuple[Tensor, Tensor] | None:
    """What lies under water that is mostly dry (N, H, W) bool, and the surface of all ground and water [m].

    Rivers and lakes flood the ground up to `rise_m` above the nearest water level, the sea the mud that lies below
    the tide. None where nothing rises.

    Error
    -----
    water is taken to reach whatever is low enough beside it; dykes and the time that water takes are left out.
    """
    if all(m.rise_m == 0 and m.tide == LOW_TIDE for m in moments):
        return None
    device, ground = terrain.slope.device, terrain.elevation_m
    rise = planes([m.rise_m for m in moments], device)
    half = [0.5 * plan.coast.tide_m if plan.form.style == "coast" else 0.0 for plan in terrain.plans]
    sea = planes([h * m.tide for h, m in zip(half, moments, strict=True)], device)
    low = planes([-h for h in half], device)
    inland = ~(water.sea | water.tidal)
    drowned = inland & (water.above_m < rise) & ~water.open_water
    covered = water.tidal & (ground < sea)
    level = choose(water.sea, water.surface_m + (sea - low), water.surface_m)
    level = choose(covered, sea, level)
    level = choose(inland & water.open_water, water.surface_m + rise, level)
    level = choose(drowned, ground - water.above_m + rise, level)
    return drowned | covered, level
