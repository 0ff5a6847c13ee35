"""Glass: a pane, and what is seen through it."""

from __future__ import annotations

import torch
from torch import Tensor

GLASS_INDEX = 1.52
"""refractive index of soda-lime glass in the visible (Rubin 1985, doi:10.1016/0165-1633(85)90052-8)"""
# absorption of 1 % of iron oxide by weight: ferrous in the near infrared, ferric towards the ultraviolet (bands as in
# Bamford 1977; heights our reading of clear float glass: 0.1 % takes a tenth of the infrared in 4 mm)
FERROUS_NM, FERROUS_WIDTH_NM, FERROUS_PER_CM = 1050.0, 300.0, 2.6
FERRIC_SCALE_NM, FERRIC_PER_CM = 25.0, 2.0


def pane(iron_percent: Tensor, thickness_mm: Tensor, wavelength_nm: Tensor) -> tuple[Tensor, Tensor]:
    """Reflectance and transmittance (S, L) of a sheet of glass, both faces and all that goes to and fro between.

    Parameters
    ----------
    iron_percent : (S,) iron oxide by weight, 0.01 (low-iron) .. 0.1 (clear) .. 0.6 (green) [%]
    thickness_mm : (S,) [mm]
    wavelength_nm : (L,) [nm]

    Error
    -----
    Normal incidence, one index for all wavelengths, no coating.
    """
    ferrous = FERROUS_PER_CM * torch.exp(-(((wavelength_nm - FERROUS_NM) / FERROUS_WIDTH_NM) ** 2))
    ferric = FERRIC_PER_CM * torch.exp(-(wavelength_nm - 400.0) / FERRIC_SCALE_NM)
    inside = torch.exp(-(iron_percent * thickness_mm / 10)[:, None] * (ferrous + ferric))
    face = ((GLASS_INDEX - 1) / (GLASS_INDEX + 1)) ** 2
    through = (1 - face) ** 2 * inside / (1 - (face * inside) ** 2)
    return face + face * inside * through, through


def glass_reflectance(
    iron_percent: Tensor, thickness_mm: Tensor, dust: Tensor, behind: Tensor, wavelength_nm: Tensor
) -> Tensor:
    """Reflectance (S, L) of a glazed surface away from the mirror image of the sun.

    Parameters
    ----------
    dust : (S,) share of the pane that is covered by grey dust of reflectance 0.3
    behind : (S, L) reflectance of what lies below: a room, a greenhouse, a panel's cells
    """
    reflects, passes = pane(iron_percent, thickness_mm, wavelength_nm)
    seen = passes * passes * behind / (1 - reflects * behind)
    return seen + dust[:, None] * (0.3 - seen)
