"""Matter: which variants of every class occur in a scene, and their spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synth.scene.inland_water import WaterBody, water_reflectance
from synth.scene.phenology import SOWN, at_season, draw_calendar
from synth.scene.snow import snow_reflectance
from synth.scene.solid import absorber_shapes, draw_abundance, solid_reflectance, wetted
from synth.scene.trait import Setting, Traits, draw_kinds, draw_traits, kin
from synth.scene.vegetation import VEGETATED, leaf_area, plant_cover, vegetation_reflectance
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA

VARIANTS = 16
TRAITS = (
    "n", "cab", "car", "ant", "cbrown", "cw", "cm", "lai", "slope", "hotspot", "wood", "clump", "crown", "litter",
    "under", "flood", "dead",
)  # fmt: skip
SHARES = ("wood", "clump", "crown", "litter", "flood", "dead")
GROUPS = {"plantation": 2, "orchard": 2, "cropland": 4, "paddy": 4}
"""how many kinds of plants or crops share the variants of a class; one where nothing is said"""
WILD_FORESTS = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "mangrove")
DEAD_VARIANTS = 2
"""of a wild forest: dead or defoliated, dying"""
NATURAL_SOLIDS = ("soil", "litter", "bark", "sand", "rock", "lichen", "char", "ash")
ROOFS = ("tile", "concrete", "shingle", "metal", "white", "gravel", "red", "blue", "green", "wood")
ROOF_SHARES = np.array([0.22, 0.2, 0.22, 0.1, 0.08, 0.06, 0.04, 0.02, 0.02, 0.04])
ROADS = ("asphalt", "concrete", "gravel", "soil")
ROAD_SHARES = np.array([0.62, 0.12, 0.13, 0.13])
PITS = ("crushed", "gravel", "soil", "coal")
PIT_SHARES = np.array([0.62, 0.2, 0.1, 0.08])
"""what quarries and mines lay open; chosen"""


@dataclass(frozen=True)
class Matter:
    """What N scenes are made of, in V variants of each of the K classes of TERRAFICTA.

    Parameters
    ----------
    spectra : (N, K, V, L) float64 reflectance
    lai : (N, K, V) green leaf area index, 0 where nothing grows [m2 m-2]
    closure : (N, K, V) share of the ground that plants hide from above
    groups : (K,) int64, how many kinds share the variants of a class, in equal runs
    """

    spectra: Tensor
    lai: Tensor
    closure: Tensor
    groups: Tensor


def draw_matter(keys: Sequence[SceneKey], facts: Sequence[Mapping[str, Any]], wavelength_nm: Tensor) -> Matter:
    """What every class is made of in N scenes; all chance but the weather's is the same at every season."""
    keys = [key.at("material") for key in keys]
    settings = [Setting.of(fact, key) for fact, key in zip(facts, keys, strict=True)]
    solids = _draw_solids(keys, settings, wavelength_nm)
    water = _draw_water(keys, settings, solids["soil"], wavelength_nm)
    spectra, lai, closure = _draw_vegetation(keys, settings, solids, water, wavelength_nm)
    spectra |= {name: solids[name] for name in ("bare_soil", "sand", "rock", "quarry", "building", "road")}
    spectra |= {"water": water, "snow": _draw_snow(keys, settings, solids["rock"], wavelength_nm)}
    bare = torch.zeros_like(water[..., 0])
    return Matter(
        torch.stack([spectra[name] for name in TERRAFICTA.classes], 1),
        torch.stack([lai.get(name, bare) for name in TERRAFICTA.classes], 1),
        torch.stack([closure.get(name, bare) for name in TERRAFICTA.classes], 1),
        torch.tensor([GROUPS.get(name, 1) for name in TERRAFICTA.classes], device=wavelength_nm.device),
    )


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
        name: [] for name in (*NATURAL_SOLIDS, "bare_soil", "quarry", "building", "road")
    }
    film, wet = [], []
    for key, setting in zip(keys, settings, strict=True):
        lean = _soil_lean(setting)
        for name in NATURAL_SOLIDS:
            drawn[name].append(draw_abundance(name, key.at(name), VARIANTS, lean if name == "soil" else None))
        drawn["bare_soil"].append(draw_abundance("soil", key.at("soil"), VARIANTS, lean))
        drawn["quarry"].append(_assorted(key.at("quarry"), PITS, PIT_SHARES, 0.8, lean))
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
    dry = out["soil"].flatten(0, 1)
    for name, damp in (("soil", 1.0), ("bare_soil", 1.0), ("sand", 0.5)):
        out[name] = wetted(out[name].flatten(0, 1), film_cm, damp * share, wavelength_nm).view(shape)
    out["mud"] = wetted(dry, film_cm + 0.05, torch.full_like(share, 0.95), wavelength_nm).view(shape)
    return out


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
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """{class: (N, V, L)} reflectance of the plant-covered classes, their leaf area and closure {class: (N, V)}."""
    rows = [
        _draw_plants(name, key.at(name), setting)
        for name in VEGETATED
        for key, setting in zip(keys, settings, strict=True)
    ]
    fresh = torch.tensor([key.at("fire").rng().random() for key in keys]).to(water)[:, None, None]
    solids = solids | {
        "scorched": solids["char"] + 0.2 * fresh**2 * (solids["ash"] - solids["char"]),
        "charred": 0.35 * solids["bark"],
    }
    below = {"mangrove": "mud", "wetland": "mud", "paddy": "mud"}
    strewn = {"moss_lichen": "lichen", "burnt": "scorched"}
    stems = {"burnt": "charred"}

    def parts(names: dict[str, str], usual: str) -> Tensor:
        return torch.stack([solids[names.get(name, usual)] for name in VEGETATED]).flatten(0, 2)

    traits = _stacked(rows, water)
    flood = water.repeat(len(VEGETATED), 1, 1).flatten(0, 1)
    spectra = vegetation_reflectance(
        traits, parts(below, "soil"), parts(strewn, "litter"), parts(stems, "bark"), flood, wavelength_nm
    )
    shape = (len(VEGETATED), len(keys), VARIANTS)
    whole = (spectra.view(*shape, -1), leaf_area(traits).view(shape), plant_cover(traits).view(shape))
    by_class, lai, closure = (dict(zip(VEGETATED, part, strict=True)) for part in whole)
    return by_class, lai, closure


