"""Adjacency: light that was reflected by the surroundings and scattered into the view of a pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# share of the environment's light that comes from within r [km], nadir view:
# F(r) = 1 - sum_i weight_i exp(-rate_i r); form: Vermote 1997, doi:10.1109/36.581987; numbers: 6SV1.1, ENVIRO.f
RAYLEIGH = ((0.930, 0.08), (0.070, 1.10))
AEROSOL = ((0.448, 0.27), (0.552, 2.83))


def share_within(radius_km: Tensor, rayleigh_share: Tensor) -> Tensor:
    """Share F(r) of the environment's contribution that comes from within a radius [km].

    Parameters
    ----------
    radius_km : Tensor
        any shape [km]
    rayleigh_share : Tensor
        broadcastable; molecules' share of the upward diffuse transmittance, the rest is aerosol's
    """
    molecules, particles = (
        1 - sum(weight * torch.exp(-rate * radius_km) for weight, rate in kernel) for kernel in (RAYLEIGH, AEROSOL)
    )
    return rayleigh_share * molecules + (1 - rayleigh_share) * particles


def surroundings(reflectance: Tensor, cell_m: Tensor, rayleigh_share: Tensor) -> Tensor:
    """Reflectance of each cell's surroundings, weighted as the air mixes it into the view.

    A pyramid: rings of the environment function are read from ever coarser, blurred means of the scene; what lies
    beyond the scene is taken to be like its mean.

    Parameters
    ----------
    reflectance : Tensor
        (N, B, h, w)
    cell_m : Tensor
        (N,) side of these cells [m]
    rayleigh_share : Tensor
        (N, B)

    Error
    -----
    In the middle of a disc, within 0.03 of `share_within` for discs of two cells' radius to an eighth of the scene;
    larger ones are cut short by what is taken to lie beyond. `test_atmosphere` repeats it, and 1 % of rho_toa
    against 6S.
    """
    # in float64, so that the last bit does not depend on the length of the vector
    cell_km, rayleigh_share = cell_m.double() / 1000, rayleigh_share.double()
    levels, weights, inner, edge = [reflectance], [], torch.zeros_like(rayleigh_share), FIRST_EDGE
    while True:
        outer = share_within(edge * cell_km[:, None], rayleigh_share)
        weights.append((outer - inner).to(reflectance)[:, :, None, None])
        inner, last, edge = outer, levels[-1], EDGE
        if min(last.shape[-2:]) < 4:
            break
        levels.append(F.avg_pool2d(F.pad(last, (1, 1, 1, 1), mode="replicate"), 4, stride=2))
        cell_km = cell_km * 2
    beyond = (1 - inner).to(reflectance)[:, :, None, None] * reflectance.mean((2, 3), keepdim=True)
    mixed = torch.addcmul(beyond, weights[-1], levels[-1])
    for level, weight in zip(levels[-2::-1], weights[-2::-1], strict=True):  # from level to level, each half as coarse
        mixed = F.interpolate(mixed, size=level.shape[-2:], mode="bilinear", align_corners=False)
        mixed = mixed.addcmul_(weight, level)
    return mixed


FIRST_EDGE, EDGE = 0.9, 1.25
"""radius up to which a level of the pyramid stands for the surroundings, in its cells; fitted to share_within"""
