"""The terms of the atmosphere for a sensor and a geometry, read from the solved table."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from pvlib import spectrum
from torch import Tensor

from terraficta.synth.physics.aerosol import SCALE_HEIGHT_KM
from terraficta.synth.physics.atmosphere_table import (
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
from terraficta.synth.physics.gases import gas_table, gas_transmittance
from terraficta.synth.physics.scattering import RAYLEIGH_P2
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor

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
DIRECTIONS_AT_ONCE, ROWS_AT_ONCE = 64, 64
"""more would fill the memory with spectra"""


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


class Rows(NamedTuple):
    """Conditions (Q,) that share the directions (D,) of sun and view: `which` says whose."""

    aot550: Tensor
    pressure: Tensor
    which: Tensor


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
    raa_deg : Tensor
        0 is backscatter [deg]
    aot550, water_vapour_cm, ozone_cm : Tensor
        above the ground
    aerosol : Tensor
        int64 index into AEROSOLS
    rayleigh : Tensor
        share of a whole atmosphere of molecules, 0..1

    Raises
    ------
    Refusal
        outside of `RANGES`.
    """
    given = (sza_deg, vza_deg, raa_deg, aot550, water_vapour_cm, ozone_cm, elevation_km)
    for name, value in zip(RANGES, given, strict=True):
        check_range(name, value)
    amounts = torch.broadcast_tensors(sza_deg, vza_deg, water_vapour_cm, ozone_cm, elevation_km, rayleigh)
    gases = _gases(sensor, *amounts)  # whatever the aerosol is
    *given, rayleigh = torch.broadcast_tensors(*given, rayleigh)
    shape, dtype = rayleigh.shape, rayleigh.dtype
    aot, elevation, rayleigh = (t.reshape(-1).double() for t in (given[3], given[6], rayleigh))
    absorbed = [g.expand(*shape, len(sensor)).reshape(-1, len(sensor)) for g in gases]
    directions = torch.broadcast_tensors(sza_deg, vza_deg, raa_deg, aerosol)
    which = (
        torch.arange(directions[0].numel(), device=aot.device).reshape(directions[0].shape).expand(shape).reshape(-1)
    )
    sza, vza, raa = (t.reshape(-1).double() for t in directions[:3])
    kind = directions[3].reshape(-1)
    pressure = rayleigh * pressure_at(elevation)
    parts = []
    for low in range(0, len(sza), DIRECTIONS_AT_ONCE):
        mine = (which >= low) & (which < low + DIRECTIONS_AT_ONCE)
        some = slice(low, low + DIRECTIONS_AT_ONCE)
        rows = Rows(aot[mine], pressure[mine], which[mine] - low)
        to = _towards(sza[some], vza[some], raa[some], kind[some])
        parts.append(_rows(sensor, to, rows, *(g[mine] for g in absorbed)))
    columns = (torch.cat(column) for column in zip(*parts, strict=True))
    return AirTerms(*(column.reshape(*shape, len(sensor)).to(dtype) for column in columns))


class Towards(NamedTuple):
    """The table along D pairs of directions, for D aerosols; K thicknesses, P pressures, L wavelengths."""

    sun: Tensor
    """(D,) cosine"""
    view: Tensor
    multiple: Tensor
    """(D, K, P, L) reflectance by more than one scattering, polarisation of the molecules included"""
    transmittance_down: Tensor
    """(D, K, P, L) total"""
    transmittance_up: Tensor
    spherical_albedo: Tensor
    phase_r: Tensor
    """(D,) phase function of the molecules"""
    phase_a: Tensor
    """(D, L) of the aerosol; its extinction, single-scattering albedo and delta-M fraction likewise"""
    extinction: Tensor
    albedo: Tensor
    peak: Tensor
    rayleigh_depth: Tensor
    """(L,)"""


