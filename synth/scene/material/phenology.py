"""Phenology: what the time of year does to plants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from terraficta.synth.scene.material.trait import Setting, Traits
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.crop import Crop, stage
from terraficta.synth.types.key import SceneKey

FIELD_SPREAD = 0.01
"""standard deviation of the calendars of the fields of one crop: four days, chosen"""
LUSH = 4.5
"""leaf area index of a crop at which the leaf area of vegetation.yaml holds as it stands"""
LEY = 0.7
"""leaf area index of a perennial just cut or just resting"""
HARSH = 0.45
"""how much more, or less, of the grass a winter far inland, or by the ocean, bleaches than the climate's usual one"""
SPECIES_SPREAD = 0.045
"""standard deviation of leaf-out and leaf-fall among the trees of a forest: 16 days, as species of one stand differ.
Source: Richardson & O'Keefe 2009, doi:10.1007/978-1-4419-0026-5_6 (33 species of one forest)"""


@dataclass(frozen=True)
class Rhythm:
    """What a year is like for plants in a named climate.

    Parameters
    ----------
    leaf_out, leaf_fall : float
        shares of the growing cycle
    cold : float
        how far winter strips the trees that shed, 0..1
    frost : float
        how far winter bleaches grass, 0..1
    drop : float
        how far the dry season strips them, 0..1
    straw : float
        how far the dry season cures grass, 0..1

    Source
    ------
    Which climates have which: M. White et al. 1997, doi:10.1029/97GB00330 (temperate); P. Reich & R. Borchert 1984,
    doi:10.2307/2260006 (dry tropics); leaf-out and fall to a month, the shares chosen. Leaves are out in the middle of
    April in temperate places, of May in boreal ones, of June on tundra.
    """

    leaf_out: float
    leaf_fall: float
    cold: float
    frost: float
    drop: float
    straw: float


RHYTHMS = {
    "tundra": Rhythm(0.44, 0.70, 1.0, 0.9, 0.0, 0.4),
    "boreal": Rhythm(0.39, 0.77, 1.0, 0.85, 0.0, 0.5),
    "temperate": Rhythm(0.31, 0.85, 1.0, 0.75, 0.0, 0.6),
    "mediterranean": Rhythm(0.15, 0.9, 0.9, 0.1, 0.1, 1.0),
    "steppe": Rhythm(0.30, 0.83, 1.0, 0.8, 0.3, 1.0),
    "desert": Rhythm(0.2, 0.85, 0.5, 0.3, 0.5, 1.0),
    "savanna": Rhythm(0.2, 0.84, 0.3, 0.1, 0.95, 1.0),
    "monsoon": Rhythm(0.2, 0.84, 0.4, 0.2, 0.85, 0.9),
    "rainforest": Rhythm(0.2, 0.84, 0.0, 0.0, 0.1, 0.5),
}


@dataclass(frozen=True)
class Timing:
    """How the variants of a kind of plants depart from its calendar; every field (V,).

    Parameters
    ----------
    ahead : np.ndarray
        of the others, in standard deviations
    stubble_left : np.ndarray
        share of the stubble that stays on the ground, of a crop
    weeds : np.ndarray
        their leaf area index in a crop
    blush : np.ndarray
        how red its leaves turn before they fall, 0 yellow .. 1
    """

    ahead: np.ndarray
    stubble_left: np.ndarray
    weeds: np.ndarray
    blush: np.ndarray


def draw_timing(key: SceneKey, count: int) -> Timing:
    """The timing of V = `count` variants."""
    rng = key.rng()
    return Timing(
        rng.standard_normal(count), rng.uniform(0.2, 0.9, count), rng.uniform(0.0, 0.06, count), rng.random(count)
    )


def at_season(head: str, traits: Traits, setting: Setting, timing: Timing, crop: Crop | None = None) -> Traits:
    """The traits of a kind of plants (V,) at their time of year.

    Parameters
    ----------
    head : str
        of vegetation.yaml
    traits : Traits
        at their best
    crop : Crop | None
        whose calendar it keeps, if it is sown
    """
    if crop is not None:
        return _sown(traits, crop, setting.season, timing)
    return HABITS[head](traits, setting, timing)


def _between(season: np.ndarray, rise: float, fall: float, width: float) -> np.ndarray:
    """1 from `rise` to `fall` of the cycle, 0 outside, with soft ends."""
    value: np.ndarray = 1 / (1 + np.exp((rise - season) / width)) / (1 + np.exp((season - fall) / width))
    return value


def _winter(setting: Setting) -> float:
    """How much of a winter there is, 0 (tropics) .. 1."""
    return float(np.clip((0.9 - setting.warmth) / 0.35, 0, 1))


def _parched(setting: Setting, season: np.ndarray) -> np.ndarray:
    """0..1: how dry the ground is for plants whose season runs a little before or behind."""
    away = np.abs(season - BIOMES[setting.kind].driest) % 1.0
    value: np.ndarray = setting.drought * np.clip(np.cos(np.pi * np.minimum(away, 1 - away) / 0.6), 0, 1)
    return value


def _evergreen(traits: Traits, setting: Setting, timing: Timing) -> Traits:
    """Hardly any change: a little paler in frost, a little browner in drought."""
    rhythm, jitter = RHYTHMS[setting.kind], timing.ahead
    cold = rhythm.frost * _winter(setting) * (1 - _between(setting.season + 0.03 * jitter, 0.18, 0.82, 0.05))
    dry = rhythm.straw * _parched(setting, setting.season + 0.03 * jitter)
    return {
        **traits,
        "lai": traits["lai"] * (1 - 0.12 * dry),
        "cab": traits["cab"] * (1 - 0.12 * cold - 0.1 * dry),
        "under": traits.get("under", np.zeros_like(cold)) * (1 - 0.7 * np.maximum(cold, dry)),
    }


