"""Climate and use: the few numbers of a scene that decide what grows and who lives there."""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from terraficta.synth.types.biome import BIOMES, chances, seasons, snow_c, summer_c
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe

FIELDS = {"savanna": 1.6, "monsoon": 1.6, "rainforest": 1.6, "mediterranean": 0.5}
"""how much fields lean to the small end of the span (1: not), where they do not lean to the large end (`LARGE`)"""
LARGE = 0.28
"""the same everywhere else. With `FIELDS`, 40 % of the land farmed in the climates of `atlas` lies in fields of less
than 2.56 ha, as on Earth. M. Lesiv et al. 2019, doi:10.1111/gcb.14492; a median of 0.6 ha in India: AgriFieldNet
(2022), doi:10.34911/rdnt.wu92p1; how the climates share it is chosen"""
HAMLET = 0.004
"""least settled share of a scene, over the largest. Between them shares are spread evenly by their logarithm: towns
larger than some area are as rare as it is large (G. Zipf 1949, Human Behavior and the Principle of Least Effort), and
maps are made where people live, whose number goes with that area. The least is chosen"""


@dataclass(frozen=True)
class Climate:
    """What was drawn for the cover of one scene.

    Parameters
    ----------
    kind : str
        name of the climate, one of `BIOMES`
    latitude_deg : float
        north positive [deg]
    moisture : float
        0 desert .. 1 rainforest
    warmth : float
        0 tundra .. 1 tropics, at the lowest ground
    season : float
        share of the growing cycle that has passed
    drought : float
        0 no dry season .. 1 one that parches everything
    water, farmland, settlement, plantation, clearcut, quarry, canal, power_line, industry, greenery : float
        shares as in `CoverRecipe`
    field_m : float
        side of a typical field [m]
    conifer : float
        -1 .. 1, what the region's forests lean to beside climate
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
    plantation: float = 0.0
    clearcut: float = 0.0
    quarry: float = 0.0
    canal: float = 0.0
    power_line: float = 0.0
    industry: float = 0.0
    greenery: float = 0.0

    @property
    def summer_c(self) -> float:
        """Mean temperature of the growing season at the lowest ground [deg C]."""
        return summer_c(self.warmth)

    @property
    def winter(self) -> float:
        """0 in the middle of the growing cycle, 1 at its ends."""
        return (2.0 * self.season - 1.0) ** 2

    @property
    def seasons(self) -> float:
        """0 .. 1: how much of a winter the latitude brings; none at the equator."""
        return seasons(self.latitude_deg)

    @property
    def snow_c(self) -> float:
        """Growing-season temperature of the places down to which snow lies at this time of year [deg C]."""
        return snow_c(self.winter, self.latitude_deg)

    @property
    def arable(self) -> float:
        """0 .. 1: how far the climate allows crops at all (deserts and tundra hardly do)."""
        warm = min(max((self.summer_c - 8.0) / 5.0, 0.0), 1.0)
        moist = min(max((self.moisture - 0.12) / 0.15, 0.15), 1.0)
        return warm * moist

    @property
    def planted_tree(self) -> str:
        """The class of the trees that people plant in gardens and hedges."""
        if self.kind in ("tundra", "boreal"):
            return "needleleaf_forest"
        return "evergreen_forest" if self.kind in ("mediterranean", "monsoon", "rainforest") else "deciduous_forest"

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


def draw_climate(recipe: CoverRecipe, key: SceneKey) -> Climate:
    """Draw climate and use of one scene; each number has its own address, so that none moves when another changes.

    Named climates are drawn alike, less those of which the recipe's spans of warmth and moisture leave little.
    """

    def chance(name: str) -> float:
        return float(key.at("cover", name).rng().random())

    def between(name: str, span: tuple[float, float], power: float = 1.0) -> float:
        return span[0] + (span[1] - span[0]) * chance(name) ** power

    stairs = list(accumulate(chances(recipe.climates, recipe.warmth, recipe.moisture)))
    kind = recipe.climates[bisect(stairs, chance("kind") * stairs[-1], hi=len(stairs) - 1)]
    biome = BIOMES[kind]
    warmth, moisture = biome.within(recipe.warmth, recipe.moisture) or (biome.warmth, biome.moisture)
    north = 1.0 if chance("hemisphere") < 0.68 else -1.0  # the share of the land that lies there
    settled_low, settled_high = recipe.settlement
    field_low, field_high = (math.log(max(v, 1.0)) for v in recipe.field_m)
    return Climate(
        kind=kind,
        latitude_deg=north * between("latitude", biome.latitude_deg),
        moisture=between("moisture", moisture),
        warmth=between("warmth", warmth),
        season=between("season", recipe.season),
        drought=between("drought", biome.drought),
        water=between("water", recipe.water),
        farmland=between("farmland", recipe.farmland, 0.8),
        settlement=settled_low + (settled_high - settled_low) * HAMLET ** (1.0 - chance("settlement")),
        field_m=math.exp(field_low + (field_high - field_low) * chance("field_m") ** FIELDS.get(kind, LARGE)),
        conifer=2.0 * chance("conifer") - 1.0,
        plantation=between("plantation", recipe.plantation, 2.5),
        clearcut=between("clearcut", recipe.clearcut, 1.5),
        quarry=between("quarry", recipe.quarry, 3.0),
        canal=between("canal", recipe.canal, 2.0),
        power_line=between("power_line", recipe.power_line),
        industry=between("industry", recipe.industry, 1.5),
        greenery=between("greenery", recipe.greenery),
    )