def _towards(sza_deg: Tensor, vza_deg: Tensor, raa_deg: Tensor, kind: Tensor) -> Towards:
    table = atmosphere_table(str(sza_deg.device))
    sun, view = torch.cos(torch.deg2rad(sza_deg)), torch.cos(torch.deg2rad(vza_deg))
    scatter = -sun * view - torch.sqrt((1 - sun**2) * (1 - view**2)) * torch.cos(torch.deg2rad(raa_deg))
    at_sun, share_sun = cubic(sza_deg, ZENITH_DEG)
    at_view, share_view = cubic(vza_deg, ZENITH_DEG)
    at_low_view, share_low_view = cubic(vza_deg, ZENITH_DEG[:VIEWS])
    azimuth = torch.deg2rad(180 - raa_deg)[:, None] * torch.arange(MODES, device=sun.device)
    multiple = torch.zeros((), dtype=torch.float64, device=sun.device)
    for i in range(4):
        for j in range(4):
            share = (share_sun[:, i] * share_low_view[:, j])[:, None] * torch.cos(azimuth)
            multiple = multiple + _weighted(table.multiple[kind, :, :, at_sun[:, i], at_low_view[:, j]], share)

    def transmittance(near: Tensor, share: Tensor) -> Tensor:
        one_way = table.transmittance.movedim(3, 1)  # A, Z, K, P, L
        return _weighted(one_way[kind[:, None], near].permute(0, 2, 3, 1, 4), share)

    return Towards(
        sun, view, multiple, transmittance(at_sun, share_sun), transmittance(at_view, share_view),
        table.spherical_albedo[kind].double(),
        1 + RAYLEIGH_P2 * (1.5 * scatter**2 - 0.5),
        _phase(table, kind, torch.rad2deg(torch.acos(scatter.clamp(-1, 1)))),
        table.extinction[kind].double(), table.albedo[kind].double(), table.peak[kind].double(),
        table.rayleigh_depth.double(),
    )  # fmt: skip


def _weighted(values: Tensor, share: Tensor) -> Tensor:
    """Sum of (D, K, P, m, L) with weights (D, m)."""
    return (values * share[:, None, None, :, None]).sum(3)


def _in_bands(spectrum: Tensor, weights: Tensor) -> Tensor:
    """(Q, L) by weights (B, L): a sum in a fixed order, so that a row's last bit does not depend on other rows."""
    return (spectrum[:, None] * weights).sum(-1)


def _gases(
    sensor: Sensor, sza_deg: Tensor, vza_deg: Tensor, water_cm: Tensor, ozone_cm: Tensor, z_km: Tensor, rayleigh: Tensor
) -> list[Tensor]:
    """Two-way transmittance (..., B), float64, of dry air, with half of the water vapour, with all of it."""
    sza, vza, water_cm, ozone_cm, z_km, rayleigh = (
        t.reshape(-1).double() for t in torch.broadcast_tensors(sza_deg, vza_deg, water_cm, ozone_cm, z_km, rayleigh)
    )
    mass = 1 / torch.cos(torch.deg2rad(sza)) + 1 / torch.cos(torch.deg2rad(vza))
    weights, parts = band_matrices(sensor)[1].to(mass), []
    for some in zip(
        *(t.split(ROWS_AT_ONCE) for t in (mass, water_cm, ozone_cm, rayleigh * pressure_at(z_km))), strict=True
    ):
        water, half, others = gas_transmittance(*some)
        parts.append([_in_bands(t, weights) for t in (others, others * half, others * water)])
    return [torch.cat(column).reshape(*sza_deg.shape, len(sensor)) for column in zip(*parts, strict=True)]


def _rows(sensor: Sensor, to: Towards, at: Rows, dry: Tensor, damp: Tensor, wet: Tensor) -> AirTerms:
    weights = band_matrices(sensor)[0].to(at.aot550)

    def in_bands(spectrum: Tensor) -> Tensor:
        return _in_bands(spectrum, weights)

    sun, view = to.sun[at.which], to.view[at.which]
    clean = at._replace(aot550=torch.zeros_like(at.aot550))
    hazy = at._replace(pressure=torch.zeros_like(at.pressure))
    of_clean, of_hazy, of_both = (Between.of(a) for a in (clean, hazy, at))
    molecules, both = (
        single_scattering(to, a) + place.read(to.multiple) for a, place in ((clean, of_clean), (at, of_both))
    )
    # half of the water vapour lies above the light that aerosol scatters back (6S)
    path = in_bands(molecules) * dry + in_bands(both - molecules) * damp
    direct_down, direct_up = (torch.exp(-_depth(to, at) / mu[:, None]) for mu in (sun, view))
    down, up = of_both.read(to.transmittance_down), of_both.read(to.transmittance_up)
    share_r, share_a = (
        in_bands(place.read(to.transmittance_up) - torch.exp(-_depth(to, a) / view[:, None])).clamp(min=0)
        for a, place in ((clean, of_clean), (hazy, of_hazy))
    )
    return AirTerms(
        path=path,
        down_direct=in_bands(direct_down),
        down_diffuse=in_bands(down - direct_down),
        up_direct=in_bands(direct_up),
        up_diffuse=in_bands(up - direct_up),
        spherical_albedo=in_bands(of_both.read(to.spherical_albedo)),
        gas=wet,
        rayleigh_share=share_r / (share_r + share_a).clamp(min=1e-6),
    )


