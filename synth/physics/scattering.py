"""Multiple scattering in plane-parallel air, by adding and doubling. Used once, to make the atmosphere's table."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

STREAMS = 12
"""Gauss points in a hemisphere"""
MOMENTS = 2 * STREAMS
THIN = 4e-5
"""optical thickness of the sheet that is doubled; it is treated as scattering once"""
# (6S: depolarisation factor 0.0279, so that the phase function is 1 + 0.4794 P2(cos))
RAYLEIGH_P2 = 0.958725775 / 2


class Slab(NamedTuple):
    """Reflection and transmission of a slab, lit from above, and from below (`_up`): (C, M, n, n) by Fourier mode.

    Diffuse only; `beam` (C, n) is the direct transmittance along each direction.
    """

    reflect: Tensor
    transmit: Tensor
    reflect_up: Tensor
    transmit_up: Tensor
    beam: Tensor


class Directions(NamedTuple):
    """Cosines of the Gauss points, then those of wanted directions that carry no weight; and 2 mu weight."""

    mu: Tensor
    weight: Tensor


def directions(wanted_mu: Tensor) -> Directions:
    """Gauss-Legendre points on (0, 1), followed by the wanted directions."""
    x, w = np.polynomial.legendre.leggauss(STREAMS)
    mu, weight = torch.tensor((x + 1) / 2), torch.tensor(w / 2)
    none = torch.zeros(len(wanted_mu), dtype=torch.float64)
    return Directions(torch.cat([mu, wanted_mu.double()]), torch.cat([2 * mu * weight, none]))


def legendre(mode: int, mu: Tensor) -> Tensor:
    """Normalised associated Legendre functions sqrt((l-m)!/(l+m)!) P_l^m(mu) for l < MOMENTS: (MOMENTS, n)."""
    rows = [torch.zeros_like(mu) for _ in range(MOMENTS)]
    start = torch.ones_like(mu)
    for k in range(1, mode + 1):
        start = start * torch.sqrt((1 - mu * mu) * (2 * k - 1) / (2 * k))
    rows[mode] = start
    for degree in range(mode + 1, MOMENTS):
        before = rows[degree - 2] if degree - 2 >= mode else torch.zeros_like(mu)
        a, b = math.sqrt(degree**2 - mode**2), math.sqrt((degree - 1) ** 2 - mode**2)
        rows[degree] = ((2 * degree - 1) * mu * rows[degree - 1] - b * before) / a
    return torch.stack(rows)


def phase_modes(moments: Tensor, mu: Tensor, modes: int) -> tuple[Tensor, Tensor]:
    """Fourier modes of the phase function for reflection and transmission.

    Parameters
    ----------
    moments : Tensor
        (C, MOMENTS) Legendre moments, the first of them 1
    mu : Tensor
        (n,)

    Returns
    -------
    tuple[Tensor, Tensor]
        backward, forward : (C, modes, n, n)
    """
    degree = torch.arange(MOMENTS, dtype=moments.dtype, device=moments.device)
    backward, forward = [], []
    for mode in range(modes):
        table = legendre(mode, mu)
        weighted = (2 * degree + 1) * moments
        forward.append(torch.einsum("cl,li,lj->cij", weighted, table, table))
        backward.append(torch.einsum("cl,li,lj->cij", weighted * (-1.0) ** (degree + mode), table, table))
    return torch.stack(backward, 1), torch.stack(forward, 1)


def single_reflection(thickness: Tensor, mu: Tensor) -> Tensor:
    """(1 - exp(-tau (1/mu + 1/mu'))) / (4 (mu + mu')): (C, n, n), to be multiplied by albedo and phase function."""
    mass = 1 / mu[:, None] + 1 / mu[None]
    return -torch.expm1(-thickness[:, None, None] * mass) / (4 * (mu[:, None] + mu[None]))


def _single_transmission(thickness: Tensor, mu: Tensor) -> Tensor:
    a, b = mu[:, None], mu[None]
    t = thickness[:, None, None]
    same = (a - b).abs() < 1e-9
    apart = torch.where(same, torch.ones_like(a), a - b)
    general = (torch.exp(-t / a) - torch.exp(-t / b)) / (4 * apart)
    return torch.where(same, t / (4 * a * b) * torch.exp(-t / a), general)


def add(top: Slab, bottom: Slab, weight: Tensor) -> Slab:
    """One slab on another.

    Source
    ------
    de Haan, Bosma & Hovenier 1987, eq. 85-91, A&A 183, 371; intensity only.
    """
    e1, e2 = top.beam[:, None, None], bottom.beam[:, None, None]
    identity = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)

    def between(first: Tensor, second: Tensor) -> Tensor:
        bounce = (first * weight) @ second
        return torch.linalg.solve(identity - bounce * weight, bounce)

    many = between(top.reflect_up, bottom.reflect)
    down = top.transmit + (many * weight) @ top.transmit + many * e1
    up = (bottom.reflect * weight) @ down + bottom.reflect * e1
    reflect = top.reflect + e1.mT * up + (top.transmit_up * weight) @ up
    transmit = e2.mT * down + bottom.transmit * e1 + (bottom.transmit * weight) @ down
    many = between(bottom.reflect, top.reflect_up)
    up = bottom.transmit_up + (many * weight) @ bottom.transmit_up + many * e2
    down = (top.reflect_up * weight) @ up + top.reflect_up * e2
    reflect_up = bottom.reflect_up + e2.mT * down + (bottom.transmit * weight) @ down
    transmit_up = e1.mT * up + top.transmit_up * e2 + (top.transmit_up * weight) @ up
    return Slab(reflect, transmit, reflect_up, transmit_up, top.beam * bottom.beam)


def layer(thickness: Tensor, albedo: Tensor, moments: Tensor, rays: Directions, modes: int) -> Slab:
    """A homogeneous layer, doubled from a thin sheet.

    Parameters
    ----------
    thickness, albedo : Tensor
        (C,) scaled by delta-M where that is used
    moments : Tensor
        (C, MOMENTS)
    """
    doublings = max(0, math.ceil(math.log2(max(float(thickness.max()), 1e-12) / THIN)))
    sheet = thickness / 2**doublings
    backward, forward = phase_modes(moments, rays.mu, modes)
    scale = albedo[:, None, None, None]
    reflect = scale * backward * single_reflection(sheet, rays.mu)[:, None]
    transmit = scale * forward * _single_transmission(sheet, rays.mu)[:, None]
    slab = Slab(reflect, transmit, reflect, transmit, torch.exp(-sheet[:, None] / rays.mu))
    for _ in range(doublings):
        slab = _double(slab, rays.weight)
    return slab


def _double(slab: Slab, weight: Tensor) -> Slab:
    """Two equal homogeneous slabs: half the work of `add`."""
    e = slab.beam[:, None, None]
    r, t = slab.reflect, slab.transmit
    bounce = (r * weight) @ r
    identity = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    many = torch.linalg.solve(identity - bounce * weight, bounce)
    down = t + (many * weight) @ t + many * e
    up = (r * weight) @ down + r * e
    reflect = r + e.mT * up + (t * weight) @ up
    transmit = e.mT * down + t * e + (t * weight) @ down
    return Slab(reflect, transmit, reflect, transmit, slab.beam * slab.beam)


def stack(thickness: Tensor, albedo: Tensor, moments: Tensor, rays: Directions, modes: int) -> Slab:
    """Layers from the top down.

    Parameters
    ----------
    thickness, albedo : Tensor
        (C, layers)
    moments : Tensor
        (C, layers, MOMENTS)
    """
    slab = layer(thickness[:, 0], albedo[:, 0], moments[:, 0], rays, modes)
    for k in range(1, thickness.shape[1]):
        slab = add(slab, layer(thickness[:, k], albedo[:, k], moments[:, k], rays, modes), rays.weight)
    return slab


def delta_m(thickness: Tensor, albedo: Tensor, moments: Tensor, next_moment: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the forward peak off: scaled thickness, albedo and moments.

    Source
    ------
    Wiscombe 1977, doi:10.1175/1520-0469(1977)034<1408:TDMRYA>2.0.CO;2.
    """
    f = next_moment
    scaled = (moments - f[..., None]) / (1 - f[..., None])
    return thickness * (1 - albedo * f), albedo * (1 - f) / (1 - albedo * f), scaled


def vermote_tanre_rayleigh(thickness: Tensor, mu: Tensor) -> Tensor:
    """Reflectance of molecules with polarisation, as three Fourier modes (C, 3, n, n), the first sun, then view.

    rho(phi) = m0 + 2 m1 cos(phi) + 2 m2 cos(2 phi), phi = 0 in the forward plane.

    Source
    ------
    Vermote & Tanre 1992, doi:10.1016/0022-4073(92)90024-P; coefficients as in 6S, CHAND.f.

    Error
    -----
    0.2 % in the visible against exact solutions (their abstract).
    """
    tau, s, v = thickness[:, None, None], mu[:, None], mu[None]
    log = torch.log(tau.clamp(min=1e-12))
    a0 = (0.33243832, -6.777104e-02, 0.16285370, 1.577425e-03, -0.30924818,
          -1.240906e-02, -0.10324388, 3.241678e-02, 0.11493334, -3.503695e-02)  # fmt: skip
    even = (torch.ones_like(s * v), s + v, s * v, s * s + v * v, (s * v) ** 2)
    f0 = sum(term * (a0[2 * i] + a0[2 * i + 1] * log) for i, term in enumerate(even))
    f1, f2 = 0.19666292 - 5.439061e-02 * log, 0.14545937 - 2.910845e-02 * log
    d = 0.958725775
    p0 = 1 + (3 * s * s - 1) * (3 * v * v - 1) * d / 8
    p1 = -s * v * torch.sqrt((1 - s * s) * (1 - v * v)) * d * 0.75
    p2 = (1 - s * s) * (1 - v * v) * d * 0.1875
    once = -torch.expm1(-tau * (1 / s + 1 / v)) / (4 * (s + v))
    more = torch.expm1(-tau / s) * torch.expm1(-tau / v)
    return torch.stack([p * (once + more * f) for p, f in ((p0, f0), (p1, f1), (p2, f2))], 1)
