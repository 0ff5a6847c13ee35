"""The terms of the atmosphere for a band and a geometry."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from synth.spec.sensor import Sensor

AEROSOLS = ("continental", "maritime", "urban", "desert", "biomass")
"""kinds of aerosol; the record holds their index"""

# Angstrom exponent, single-scattering albedo and asymmetry at 550 nm, rounded from the 6S models
_ANGSTROM = (1.1, 0.3, 1.2, 0.2, 1.8)
_ALBEDO = (0.893, 0.989, 0.647, 0.93, 0.90)
_ASYMMETRY = (0.66, 0.74, 0.60, 0.72, 0.62)


class AirTerms(NamedTuple):
    """What the air does, each of the shape of the inputs with the sensor's bands behind: (..., B).

    toa = path + gas * (down) * (up) * rho / (1 - spherical_albedo * rho) over even ground.
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
    """Terms for conditions of one common shape (...), with the sensor's bands behind.

    Parameters
    ----------
    raa_deg : 0 is backscatter [deg]
    aot550, water_vapour_cm, ozone_cm : above the ground
    aerosol : index into AEROSOLS
    rayleigh : share of a whole atmosphere of molecules, 0..1
    """
    w = (sensor.centre_nm / 1000).to(aot550)
    sza_deg, vza_deg, raa_deg, aot550, water_vapour_cm, ozone_cm, elevation_km, rayleigh = (
        t[..., None]
        for t in torch.broadcast_tensors(
            sza_deg, vza_deg, raa_deg, aot550, water_vapour_cm, ozone_cm, elevation_km, rayleigh
        )
    )
    sun, view = torch.cos(torch.deg2rad(sza_deg)), torch.cos(torch.deg2rad(vza_deg))
    scatter = -sun * view - torch.sqrt((1 - sun**2) * (1 - view**2)) * torch.cos(torch.deg2rad(raa_deg))
    molecules = rayleigh * torch.exp(-elevation_km / 8.4)
    tau_r = molecules * 0.008569 * w**-4 * (1 + 0.0113 * w**-2 + 0.00013 * w**-4)
    angstrom, albedo, g = (torch.tensor(v).to(aot550)[aerosol][..., None] for v in (_ANGSTROM, _ALBEDO, _ASYMMETRY))
    tau_a = aot550 * (w / 0.55) ** -angstrom
    phase_r = 0.75 * (1 + scatter**2)
    phase_a = (1 - g**2) / (1 + g**2 - 2 * g * scatter) ** 1.5
    tau, mass = tau_r + tau_a, 1 / sun + 1 / view
    single = (tau_r * phase_r + albedo * tau_a * phase_a) / (tau + 1e-12)
    path = single / (4 * (sun + view)) * (1 - torch.exp(-tau * mass)) * (1 + 1.4 * tau_r + 0.7 * albedo * tau_a)
    loss = 0.5 * tau_r + (1 - albedo * (1 + g) / 2) * tau_a
    water = torch.zeros_like(path)
    for centre, width, strength in (
        (0.72, 0.01, 0.02),
        (0.82, 0.012, 0.03),
        (0.94, 0.02, 0.6),
        (1.13, 0.03, 0.6),
        (1.38, 0.04, 3.0),
        (1.87, 0.06, 4.0),
        (2.3, 0.2, 0.01),
    ):
        water = water + strength * torch.exp(-(((w - centre) / width) ** 2))
    ozone = 0.135 * torch.exp(-(((w - 0.595) / 0.062) ** 2))
    gas = torch.exp(-ozone * ozone_cm * mass - water * (mass * water_vapour_cm + 1e-12) ** 0.6)
    return AirTerms(
        path=path * gas,
        down_direct=torch.exp(-tau / sun),
        down_diffuse=torch.exp(-loss / sun) - torch.exp(-tau / sun),
        up_direct=torch.exp(-tau / view),
        up_diffuse=torch.exp(-loss / view) - torch.exp(-tau / view),
        spherical_albedo=(0.92 * tau_r + albedo * (1 - g) * tau_a) * torch.exp(-tau),
        gas=gas,
        rayleigh_share=0.5 * tau_r / (0.5 * tau_r + albedo * (1 + g) / 2 * tau_a + 1e-12),
    )