def _depth(to: Towards, at: Rows) -> Tensor:
    """Scattering optical thickness (Q, L)."""
    return at.aot550[:, None] * to.extinction[at.which] + at.pressure[:, None] * to.rayleigh_depth


def single_scattering(to: Towards, at: Rows) -> Tensor:
    """Light scattered once (Q, L), by the whole phase functions in the delta-scaled air.

    Source
    ------
    TMS of Nakajima & Tanaka 1988, doi:10.1016/0022-4073(88)90031-3.
    """
    shares_r, shares_a = (
        torch.tensor(layer_shares(h).copy()).to(to.sun)[None, :, None] for h in (RAYLEIGH_SCALE_KM, SCALE_HEIGHT_KM)
    )
    tau_r = (at.pressure[:, None] * to.rayleigh_depth)[:, None] * shares_r
    tau_a = (at.aot550[:, None] * to.extinction[at.which])[:, None] * shares_a
    albedo, peak = to.albedo[at.which][:, None], to.peak[at.which][:, None]
    tau = tau_r + tau_a * (1 - albedo * peak)
    sun, view = to.sun[at.which], to.view[at.which]
    mass = (1 / sun + 1 / view)[:, None, None]
    above = torch.cumsum(tau, 1) - tau
    scattered = tau_r * to.phase_r[at.which][:, None, None] + albedo * tau_a * to.phase_a[at.which][:, None]
    seen = scattered / tau.clamp(min=1e-12) * -torch.expm1(-tau * mass) * torch.exp(-above * mass)
    return seen.sum(1) / (4 * (sun + view))[:, None]


class Between(NamedTuple):
    """Where Q conditions lie between the table's thicknesses and pressures."""

    which: Tensor
    """(Q,) direction"""
    near_a: Tensor
    """(Q, 4) thicknesses around"""
    near_p: Tensor
    """(Q, 4) pressures around"""
    share: Tensor
    """(Q, 4, 4) weight of each pair"""

    @classmethod
    def of(cls, at: Rows) -> Between:
        """By cubics through the four nodes around."""
        (near_a, share_a), (near_p, share_p) = cubic(at.aot550, AOT550), cubic(at.pressure, PRESSURE)
        return cls(at.which, near_a, near_p, share_a[:, :, None] * share_p[:, None])

    def read(self, values: Tensor) -> Tensor:
        """Values (D, K, P, L) there, (Q, L)."""
        around = values[self.which[:, None, None], self.near_a[:, :, None], self.near_p[:, None]]
        return (around * self.share[..., None]).sum((1, 2))


def _phase(table: AtmosphereTable, kind: Tensor, angle_deg: Tensor) -> Tensor:
    """Phase function (Q, L), between the tabulated angles by its logarithm."""
    nodes = table.angle_deg
    low = (torch.searchsorted(nodes, angle_deg.contiguous(), right=True) - 1).clamp(0, len(nodes) - 2)
    share = ((angle_deg - nodes[low]) / (nodes[low + 1] - nodes[low]))[:, None]
    return torch.exp(table.log_phase[kind, :, low] * (1 - share) + table.log_phase[kind, :, low + 1] * share)


def cubic(value: Tensor, nodes: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The four nodes around a value, and their Lagrange weights: (Q, 4) each."""
    grid = torch.tensor(nodes, dtype=value.dtype, device=value.device)
    low = (torch.searchsorted(grid, value.contiguous(), right=True) - 2).clamp(0, len(nodes) - 4)
    near = low[:, None] + torch.arange(4, device=value.device)
    away = value[:, None] - grid[near]  # (Q, 4)
    between = grid[near][:, :, None] - grid[near][:, None]  # (Q, 4, 4)
    weights = []
    for i in range(4):
        a, b, c = (j for j in range(4) if j != i)
        top = away[:, a] * away[:, b] * away[:, c]
        weights.append(top / (between[:, i, a] * between[:, i, b] * between[:, i, c]))
    return near, torch.stack(weights, 1)


@lru_cache(maxsize=64)
def band_matrices(sensor: Sensor) -> tuple[Tensor, Tensor]:
    """Weights that average into the sensor's bands, under sunlight.

    Returns
    -------
    tuple[Tensor, Tensor]
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
