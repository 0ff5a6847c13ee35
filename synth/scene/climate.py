"""Climate and use: the few numbers of a scene that decide what grows and who lives there."""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from synth.spec.biome import BIOMES, Biome
from synth.spec.key import SceneKey
from synth.spec.recipe import CoverRecipe

LAPSE_K_M = 0.0065
"""temperature lost with height [K/m]: International Standard Atmosphere, ISO 2533"""
TREELINE_C = 6.4
"""mean temperature of the growing season at the treeline [deg C].
Source: C. Koerner, J. Paulsen 2004, doi:10.1111/j.1365-2699.2003.01043.x (root zone 6.7, air 5.5 to 7.5)."""
SNOWLINE_C = 1.0
"""the same where snow outlives the summer [deg C]: 800 m above the treeline, chosen"""


@dataclass(frozen=True)
class Climate:
    """What was drawn for the cover of one scene.

    Parameters
    ----------
    kind : name of the climate, one of `BIOMES`
    latitude_deg : north positive [deg]
    moisture : 0 desert .. 1 rainforest
    warmth : 0 tundra .. 1 tropics, at the lowest ground
    season : share of the growing cycle that has passed
    drought : 0 no dry season .. 1 one that parches everything
    water, farmland, settlement : shares as in `CoverRecipe`
    field_m : side of a typical field [m]
    conifer : -1 .. 1, what the region's forests lean to beside climate
    """

    kind: str
    latitude_deg: float
    moisture: float
    warmth: float
    season: float
    drought: float
    water: float
    farmland: float
    settlement: float
    field_m: float
    conifer: float

    @property
    def summer_c(self) -> float:
        """Mean temperature of the growing season at the lowest ground [deg C]: tundra 4, tropics 28."""
        return 4.0 + 24.0 * self.warmth

    @property
    def winter(self) -> float:
        """0 in the middle of the growing cycle, 1 at its ends."""
        return (2.0 * self.season - 1.0) ** 2

    @property
    def seasons(self) -> float:
        """0 .. 1: how much of a winter the latitude brings; none at the equator."""
        return min(abs(self.latitude_deg) / 40.0, 1.0)

    @property
    def snow_c(self) -> float:
        """Growing-season temperature of the places down to which snow lies at this time of year [deg C]."""
        return SNOWLINE_C + 7.5 * self.winter * self.seasons

    @property
    def arable(self) -> float:
        """0 .. 1: how far the climate allows crops at all (deserts and tundra hardly do)."""
        warm = min(max((self.summer_c - 8.0) / 5.0, 0.0), 1.0)
        moist = min(max((self.moisture - 0.12) / 0.15, 0.15), 1.0)
        return warm * moist

    @property
    def dry_summer(self) -> float:
        """0 .. 1: depth of a dry season at the height of the growing cycle (maquis, evergreen oak)."""
        return self.drought * max(0.0, -math.cos(2 * math.pi * BIOMES[self.kind].driest))

    @property
    def dry_winter(self) -> float:
        """0 .. 1: depth of a dry season at its ends (savanna, monsoon forest, steppe)."""
        return self.drought * max(0.0, math.cos(2 * math.pi * BIOMES[self.kind].driest))

    @property
    def dryness(self) -> float:
        """0 .. 1: how dry the ground is at this time of year because of the dry season."""
        away = abs(self.season - BIOMES[self.kind].driest)
        return self.drought * max(0.0, math.cos(math.pi * min(away, 1.0 - away) / 0.6))

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def _overlap(one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    """What two spans share; the first number exceeds the second where they share nothing."""
    return max(one[0], two[0]), min(one[1], two[1])


def _fit(recipe: CoverRecipe, biome: Biome) -> float:
    """How much of a named climate the spans of a recipe leave, 0 .. 1."""
    spans = ((recipe.warmth, biome.warmth), (recipe.moisture, biome.moisture))
    left = [(_overlap(asked, own), own) for asked, own in spans]
    if any(low > high for (low, high), _ in left):
        return 0.0
    return math.prod((high - low + 1e-3) / (own[1] - own[0] + 1e-3) for (low, high), own in left)


def draw_climate(recipe: CoverRecipe, key: SceneKey) -> Climate:
    """Draw climate and use of one scene; each number has its own address, so that none moves when another changes.

    Named climates are drawn alike, less those of which the recipe's spans of warmth and moisture leave little.
    """

    def chance(name: str) -> float:
        return float(key.at("cover", name).rng().random())

    def between(name: str, span: tuple[float, float], power: float = 1.0) -> float:
        return span[0] + (span[1] - span[0]) * chance(name) ** power

    fits = [_fit(recipe, BIOMES[name]) for name in recipe.climates]
    stairs = list(accumulate(fits))
    kind = recipe.climates[bisect(stairs, chance("kind") * stairs[-1], hi=len(stairs) - 1)]
    biome = BIOMES[kind]
    north = 1.0 if chance("hemisphere") < 0.68 else -1.0  # the share of the land that lies there
    field_low, field_high = (math.log(max(v, 1.0)) for v in recipe.field_m)
    return Climate(
        kind=kind,
        latitude_deg=north * between("latitude", biome.latitude_deg),
        moisture=between("moisture", _overlap(recipe.moisture, biome.moisture)),
        warmth=between("warmth", _overlap(recipe.warmth, biome.warmth)),
        season=between("season", recipe.season),
        drought=between("drought", biome.drought),
        water=between("water", recipe.water),
        farmland=between("farmland", recipe.farmland, 0.8),
        settlement=between("settlement", recipe.settlement, 1.7),
        field_m=math.exp(field_low + (field_high - field_low) * chance("field_m")),
        conifer=2.0 * chance("conifer") - 1.0,
    )
