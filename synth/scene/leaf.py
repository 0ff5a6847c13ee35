"""The leaf: what one blade reflects and lets through (PROSPECT-5 and PROSPECT-D)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synth.spec.refusal import Refusal

COEFFICIENTS = Path(__file__).parent.parent / "data" / "leaf_coefficients.npz"
VERSIONS = {"5": "prospect_5", "D": "prospect_d"}
ABSORBERS = ("cab", "car", "ant", "cbrown", "cw", "cm")
ACCEPTANCE_DEG = 40.0
"""half angle of the cone of light on the upper face (Jacquemoud & Baret 1990, as kept in every PROSPECT since)"""


@dataclass(frozen=True)
class Leaf:
    """Leaves by what they are made of; every field is a tensor of one shape (S,).

    Parameters
    ----------
    n : number of layers of the plate model, >= 1
    cab, car, ant : chlorophyll a+b, carotenoids, anthocyanins [ug cm-2]
    cbrown : brown pigments [-]
    cw, cm : equivalent water thickness [cm], dry matter [g cm-2]
    """

    n: Tensor
    cab: Tensor
    car: Tensor
    ant: Tensor
    cbrown: Tensor
    cw: Tensor
    cm: Tensor


def leaf_spectra(leaf: Leaf, wavelength_nm: Tensor, version: str = "D") -> tuple[Tensor, Tensor]:
    """Directional-hemispherical reflectance and transmittance of leaves.

    Parameters
    ----------
    leaf : fields (S,); float32 or float64
    wavelength_nm : (L,) within 400..2500 [nm]
    version : "5" (no anthocyanins) or "D"

    Returns
    -------
    reflectance, transmittance : (S, L)

    Raises
    ------
    Refusal : for an unknown version, or a wavelength outside the coefficients

    Error
    -----
    1e-6 in float32 against the authors' form (tests/physics/test_leaf.py). The plate model knows no needles: for
    conifers its parameters are effective ones.

    Source
    ------
    Jacquemoud & Baret 1990 doi 10.1016/0034-4257(90)90100-Z; Feret 2008 doi 10.1016/j.rse.2008.02.012 (5); Feret 2017
    doi 10.1016/j.rse.2017.03.004 (D). Departure: Stokes' sums are written with 1/b and with differences of squares
    taken apart, so that opaque and loss-free leaves need no special case.

    Examples
    --------
    >>> one = torch.ones(1)
    >>> leaf = Leaf(n=1.5 * one, cab=40 * one, car=8 * one, ant=one, cbrown=0 * one, cw=0.01 * one, cm=0.009 * one)
    >>> r, t = leaf_spectra(leaf, torch.tensor([670.0, 800.0]))
    >>> bool(r[0, 0] < 0.1 and r[0, 1] > 0.4)
    True
    """
    coefficients, entry_40, entry_90, index2 = leaf_constants(version, wavelength_nm)
    contents = torch.stack([getattr(leaf, name) for name in ABSORBERS], 1) / leaf.n[:, None]
    tau = plate_transmittance(contents @ coefficients)
    # one plate: light enters from a cone above (40 deg), and from all sides within (90 deg)
    leave = entry_90 / index2
    back = 1 - leave
    within = tau * leave / (1 - (back * tau) ** 2)
    top_t = entry_40 * within
    top_r = (1 - entry_40) + back * tau * top_t
    t = entry_90 * within
    r = (1 - entry_90) + back * tau * t
    # the n - 1 plates below (Stokes 1862)
    loss = (1 - r - t).clamp(min=1e-7)
    d = (loss * (1 + r + t) * (1 + r - t) * (1 - r + t)).sqrt()
    a_less_1 = (loss * (1 - r + t) + d) / (2 * r)
    b_less_1 = (loss * (1 + r - t) + d) / (2 * t.clamp(min=1e-30))
    log_q = -(leaf.n[:, None] - 1) * torch.log1p(b_less_1)
    q, one_less_q2 = log_q.exp(), -torch.expm1(2 * log_q)
    a2_less_1 = a_less_1 * (2 + a_less_1)
    share = 1 / (a2_less_1 + one_less_q2)
    below_r = (1 + a_less_1) * one_less_q2 * share
    below_t = q * a2_less_1 * share
    pass_on = top_t / (1 - below_r * r)
    return top_r + pass_on * below_r * t, pass_on * below_t


def plate_transmittance(k: Tensor) -> Tensor:
    """Diffuse transmittance (1 - k) exp(-k) + k^2 E1(k) of a plate of absorption thickness k >= 0.

    Error
    -----
    2e-7 (E1 by Abramowitz & Stegun 1964, 5.1.53 for k <= 1 and 5.1.56 above; tests/physics/test_leaf.py).
    """
    fade = torch.exp(-k)
    low = k.clamp(min=1e-30, max=1.0)
    e1_low = _polynomial(low, (-0.57721566, 0.99999193, -0.24991055, 0.05519968, -0.00976004, 0.00107857)) - low.log()
    high = k.clamp(min=1.0)
    above = _polynomial(high, (0.2677737343, 8.6347608925, 18.0590169730, 8.5733287401, 1.0))
    below = _polynomial(high, (3.9584969228, 21.0996530827, 25.6329561486, 9.5733223454, 1.0))
    k_e1 = torch.where(k > 1.0, fade * above / below, k * e1_low)
    return (1 - k) * fade + k * k_e1


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    total = torch.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total.mul_(x).add_(c)
    return total


def entry_transmittance(index: np.ndarray, cone_deg: float) -> np.ndarray:
    """Transmittance (L,) of a dielectric surface for light from a cone of half angle `cone_deg`, refractive index (L,).

    Source
    ------
    Stern 1964, Allen 1973: the mean of Fresnel's transmittances weighted by sin(2 theta), here by 64-point
    Gauss-Legendre quadrature in place of the closed form.
    """
    x, weight = np.polynomial.legendre.leggauss(64)
    # u = sin^2(theta) is uniform under the sin(2 theta) weight; theta = u_max sin^2 smooths the grazing end
    phase = (x + 1) * math.pi / 4
    edge = math.sin(math.radians(cone_deg)) ** 2
    u = edge * np.sin(phase) ** 2
    du = np.sin(2 * phase) * math.pi / 4 * weight
    cos_in = np.sqrt(1 - u)[:, None]
    cos_out = np.sqrt(1 - u[:, None] / index**2)
    s = (cos_in - index * cos_out) / (cos_in + index * cos_out)
    p = (index * cos_in - cos_out) / (index * cos_in + cos_out)
    transmittance: np.ndarray = (du[:, None] * (1 - (s**2 + p**2) / 2)).sum(0)
    return transmittance


@lru_cache
def _table(version: str) -> tuple[np.ndarray, np.ndarray]:
    if version not in VERSIONS:
        raise Refusal("leaf", "prospect_version", repr(version), "'5' or 'D'", "choose one of them")
    with np.load(COEFFICIENTS) as file:
        return file["wavelength_nm"].astype(np.float64), file[VERSIONS[version]].astype(np.float64)


def leaf_constants(version: str, wavelength_nm: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Absorption coefficients (6, L), transmittance of the surface at 40 and 90 deg (L,), squared index (L,)."""
    known, values = _table(version)
    wanted = wavelength_nm.double().cpu().numpy()
    if wanted.min() < known[0] or wanted.max() > known[-1]:
        found = f"{wanted.min():g}..{wanted.max():g}"
        raise Refusal("leaf", "wavelength_nm", found, f"within {known[0]:g}..{known[-1]:g} nm", "cut the range")
    here = np.stack([np.interp(wanted, known, row) for row in values])
    index = here[0]
    parts = (here[1:], entry_transmittance(index, ACCEPTANCE_DEG), entry_transmittance(index, 90.0), index**2)
    return tuple(torch.as_tensor(p).to(wavelength_nm) for p in parts)  # type: ignore[return-value]
