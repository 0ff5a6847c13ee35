"""The terms of the atmosphere for a sensor and a geometry, read from the solved table."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from pvlib import spectrum
from torch import Tensor

from synth.physics.aerosol import AEROSOLS, SCALE_HEIGHT_KM
from synth.physics.atmosphere_table import (
    AOT550,
    MODES,
    PRESSURE,
    RAYLEIGH_SCALE_KM,
    VIEWS,
    WAVELENGTH_NM,
    ZENITH_DEG,
    AtmosphereTable,
    atmosphere_table,
    layer_shares,
)
from synth.physics.gases import gas_table, gas_transmittance
from synth.physics.scattering import RAYLEIGH_P2
from synth.spec.refusal import Refusal
from synth.spec.sensor import Sensor

RANGES = {
    "sza_deg": (0.0, ZENITH_DEG[-1]),
    "vza_deg": (0.0, ZENITH_DEG[VIEWS - 1]),
    "raa_deg": (0.0, 180.0),
    "aot550": (0.0, AOT550[-1]),
    "water_vapour_cm": (0.0, 8.0),
    "ozone_cm": (0.0, 0.6),
    "elevation_km": (-0.3, 8.0),
}
"""where the table is valid"""
ROWS_AT_ONCE = 256


class AirTerms(NamedTuple):
    """What the air does, each of the shape of the inputs with the sensor's bands behind: (..., B).

    toa = path + gas * down * up * rho / (1 - spherical_albedo * rho) over even ground, where down and up are the
    sums of their direct and diffuse parts.

    Source
    ------
    Vermote 1997 (6S), eq. 1-6, doi:10.1109/36.581987.

    Error
    -----
    Against 6SV1.1 (`tests/physics/test_atmosphere.py` repeats the figures): see `toa_table`.
    """

    path: Tensor
    """path reflectance, absorption by gases included [-]"""
    down_direct: Tensor
    down_diffuse: Tensor
    up_direct: Tensor
    up_diffuse: Tensor
    spherical_albedo: Tensor
    gas: Tensor
    """two-way transmittance of the gases for light that reached the ground"""
    rayleigh_share: Tensor
    """molecules' share of up_diffuse: the environment that they mix in is wider"""


class Geometry(NamedTuple):
    """Rows (Q,) of conditions."""

    sza_deg: Tensor
    vza_deg: Tensor
    raa_deg: Tensor
    aot550: Tensor
    aerosol: Tensor
    pressure: Tensor


def check_range(name: str, value: Tensor) -> None:
    """Refuse what lies outside of the table."""
    low, high = RANGES[name]
    wrong = ~((value >= low - 1e-6) & (value <= high + 1e-6))
    if bool(wrong.any()):
        found = float(value[wrong].reshape(-1)[0])
        raise Refusal("atmosphere", name, f"{found:g}", f"{low:g} to {high:g}", "stay within the table's range")


def pressure_at(elevation_km: Tensor) -> Tensor:
    """Pressure over that at sea level: the ICAO standard atmosphere, to 11 km."""
    return (1 - elevation_km / 44.3308) ** 5.25588


def air_terms(
    sensor: Sensor,
    sza_deg: Tensor,
    vza_deg: Tensor,
    raa_deg: Tensor,
    aot550: Tensor,
    aerosol: Tensor,
    water_vapour_cm: Tensor,
    ozone_cm: Tensor,
    elevation_km: Tensor,
    rayleigh: Tensor,
) -> AirTerms:
    """Terms for conditions that broadcast to one shape (...), with the sensor's bands behind.

    Parameters
    ----------
    raa_deg : 0 is backscatter [deg]
    aot550, water_vapour_cm, ozone_cm : above the ground
    aerosol : int64 index into AEROSOLS
    rayleigh : share of a whole atmosphere of molecules, 0..1

    Raises
    ------
    Refusal
        outside of `RANGES`.
    """
    given = (sza_deg, vza_deg, raa_deg, aot550, water_vapour_cm, ozone_cm, elevation_km)
    for name, value in zip(RANGES, given, strict=True):
        check_range(name, value)
    *given, kind, rayleigh = torch.broadcast_tensors(*given, aerosol, rayleigh)
    shape, dtype = rayleigh.shape, rayleigh.dtype
    sza, vza, raa, aot, water, ozone, elevation, rayleigh = (t.reshape(-1).double() for t in (*given, rayleigh))
    pressure = rayleigh * pressure_at(elevation)
    rows = Geometry(sza, vza, raa, aot, kind.reshape(-1), pressure)
    parts = [
        _rows(sensor, Geometry(*(t[i : i + ROWS_AT_ONCE] for t in rows)), *(t[i : i + ROWS_AT_ONCE] for t in (water, ozone)))
        for i in range(0, len(sza), ROWS_AT_ONCE)
    ]
    columns = (torch.cat(column) for column in zip(*parts, strict=True))
    return AirTerms(*(column.reshape(*shape, len(sensor)).to(dtype) for column in columns))


