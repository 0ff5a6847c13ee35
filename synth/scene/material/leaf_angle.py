"""The leaf angle: how the leaves of a canopy are inclined."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

CLASS_DEG = 5.0
"""width of an inclination class [deg]"""
NODES, WEIGHTS = (torch.as_tensor(part) for part in np.polynomial.legendre.leggauss(8))
"""of the quadrature over a class"""
CENTRES_DEG = torch.arange(CLASS_DEG / 2, 90.0, CLASS_DEG, dtype=torch.float64)
"""(18,) inclination classes [deg]; 0 = flat"""


def verhoef_angles(a: Tensor, b: Tensor) -> Tensor:
    """Shares of leaf area (S, 18) by Verhoef's two parameters, |a| + |b| <= 1.

    Parameters
    ----------
    a, b : Tensor
        (S,) mean slope (1 flat, -1 upright) and bimodality; (-0.35, -0.15) is spherical

    Source
    ------
    Verhoef 1998, theses Wageningen, ISBN 90-5485-804-4: F(x) is found on its implicit curve by fixed-point steps, which
    halve the error every time.
    """
    a, b = a.double()[:, None], b.double()[:, None]
    edge = torch.deg2rad(torch.cat([CENTRES_DEG + CLASS_DEG / 2])).to(a.device)[None]
    x = (2 * edge).expand(len(a), -1)
    for _ in range(60):
        y = a * torch.sin(x) + 0.5 * b * torch.sin(2 * x)
        x = x + 0.5 * (y - x + 2 * edge)
    cumulative = 2 / math.pi * (a * torch.sin(x) + 0.5 * b * torch.sin(2 * x) + edge)
    cumulative[:, -1] = 1.0
    return torch.diff(cumulative, prepend=torch.zeros_like(cumulative[:, :1]))


def ellipsoidal_angles(mean_deg: Tensor) -> Tensor:
    """Shares of leaf area (S, 18) of an ellipsoidal distribution with this mean inclination (S,) [deg].

    Source
    ------
    Campbell 1990 doi 10.1016/0168-1923(90)90030-A (density), with the cubic in the mean angle for the ratio of axes
    that the SAIL codes use. Every class by 8-point Gauss-Legendre quadrature.
    """
    mean = mean_deg.double()[:, None, None]
    ratio = torch.exp(-1.6184e-5 * mean**3 + 2.1145e-3 * mean**2 - 1.2390e-1 * mean + 3.2491)
    x, weight = NODES.to(mean.device), WEIGHTS.to(mean.device)
    theta = torch.deg2rad(CENTRES_DEG.to(mean.device)[:, None] + x * CLASS_DEG / 2)
    density = ratio**3 * torch.sin(theta) / (torch.cos(theta) ** 2 + (ratio * torch.sin(theta)) ** 2) ** 2
    share = (density * weight).sum(-1)
    return share / share.sum(1, keepdim=True)
