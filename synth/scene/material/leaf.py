"""The leaf: what one blade reflects and lets through (PROSPECT-5 and PROSPECT-D)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.types.refusal import Refusal

COEFFICIENTS = Path(__file__).parents[2] / "data" / "leaf_coefficients.npz"
VERSIONS = {"5": "prospect_5", "D": "prospect_d"}
ABSORBERS = ("cab", "car", "ant", "cbrown", "cw", "cm")
ACCEPTANCE_DEG = 40.0
"""half angle of the cone of light on the upper face (Jacquemoud & Baret 1990, as kept in every PROSPECT since)"""


@dataclass(frozen=True)
class Leaf:
    """Leaves by what they are made of; every field is a tensor of one shape (S,).

    Parameters
    ----------
    n : Tensor
        number of layers of the plate model, >= 1
    cab, car, ant : Tensor
        chlorophyll a+b, carotenoids, anthocyanins [ug cm-2]
    cbrown : Tensor
        brown pigments [-]
    cw, cm : Tensor
        equivalent water thickness [cm], dry matter [g cm-2]
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
    leaf : Leaf
        fields (S,); float32 or float64
    wavelength_nm : Tensor
        (L,) within 400..2500 [nm]
    version : str
        "5" (no anthocyanins) or "D"

    Returns
    -------
    tuple[Tensor, Tensor]
        reflectance, transmittance : (S, L)

    Raises
    ------
    Refusal
        for an unknown version, or a wavelength outside the coefficients

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
    return plate_stack(leaf, *leaf_constants(version, wavelength_nm))


def plate_stack(
    leaf: Leaf, absorption: Tensor, entry_40: Tensor, entry_90: Tensor, index2: Tensor
) -> tuple[Tensor, Tensor]:
    """`leaf_spectra` by the optical constants of leaf matter (see `leaf_constants`): arithmetic alone."""
    layers = leaf.n[:, None]
    contents = torch.stack([getattr(leaf, name) for name in ABSORBERS], 1) / layers
    tau = plate_transmittance(_weighted(contents, absorption))
    # one plate: light enters from a cone above (40 deg), and from all sides within (90 deg)
    leave = entry_90 / index2
    held = tau * (1 - leave)
    through = tau.mul_(leave).div_(1 - held * held)
    top_t = through * entry_40
    t = through.mul_(entry_90)
    top_r = torch.addcmul(1 - entry_40, held, top_t)
    r = torch.addcmul(1 - entry_90, held, t, out=held)
    # the n - 1 plates below (Stokes 1862), by a - 1 and 1 - 1/b, which stay sound as absorption goes to 0
    loss = (1 - r).sub_(t).clamp_(min=1e-7)
    gap = r - t
    d = (2 - loss).mul_(loss).mul_(1 - gap * gap).sqrt_()
    gap.mul_(loss)
    d.add_(loss)
    a_less_1 = (d - gap).div_(r).mul_(0.5)
    b_less_1 = d.add_(gap).div_(t.clamp(min=1e-30)).mul_(0.5)
    q_less_1 = b_less_1.log1p_().mul_(1 - layers).expm1_()
    one_less_q2 = (q_less_1 + 2).mul_(q_less_1).neg_()
    a2_less_1 = (a_less_1 + 2).mul_(a_less_1)
    whole = a2_less_1 + one_less_q2
    below_r = a_less_1.add_(1).mul_(one_less_q2).div_(whole)
    below_t = q_less_1.add_(1).mul_(a2_less_1).div_(whole)
    pass_on = top_t.div_(r.mul_(below_r).neg_().add_(1))
    return top_r.addcmul_(pass_on, below_r.mul_(t)), below_t.mul_(pass_on)


def _weighted(amount: Tensor, coefficients: Tensor) -> Tensor:
    """amount (S, A) @ coefficients (A, L), summed in one order whatever the batch."""
    total = amount[:, :1] * coefficients[0]
    for column, row in zip(amount.T[1:], coefficients[1:], strict=True):
        total.addcmul_(column[:, None], row)
    return total


PLATE_ABOVE = (1.0, 5.66857027707315, 7.325499080676537, 2.334663010989242, 0.0013111964993365599)
PLATE_BELOW = (1.0, 5.668543607595884, 8.328179422049292, 7.874876476044774, 3.307896663174577, 1.2039399891440483)
"""exp(k) 2 E3(k) as a ratio of polynomials in sqrt(k): own minimax fit to mpmath over 0 <= k <= 60"""


def plate_transmittance(k: Tensor) -> Tensor:
    """Diffuse transmittance 2 E3(k) = (1 - k) exp(-k) + k^2 E1(k) of a plate of absorption thickness k >= 0.

    Error
    -----
    1e-7 (tests/physics/test_leaf.py).
    """
    root = k.sqrt()
    return _polynomial(root, PLATE_ABOVE).div_(_polynomial(root, PLATE_BELOW)).mul_(torch.exp(-k))


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    total = x * coefficients[-1] + coefficients[-2]
    for c in reversed(coefficients[:-2]):
        total.mul_(x).add_(c)
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


@lru_cache(maxsize=16)
def _interpolated(version: str, wavelengths: bytes) -> tuple[np.ndarray, ...]:
    known, values = _table(version)
    wanted = np.frombuffer(wavelengths)
    if wanted.min() < known[0] or wanted.max() > known[-1]:
        found = f"{wanted.min():g}..{wanted.max():g}"
        raise Refusal("leaf", "wavelength_nm", found, f"within {known[0]:g}..{known[-1]:g} nm", "cut the range")
    here = np.stack([np.interp(wanted, known, row) for row in values])
    index = here[0]
    return here[1:], entry_transmittance(index, ACCEPTANCE_DEG), entry_transmittance(index, 90.0), index**2


def leaf_constants(version: str, wavelength_nm: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Absorption coefficients (6, L), transmittance of the surface at 40 and 90 deg (L,), squared index (L,)."""
    parts = _interpolated(version, wavelength_nm.double().cpu().numpy().tobytes())
    absorption, entry_40, entry_90, index2 = (torch.as_tensor(part).to(wavelength_nm) for part in parts)
    return absorption, entry_40, entry_90, index2
