"""Inland water: the colour of lakes and rivers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.scene.material.solid import water_absorption_cm

PURE_WATER = Path(__file__).parents[2] / "data" / "water_absorption.csv"
PIGMENTS = ((438.0, 32.0, 1.0), (490.0, 35.0, 0.42), (545.0, 45.0, 0.13), (625.0, 35.0, 0.20), (676.0, 17.0, 0.52))
"""(centre, half width, height) [nm, nm, -] of phytoplankton absorption, after Hoepffner & Sathyendranath 1991"""


@dataclass(frozen=True)
class WaterBody:
    """Water by what is in it; every field is (S,).

    Parameters
    ----------
    chl : Tensor
        chlorophyll a [mg m-3]
    sediment : Tensor
        mineral suspended matter [g m-3]
    cdom : Tensor
        absorption of dissolved organic matter at 440 nm [m-1]
    depth_m : Tensor
        of the bottom [m]
    glint : Tensor
        sun and sky light off the surface, as a flat reflectance [-]
    """

    chl: Tensor
    sediment: Tensor
    cdom: Tensor
    depth_m: Tensor
    glint: Tensor


def water_reflectance(body: WaterBody, bottom: Tensor, wavelength_nm: Tensor) -> Tensor:
    """Reflectance pi Rrs + glint (S, L) of water over a bottom (S, L), sun and view near the zenith.

    Source
    ------
    Gordon et al. 1988 and Lee et al. 1998, 1999 doi 10.1364/AO.38.003831 (shallow water, eqs. 1-9); Pope & Fry 1997 doi
    10.1364/AO.36.008710 (absorption below 730 nm); Morel 1974 (scattering of pure water); Morel 1991 and Lee 1998
    (chlorophyll); Babin 2003 doi 10.1029/2001JC000882 (sediment). Departure: no fluorescence, no Raman.
    """
    nm = wavelength_nm[None]
    chl, sediment = body.chl[:, None], body.sediment[:, None]
    a = (
        pure_water_absorption(wavelength_nm)[None]
        + 0.06 * chl**0.65 * phytoplankton_shape(wavelength_nm)[None]
        + body.cdom[:, None] * torch.exp(-0.015 * (nm - 440))
        + 0.041 * sediment * 0.75 * torch.exp(-0.0123 * (nm - 443))
    )
    bb = 0.00111 * (500 / nm) ** 4.32 + 0.0068 * chl**0.62 * (550 / nm) + 0.012 * sediment * (550 / nm) ** 0.5
    kappa, u = a + bb, bb / (a + bb)
    deep = (0.084 + 0.170 * u) * u
    depth = body.depth_m[:, None]
    path_water, path_bottom = 1.03 * (1 + 2.4 * u).sqrt(), 1.04 * (1 + 5.4 * u).sqrt()
    below = deep * (1 - torch.exp(-(1 + path_water) * kappa * depth)) + bottom / math.pi * torch.exp(
        -(1 + path_bottom) * kappa * depth
    )
    return math.pi * 0.5 * below / (1 - 1.5 * below) + body.glint[:, None]


def pure_water_absorption(wavelength_nm: Tensor) -> Tensor:
    """(L,) [m-1]: Pope & Fry below 730 nm, the leaf model's water above."""
    known, values = _pope_fry()
    wanted = wavelength_nm.double().cpu().numpy()
    visible = torch.as_tensor(np.interp(wanted, known, values)).to(wavelength_nm)
    return torch.where(wavelength_nm < 725, visible, 100 * water_absorption_cm(wavelength_nm))


def phytoplankton_shape(wavelength_nm: Tensor) -> Tensor:
    """(L,) absorption of phytoplankton relative to 440 nm."""
    total = torch.zeros_like(wavelength_nm)
    for centre, width, height in PIGMENTS:
        total = total + height * torch.exp(-(((wavelength_nm - centre) / width) ** 2) / 2)
    return total


@lru_cache
def _pope_fry() -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(PURE_WATER, delimiter=",", skiprows=1)
    return table[:, 0], table[:, 1]
