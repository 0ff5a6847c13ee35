"""Habitat: warmth, moisture and texture of each place, and what would grow there if nobody lived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.cover.crown import seen
from terraficta.synth.scene.cover.fire import Fire
from terraficta.synth.scene.cover.water import Water
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, planes
from terraficta.synth.scene.world.choice import choose, less
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.types.biome import LAPSE_K_M, SNOWLINE_C, TREELINE_C
from terraficta.synth.types.legend import TERRAFICTA

MANGROVE_C = 20.0
"""mangroves need it at least this warm in the growing season [deg C]; they end near the 20 deg C isotherm of the sea
in winter. Source: N. Duke et al. 1998, doi:10.1111/j.1466-8238.1998.00274.x."""

OPEN = ("shrubland", "grassland", "moss_lichen", "pasture", "wetland", "cropland", "paddy", "fallow", "park",
        "bare_soil", "sand", "rock", "burnt", "quarry")  # fmt: skip
"""ground on which snow is seen from above"""


@dataclass(frozen=True)
class Habitat:
    """The causes, cell by cell, all (N, H, W).

    Parameters
    ----------
    summer_c : Tensor
        mean temperature of the growing season [deg C]
    moisture : Tensor
        0 desert .. 1 rainforest, what roots find: rain, the lie of the land, the soil
    stand, patch, region, grain : Tensor
        textures of unit variance, 0.7, 1.1, 3.5 and 0.04 km wide
    """

    summer_c: Tensor
    moisture: Tensor
    stand: Tensor
    patch: Tensor
    region: Tensor
    grain: Tensor


def find_habitat(climates: Sequence[Climate], terrain: Terrain, seed: Tensor) -> Habitat:
    """Warmth falls with height and on slopes that face the pole; moisture gathers there, in hollows and by rivers.

    Along a river that comes from wetter land the ground water feeds a strip of its own (riparian woods).
    """
    device = seed.device

    def texture(own: salt.Cover, spacing_m: float, octaves: int, hurst: float) -> Tensor:
        return fbm(terrain.window, per_scene([spacing_m] * len(seed), device), hashed(seed, own), octaves, hurst)

    low = terrain.reference_m.amin(1)[:, None, None]
    above = terrain.elevation_m - low
    region, patch = texture(salt.Cover.REGION, 3500.0, 7, 0.85), texture(salt.Cover.PATCH, 1100.0, 7, 0.85)
    north = planes([1.0 if c.latitude_deg > 0 else -1.0 for c in climates], device)
    shade = (terrain.rise_y * north).clamp(-0.5, 0.5) * planes([c.seasons for c in climates], device)
    summer = planes([c.summer_c for c in climates], device) - LAPSE_K_M * above - 2.5 * shade + 0.3 * patch
    rain = planes([c.moisture for c in climates], device)
    width = terrain.river_width_m
    strip = (terrain.river_m / (12.0 + 2.5 * width)).clamp(max=1e3)
    fed = (1 - rain) * width / (width + 5.0) / (1 + strip * strip)
    moisture = rain + (0.02 + 0.3 * rain) * (terrain.wetness - 0.25) + 0.35 * fed
    moisture = moisture + (0.02 + 0.1 * rain).clamp(max=0.055) * (region + patch)
    moisture = (moisture + 1e-4 * above - 0.12 * terrain.slope + 0.18 * shade).clamp(0.0, 1.0)
    return Habitat(
        summer,
        moisture,
        texture(salt.Cover.STAND, 700.0, 7, 0.8),
        patch,
        region,
        texture(salt.Cover.GRAIN, 40.0, 5, 0.35),
    )


def _leaves(climates: Sequence[Climate], habitat: Habitat) -> dict[str, Tensor]:
    """How well each kind of forest does against the best of them, 0 and less.

    Needles where cold or on poor dry soils, evergreen leaves where it is always warm and wet or where summers are dry
    and winters mild, leaves that are shed where either cold or drought comes every year.
    """
    device, warm, wet = habitat.patch.device, habitat.summer_c, habitat.moisture
    leaning = planes([0.5 * c.conifer for c in climates], device)
    dry_summer = planes([c.dry_summer for c in climates], device)
    dry_winter = planes([c.dry_winter for c in climates], device)
    mixed, soils = 0.35 * habitat.stand, 0.3 * habitat.region
    needle = (13.5 - warm) * 0.22 + leaning + 0.3 * dry_summer - (warm - 21.0).clamp(min=0) * 0.5 + mixed
    mild = planes([max(0.5 - c.seasons, 0.0) for c in climates], device)  # no winter: cloud forest up the mountains
    rainforest = torch.minimum((warm - 20.0 + 24.0 * mild) * 0.3, (wet - 0.62) * 5.0 - 0.9 * dry_winter)
    laurel = torch.minimum((warm - 15.5) * 0.3, (wet - 0.97) * 10.0)
    oak = torch.minimum((warm - 14.0) * 0.3, 1.6 * dry_summer - 0.7)
    evergreen = torch.maximum(torch.maximum(rainforest, laurel), oak).clamp(max=1.5) - mixed + soils
    deciduous = 0.25 - (10.5 - warm).clamp(min=0) * 0.3 - ((wet - 0.85) * (warm - 20.0)).clamp(min=0) - mild - soils
    best = torch.maximum(torch.maximum(needle, evergreen), deciduous)
    return {
        "needleleaf_forest": needle - best,
        "evergreen_forest": evergreen - best,
        "deciduous_forest": deciduous - best,
    }


def suitability(
    climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, water: Water, fire: Fire
) -> Iterator[tuple[str, Tensor]]:
    """How well each natural class (N, H, W) does at every place; the best has it.

    Growth forms are ordered along moisture and warmth, whose textures all classes share: so their limits run along
    terrain and soils, and patches stay whole. Treeline at a growing season of 6.4 deg C.

    Source
    ------
    forms by warmth and moisture after R. Whittaker 1975, Communities and Ecosystems; shrubs over grass where rain falls
    in winter: H. Walter 1971, Ecology of Tropical and Subtropical Vegetation; numbers chosen by us.
    """
    device, warm, wet, slope = habitat.patch.device, habitat.summer_c, habitat.moisture, terrain.slope
    dry_summer = planes([c.dry_summer for c in climates], device)
    dry_winter = planes([c.dry_winter for c in climates], device)
    savanna = dry_winter * (1 - (wet - 0.45).abs() * 5.0).clamp(min=0)
    tree = (wet - (0.40 + 0.05 * dry_summer + 0.17 * dry_winter)) * 9.0
    tree = torch.minimum(tree + 0.3 * habitat.stand, (warm - TREELINE_C) * 1.2) - 3.0 * (slope - 0.7).clamp(min=0)
    groves = 0.9 * savanna * (1 - seen(terrain.cell_m))[:, None, None]  # where trees are seen, they stand one by one
    tree = tree.clamp(max=2.2) + 0.3 + (0.08 + groves) * habitat.grain
    for name, behind in _leaves(climates, habitat).items():
        yield name, tree + behind
    cold = (6.0 - warm).clamp(min=0)
    grass = 0.45 - 0.5 * cold - ((0.2 - wet) * 5.0).clamp(min=0)
    yield "grassland", grass
    maquis = dry_summer * ((warm - 12.0) * 0.25).clamp(0.0, 1.0) * ((wet - 0.2) * 8.0).clamp(0.0, 1.0)
    krummholz = (1 - (warm - TREELINE_C).abs() * 0.6).clamp(min=0)
    semidesert = (1 - (wet - 0.15).abs() * 14.0).clamp(min=0)
    yield "shrubland", 1.1 * maquis + 0.8 * krummholz + 0.9 * semidesert - 0.15 + 0.3 * habitat.stand - 0.3 * cold
    yield "moss_lichen", (6.2 - warm) * 0.5 + 0.1 - ((2.0 - warm) * 0.8).clamp(min=0) - 0.2 * habitat.stand
    arid, frost = (0.13 - wet) * 9.0, (2.0 - warm) * 0.6
    tidal = choose(water.tidal, 7.0, 0.0)  # mud, salt marsh, mangroves
    yield "bare_soil", torch.maximum(arid + 0.5, frost + 0.5) - 0.2 * habitat.stand + tidal
    dunes = planes([1.2 * float(f.get("style") == "dunes") for f in terrain.facts], device)
    yield "sand", (arid + 0.2 + 0.6 * habitat.region + dunes).clamp(max=1.8 + dunes) - 6.0 * slope
    bedrock = torch.maximum(torch.maximum((slope - 0.75) * 5.0, arid - 0.1 + 3.0 * (slope - 0.2)), frost + slope - 0.1)
    yield "rock", bedrock + 0.4 * habitat.stand
    bog = 2.7 + 4.0 * _boggy(climates, terrain, habitat, water)
    yield "wetland", choose(water.tidal, 7.2 + 0.6 * habitat.patch - 0.4 * arid.clamp(min=0), bog)
    yield "snow", 2.6 + 4.0 * _frozen(SNOWLINE_C, terrain, habitat)
    # fire takes what has fuel: not deserts, ice, cliffs
    fuel = torch.minimum(torch.minimum((wet - 0.15) * 40.0, (warm - 3.0) * 4.0), (0.9 - slope) * 10.0)
    yield "burnt", 3.0 + torch.minimum(4.0 * fire.front, fuel)
    yield "mangrove", choose(water.tidal & (warm > MANGROVE_C), 7.8 + 0.4 * habitat.stand, -99.0)


def _boggy(climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, water: Water) -> Tensor:
    """(N, H, W) > 0: flat ground hardly above the water, in patches; peat also away from it where cool and wet."""
    device = habitat.patch.device
    rain = planes([c.moisture for c in climates], device)
    near = 1 - water.above_m / (0.3 + 1.6 * rain)
    marsh = 0.9 * near.clamp(min=-9.0) + 0.5 * habitat.patch + 0.4 * habitat.region - 1.5 + 0.4 * (rain - 0.5)
    peat = (
        (rain - 0.8) * 3.0
        + ((10.5 - habitat.summer_c) * 0.16).clamp(max=0.6)
        + 0.5 * habitat.region
        + 0.4 * habitat.patch
        - 0.9
    )
    flat = torch.minimum((0.05 - terrain.slope) * 20.0, (habitat.summer_c - 2.5) * 0.5)
    return torch.minimum(torch.maximum(marsh, peat), torch.minimum(flat, (rain - 0.12) * 5.0))


def _frozen(line_c: Tensor | float, terrain: Terrain, habitat: Habitat) -> Tensor:
    """(N, H, W) > 0: by how much the ground lies above the snow line [K]; cliffs shed their snow."""
    return line_c - habitat.summer_c - 0.4 * habitat.stand - 1.5 * (terrain.slope - 0.6).clamp(min=0)


def snowed_in(climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, cover: Tensor) -> Tensor:
    """(N, H, W) bool: open ground, wild or farmed, that is white at this time of year; crowns and roads are not."""
    line = planes([c.snow_c for c in climates], cover.device)
    return TERRAFICTA.among(cover, OPEN) & (_frozen(line, terrain, habitat) > 0)


def natural_cover(
    climates: Sequence[Climate],
    terrain: Terrain,
    habitat: Habitat,
    water: Water,
    fire: Fire,
    favour: Mapping[str, Tensor],
) -> Tensor:
    """(N, H, W) class of the natural ground: the one best suited, after `favour` (N, 1, 1) is added to a class."""
    best = torch.zeros_like(terrain.slope, dtype=torch.uint8)
    most = torch.full_like(terrain.slope, -1e9)
    for name, score in suitability(climates, terrain, habitat, water, fire):
        score = score + favour[name] if name in favour else score
        best = choose(less(most, score), TERRAFICTA.index(name), best).to(torch.uint8)
        most = torch.maximum(most, score)
    return best
