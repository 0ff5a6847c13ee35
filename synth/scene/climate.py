"""Climate and use: the few numbers of a scene that decide what grows and who lives there."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from synth.spec.key import SceneKey
from synth.spec.recipe import CoverRecipe

LAPSE_K_M = 0.0065
"""temperature lost with height [K/m]: International Standard Atmosphere, ISO 2533"""


@dataclass(frozen=True)
class Climate:
    """What was drawn for the cover of one scene.

    Parameters
    ----------
    moisture : 0 desert .. 1 rainforest
    warmth : 0 tundra .. 1 tropics, at the lowest ground
    season : share of the growing cycle that has passed
    water, farmland, settlement : shares as in `CoverRecipe`
    field_m : side of a typical field [m]
    conifer : -1 .. 1, what the region's forests lean to beside climate
    """

    moisture: float
    warmth: float
    season: float
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
    def arable(self) -> float:
        """0 .. 1: how far the climate allows crops at all (deserts and tundra hardly do)."""
        warm = min(max((self.summer_c - 8.0) / 5.0, 0.0), 1.0)
        moist = min(max((self.moisture - 0.12) / 0.15, 0.15), 1.0)
        return warm * moist

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def draw_climate(recipe: CoverRecipe, key: SceneKey) -> Climate:
    """Draw climate and use of one scene; each number has its own address, so that none moves when another changes."""

    def chance(name: str) -> float:
        return float(key.at("cover", name).rng().random())

    def between(name: str, span: tuple[float, float], power: float = 1.0) -> float:
        return span[0] + (span[1] - span[0]) * chance(name) ** power

    field_low, field_high = (math.log(max(v, 1.0)) for v in recipe.field_m)
    return Climate(
        moisture=between("moisture", recipe.moisture),
        warmth=between("warmth", recipe.warmth),
        season=between("season", recipe.season),
        water=between("water", recipe.water),
        farmland=between("farmland", recipe.farmland, 0.8),
        settlement=between("settlement", recipe.settlement, 1.7),
        field_m=math.exp(field_low + (field_high - field_low) * chance("field_m")),
        conifer=2.0 * chance("conifer") - 1.0,
    )