def _rows(sensor: Sensor, at: Geometry, water_vapour_cm: Tensor, ozone_cm: Tensor) -> AirTerms:
    table = atmosphere_table(str(at.aot550.device))
    to_bands, gas_to_bands = (w.to(at.aot550) for w in band_matrices(sensor))

    def in_bands(spectrum: Tensor, weights: Tensor = to_bands) -> Tensor:
        return (spectrum[:, None] * weights).sum(-1)

    sun, view = torch.cos(torch.deg2rad(at.sza_deg)), torch.cos(torch.deg2rad(at.vza_deg))
    water, half, others = gas_transmittance(1 / sun + 1 / view, water_vapour_cm, ozone_cm, at.pressure)
    dry, damp, wet = (in_bands(t, gas_to_bands) for t in (others, others * half, others * water))
    clean = at._replace(aot550=torch.zeros_like(at.aot550))
    molecules, all_of_it = path_reflectance(table, clean), path_reflectance(table, at)
    # half of the water vapour lies above the light that aerosol scatters back (6S)
    path = in_bands(molecules) * dry + in_bands(all_of_it - molecules) * damp
    tau = at.aot550[:, None] * table.extinction[at.aerosol] + at.pressure[:, None] * table.rayleigh_depth
    no_molecules = at._replace(pressure=torch.zeros_like(at.pressure))
    beams = [torch.exp(-tau / mu[:, None]) for mu in (sun, view)]
    down, up = transmittance(table, at, at.sza_deg), transmittance(table, at, at.vza_deg)
    by_molecules = transmittance(table, clean, at.vza_deg) - torch.exp(
        -at.pressure[:, None] * table.rayleigh_depth / view[:, None]
    )
    by_particles = transmittance(table, no_molecules, at.vza_deg) - torch.exp(
        -at.aot550[:, None] * table.extinction[at.aerosol] / view[:, None]
    )
    share_r, share_a = in_bands(by_molecules).clamp(min=0), in_bands(by_particles).clamp(min=0)
    return AirTerms(
        path=path,
        down_direct=in_bands(beams[0]),
        down_diffuse=in_bands(down - beams[0]),
        up_direct=in_bands(beams[1]),
        up_diffuse=in_bands(up - beams[1]),
        spherical_albedo=in_bands(spherical_albedo(table, at)),
        gas=wet,
        rayleigh_share=share_r / (share_r + share_a).clamp(min=1e-6),
    )


def path_reflectance(table: AtmosphereTable, at: Geometry) -> Tensor:
    """Reflectance of the air over black ground, without gases, at the table's wavelengths (Q, L)."""
    return single_scattering(table, at) + multiple_scattering(table, at)


def single_scattering(table: AtmosphereTable, at: Geometry) -> Tensor:
    """Light scattered once (Q, L), by the whole phase functions in the delta-scaled air.

    Source
    ------
    TMS of Nakajima & Tanaka 1988, doi:10.1016/0022-4073(88)90031-3.
    """
    sun, view = torch.cos(torch.deg2rad(at.sza_deg)), torch.cos(torch.deg2rad(at.vza_deg))
    scatter = -sun * view - torch.sqrt((1 - sun**2) * (1 - view**2)) * torch.cos(torch.deg2rad(at.raa_deg))
    phase_r = 1 + RAYLEIGH_P2 * (1.5 * scatter**2 - 0.5)
    phase_a = _phase(table, at.aerosol, torch.rad2deg(torch.acos(scatter.clamp(-1, 1))))
    shares_r, shares_a = (
        torch.tensor(layer_shares(h).copy()).to(sun)[None, :, None] for h in (RAYLEIGH_SCALE_KM, SCALE_HEIGHT_KM)
    )
    tau_r = (at.pressure[:, None] * table.rayleigh_depth)[:, None] * shares_r
    tau_a = (at.aot550[:, None] * table.extinction[at.aerosol])[:, None] * shares_a
    albedo, peak = table.albedo[at.aerosol][:, None], table.peak[at.aerosol][:, None]
    tau = tau_r + tau_a * (1 - albedo * peak)
    mass = (1 / sun + 1 / view)[:, None, None]
    above = torch.cumsum(tau, 1) - tau
    source = (tau_r * phase_r[:, None, None] + albedo * tau_a * phase_a[:, None]) / tau.clamp(min=1e-12)
    seen = source * -torch.expm1(-tau * mass) * torch.exp(-above * mass)
    return seen.sum(1) / (4 * (sun + view))[:, None]


