"""Directional reflectance: how a surface looks from where it is seen."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from terraficta.synth.physics.sun import Sun
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.sensor import Sensor

WHITE_SKY = {"ross_thick": 0.189184, "li_sparse": -1.377622}
"""integrals of the kernels over sun and view hemispheres; Lucht 2000, table 1, doi:10.1109/36.841980"""

# Volumetric and geometric over isotropic weight of average land, from Roy 2016, table 5, doi:10.1016/j.rse.2016.01.023
_LAND_NM = (482.0, 561.0, 655.0, 865.0, 1609.0, 2201.0)
_VOLUMETRIC = (0.0372 / 0.0774, 0.0580 / 0.1306, 0.0574 / 0.1690, 0.1535 / 0.3093, 0.1154 / 0.3430, 0.0639 / 0.2658)
_GEOMETRIC = (0.0079 / 0.0774, 0.0178 / 0.1306, 0.0227 / 0.1690, 0.0330 / 0.3093, 0.0453 / 0.3430, 0.0387 / 0.2658)

# Strength of (volumetric, geometric) by class relative to average land: closed crowns scatter in volume, open ones and
# roughness cast shadows, water and smooth artificial surfaces do neither; lichens scatter back (I. Solheim 2000).
# Judgement, not measurement.
_STRENGTH = {
    "needleleaf_forest": (1.0, 1.7), "evergreen_forest": (1.2, 1.4), "deciduous_forest": (1.2, 1.3),
    "mangrove": (1.1, 1.2), "plantation": (1.1, 1.5), "shrubland": (1.0, 1.3), "grassland": (1.1, 0.8),
    "moss_lichen": (0.6, 0.9), "pasture": (1.1, 0.7), "wetland": (0.8, 0.7), "cropland": (1.2, 0.8),
    "paddy": (1.0, 0.5), "fallow": (0.6, 0.9), "orchard": (1.0, 1.5), "park": (1.1, 1.0), "bare_soil": (0.5, 0.9),
    "sand": (0.4, 0.6), "rock": (0.4, 1.2), "burnt": (0.4, 1.1), "quarry": (0.4, 1.0), "snow": (0.1, 0.1),
    "water": (0.0, 0.0), "building": (0.1, 0.6), "road": (0.3, 0.3),
}  # fmt: skip


def _angles(sza: Tensor, vza: Tensor, raa: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine of the phase angle, and the angle [rad]; raa 0 is backscatter."""
    cosine = torch.cos(sza) * torch.cos(vza) + torch.sin(sza) * torch.sin(vza) * torch.cos(raa)
    return cosine, torch.acos(cosine.clamp(-1, 1))


def ross_thick(sza_deg: Tensor, vza_deg: Tensor, raa_deg: Tensor) -> Tensor:
    """Volume-scattering kernel of a dense leaf canopy, 0 at nadir sun and view.

    Source
    ------
    Roujean 1992; Wanner 1995, eq. 7, doi:10.1029/95JD02371.
    """
    sza, vza, raa = (torch.deg2rad(a) for a in (sza_deg, vza_deg, raa_deg))
    cosine, phase = _angles(sza, vza, raa)
    return ((math.pi / 2 - phase) * cosine + torch.sin(phase)) / (torch.cos(sza) + torch.cos(vza)) - math.pi / 4


def li_sparse(sza_deg: Tensor, vza_deg: Tensor, raa_deg: Tensor, height: float = 2.0, shape: float = 1.0) -> Tensor:
    """Geometric kernel of sparse crowns and their shadows, reciprocal form, 0 at nadir sun and view.

    Parameters
    ----------
    height, shape : float
        h/b of the crown's centre, b/r of its form; 2 and 1 as in MODIS

    Source
    ------
    Wanner 1995, eq. 39-44; Lucht 2000, eq. 39 (reciprocal), doi:10.1109/36.841980.
    """
    sza, vza, raa = (torch.deg2rad(a) for a in (sza_deg, vza_deg, raa_deg))
    tan_s, tan_v = shape * torch.tan(sza), shape * torch.tan(vza)
    s, v = torch.atan(tan_s), torch.atan(tan_v)
    cosine, _ = _angles(s, v, raa)
    sec_s, sec_v = 1 / torch.cos(s), 1 / torch.cos(v)
    distance2 = (tan_s**2 + tan_v**2 - 2 * tan_s * tan_v * torch.cos(raa)).clamp(min=0)
    cos_t = height * torch.sqrt(distance2 + (tan_s * tan_v * torch.sin(raa)) ** 2) / (sec_s + sec_v)
    t = torch.acos(cos_t.clamp(-1, 1))
    overlap = (t - torch.sin(t) * torch.cos(t)) * (sec_s + sec_v) / math.pi
    return overlap - sec_s - sec_v + 0.5 * (1 + cosine) * sec_s * sec_v


@lru_cache
def _weights(sensor: Sensor) -> tuple[Tensor, Tensor]:
    """(K, B) volumetric and geometric weight over isotropic weight, by class."""
    import numpy as np

    wavelength = sensor.centre_nm.numpy()
    strength = torch.tensor([_STRENGTH[name] for name in TERRAFICTA.classes])
    ratios = [torch.tensor(np.interp(wavelength, _LAND_NM, r), dtype=torch.float32) for r in (_VOLUMETRIC, _GEOMETRIC)]
    return strength[:, :1] * ratios[0], strength[:, 1:] * ratios[1]


def anisotropy(sun: Sun, sensor: Sensor) -> Tensor:
    """Bidirectional over bihemispherical (white-sky) reflectance of every class (N, K, B)."""
    volumetric, geometric = (w.to(sun.sza_deg) for w in _weights(sensor))
    kernel_v = ross_thick(sun.sza_deg, sun.vza_deg, sun.raa_deg)[:, None, None]
    kernel_g = li_sparse(sun.sza_deg, sun.vza_deg, sun.raa_deg)[:, None, None]
    seen = 1 + volumetric * kernel_v + geometric * kernel_g
    white = 1 + volumetric * WHITE_SKY["ross_thick"] + geometric * WHITE_SKY["li_sparse"]
    return (seen / white).clamp(0.2, 3.0)


def directional_reflectance(boa_reflectance: Tensor, cover: Tensor, sun: Sun, sensor: Sensor, brdf: float) -> Tensor:
    """Surface reflectance in the direction of the camera; `brdf` 0 is the identity.

    Parameters
    ----------
    boa_reflectance : Tensor
        (N, B, H, W)
    cover : Tensor
        (N, H, W) index into the legend TERRAFICTA
    brdf : float
        0 Lambertian .. 1 full
    """
    if brdf == 0:
        return boa_reflectance
    factor = 1 + brdf * (anisotropy(sun, sensor) - 1)
    classes = cover.long().flatten(1)[:, None].expand(-1, factor.shape[2], -1)
    return boa_reflectance * factor.transpose(1, 2).gather(2, classes).view_as(boa_reflectance)