def _draw_plants(cover: str, key: SceneKey, setting: Setting) -> Traits:
    """Every trait (V,) of a class in one scene: its kinds one after the other, each from the barest to the lushest."""
    groups = GROUPS.get(cover, 1)
    parts = []
    for number, head in enumerate(draw_kinds(cover, key, setting, groups)):
        own = key.at(head, number)
        count = VARIANTS // groups
        vigour = 2 * (np.arange(count) + 0.5) / count - 1
        traits = _ordered(_whole(draw_traits(head, own, vigour, setting)))
        calendar = draw_calendar(cover, setting, own.at("calendar")) if cover in SOWN else None
        parts.append(_whole(at_season(head, traits, setting, own.at("season"), calendar)))
    plants = {name: np.concatenate([part[name] for part in parts]) for name in TRAITS}
    return _dying(plants) if cover in WILD_FORESTS else plants


def _whole(traits: Traits) -> Traits:
    """Every trait, 0 where a kind of plants has none, bounded."""
    zero = np.zeros(len(traits["lai"]))
    return {name: np.clip(traits.get(name, zero), 0, 1 if name in SHARES else None) for name in TRAITS}


def _ordered(traits: Traits) -> Traits:
    """From the barest to the greenest, whatever the season then does to them: a parcel keeps its plants all year."""
    order = np.argsort(traits["crown"] * (1 - np.exp(-0.6 * traits["lai"] * (1 - traits["dead"]))), kind="stable")
    return {name: values[order] for name, values in traits.items()}


def _dying(traits: Traits) -> Traits:
    """The barest variants of a forest without their leaves: grey stems, brown needles, little below."""
    death = np.clip(1 - np.arange(VARIANTS) / (DEAD_VARIANTS - 0.2), 0, 1)
    return traits | {
        "lai": traits["lai"] * (1 - 0.5 * death),
        "wood": traits["wood"] + (0.65 - traits["wood"]).clip(0) * death,
        "dead": traits["dead"] + (0.97 - traits["dead"]) * death,
        "cbrown": traits["cbrown"] + 0.5 * death,
        "under": traits["under"] * (1 - 0.8 * death),
        "litter": traits["litter"] + (0.8 - traits["litter"]).clip(0) * death * (traits["flood"] == 0),
    }


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
