"""Named climates: nine spans of warmth, moisture and dry season, from tundra to rainforest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[float, float]
LAPSE_K_M = 0.0065
"""temperature lost with height [K/m]: International Standard Atmosphere, ISO 2533"""
TREELINE_C = 6.4
"""mean temperature of the growing season at the treeline [deg C].
Source: C. Koerner, J. Paulsen 2004, doi:10.1111/j.1365-2699.2003.01043.x (root zone 6.7, air 5.5 to 7.5)."""
SNOWLINE_C = 1.0
"""the same where snow outlives the summer [deg C]: 800 m above the treeline, chosen"""
WINTER_SNOW_K = 7.5
"""by how much warmer growing seasons the places may have that are white at the ends of the cycle [K], chosen"""


def summer_c(warmth: float) -> float:
    """Mean temperature of the growing season [deg C]: 4 where warmth is 0 (tundra), 28 where it is 1 (tropics)."""
    return 4.0 + 24.0 * warmth


def snow_c(winter: float, latitude_deg: float) -> float:
    """Growing-season temperature of the places down to which snow lies [deg C].

    Parameters
    ----------
    winter : float
        0 at the height of the growing cycle .. 1 at its ends
    latitude_deg : float
        near the equator there is no winter [deg]
    """
    return SNOWLINE_C + WINTER_SNOW_K * winter * seasons(latitude_deg)


def seasons(latitude_deg: float) -> float:
    """0 .. 1: how much of a winter the latitude brings; none at the equator."""
    return min(abs(latitude_deg) / 40.0, 1.0)


@dataclass(frozen=True)
class Biome:
    """A named climate.

    Parameters
    ----------
    koppen : str
        groups of the Koppen-Geiger classification that it stands for
    warmth : tuple[float, float]
        least and most, 0 tundra .. 1 tropics, at the lowest ground
    moisture : tuple[float, float]
        least and most, 0 desert .. 1 rainforest
    drought : tuple[float, float]
        least and most depth of the dry season, 0 none .. 1 everything is parched
    driest : float
        middle of the dry season as a share of the growing cycle; 0.5 is midsummer, 0 and 1 are midwinter
    latitude_deg : tuple[float, float]
        least and most distance from the equator [deg]
    fire : float
        share of the landscapes with a fresh fire scar
    grows : tuple[str, ...]
        natural classes that can occur; those in `ANYWHERE` can in all

    Source
    ------
    Groups, dry seasons, latitudes: Peel et al. 2007, doi:10.5194/hess-11-1633-2007. Which warmth goes with which
    moisture: R. Whittaker 1975, Communities and Ecosystems, figure 4.10. Read off by us, to one digit.
    """

    koppen: str
    warmth: tuple[float, float]
    moisture: tuple[float, float]
    drought: tuple[float, float]
    driest: float
    latitude_deg: tuple[float, float]
    fire: float
    grows: tuple[str, ...]

    def within(self, warmth: Pair, moisture: Pair) -> tuple[Pair, Pair] | None:
        """Its own spans of warmth and moisture, narrowed to those asked for; None where nothing is left."""
        left = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in ((self.warmth, warmth), (self.moisture, moisture))]
        return None if any(low > high for low, high in left) else (left[0], left[1])

    def fit(self, warmth: Pair, moisture: Pair) -> float:
        """How much of it is left within the spans asked for, 0 .. 1."""
        left = self.within(warmth, moisture)
        if left is None:
            return 0.0
        own = (self.warmth, self.moisture)
        return math.prod((a[1] - a[0] + 1e-3) / (b[1] - b[0] + 1e-3) for a, b in zip(left, own, strict=True))


ANYWHERE = ("shrubland", "grassland", "bare_soil", "sand", "rock", "snow", "wetland", "burnt")
"""natural classes of any climate, if the ground is high, wet or dry enough"""
SNOWY = ("tundra", "boreal", "temperate", "steppe")
"""climates that carry the snow where a share of it is asked for"""
_LEAVES = ("needleleaf_forest", "evergreen_forest", "deciduous_forest")
BIOMES = {
    "tundra": Biome("ET", (0.0, 0.11), (0.2, 0.9), (0.0, 0.1), 0.5, (62.0, 76.0), 0.05, ("moss_lichen",)),
    "boreal": Biome("Dfc Dwc", (0.13, 0.36), (0.4, 0.95), (0.0, 0.2), 0.5, (50.0, 68.0), 0.3,
                    ("needleleaf_forest", "deciduous_forest", "moss_lichen")),
    "temperate": Biome("Cfb Cfa Dfb Dfa", (0.34, 0.66), (0.45, 0.96), (0.0, 0.3), 0.55, (36.0, 58.0), 0.1,
                       (*_LEAVES, "moss_lichen")),
    "mediterranean": Biome("Csa Csb", (0.55, 0.78), (0.28, 0.55), (0.6, 1.0), 0.6, (30.0, 44.0), 0.35, _LEAVES),
    "steppe": Biome("BSk BSh", (0.2, 0.8), (0.16, 0.42), (0.3, 0.8), 0.85, (20.0, 52.0), 0.25,
                    (*_LEAVES, "moss_lichen")),
    "desert": Biome("BWk BWh", (0.2, 1.0), (0.0, 0.18), (0.8, 1.0), 0.5, (12.0, 45.0), 0.05,
                    ("evergreen_forest", "deciduous_forest", "mangrove")),
    "savanna": Biome("Aw BSh", (0.76, 1.0), (0.28, 0.6), (0.6, 1.0), 0.0, (5.0, 22.0), 0.6,
                     ("evergreen_forest", "deciduous_forest", "mangrove")),
    "monsoon": Biome("Am Aw Cwa", (0.7, 1.0), (0.5, 0.82), (0.4, 0.9), 0.0, (5.0, 28.0), 0.3,
                     (*_LEAVES, "mangrove")),
    "rainforest": Biome("Af Am", (0.8, 1.0), (0.76, 1.0), (0.0, 0.25), 0.0, (0.0, 14.0), 0.15,
                        ("evergreen_forest", "deciduous_forest", "mangrove")),
}  # fmt: skip
"""by name; between them they cover what land there is, with some overlap"""


def chances(climates: Sequence[str], warmth: Pair, moisture: Pair) -> list[float]:
    """How often each of the named climates is drawn: alike, less those of which the spans leave little; sums to 1.

    All are 0 where the spans leave nothing of any.
    """
    fits = [BIOMES[name].fit(warmth, moisture) for name in climates]
    return [fit / sum(fits) if fit else 0.0 for fit in fits]


def can_grow(name: str, climate: str) -> bool:
    """Whether a natural class occurs in a named climate at all."""
    return name in ANYWHERE or name in BIOMES[climate].grows


def carries(name: str, climates: Sequence[str]) -> tuple[str, ...]:
    """Those of the named climates that carry the share asked for of a natural class."""
    able = tuple(climate for climate in climates if can_grow(name, climate))
    usual = tuple(climate for climate in able if name != "snow" or climate in SNOWY)
    return usual or able
