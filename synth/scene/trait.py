"""Traits: bounded, named parameters that share causes, so that what is drawn together belongs together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from synth.spec.key import SceneKey

VEGETATION = Path(__file__).parent.parent / "data" / "vegetation.yaml"
Traits = dict[str, np.ndarray]
"""{name: (V,)}"""


@dataclass(frozen=True)
class Setting:
    """What all matter of a scene shares.

    Parameters
    ----------
    season : time of year as a share of the growing cycle, 0..1
    warmth : tundra (0) .. tropics (1)
    moisture : desert (0) .. rainforest (1)
    """

    season: float
    warmth: float
    moisture: float

    @classmethod
    def of(cls, facts: Mapping[str, Any], key: SceneKey) -> Setting:
        """From the facts of a scene; what they do not say is drawn."""
        drawn = dict(zip(("season", "warmth", "moisture"), key.at("setting").rng().random(3), strict=True))
        return cls(**{name: float(np.clip(facts.get(name, value), 0, 1)) for name, value in drawn.items()})


@lru_cache
def _rules() -> dict[str, dict[str, tuple[float, ...]]]:
    content = yaml.safe_load(VEGETATION.read_text())
    return {cover: {name: tuple(row) for name, row in rows.items()} for cover, rows in content.items()}


def draw_traits(cover: str, key: SceneKey, vigour: np.ndarray, setting: Setting) -> Traits:
    """Traits of V variants of a vegetated class in one scene.

    Parameters
    ----------
    cover : class, a head of vegetation.yaml
    key : of the class in the scene
    vigour : (V,) condition of each variant, -1 (poor) .. 1 (lush)
    setting : of the scene

    Returns
    -------
    {trait: (V,)}; the scene's own deviation is common to all variants, neighbours resemble each other
    """
    rng = key.rng()
    return {
        name: _draw(row, rng.standard_normal(), kin(rng, len(vigour)), vigour, setting)
        for name, row in _rules()[cover].items()
    }


def _draw(row: tuple[float, ...], scene: float, within: np.ndarray, vigour: np.ndarray, setting: Setting) -> np.ndarray:
    mean, scene_sd, within_sd, by_vigour, by_moisture, by_warmth, least, most = row
    share = np.clip((mean - least) / (most - least), 0.01, 0.99)
    z = np.log(share / (1 - share)) + scene_sd * scene + within_sd * within
    z = z + by_vigour * vigour + by_moisture * (2 * setting.moisture - 1) + by_warmth * (2 * setting.warmth - 1)
    value: np.ndarray = least + (most - least) / (1 + np.exp(-z))
    return value


def kin(rng: np.random.Generator, count: int, likeness: float = 0.6) -> np.ndarray:
    """Standard normal numbers (count,), each correlated with the one before by `likeness`."""
    z = rng.standard_normal(count)
    for i in range(1, count):
        z[i] = likeness * z[i - 1] + np.sqrt(1 - likeness**2) * z[i]
    return z
