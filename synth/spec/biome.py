"""Named climates: nine spans of warmth, moisture and dry season, from tundra to rainforest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Biome:
    """A named climate.

    Parameters
    ----------
    koppen : groups of the Koppen-Geiger classification that it stands for
    warmth : least and most, 0 tundra .. 1 tropics, at the lowest ground
    moisture : least and most, 0 desert .. 1 rainforest
    drought : least and most depth of the dry season, 0 none .. 1 everything is parched
    driest : middle of the dry season as a share of the growing cycle; 0.5 is midsummer, 0 and 1 are midwinter
    latitude_deg : least and most distance from the equator [deg]
    fire : share of the landscapes with a fresh fire scar
    grows : natural classes that can occur; those in `ANYWHERE` can in all

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


ANYWHERE = ("shrubland", "grassland", "bare_soil", "sand", "rock", "snow", "wetland", "burnt")
"""natural classes of any climate, if the ground is high, wet or dry enough"""
_LEAVES = ("needleleaf_forest", "evergreen_forest", "deciduous_forest")
BIOMES = {
    "tundra": Biome("ET", (0.0, 0.14), (0.2, 0.9), (0.0, 0.1), 0.5, (62.0, 76.0), 0.03, ("moss_lichen",)),
    "boreal": Biome("Dfc Dwc", (0.14, 0.36), (0.4, 0.95), (0.0, 0.2), 0.5, (50.0, 68.0), 0.25,
                    ("needleleaf_forest", "deciduous_forest", "moss_lichen")),
    "temperate": Biome("Cfb Cfa Dfb Dfa", (0.34, 0.66), (0.45, 1.0), (0.0, 0.3), 0.55, (36.0, 58.0), 0.06,
                       (*_LEAVES, "moss_lichen")),
    "mediterranean": Biome("Csa Csb", (0.55, 0.78), (0.28, 0.55), (0.6, 1.0), 0.6, (30.0, 44.0), 0.35, _LEAVES),
    "steppe": Biome("BSk BSh", (0.2, 0.8), (0.16, 0.42), (0.3, 0.8), 0.85, (20.0, 52.0), 0.2,
                    (*_LEAVES, "moss_lichen")),
    "desert": Biome("BWk BWh", (0.2, 1.0), (0.0, 0.18), (0.8, 1.0), 0.5, (12.0, 45.0), 0.03,
                    ("evergreen_forest", "deciduous_forest", "mangrove")),
    "savanna": Biome("Aw BSh", (0.76, 1.0), (0.28, 0.6), (0.6, 1.0), 0.0, (5.0, 22.0), 0.5,
                     ("evergreen_forest", "deciduous_forest", "mangrove")),
    "monsoon": Biome("Am Aw Cwa", (0.7, 1.0), (0.5, 0.82), (0.4, 0.9), 0.0, (5.0, 28.0), 0.25,
                     (*_LEAVES, "mangrove")),
    "rainforest": Biome("Af Am", (0.8, 1.0), (0.76, 1.0), (0.0, 0.25), 0.0, (0.0, 14.0), 0.08,
                        ("evergreen_forest", "deciduous_forest", "mangrove")),
}  # fmt: skip
"""by name; between them they cover what land there is, with some overlap"""