def _phase(table: AtmosphereTable, kind: Tensor, angle_deg: Tensor) -> Tensor:
    """Phase function (Q, L), between the tabulated angles by its logarithm."""
    nodes = table.angle_deg
    low = (torch.searchsorted(nodes, angle_deg.contiguous(), right=True) - 1).clamp(0, len(nodes) - 2)
    share = ((angle_deg - nodes[low]) / (nodes[low + 1] - nodes[low]))[:, None]
    return torch.exp(table.log_phase[kind, :, low] * (1 - share) + table.log_phase[kind, :, low + 1] * share)


def multiple_scattering(table: AtmosphereTable, at: Geometry) -> Tensor:
    """Light scattered more than once (Q, L), polarisation of the molecules included."""
    wavelengths = table.multiple.shape[-1]
    corner, weight = _corners(table, at, ((at.sza_deg, ZENITH_DEG), (at.vza_deg, ZENITH_DEG[:VIEWS])))
    modes = table.multiple.reshape(-1, MODES, wavelengths)[corner]  # (Q, 256, M, L)
    modes = (modes * weight[:, :, None, None]).sum(1)
    azimuth = torch.deg2rad(180 - at.raa_deg)[:, None] * torch.arange(MODES, device=weight.device)
    return (modes * torch.cos(azimuth)[:, :, None]).sum(1)


def transmittance(table: AtmosphereTable, at: Geometry, zenith_deg: Tensor) -> Tensor:
    """Total transmittance of the scattering air along one direction (Q, L)."""
    corner, weight = _corners(table, at, ((zenith_deg, ZENITH_DEG),))
    return (table.transmittance.reshape(-1, table.transmittance.shape[-1])[corner] * weight[:, :, None]).sum(1)


def spherical_albedo(table: AtmosphereTable, at: Geometry) -> Tensor:
    """Reflectance of the air for even light from below (Q, L)."""
    corner, weight = _corners(table, at, ())
    return (table.spherical_albedo.reshape(-1, table.spherical_albedo.shape[-1])[corner] * weight[:, :, None]).sum(1)


def _corners(
    table: AtmosphereTable, at: Geometry, more: tuple[tuple[Tensor, tuple[float, ...]], ...]
) -> tuple[Tensor, Tensor]:
    """Flat index and weight (Q, corners) of the nodes around every row."""
    index, weight = at.aerosol[:, None], torch.ones_like(at.aot550)[:, None]
    for value, nodes in ((at.aot550, AOT550), (at.pressure, PRESSURE), *more):
        near, share = cubic(value, nodes)
        index = (index[:, :, None] * len(nodes) + near[:, None]).flatten(1)
        weight = (weight[:, :, None] * share[:, None]).flatten(1)
    return index, weight


def cubic(value: Tensor, nodes: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The four nodes around a value, and their Lagrange weights: (Q, 4) each."""
    grid = torch.tensor(nodes, dtype=value.dtype, device=value.device)
    low = (torch.searchsorted(grid, value.contiguous(), right=True) - 2).clamp(0, len(nodes) - 4)
    near = low[:, None] + torch.arange(4, device=value.device)
    x, weights = grid[near], []
    for i in range(4):
        others = [j for j in range(4) if j != i]
        top = math.prod(value - x[:, j] for j in others)  # type: ignore[type-var]
        bottom = math.prod(x[:, i] - x[:, j] for j in others)  # type: ignore[type-var]
        weights.append(top / bottom)
    return near, torch.stack(weights, 1)


@lru_cache(maxsize=64)
def band_matrices(sensor: Sensor) -> tuple[Tensor, Tensor]:
    """Weights that average into the sensor's bands, under sunlight.

    Returns
    -------
    (B, L) from the table's wavelengths, between which it takes cubics in the logarithm; (B, G) from the gases' grid
    """
    fine = gas_table().wavelength_nm.double()
    sunlight = torch.tensor(_sunlight(tuple(fine.tolist())))
    for band in sensor.bands:
        low, high = WAVELENGTH_NM[0], WAVELENGTH_NM[-1]
        if not low <= band.centre_nm <= high:
            raise Refusal(sensor.name, band.name, band.centre_nm, f"{low} to {high} nm", "leave this band out")
    weights = sensor.band_weights(fine) * sunlight
    weights = weights / weights.sum(1, keepdim=True)
    near, share = cubic(torch.log(fine), tuple(math.log(w) for w in WAVELENGTH_NM))
    hats = torch.zeros(len(fine), len(WAVELENGTH_NM), dtype=torch.float64).scatter_add_(1, near, share)
    return weights @ hats, weights


@lru_cache
def _sunlight(wavelength_nm: tuple[float, ...]) -> np.ndarray:
    """Extraterrestrial irradiance (ASTM G173, by way of pvlib) [W m-2 nm-1]."""
    standard = spectrum.get_reference_spectra(standard="ASTM G173-03")["extraterrestrial"]
    return np.interp(wavelength_nm, standard.index.to_numpy(), standard.to_numpy())
