"""Aerosol models: what particles do to light, by wavelength and angle."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

DATA = Path(__file__).parent.parent / "data" / "aerosol.npz"
AEROSOLS = ("continental", "maritime", "urban", "desert", "biomass")
"""in the order of the data and of every index in a record"""
SCALE_HEIGHT_KM = 2.0
"""of aerosol above the ground, as in 6S"""


class Optics(NamedTuple):
    """Optical properties of every model at L wavelengths.

    Attributes
    ----------
    extinction : np.ndarray
        (A, L) relative to 550 nm
    albedo : np.ndarray
        (A, L) single-scattering albedo
    phase : np.ndarray
        (A, L, T) phase function of mean 1 over the sphere, at `angle_deg` (T,)
    """

    extinction: np.ndarray
    albedo: np.ndarray
    phase: np.ndarray
    angle_deg: np.ndarray


@lru_cache
def _tables() -> dict[str, np.ndarray]:
    with np.load(DATA) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def optics(wavelength_nm: np.ndarray) -> Optics:
    """Every model's properties at wavelengths in 350-3750 nm; extinction and phase function log-log between nodes."""
    data = _tables()
    nodes, x = np.log(data["wavelength_nm"]), np.log(np.asarray(wavelength_nm, float))
    low = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    share = (x - nodes[low]) / (nodes[low + 1] - nodes[low])

    def between(table: np.ndarray) -> np.ndarray:
        t = share.reshape(1, -1, *[1] * (table.ndim - 2))
        return np.asarray(table[:, low] * (1 - t) + table[:, low + 1] * t)

    return Optics(
        np.exp(between(np.log(data["extinction"]))),
        between(data["single_scattering_albedo"]),
        np.exp(between(np.log(data["phase"]))),
        data["angle_deg"],
    )


def legendre_moments(phase: np.ndarray, angle_deg: np.ndarray, count: int) -> np.ndarray:
    """Legendre moments (..., count) of phase functions (..., T), normalised so that the first is 1."""
    x, w = np.polynomial.legendre.leggauss(2000)
    angle, order = np.rad2deg(np.arccos(x)), np.argsort(angle_deg)
    flat = phase.reshape(-1, phase.shape[-1])[:, order]
    fine = np.exp(np.stack([np.interp(angle, angle_deg[order], np.log(row)) for row in flat]))
    polynomials = np.polynomial.legendre.legvander(x, count - 1)
    moments = (fine * w) @ polynomials / 2
    return (moments / moments[:, :1]).reshape(*phase.shape[:-1], count)