def _tidal(traits: Traits, setting: Setting, timing: Timing) -> Traits:
    """Evergreen, with more or less of the mud under water."""
    return _evergreen(traits, setting, timing) | {"flood": traits["flood"] ** np.exp(-1.2 * setting.tide)}


def _shedding(depth: float, watered: float = 0.0) -> Callable[[Traits, Setting, Timing], Traits]:
    """Leaves fall in winter, or in the dry season where that is what a year is made of; stems and twigs stay."""

    def at(traits: Traits, setting: Setting, timing: Timing) -> Traits:
        rhythm = RHYTHMS[setting.kind]
        season = setting.season + SPECIES_SPREAD * timing.ahead
        cold = depth * rhythm.cold * _winter(setting)
        thirst = np.clip((_parched(setting, season) - 0.3) / 0.35, 0, 1)
        drop = depth * rhythm.drop * (1 - watered) * thirst
        leaves = (1 - cold * (1 - _between(season, rhythm.leaf_out, rhythm.leaf_fall, 0.025))) * (1 - drop)
        autumn = cold * np.exp(-(((season - rhythm.leaf_fall + 0.04) / 0.06) ** 2))
        spring = cold * np.exp(-(((season - rhythm.leaf_out - 0.02) / 0.06) ** 2))
        yellow = np.maximum(autumn, 2 * drop * (1 - drop))
        bare = 0.35 * traits["lai"] * traits.get("wood", 0.1) / 0.1
        return {
            **traits,
            "lai": traits["lai"] * leaves + np.minimum(bare, 1.2) * (1 - leaves),
            "wood": traits["wood"] + (0.95 - traits["wood"]) * (1 - leaves),
            "cab": traits["cab"] * (1 - 0.8 * yellow) * (1 - 0.35 * spring),
            "car": traits["car"] * (1 - 0.3 * yellow),
            "ant": traits["ant"] + 14 * timing.blush**2 * autumn,
            "cbrown": traits["cbrown"] + 0.5 * yellow,
            "cw": traits["cw"] * (1 - 0.4 * yellow),
            "under": traits.get("under", np.zeros_like(drop)) * (1 - 0.5 * cold * (1 - leaves) - 0.8 * drop),
        }

    return at


def _grass(watered: float = 0.0) -> Callable[[Traits, Setting, Timing], Traits]:
    """Green where it is neither too cold nor too dry, else bleached; `watered` 0..1 by people or a high water table."""

    def at(traits: Traits, setting: Setting, timing: Timing) -> Traits:
        rhythm = RHYTHMS[setting.kind]
        season = setting.season + 0.03 * timing.ahead
        frost = np.clip(rhythm.frost + HARSH * setting.harshness, 0, 1)
        cold = frost * _winter(setting) * (1 - _between(season, rhythm.leaf_out - 0.06, 0.86, 0.04))
        dry = rhythm.straw * np.clip(1.5 * _parched(setting, season) - 0.1, 0, 1) * (1 - watered)
        asleep = np.maximum(cold, 0.95 * dry)
        return {
            **traits,
            "lai": traits["lai"] * (1 - 0.45 * asleep),
            "cab": traits["cab"] * (1 - 0.5 * asleep),
            "cw": traits["cw"] * (1 - 0.5 * asleep),
            "cbrown": traits["cbrown"] + 0.3 * asleep,
            "dead": traits["dead"] + (0.97 - traits["dead"]) * asleep,
        }

    return at


def _sown(traits: Traits, crop: Crop, season: float, timing: Timing) -> Traits:
    """Fields of one crop: sown, grown, ripe, stubble; some a few days early, some late."""
    now = stage(crop, (season + FIELD_SPREAD * timing.ahead) % 1.0)
    weeds = timing.weeds + LEY * crop.perennial * (now.green < 0.3)
    return {
        **traits,
        "lai": traits["lai"] * crop.lai / LUSH * now.green + weeds,
        "cab": traits["cab"] * (1 - 0.85 * now.ripe),
        "car": traits["car"] * (1 - 0.4 * now.ripe),
        "cw": traits["cw"] * (1 - 0.75 * now.ripe),
        "cbrown": traits["cbrown"] + 0.6 * now.ripe,
        "dead": 0.9 * now.ripe**1.5,
        "litter": traits["litter"] + (1 - traits["litter"]) * now.stubble * timing.stubble_left,
        "flood": 0.97 * now.flooded,
    }


HABITS = {
    **dict.fromkeys(
        ("needleleaf_forest", "evergreen_forest", "pine", "eucalyptus", "oil_palm", "olive", "moss_lichen",
         "burnt"), _evergreen,
    ),
    **dict.fromkeys(("deciduous_forest", "larch", "rubber"), _shedding(1.0)),
    **dict.fromkeys(("orchard", "vineyard"), _shedding(1.0, watered=0.7)),
    "mangrove": _tidal,
    "shrubland": _shedding(0.45),
    "park": _shedding(0.7, watered=0.8),
    **dict.fromkeys(("grassland", "meadow", "fallow"), _grass()),
    **dict.fromkeys(("pasture", "ley"), _grass(watered=0.2)),
    "wetland": _grass(watered=0.6),
}  # fmt: skip
"""how each kind of plants takes the year"""
