"""Traits: bounded, named parameters that share causes, so that what is drawn together belongs together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.key import SceneKey

VEGETATION = Path(__file__).parents[2] / "data" / "vegetation.yaml"
Traits = dict[str, np.ndarray]
"""{name: (V,)}"""
KINDS: dict[str, dict[str, dict[str, float]]] = {
    "grassland": {
        "grassland": {"": 1.0, "temperate": 0.5, "rainforest": 0.5},
        "meadow": {
            "temperate": 1.0,
            "rainforest": 1.0,
            "boreal": 0.5,
            "monsoon": 0.5,
            "mediterranean": 0.2,
            "steppe": 0.2,
        },
    },
    "pasture": {
        "pasture": {"": 1.0},
        "ley": {
            "temperate": 1.0,
            "boreal": 0.5,
            "rainforest": 0.4,
            "monsoon": 0.3,
            "mediterranean": 0.3,
            "steppe": 0.2,
        },
    },
    "needleleaf_forest": {"needleleaf_forest": {"": 1.0}, "larch": {"boreal": 0.5, "tundra": 0.7}},
    "plantation": {
        "pine": {"": 1.0, "savanna": 0.4, "monsoon": 0.2, "rainforest": 0.1},
        "eucalyptus": {"mediterranean": 1.0, "savanna": 1.0, "monsoon": 0.6, "rainforest": 0.3, "steppe": 0.5},
        "rubber": {"monsoon": 0.8, "rainforest": 0.5},
        "oil_palm": {"monsoon": 0.4, "rainforest": 1.5},
    },
    "orchard": {
        "orchard": {"": 1.0, "mediterranean": 0.6},
        "olive": {"mediterranean": 1.0, "steppe": 0.2, "desert": 0.4},
        "vineyard": {"mediterranean": 0.8, "temperate": 0.4, "steppe": 0.3},
    },
}
"""what else a class may consist of: {class: {head of vegetation.yaml: {climate: weight; "": of all others}}}; chosen.
Larch grows on 5 million square km, much of the boreal forest. Source: Krestov et al. 2009,
doi:10.1007/s12224-009-9049-6."""


@dataclass(frozen=True)
class Setting:
    """What all materials of a scene share.

    Parameters
    ----------
    season : float
        time of year as a share of the growing cycle, 0..1
    warmth : float
        tundra (0) .. tropics (1)
    moisture : float
        desert (0) .. rainforest (1)
    kind : str
        name of the climate, one of `BIOMES`
    drought : float
        depth of the dry season, 0..1
    rain : float
        how wet the ground is from it on the day; 0: as the climate has it in the mean .. 1
    tide : float
        -1 low .. 1 high
    harshness : float
        of the winter, -1 as by the ocean .. 1 as far inland
    """

    season: float
    warmth: float
    moisture: float
    kind: str
    drought: float
    rain: float = 0.0
    tide: float = 0.0
    harshness: float = 0.0

    @property
    def dryness(self) -> float:
        """0..1: how dry the ground is at this time of year because of the dry season; as `Climate.dryness`."""
        away = abs(self.season - BIOMES[self.kind].driest)
        return self.drought * max(0.0, math.cos(math.pi * min(away, 1.0 - away) / 0.6))


def draw_setting(facts: Mapping[str, Any], key: SceneKey) -> Setting:
    """The setting by the facts of a scene; what they do not say is drawn, or follows from warmth and moisture."""
    drawn = dict(zip(("season", "warmth", "moisture"), key.at("setting").rng().random(3), strict=True))
    share = {name: float(np.clip(facts.get(name, value), 0, 1)) for name, value in drawn.items()}
    kind = str(facts["kind"]) if "kind" in facts else nearest_climate(share["warmth"], share["moisture"])
    drought = float(facts.get("drought", sum(BIOMES[kind].drought) / 2))
    weather = {name: float(facts.get(name, 0.0)) for name in ("rain", "tide")}
    harshness = 2 * float(key.at("winter").rng().random()) - 1
    return Setting(**share, kind=kind, drought=drought, harshness=harshness, **weather)


def nearest_climate(warmth: float, moisture: float) -> str:
    """The named climate in the middle of whose spans a scene lies best."""

    def outside(name: str) -> float:
        spans = ((warmth, BIOMES[name].warmth), (moisture, BIOMES[name].moisture))
        return sum(((value - (low + high) / 2) / (high - low)) ** 2 for value, (low, high) in spans)

    return min(BIOMES, key=outside)


@lru_cache
def _rules() -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """{head of vegetation.yaml: names of its T traits, and its figures as columns (8, T, 1)}."""
    content = yaml.safe_load(VEGETATION.read_text())
    return {head: (tuple(rows), np.array(list(rows.values())).T[:, :, None]) for head, rows in content.items()}


def draw_kinds(cover: str, key: SceneKey, setting: Setting, count: int) -> list[str]:
    """Heads of vegetation.yaml that `count` groups of plants of a class belong to; a climate has its own mixture."""
    kinds = KINDS.get(cover, {cover: {"": 1.0}})
    weight = np.array([rows.get(setting.kind, rows.get("", 0.0)) for rows in kinds.values()])
    number = np.searchsorted(np.cumsum(weight / weight.sum()), key.at("kind").rng().random(count))
    return [tuple(kinds)[min(i, len(kinds) - 1)] for i in number]


def draw_traits(head: str, key: SceneKey, vigour: np.ndarray, setting: Setting) -> Traits:
    """Traits of V variants of a kind of plants in one scene.

    Parameters
    ----------
    head : str
        of vegetation.yaml, a class or a kind of plants within one
    key : SceneKey
        of the class in the scene
    vigour : np.ndarray
        (V,) condition of each variant, -1 (poor) .. 1 (lush)
    setting : Setting
        of the scene; its season makes no difference here

    Returns
    -------
    Traits
        {trait: (V,)}; the scene's own deviation is common to all variants, neighbours resemble each other
    """
    names, (mean, scene_sd, within_sd, by_vigour, by_moisture, by_warmth, least, most) = _rules()[head]
    scene, within = kin_rows(key.rng(), len(names), len(vigour))
    share = np.clip((mean - least) / (most - least), 0.01, 0.99)
    z = np.log(share / (1 - share)) + scene_sd * scene + within_sd * within
    z = z + by_vigour * vigour + by_moisture * (2 * setting.moisture - 1) + by_warmth * (2 * setting.warmth - 1)
    return dict(zip(names, least + (most - least) / (1 + np.exp(-z)), strict=True))


def kin(rng: np.random.Generator, count: int, likeness: float = 0.6) -> np.ndarray:
    """Standard normal numbers (count,), each correlated with the one before by `likeness`."""
    return _chained(rng.standard_normal(count), likeness)


def kin_rows(rng: np.random.Generator, rows: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Row by row, a standard normal number (rows, 1) and the numbers of `kin` (rows, count)."""
    z = rng.standard_normal((rows, 1 + count))
    return z[:, :1], _chained(z[:, 1:])


def _chained(z: np.ndarray, likeness: float = 0.6) -> np.ndarray:
    """Independent numbers (..., count) in place to numbers each correlated with the one before."""
    own = math.sqrt(1 - likeness**2)
    column = z.T
    for i in range(1, len(column)):
        column[i] = likeness * column[i - 1] + own * column[i]
    return z
