"""Matter: which variants of every class occur in a scene, and their spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.scene.material.inland_water import WaterBody, water_reflectance
from terraficta.synth.scene.material.plants import (
    DEAD_VARIANTS,
    FORESTS,
    ROWED,
    VARIANTS,
    Plants,
    Sown,
    draw_plants,
    sown_crops,
)
from terraficta.synth.scene.material.snow import snow_reflectance
from terraficta.synth.scene.material.solid import absorber_shapes, draw_abundance, solid_reflectance, wetted
from terraficta.synth.scene.material.trait import Setting, kin
from terraficta.synth.scene.material.vegetation import VEGETATED, leaf_area, plant_cover, vegetation_reflectance
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA

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
    below : (N, R, V, L) float64 reflectance of the ground between the plants of the R classes `ROWED`
    lai : (N, K, V) green leaf area index, 0 where nothing grows [m2 m-2]
    closure : (N, R, V) share of the ground that plants hide from above
    spacing_m : (N, R, V, 2) between rows, and along them [m]; 0: not seen
    runs : (N, K, G, 2) int64, first and last variant of each group of plants of a class, without dying ones
    groups : (N, K) int64, how many groups it has
    group_of : (N, C + 1) int64, group that each crop of the scene's list is, by its number in `LandCover.crop`
    """

    spectra: Tensor
    below: Tensor
    lai: Tensor
    closure: Tensor
    spacing_m: Tensor
    runs: Tensor
    groups: Tensor
    group_of: Tensor


def draw_matter(keys: Sequence[SceneKey], facts: Sequence[Mapping[str, Any]], wavelength_nm: Tensor) -> Matter:
    """What every class is made of in N scenes; all chance is the same at every season."""
    own = [key.at("material") for key in keys]
    settings = [Setting.of(fact, key) for fact, key in zip(facts, own, strict=True)]
    crops = [sown_crops(setting, key) for setting, key in zip(settings, keys, strict=True)]
    solids = _draw_solids(own, settings, wavelength_nm)
    water = _draw_water(own, settings, solids["soil"], wavelength_nm)
    stands = [
        [draw_plants(name, key.at(name), setting, sown.get(name, [])) for name in VEGETATED]
        for key, setting, sown in zip(own, settings, crops, strict=True)
    ]
    spectra, below, lai, closure = _light_plants(own, stands, solids, water, wavelength_nm)
    spectra |= {name: solids[name] for name in ("sand", "rock", "quarry", "building", "road")}
    spectra |= {
        "bare_soil": solids["soil"],
        "water": water,
        "snow": _draw_snow(own, settings, solids["rock"], wavelength_nm),
    }
    nothing = torch.zeros_like(water[..., 0])
    spacing = [[stand[VEGETATED.index(name)].spacing_m for name in ROWED] for stand in stands]
    return Matter(
        torch.stack([spectra[name] for name in TERRAFICTA.classes], 1),
        torch.stack([below[name] for name in ROWED], 1),
        torch.stack([lai.get(name, nothing) for name in TERRAFICTA.classes], 1),
        torch.stack([closure[name] for name in ROWED], 1),
        torch.as_tensor(np.array(spacing)).to(wavelength_nm),
        *(part.to(wavelength_nm.device) for part in _share_out(stands, crops)),
    )


def _share_out(stands: list[list[Plants]], crops: list[Sown]) -> tuple[Tensor, ...]:
    """`runs`, `groups` and `group_of` of a `Matter`."""
    most = max(len(stand.runs) for scene in stands for stand in scene)
    runs = np.tile([0, VARIANTS - 1], (len(stands), len(TERRAFICTA), most, 1))
    groups = np.ones((len(stands), len(TERRAFICTA)), dtype=np.int64)
    group_of = np.zeros((len(stands), 1 + max(number for sown in crops for own in sown.values() for number, _ in own)))
    for scene, (row, sown) in enumerate(zip(stands, crops, strict=True)):
        for name, stand in zip(VEGETATED, row, strict=True):
            groups[scene, TERRAFICTA.index(name)] = len(stand.runs)
            runs[scene, TERRAFICTA.index(name), : len(stand.runs)] = stand.runs
        for own in sown.values():
            for group, (number, _) in enumerate(own):
                group_of[scene, number] = group
    runs[:, [TERRAFICTA.index(name) for name in FORESTS], :, 0] += DEAD_VARIANTS
    return torch.as_tensor(runs), torch.as_tensor(groups), torch.as_tensor(group_of).long()


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
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in (*NATURAL_SOLIDS, "quarry", "building", "road")}
    film, wet = [], []
    for key, setting in zip(keys, settings, strict=True):
        lean = _soil_lean(setting)
        for name in NATURAL_SOLIDS:
            drawn[name].append(draw_abundance(name, key.at(name), VARIANTS, lean if name == "soil" else None))
        drawn["quarry"].append(_assorted(key.at("quarry"), PITS, PIT_SHARES, 0.15, lean))
        drawn["building"].append(_assorted(key.at("roofs"), ROOFS, ROOF_SHARES, 2.0, lean))
        drawn["road"].append(_assorted(key.at("roads"), ROADS, ROAD_SHARES, 4.0, lean))
        rng = key.at("damp").rng()
        z = 3.2 * setting.moisture - 2.4 + 4.0 * setting.rain + 0.9 * rng.standard_normal() + 0.7 * kin(rng, VARIANTS)
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
    for name, damp in (("soil", 1.0), ("sand", 0.5)):
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


def _light_plants(
    keys: list[SceneKey],
    stands: list[list[Plants]],
    solids: dict[str, Tensor],
    water: Tensor,
    wavelength_nm: Tensor,
) -> tuple[dict[str, Tensor], ...]:
    """{class: (N, V, L)} reflectance of plants and of what lies below, {class: (N, V)} leaf area and closure."""
    traits = _stacked([row[number].traits for number in range(len(VEGETATED)) for row in stands], water)
    ash = torch.tensor([key.at("fire").rng().random() for key in keys]).to(water)[:, None, None]
    solids = solids | {
        "scorched": solids["char"] + 0.2 * ash**2 * (solids["ash"] - solids["char"]),
        "charred": 0.35 * solids["bark"],
    }

    def parts(names: Mapping[str, str], usual: str) -> Tensor:
        return torch.stack([solids[names.get(name, usual)] for name in VEGETATED]).flatten(0, 2)

    soil = parts(dict.fromkeys(("mangrove", "wetland", "paddy"), "mud"), "soil")
    litter, bark = parts({"moss_lichen": "lichen", "burnt": "scorched"}, "litter"), parts({"burnt": "charred"}, "bark")
    flood = water.repeat(len(VEGETATED), 1, 1).flatten(0, 1)
    seen, below = vegetation_reflectance(traits, soil, litter, bark, flood, wavelength_nm)
    # plants drawn together to their closure must not be darker than black
    least = 1.1 * (1 - (seen / below).amin(1))
    closure = torch.maximum(plant_cover(traits), least).clamp(0.02, 0.98)
    shape = (len(VEGETATED), len(keys), VARIANTS)
    whole = (seen.view(*shape, -1), below.view(*shape, -1), leaf_area(traits).view(shape),
             closure.view(shape))  # fmt: skip
    return tuple(dict(zip(VEGETATED, part, strict=True)) for part in whole)


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
                "chl": around(1.5 * np.exp(1.8 * setting.warmth), 1.0, 0.4),
                "sediment": around(5.0 - 3.0 * setting.moisture, 1.2, 0.6),
                "cdom": around(0.2 + 0.9 * setting.moisture * (1.3 - setting.warmth), 0.8, 0.3),
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
