"""Snow: what grains of ice and the soot among them reflect."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ICE = Path(__file__).parents[2] / "data" / "ice_absorption.csv"
PATH_FACTOR = 5.1
"""A in y = A sqrt(gamma d) for irregular (fractal) grains of effective diameter d (Kokhanovsky & Zege 2004)"""
SOOT_PER_UM = 7.5e6 * 1e-6
"""volume absorption of soot at 1000 nm [um-1]: 4 pi 0.47 / 1 um = 5.9, times 1.27 for the field inside a sphere"""


@lru_cache
def _ice() -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(ICE, delimiter=",", skiprows=1)
    return table[:, 0], np.log(table[:, 1])


def snow_reflectance(grain_um: Tensor, soot_ppmv: Tensor, wavelength_nm: Tensor, sza_deg: float = 50.0) -> Tensor:
    """Plane albedo (S, L) of deep snow under the sun.

    Parameters
    ----------
    grain_um : Tensor
        (S,) effective grain diameter [um], 50 (new) .. 2500 (firn, bare ice)
    soot_ppmv : Tensor
        (S,) soot by volume of ice, in parts per million
    wavelength_nm : Tensor
        (L,) [nm]
    sza_deg : float
        sun zenith angle [deg]

    Error
    -----
    The asymptotic form holds for weak absorption; beyond 1400 nm it is some hundredths too high for coarse grains.

    Source
    ------
    Kokhanovsky & Zege 2004 doi 10.1364/AO.43.001589; ice: Warren & Brandt 2008 doi 10.1029/2007JD009744.
    """
    known, log_index = _ice()
    index = np.exp(np.interp(wavelength_nm.double().cpu().numpy(), known, log_index))
    wavelength_um = wavelength_nm / 1000.0
    ice_per_um = 4 * math.pi * torch.as_tensor(index).to(wavelength_nm) / wavelength_um
    gamma = ice_per_um + soot_ppmv[:, None] * 1e-6 * SOOT_PER_UM / wavelength_um
    y = PATH_FACTOR * (gamma * grain_um[:, None]).sqrt()
    escape = 3 / 7 * (1 + 2 * math.cos(math.radians(sza_deg)))
    return torch.exp(-y * escape)
