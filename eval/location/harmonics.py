"""Spherical harmonics: orthonormal functions on the sphere, the finer the higher their degree."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def harmonics(longitude_deg: Tensor, latitude_deg: Tensor, degrees: int) -> Tensor:
    """Real spherical harmonics of all degrees below `degrees`.

    Parameters
    ----------
    longitude_deg, latitude_deg : Tensor
        (P,) [deg]
    degrees : int
        L; the finest feature is about 180 / (L - 1) degrees wide

    Returns
    -------
    Tensor
        (P, L^2) float64, ordered by degree l and then by order m = -l .. l; orthonormal over the unit sphere

    Error
    -----
    Stable recurrences of normalised Legendre functions: orthonormal to 1e-12 at L = 40 (unit/test_location_encoder.py)

    Source
    ------
    Holmes & Featherstone 2002, doi:10.1007/s00190-002-0216-2, equations 11 to 13. For locations: Russwurm et al. 2024,
    arXiv 2310.06743

    Examples
    --------
    >>> harmonics(torch.tensor([12.0]), torch.tensor([48.0]), 1).item() == 1 / math.sqrt(4 * math.pi)
    True
    """
    up, turn = torch.deg2rad(latitude_deg.double()), torch.deg2rad(longitude_deg.double())
    t, u = torch.sin(up), torch.cos(up)
    legendre: dict[tuple[int, int], Tensor] = {(0, 0): torch.full_like(t, 1 / math.sqrt(4 * math.pi))}
    for m in range(degrees):
        if m > 0:
            legendre[m, m] = legendre[m - 1, m - 1] * u * math.sqrt((2 * m + 1) / (2 * m))
        for n in range(m + 1, degrees):
            a = math.sqrt((2 * n - 1) * (2 * n + 1) / ((n - m) * (n + m)))
            below = a * t * legendre[n - 1, m]
            if n - 2 >= m:
                b = math.sqrt((2 * n + 1) * (n + m - 1) * (n - m - 1) / ((n - m) * (n + m) * (2 * n - 3)))
                below = below - b * legendre[n - 2, m]
            legendre[n, m] = below
    columns = []
    for n in range(degrees):
        for m in range(-n, n + 1):
            value = legendre[n, abs(m)]
            if m < 0:
                value = math.sqrt(2) * value * torch.sin(-m * turn)
            elif m > 0:
                value = math.sqrt(2) * value * torch.cos(m * turn)
            columns.append(value)
    return torch.stack(columns, 1)


def angles(longitude_deg: Tensor, latitude_deg: Tensor) -> Tensor:
    """(P, 4) sines and cosines of longitude and latitude: what is commonly given, whose lines meet at the poles."""
    turn, up = torch.deg2rad(longitude_deg.double()), torch.deg2rad(latitude_deg.double())
    return torch.stack([torch.sin(turn), torch.cos(turn), torch.sin(up), torch.cos(up)], 1)


def plain(longitude_deg: Tensor, latitude_deg: Tensor) -> Tensor:
    """(P, 2) longitude and latitude over 180 and 90 degrees: torn at the date line."""
    return torch.stack([longitude_deg.double() / 180, latitude_deg.double() / 90], 1)
