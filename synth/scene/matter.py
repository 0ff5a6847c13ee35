"""Matter: which variants of every class occur in a scene, and their spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synth.scene.inland_water import WaterBody, water_reflectance
from synth.scene.phenology import at_season
from synth.scene.snow import snow_reflectance
from synth.scene.solid import absorber_shapes, draw_abundance, solid_reflectance, wetted
from synth.scene.trait import Setting, Traits, draw_traits, kin
from synth.scene.vegetation import VEGETATED, vegetation_reflectance
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA

VARIANTS = 16
TRAITS = (
    "n", "cab", "car", "ant", "cbrown", "cw", "cm", "lai", "slope", "hotspot", "wood", "crown", "litter", "under",
    "flood", "dead",
)  # fmt: skip
NATURAL_SOLIDS = ("soil", "litter", "bark", "sand", "rock")
BARE = ("bare_soil", "burnt", "quarry")
FIRE_SHARE = 0.08
"""share of scenes with burnt ground at middling moisture; chosen"""
ROOFS = ("tile", "concrete", "shingle", "metal", "white", "gravel", "red", "blue", "green", "wood")
ROOF_SHARES = np.array([0.22, 0.2, 0.22, 0.1, 0.08, 0.06, 0.04, 0.02, 0.02, 0.04])
ROADS = ("asphalt", "concrete", "gravel", "soil")
ROAD_SHARES = np.array([0.62, 0.12, 0.13, 0.13])


def draw_matter(keys: Sequence[SceneKey], facts: Sequence[Mapping[str, Any]], wavelength_nm: Tensor) -> Tensor:
    """Spectra (N, K, V, L) float64 of V variants of every class of TERRAFICTA in N scenes."""
    keys = [key.at("material") for key in keys]
    settings = [Setting.of(fact, key) for fact, key in zip(facts, keys, strict=True)]
    solids = _draw_solids(keys, settings, wavelength_nm)
    water = _draw_water(keys, settings, solids["soil"], wavelength_nm)
    spectra = _draw_vegetation(keys, settings, solids, water, wavelength_nm)
    spectra |= {name: solids[name] for name in ("bare_soil", "sand", "rock", "burnt", "quarry", "building", "road")}
    spectra |= {"water": water, "snow": _draw_snow(keys, settings, solids["rock"], wavelength_nm)}
    return torch.stack([spectra[name] for name in TERRAFICTA.classes], 1)


def _stacked(rows: list[dict[str, np.ndarray]], like: Tensor) -> dict[str, Tensor]:
    """[{name: (V,)}] of N scenes to {name: (N * V,)}."""
    return {name: torch.as_tensor(np.concatenate([row[name] for row in rows])).to(like) for name in rows[0]}


# --- solids ---------------------------------------------------------------------------------------------------------


def _soil_lean(setting: Setting) -> dict[str, float]:
    """Warm soils are red and poor in humus, dry ones bright and chalky."""
    warm, moist = 2 * setting.warmth - 1, 2 * setting.moisture - 1
    return {
        "hematite": 0.8 * warm, "humus": 0.6 * moist - 0.3 * warm, "tail": 0.3 * moist, "carbonate": -0.6 * moist,
        "grey": 0.2 * moist,
    }  # fmt: skip


def _draw_solids(keys: list[SceneKey], settings: list[Setting], wavelength_nm: Tensor) -> dict[str, Tensor]:
    """{what: (N, V, L)}: natural solids, moist soils, roofs and roads."""
    drawn: dict[str, list[np.ndarray]] = {
        name: [] for name in (*NATURAL_SOLIDS, "bare_soil", "burnt", "quarry", "building", "road")
    }
    film, wet = [], []
    for key, setting in zip(keys, settings, strict=True):
        lean = _soil_lean(setting)
        for name in NATURAL_SOLIDS:
            drawn[name].append(draw_abundance(name, key.at(name), VARIANTS, lean if name == "soil" else None))
        drawn["bare_soil"].append(draw_abundance("soil", key.at("soil"), VARIANTS, lean))
        drawn["burnt"].append(draw_abundance("char", key.at("burnt"), VARIANTS))
        drawn["quarry"].append(draw_abundance("rock", key.at("quarry"), VARIANTS))
        for name in ("litter", "bare_soil"):
            drawn[name][-1] = _burnt(drawn[name][-1], key.at("fire"), setting)
        drawn["building"].append(_assorted(key.at("roofs"), ROOFS, ROOF_SHARES, 2.0, lean))
        drawn["road"].append(_assorted(key.at("roads"), ROADS, ROAD_SHARES, 4.0, lean))
        rng = key.at("damp").rng()
        z = 1.6 * (2 * setting.moisture - 1) - 0.8 + 0.9 * rng.standard_normal() + 0.7 * kin(rng, VARIANTS)
        wet.append(1 / (1 + np.exp(-z)))
        film.append(0.03 * np.exp(0.6 * rng.standard_normal(VARIANTS)))
    shapes = absorber_shapes(wavelength_nm)
    shape = (len(keys), VARIANTS, -1)
    out = {
        name: solid_reflectance(torch.as_tensor(np.concatenate(rows)).to(shapes), shapes).view(shape)
        for name, rows in drawn.items()
    }
    film_cm, share = (torch.as_tensor(np.concatenate(rows)).to(shapes) for rows in (film, wet))
    for name, damp in (("soil", 1.0), ("bare_soil", 1.0), ("sand", 0.5)):
        out[name] = wetted(out[name].flatten(0, 1), film_cm, damp * share, wavelength_nm).view(shape)
    return out


def _burnt(ground: np.ndarray, key: SceneKey, setting: Setting) -> np.ndarray:
    """Litter or bare ground (V, A), charred in the barest variants of a few scenes; dry land burns more often."""
    rng = key.rng()
    burns = rng.random() < FIRE_SHARE * (1.5 - setting.moisture)
    count = rng.integers(2, VARIANTS // 2) if burns else 0
    char = draw_abundance("char", key.at("char"), VARIANTS)
    return np.where((np.arange(VARIANTS) < count)[:, None], char, ground)


def _assorted(
    key: SceneKey, materials: tuple[str, ...], shares: np.ndarray, evenness: float, lean: Mapping[str, float]
) -> np.ndarray:
    """Abundances (V, A) of variants shared out among materials; a scene has its own fashion."""
    rng = key.rng()
    fashion = np.cumsum(rng.dirichlet(evenness * len(shares) * shares))
    number = np.searchsorted(fashion, (np.arange(VARIANTS) + rng.random()) / VARIANTS).clip(max=len(shares) - 1)
    every = np.stack([draw_abundance(m, key.at(m), VARIANTS, lean if m == "soil" else None) for m in materials])
    chosen: np.ndarray = every[number, np.arange(VARIANTS)]
    return chosen


# --- vegetation, water, snow ----------------------------------------------------------------------------------------


def _draw_vegetation(
    keys: list[SceneKey], settings: list[Setting], solids: dict[str, Tensor], water: Tensor, wavelength_nm: Tensor
) -> dict[str, Tensor]:
    """{class: (N, V, L)} of the plant-covered classes, in one batch."""
    vigour = 2 * (np.arange(VARIANTS) + 0.5) / VARIANTS - 1
    rows = [
        _whole(at_season(name, draw_traits(name, key.at(name), vigour, setting), setting, key.at(name, "season")))
        for name in VEGETATED
        for key, setting in zip(keys, settings, strict=True)
    ]
    soil, litter, bark, flood = (
        part.repeat(len(VEGETATED), 1, 1).flatten(0, 1)
        for part in (solids["soil"], solids["litter"], solids["bark"], water)
    )
    spectra = vegetation_reflectance(_stacked(rows, water), soil, litter, bark, flood, wavelength_nm)
    return dict(zip(VEGETATED, spectra.view(len(VEGETATED), len(keys), VARIANTS, -1), strict=True))


def _whole(traits: Traits) -> Traits:
    """Every trait, 0 where a class has none, bounded; ordered from the barest to the greenest."""
    zero = np.zeros(VARIANTS)
    whole = {name: np.clip(traits.get(name, zero), 0, None) for name in TRAITS}
    for name in ("wood", "crown", "litter", "flood", "dead"):
        whole[name] = np.clip(whole[name], 0, 1)
    order = np.argsort(whole["crown"] * (1 - np.exp(-0.6 * whole["lai"] * (1 - whole["dead"]))), kind="stable")
    return {name: values[order] for name, values in whole.items()}


def _draw_water(keys: list[SceneKey], settings: list[Setting], soil: Tensor, wavelength_nm: Tensor) -> Tensor:
    rows = []
    for key, setting in zip(keys, settings, strict=True):
        rng = key.at("water").rng()

        def around(median: float, scene: float, within: float, rng: np.random.Generator = rng) -> np.ndarray:
            z = scene * rng.standard_normal() + within * kin(rng, VARIANTS, 0.85)
            spread: np.ndarray = median * np.exp(z)
            return spread

        rows.append(
            {
                "chl": around(4.0 * (1 + 2 * setting.warmth), 1.0, 0.4),
                "sediment": around(4.0, 1.3, 0.6),
                "cdom": around(0.3 + 0.6 * setting.moisture, 0.8, 0.3),
                "depth_m": np.sort(around(5.0, 0.6, 0.9)),
                "glint": around(0.006, 0.8, 0.2),
            }
        )
    body = WaterBody(**_stacked(rows, soil))
    return water_reflectance(body, soil.flatten(0, 1), wavelength_nm).view(soil.shape)


def _draw_snow(keys: list[SceneKey], settings: list[Setting], rock: Tensor, wavelength_nm: Tensor) -> Tensor:
    rows = []
    for key, setting in zip(keys, settings, strict=True):
        rng = key.at("snow").rng()
        age = rng.standard_normal() + 0.8 * (2 * setting.season - 1)
        rows.append(
            {
                "grain_um": np.exp(np.log(350.0) + 0.6 * age + 0.35 * kin(rng, VARIANTS)),
                "soot_ppmv": np.exp(np.log(0.05) + 0.9 * age + 0.8 * kin(rng, VARIANTS)),
                "cover": np.clip(1.08 - 0.15 * np.exp(0.8 * kin(rng, VARIANTS)), 0.3, 1.0),
            }
        )
    drawn = _stacked(rows, rock)
    cover = drawn.pop("cover")[:, None]
    snow = snow_reflectance(drawn["grain_um"].clamp(30, 4000), drawn["soot_ppmv"], wavelength_nm)
    ground = rock.flatten(0, 1)
    return (ground + cover * (snow - ground)).view(rock.shape)
