"""The material plan: all that chance decides of what a scene is made of, at one time of year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terraficta.synth.scene.material.plants import VARIANTS, Plants, Sown, draw_plants, draw_sown
from terraficta.synth.scene.material.solid import draw_abundance
from terraficta.synth.scene.material.trait import Setting, draw_setting, kin
from terraficta.synth.scene.material.vegetation import VEGETATED
from terraficta.synth.types.crop import Crop
from terraficta.synth.types.key import SceneKey

NATURAL_SOLIDS = ("soil", "litter", "bark", "sand", "rock", "lichen", "char", "ash")
HOUSES = {
    "cool": {"tile": 0.3, "concrete_tile": 0.22, "shingle": 0.2, "slate": 0.1, "metal": 0.06, "red": 0.04, "wood": 0.03,
             "bitumen": 0.05},
    "mediterranean": {"tile": 0.5, "concrete": 0.18, "concrete_tile": 0.12, "gravel": 0.08, "white": 0.07,
                      "bitumen": 0.05},
    "steppe": {"tile": 0.12, "sheet": 0.22, "slate": 0.14, "metal": 0.1, "concrete": 0.14, "soil": 0.12, "bitumen": 0.1,
               "rust": 0.06},
    "arid": {"concrete": 0.42, "soil": 0.22, "gravel": 0.14, "white": 0.12, "tile": 0.04, "bitumen": 0.06},
    "tropical": {"sheet": 0.22, "rust": 0.2, "tile": 0.18, "concrete": 0.2, "wood": 0.1, "bitumen": 0.04, "blue": 0.03,
                 "green": 0.03},
}  # fmt: skip
"""shares of the roofs of houses by material, in five families of climates; chosen"""
LARGE = {"bitumen": 0.33, "gravel": 0.16, "metal": 0.16, "concrete": 0.12, "white": 0.1, "sheet": 0.08, "blue": 0.025,
         "red": 0.015, "green": 0.01}  # fmt: skip
"""of large flat roofs; chosen"""
CARRIAGEWAYS = {"asphalt": 0.84, "concrete": 0.13, "gravel": 0.03}
YARDS = {
    "cool": {"asphalt": 0.42, "concrete": 0.26, "gravel": 0.22, "soil": 0.1},
    "mediterranean": {"asphalt": 0.2, "concrete": 0.3, "gravel": 0.25, "soil": 0.25},
    "steppe": {"asphalt": 0.2, "concrete": 0.2, "gravel": 0.25, "soil": 0.35},
    "arid": {"asphalt": 0.12, "concrete": 0.25, "gravel": 0.23, "soil": 0.4},
    "tropical": {"asphalt": 0.15, "concrete": 0.25, "gravel": 0.2, "soil": 0.4},
}
"""of streets, and of yards, lanes, footways and car parks; chosen"""
VEHICLES = {"white": 0.24, "coal": 0.26, "metal": 0.24, "sheet": 0.12, "red": 0.07, "blue": 0.07}
"""of vehicles, by what their paint is nearest to; chosen"""
FAMILY = {"desert": "arid", "steppe": "steppe", "mediterranean": "mediterranean", "savanna": "tropical",
          "monsoon": "tropical", "rainforest": "tropical"}  # fmt: skip
"""climates by what they build of; elsewhere cool"""
POOL_RUNS = {"building": ((0, 9), (10, 15)), "road": ((0, 5), (6, 10), (11, 14), (15, 15))}
"""first and last variant of each of `POOLS`"""
PITS = {"crushed": 0.3, "rock": 0.22, "gravel": 0.2, "soil": 0.18, "coal": 0.1}
"""what quarries and mines lay open; chosen"""
MOST_SEDIMENT = 300.0
"""in the muddiest of common rivers [g m-3]; some, of loess, carry more. Source: Milliman & Farnsworth 2011, River
Discharge to the Coastal Ocean, table 2.4, doi:10.1017/CBO9780511781247"""
ROUGH = (0.0, 0.3)
"""share of the light that clods and stones swallow of what is seen of soil, in the mean of a scene: crust .. plough.
Source: Matthias et al. 2000, doi:10.2136/sssaj2000.6431035x: albedo of a rough plough 25 to 30 % below that of the same
soil sieved, which is what spectral libraries hold."""


@dataclass(frozen=True)
class MaterialPlan:
    """What chance decides of the materials of one scene; V variants of each, A absorbers.

    Parameters
    ----------
    solids : Mapping[str, np.ndarray]
        {natural solid, quarry, building or road: (V, A) abundances of the absorbers}
    film_cm, wet_share : np.ndarray
        (V,) water film on soil, and the share of the soil that has one [cm, -]
    rough : np.ndarray
        (V,) share of the light that the roughness of the soil swallows
    plants : Mapping[str, Plants]
        {class of `VEGETATED`: what grows there}
    crops : Sown
        those that are sown
    ash_share : float
        0..1, how much of burnt ground lies under ash
    water : Mapping[str, np.ndarray]
        {field of `WaterBody`: (V,)}
    snow : Mapping[str, np.ndarray]
        (V,) each: grain_um, soot_ppmv, and the cover of the rock below
    texture_seed : int
        31 bits
    """

    solids: Mapping[str, np.ndarray]
    film_cm: np.ndarray
    wet_share: np.ndarray
    rough: np.ndarray
    plants: Mapping[str, Plants]
    crops: Sown
    ash_share: float
    water: Mapping[str, np.ndarray]
    snow: Mapping[str, np.ndarray]
    texture_seed: int


def draw_material_plan(
    key: SceneKey, facts: Mapping[str, Any] | None = None, crops: Sequence[Crop] | None = None, varied: bool = True
) -> MaterialPlan:
    """Draw what a scene is made of; all chance is the same at every season.

    Parameters
    ----------
    key : SceneKey
        of the scene
    facts : Mapping[str, Any] | None
        `season`, `warmth`, `moisture` (0..1), `kind` and `drought` of the climate are used where present, drawn or
        inferred where not; `rain` (0..1) wets the soil, `tide` (-1..1) the mangroves. Only those and the season move
        with time: soils, roofs and species stay
    crops : Sequence[Crop] | None
        of the scene, where they have been drawn already by `draw_crops`
    varied : bool
        False: all classes are seen by their means, so that only what tells objects apart is drawn

    Examples
    --------
    >>> draw_material_plan(SceneKey(7, 0), {"season": 0.5}).solids["soil"].shape[0]
    16
    """
    own = key.at("material")
    setting = draw_setting(facts or {}, own)
    sown = draw_sown(setting, key, crops)
    if not varied:
        kinds = {name: draw_plants(name, own.at(name), setting, sown.get(name, []), False) for name in VEGETATED}
        none = np.zeros(VARIANTS)
        return MaterialPlan({}, none, none, none, kinds, sown, 0.0, {}, {}, own.at("texture").field_seed())
    film_cm, wet_share = _draw_damp(own.at("damp"), setting)
    return MaterialPlan(
        solids=_draw_solids(own, setting),
        film_cm=film_cm,
        wet_share=wet_share,
        rough=_draw_rough(own.at("rough")),
        plants={name: draw_plants(name, own.at(name), setting, sown.get(name, [])) for name in VEGETATED},
        crops=sown,
        ash_share=float(np.float32(own.at("fire").rng().random())),
        water=_draw_water(own.at("water"), setting),
        snow=_draw_snow(own.at("snow"), setting),
        texture_seed=own.at("texture").field_seed(),
    )


# --- solids ---------------------------------------------------------------------------------------------------------


def _soil_lean(setting: Setting) -> dict[str, float]:
    """Warm soils are red and poor in humus, dry ones bright and chalky, and where little weathers pale.

    Source
    ------
    Calcisols, Gypsisols and Arenosols beside Ferralsols: IUSS Working Group WRB 2022, World Reference Base, 4th
    edition, ISBN 979-8-9862451-1-9; how far the absorbers lean is chosen.
    """
    warm, moist = 2 * setting.warmth - 1, 2 * setting.moisture - 1
    unweathered = max(0.0, -moist)
    return {
        "hematite": 0.8 * warm - 0.7 * unweathered, "goethite": -0.6 * unweathered, "humus": 0.6 * moist - 0.3 * warm,
        "tail": 0.3 * moist, "carbonate": -0.6 * moist, "grey": 0.2 * moist,
    }  # fmt: skip


def _draw_solids(key: SceneKey, setting: Setting) -> dict[str, np.ndarray]:
    lean = _soil_lean(setting)
    drawn = {
        name: draw_abundance(name, key.at(name), VARIANTS, lean if name == "soil" else None) for name in NATURAL_SOLIDS
    }
    family = FAMILY.get(setting.kind, "cool")
    roofs, roads = key.at("roofs"), key.at("roads")
    pools = {
        "quarry": [_draw_assorted(key.at("quarry"), PITS, 0.6, lean, VARIANTS)],
        "building": [
            _draw_assorted(roofs, HOUSES[family], 2.5, lean, _count("building", 0)),
            _draw_assorted(roofs.at("large"), LARGE, 5.0, lean, _count("building", 1)),
        ],
        "road": [
            _draw_assorted(roads, CARRIAGEWAYS, 12.0, lean, _count("road", 0)),
            _draw_assorted(roads.at("yards"), YARDS[family], 4.0, lean, _count("road", 1)),
            _draw_assorted(roads.at("vehicles"), VEHICLES, 40.0, lean, _count("road", 2)),
            draw_abundance("white", roads.at("marking"), VARIANTS)[: _count("road", 3)],
        ],
    }
    return drawn | {name: np.concatenate(parts) for name, parts in pools.items()}


def _count(name: str, pool: int) -> int:
    """Variants in a pool of a built class."""
    first, last = POOL_RUNS[name][pool]
    return last - first + 1


def _draw_assorted(
    key: SceneKey, shares: Mapping[str, float], evenness: float, lean: Mapping[str, float], count: int
) -> np.ndarray:
    """Abundances (count, A) of variants shared out among materials; a region has its own fashion.

    Parameters
    ----------
    evenness : float
        sum of the weights of the fashion's Dirichlet distribution: the less, the fewer materials a region has
    """
    rng = key.rng()
    names = tuple(shares)
    fashion = np.cumsum(rng.dirichlet(evenness * np.array(list(shares.values())) / sum(shares.values())))
    number = np.searchsorted(fashion, (np.arange(count) + rng.random()) / count).clip(max=len(names) - 1)
    abundance = {
        n: draw_abundance(names[n], key.at(names[n]), VARIANTS, lean if names[n] == "soil" else None)
        for n in set(number.tolist())
    }
    return np.stack([abundance[n][variant] for variant, n in enumerate(number.tolist())])


def _draw_damp(key: SceneKey, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Water film on soil (V,) [cm] and the share of it (V,) that is wet; in winter little of the rain dries up."""
    rng = key.rng()
    cool = np.cos(2 * np.pi * setting.season) * np.clip((0.9 - setting.warmth) / 0.35, 0, 1)
    z = (
        3.2 * setting.moisture
        - 2.0
        + 0.9 * cool
        + 4.0 * setting.rain
        + 0.9 * rng.standard_normal()
        + 0.7 * kin(rng, VARIANTS)
    )
    return 0.03 * np.exp(0.6 * rng.standard_normal(VARIANTS)), 1 / (1 + np.exp(-z))


