"""The table of the atmosphere: multiple scattering solved once, for every aerosol, thickness, pressure and geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.physics import aerosol
from terraficta.synth.physics.scattering import (
    MOMENTS,
    RAYLEIGH_P2,
    delta_m,
    directions,
    phase_modes,
    single_reflection,
    stack,
    vermote_tanre_rayleigh,
)
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

VERSION = 1
FILE = Path(__file__).parent.parent / "data" / "atmosphere.npz"

WAVELENGTH_NM = (350, 390, 430, 470, 510, 550, 600, 650, 700, 760, 860, 1000, 1240, 1536, 1650, 1950, 2250, 2500)
AOT550 = (0.0, 0.06, 0.15, 0.3, 0.5, 0.8, 1.2, 1.6, 2.0)
PRESSURE = (0.0, 0.35, 0.7, 1.05)
"""at the ground, in units of 1013.25 hPa"""
ZENITH_DEG = (0.0, 12.0, 24.0, 36.0, 46.0, 54.0, 61.0, 67.0, 72.0, 76.0, 80.0)
"""of the sun; the camera's go to VIEWS of them"""
VIEWS = 7
MODES = 7
"""Fourier modes in azimuth that multiple scattering is kept to"""
LAYER_KM = (0.0, 0.4, 0.9, 1.4, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
"""lower edges of the layers, above the ground"""
RAYLEIGH_SCALE_KM = 8.0


class AtmosphereTable(NamedTuple):
    """What is stored; A aerosols, K thicknesses, P pressures, Z zenith angles, V views, M modes, L wavelengths.

    Attributes
    ----------
    multiple : Tensor
        (A, K, P, Z, V, M, L) reflectance by more than one scattering, polarisation included, per cos(m phi)
    transmittance : Tensor
        (A, K, P, Z, L) total, one way
    spherical_albedo : Tensor
        (A, K, P, L)
    extinction, albedo, peak : Tensor
        (A, L) aerosol extinction relative to 550 nm, single-scattering albedo, delta-M fraction
    log_phase : Tensor
        (A, L, T) at angle_deg (T,)
    rayleigh_depth : Tensor
        (L,) at 1013.25 hPa
    """

    multiple: Tensor
    transmittance: Tensor
    spherical_albedo: Tensor
    extinction: Tensor
    albedo: Tensor
    peak: Tensor
    log_phase: Tensor
    angle_deg: Tensor
    rayleigh_depth: Tensor


def rayleigh_depth(wavelength_nm: np.ndarray) -> np.ndarray:
    """Optical thickness of the molecules of a whole atmosphere (1013.25 hPa, 45 deg N, 360 ppm CO2).

    Source
    ------
    Bodhaine 1999, eq. 30, doi:10.1175/1520-0426(1999)016<1854:ORODC>2.0.CO;2.

    Error
    -----
    Within 1.2 % of 6S's band values, which interpolate between 20 wavelengths.
    """
    square = (np.asarray(wavelength_nm, float) / 1000) ** 2
    above = 1.0455996 - 341.29061 / square - 0.90230850 * square
    return np.asarray(0.0021520 * above / (1 + 0.0027059889 / square - 85.968563 * square))


def layer_shares(scale_km: float) -> np.ndarray:
    """Share of an exponential profile in each layer, from the top down, (layers,)."""
    edges = np.array([*LAYER_KM, np.inf])
    return (np.exp(-edges[:-1] / scale_km) - np.exp(-edges[1:] / scale_km))[::-1]


def build(progress: Callable[[int, int], None] | None = None, device: str = "cpu") -> AtmosphereTable:
    """Solve the table: about 4 minutes on one core."""
    wavelength = np.array(WAVELENGTH_NM, float)
    particles = aerosol.optics(wavelength)
    moments = aerosol.legendre_moments(particles.phase, particles.angle_deg, MOMENTS + 1)
    shape = len(aerosol.AEROSOLS), len(wavelength)
    parts = []
    for i in range(shape[0]):
        for j in range(shape[1]):
            parts.append(
                _solve(
                    rayleigh_depth(wavelength[j]).item(), particles.extinction[i, j], particles.albedo[i, j],
                    torch.tensor(moments[i, j], device=device),
                )
            )  # fmt: skip
            if progress:
                progress(len(parts), shape[0] * shape[1])
    multiple, transmittance, spherical = (
        torch.stack([p[k] for p in parts], -1).unflatten(-1, shape).movedim(-2, 0).float().cpu() for k in range(3)
    )
    fixed = (particles.extinction, particles.albedo, moments[..., MOMENTS], np.log(particles.phase),
             particles.angle_deg, rayleigh_depth(wavelength))  # fmt: skip
    return AtmosphereTable(
        multiple.contiguous(), transmittance.contiguous(), spherical.contiguous(),
        *(torch.tensor(x, dtype=torch.float32) for x in fixed),
    )  # fmt: skip


def _solve(depth_r: float, extinction: float, albedo: float, moments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One aerosol at one wavelength: multiple (K, P, Z, V, M), transmittance (K, P, Z), spherical albedo (K, P)."""

    def numbers(values: Sequence[float] | np.ndarray) -> Tensor:
        return torch.tensor(np.array(values, float), device=moments.device)

    mu = torch.cos(torch.deg2rad(numbers(ZENITH_DEG)))
    rays = directions(mu)
    thick = numbers(AOT550) * extinction
    molecules = numbers(PRESSURE) * depth_r
    thick, molecules = (t.flatten() for t in torch.meshgrid(thick, molecules, indexing="ij"))
    tau_a = thick[:, None] * numbers(layer_shares(aerosol.SCALE_HEIGHT_KM))
    tau_r = molecules[:, None] * numbers(layer_shares(RAYLEIGH_SCALE_KM))
    tau = tau_a + tau_r + 1e-15
    scattered = tau_r + albedo * tau_a + 1e-15
    rayleigh = numbers([0.0] * (MOMENTS + 1))
    rayleigh[0], rayleigh[2] = 1.0, RAYLEIGH_P2 / 5
    mix = (tau_r[..., None] * rayleigh + albedo * tau_a[..., None] * moments) / scattered[..., None]
    tau, omega, mix = delta_m(tau, (scattered / tau).clamp(max=1.0), mix[..., :MOMENTS], mix[..., MOMENTS])
    slab = stack(tau, omega, mix, rays, MODES)

    once = torch.zeros_like(slab.reflect)
    above = torch.zeros_like(tau[:, 0])
    for k in range(tau.shape[1]):
        backward, _ = phase_modes(mix[:, k], rays.mu, MODES)
        through = torch.exp(-above[:, None, None] * (1 / rays.mu[:, None] + 1 / rays.mu[None]))
        once += omega[:, k, None, None, None] * backward * (single_reflection(tau[:, k], rays.mu) * through)[:, None]
        above = above + tau[:, k]
    grid = (len(AOT550), len(PRESSURE))
    wanted = slice(len(rays.mu) - len(mu), None)
    total = slab.reflect[:, :, wanted, wanted].unflatten(0, grid)
    multiple = (slab.reflect - once)[:, :, wanted, wanted].unflatten(0, grid).clone()
    polarised = vermote_tanre_rayleigh(numbers(PRESSURE) * depth_r, mu)
    multiple[:, 1:, :3] += (polarised - total[0, :, :3])[None, 1:]  # what polarisation changes in clean air
    multiple[:, :, 1:] *= 2  # per cos(m phi)
    multiple = multiple.permute(0, 1, 4, 3, 2)[:, :, :, :VIEWS]  # K, P, sun, view, mode

    beam = torch.exp(-tau.sum(1)[:, None] / mu)
    down = beam + (rays.weight[:, None] * slab.transmit[:, 0, :, wanted]).sum(1)
    bounce = (rays.weight[:, None] * rays.weight * slab.reflect_up[:, 0]).sum((1, 2))
    return multiple, down.unflatten(0, grid), bounce.unflatten(0, grid)


def write(table: AtmosphereTable, path: Path = FILE) -> None:
    """Store; reflectances as float16 (they are at most 0.4 and smooth)."""
    arrays = {name: value.numpy() for name, value in table._asdict().items()}
    arrays["multiple"] = arrays["multiple"].astype(np.float16)
    with whole_file(path) as partial:
        np.savez_compressed(partial, version=VERSION, **arrays)


@lru_cache(maxsize=4)
def atmosphere_table(device: str = "cpu") -> AtmosphereTable:
    """The table that comes with the package."""
    with np.load(FILE) as file:
        if int(file["version"]) != VERSION:
            raise Refusal(FILE, "version", int(file["version"]), str(VERSION), "run terraficta synth atmosphere-table")
        return AtmosphereTable(
            *(torch.tensor(file[n].astype(np.float32), device=device) for n in AtmosphereTable._fields)
        )
