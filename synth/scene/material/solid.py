"""The opaque solid: soil, sand, rock, litter, char, roofs and roads as thick scattering layers with named absorbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from terraficta.synth.scene.material.leaf import leaf_constants
from terraficta.synth.scene.material.trait import kin_rows
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal

DATA = Path(__file__).parents[2] / "data"
WATER_INDEX = 1.33
"""refractive index of water in the visible (Hale & Querry 1973)"""


@lru_cache
def _catalogue(name: str) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = yaml.safe_load((DATA / f"{name}.yaml").read_text())
    return content


def absorbers() -> tuple[str, ...]:
    """Names of the absorbers: the axis A of every abundance."""
    return tuple(_catalogue("absorbers"))


def absorber_shapes(wavelength_nm: Tensor) -> Tensor:
    """(A, L) float64: K/S of one unit of each absorber."""
    return _shapes(wavelength_nm.double().cpu().numpy().tobytes()).to(wavelength_nm.device)


@lru_cache(maxsize=16)
def _shapes(wavelengths: bytes) -> Tensor:
    wavelength_nm = torch.as_tensor(np.frombuffer(wavelengths).copy())
    return torch.stack([_shape(features, wavelength_nm) for features in _catalogue("absorbers").values()])


def _shape(features: dict[str, Any], wavelength_nm: Tensor) -> Tensor:
    total = torch.full_like(wavelength_nm, float(features.get("flat", 0.0)))
    for centre, width, height in features.get("band", []):
        total = total + height * torch.exp(-(((wavelength_nm - centre) / width) ** 2))
    for centre, width, height in features.get("edge", []):
        total = total + height * torch.sigmoid((centre - wavelength_nm) / width)
    for scale, height in features.get("slope", []):
        total = total + height * torch.exp(-(wavelength_nm - 400.0) / scale)
    if features.get("water"):
        water = water_absorption_cm(wavelength_nm)
        total = total + water / water_absorption_cm(torch.tensor([1940.0]).to(wavelength_nm))
    return total


def water_absorption_cm(wavelength_nm: Tensor) -> Tensor:
    """Absorption coefficient (L,) of liquid water [cm-1], as PROSPECT has it."""
    return leaf_constants("D", wavelength_nm)[0][4]


def solid_reflectance(abundance: Tensor, shapes: Tensor) -> Tensor:
    """Reflectance (S, L) of thick layers with K/S = abundance (S, A) @ shapes (A, L).

    Source
    ------
    Kubelka & Munk 1931: R = 1 + k - sqrt(k^2 + 2 k), here in the form 1 / (1 + k + sqrt(k^2 + 2 k)).
    """
    k = abundance @ shapes
    return 1 / (1 + k + (k * (k + 2)).sqrt())


def wetted(dry: Tensor, film_cm: Tensor, wet_share: Tensor, wavelength_nm: Tensor) -> Tensor:
    """Reflectance (S, L) of a solid (S, L) of which `wet_share` (S,) lies under a water film of `film_cm` (S,) [cm].

    Source
    ------
    Bablet et al. 2018 doi 10.1016/j.rse.2018.07.031 (MARMIT), after Bach & Mauser 1994: light enters the film, is
    absorbed twice, and is held back inside by total reflection. Departure: one index of refraction for all wavelengths.
    """
    out_reflect = ((WATER_INDEX - 1) / (WATER_INDEX + 1)) ** 2
    in_reflect = 1 - (1 - 0.0664) / WATER_INDEX**2  # 0.0664: diffuse light on flat water (Gordon 1969)
    through = torch.exp(-2 * film_cm[:, None] * water_absorption_cm(wavelength_nm))
    seen = dry * through
    wet = (1 - out_reflect) * (1 - in_reflect) * seen / (1 - in_reflect * seen)
    return dry + wet_share[:, None] * (wet - dry)


def draw_abundance(material: str, key: SceneKey, count: int, lean: Mapping[str, float] | None = None) -> np.ndarray:
    """Abundances (V, A) of the absorbers in V variants of one material.

    Parameters
    ----------
    material : str
        a head of solids.yaml
    key : SceneKey
        of the material in the scene; what is common to the scene carries half of the variance. In each half, absorbers
        move together as far as their third figure in solids.yaml says
    count : int
        V
    lean : Mapping[str, float] | None
        {absorber: shift of its logarithm in standard deviations}, what the setting of the scene does

    Raises
    ------
    Refusal
        for an unknown material or absorber
    """
    columns, (median, sd, load, alone) = _mixing(material)
    scene, within = kin_rows(key.rng(), 1 + len(columns), count)
    each = scene + within  # the first is common to all absorbers
    z = math.sqrt(0.5) * (load * each[0] + alone * each[1:])
    z = z + np.array([(lean or {}).get(absorber, 0.0) for absorber in columns])[:, None]
    abundance = np.zeros((count, len(absorbers())))
    abundance[:, list(columns.values())] = (median * np.exp(sd * np.clip(z, -2.2, 2.2))).T
    return abundance


@lru_cache
def _mixing(material: str) -> tuple[dict[str, int], np.ndarray]:
    """{absorber of a material: its place on the axis A}; median, spread, common and own share of it (4, a, 1)."""
    known, names = _catalogue("solids"), absorbers()
    if material not in known:
        raise Refusal("solids.yaml", "material", material, f"one of {', '.join(known)}", "use a listed material")
    for absorber in known[material]:
        if absorber not in names:
            raise Refusal("solids.yaml", material, absorber, f"one of {', '.join(names)}", "use a listed absorber")
    rows = [(median, sd, load, math.sqrt(1 - load**2)) for median, sd, load in known[material].values()]
    return {absorber: names.index(absorber) for absorber in known[material]}, np.array(rows).T[:, :, None]