def _draw_rough(key: SceneKey) -> np.ndarray:
    """(V,) share of the light that clods and stones swallow."""
    rng = key.rng()
    return np.clip(rng.uniform(*ROUGH) + 0.06 * kin(rng, VARIANTS), 0.0, 0.45)


# --- water and snow -------------------------------------------------------------------------------------------------


def _draw_water(key: SceneKey, setting: Setting) -> dict[str, np.ndarray]:
    rng = key.rng()

    def around(median: float, scene: float, within: float) -> np.ndarray:
        z = scene * rng.standard_normal() + within * kin(rng, VARIANTS, 0.85)
        spread: np.ndarray = median * np.exp(z)
        return spread

    return {
        "chl": around(1.5 * np.exp(1.8 * setting.warmth), 1.0, 0.4),
        "sediment": np.minimum(around(7.0 - 4.0 * setting.moisture, 1.5, 0.6), MOST_SEDIMENT),
        "cdom": around(0.2 + 0.9 * setting.moisture * (1.3 - setting.warmth), 0.8, 0.3),
        "depth_m": np.sort(around(5.0, 0.6, 0.9)),
        "glint": around(0.008, 1.1, 0.2),
    }


def _draw_snow(key: SceneKey, setting: Setting) -> dict[str, np.ndarray]:
    rng = key.rng()
    age = rng.standard_normal() + 0.8 * (2 * setting.season - 1)
    return {
        "grain_um": np.exp(np.log(350.0) + 0.6 * age + 0.35 * kin(rng, VARIANTS)),
        "soot_ppmv": np.exp(np.log(0.05) + 0.9 * age + 0.8 * kin(rng, VARIANTS)),
        "cover": np.clip(1.08 - 0.15 * np.exp(0.8 * kin(rng, VARIANTS)), 0.3, 1.0),
    }
