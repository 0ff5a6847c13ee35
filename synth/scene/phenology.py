"""Phenology: what the time of year does to plants."""

from __future__ import annotations

import numpy as np

from synth.scene.trait import Setting, Traits
from synth.spec.key import SceneKey

EVERGREEN = ("needleleaf_forest", "evergreen_forest", "mangrove", "plantation")
LEAF_SHEDDING = ("deciduous_forest", "orchard", "shrubland")
SOWN = ("cropland", "paddy")
CROPS_PER_SCENE = 4


def at_season(cover: str, traits: Traits, setting: Setting, key: SceneKey) -> Traits:
    """The traits of a class (V,) at its time of year."""
    if cover in SOWN:
        return _sown(traits, setting, key)
    if cover in EVERGREEN:
        return traits
    if cover in LEAF_SHEDDING:
        return _leaf_shedding(traits, setting, key, shed=0.45 if cover == "shrubland" else 1.0)
    return _grass(traits, setting, key)


def _between(season: np.ndarray, rise: float, fall: float, width: float) -> np.ndarray:
    """1 from `rise` to `fall` of the cycle, 0 outside, with soft ends."""
    value: np.ndarray = 1 / (1 + np.exp((rise - season) / width)) / (1 + np.exp((season - fall) / width))
    return value


def _winter(setting: Setting) -> float:
    """How much of a winter there is, 0 (tropics) .. 1."""
    return float(np.clip((0.9 - setting.warmth) / 0.35, 0, 1))


def _leaf_shedding(traits: Traits, setting: Setting, key: SceneKey, shed: float) -> Traits:
    season = setting.season + 0.025 * key.rng().standard_normal(len(traits["lai"]))
    depth = shed * max(_winter(setting), 0.6 * float(np.clip((0.45 - setting.moisture) / 0.3, 0, 1)))
    leaves = 1 - depth * (1 - _between(season, 0.2, 0.84, 0.025))
    autumn = depth * np.exp(-(((season - 0.8) / 0.06) ** 2))
    spring = depth * np.exp(-(((season - 0.22) / 0.06) ** 2))
    bare = 0.35 * traits["lai"] * traits.get("wood", 0.1) / 0.1  # stems and twigs stay
    lai = traits["lai"] * leaves
    return {
        **traits,
        "lai": lai + np.minimum(bare, 1.2) * (1 - leaves),
        "wood": traits["wood"] + (0.95 - traits["wood"]) * (1 - leaves),
        "cab": traits["cab"] * (1 - 0.8 * autumn) * (1 - 0.35 * spring),
        "car": traits["car"] * (1 - 0.3 * autumn),
        "ant": traits["ant"] + 7 * autumn,
        "cbrown": traits["cbrown"] + 0.5 * autumn,
        "cw": traits["cw"] * (1 - 0.4 * autumn),
    }


def _grass(traits: Traits, setting: Setting, key: SceneKey) -> Traits:
    season = setting.season + 0.03 * key.rng().standard_normal(len(traits["lai"]))
    cold = 0.75 * _winter(setting) * (1 - _between(season, 0.14, 0.86, 0.04))
    dry = float(np.clip((0.75 - setting.moisture) / 0.5, 0, 1)) * (1 - _between(season, 0.1, 0.55, 0.06))
    asleep = np.maximum(cold, 0.9 * dry)
    return {
        **traits,
        "lai": traits["lai"] * (1 - 0.45 * asleep),
        "cab": traits["cab"] * (1 - 0.5 * asleep),
        "cw": traits["cw"] * (1 - 0.5 * asleep),
        "cbrown": traits["cbrown"] + 0.3 * asleep,
        "dead": traits["dead"] + (0.97 - traits["dead"]) * asleep,
    }


def _sown(traits: Traits, setting: Setting, key: SceneKey) -> Traits:
    """Fields of a few crops, each with its own calendar; some are sown late, some harvested early."""
    rng = key.rng()
    count = len(traits["lai"])
    sowing = np.where(rng.random(CROPS_PER_SCENE) < 0.35, rng.uniform(-0.3, -0.15, CROPS_PER_SCENE),
                      rng.uniform(0.05, 0.4, CROPS_PER_SCENE))  # fmt: skip
    length = rng.uniform(0.35, 0.6, CROPS_PER_SCENE) + np.where(sowing < 0, 0.3, 0.0)
    height = rng.uniform(0.5, 1.0, CROPS_PER_SCENE)
    crop = np.arange(count) % CROPS_PER_SCENE
    start = sowing[crop] + 0.03 * rng.standard_normal(count)
    age = ((setting.season - start) % 1.0) / length[crop]
    grown = np.clip(age / 0.45, 0, 1) ** 1.6 * (age < 1)
    ripe = np.clip((age - 0.72) / 0.25, 0, 1) * (age < 1)
    stubble = np.clip(1 - (age - 1) / 0.5, 0, 1) * (age >= 1)
    kept = rng.uniform(0.2, 0.9, count)
    weeds = rng.uniform(0.0, 0.06, count)
    return {
        **traits,
        "lai": traits["lai"] * height[crop] * grown + weeds,
        "cab": traits["cab"] * (1 - 0.85 * ripe),
        "car": traits["car"] * (1 - 0.4 * ripe),
        "cw": traits["cw"] * (1 - 0.75 * ripe),
        "cbrown": traits["cbrown"] + 0.6 * ripe,
        "dead": 0.9 * ripe**1.5,
        "litter": traits["litter"] + (1 - traits["litter"]) * stubble * kept,
    }
