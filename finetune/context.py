"""The context: what a practitioner gives a forest of every pixel: bands, surroundings, ratios of band pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from terraficta.synth.types.sensor import Sensor

CONTEXT_PX = 5
"""side of the neighbourhood whose mean and standard deviation count [px]"""
MOST_PAIRS = 60
"""normalised differences at most; of more pairs, those of the bands that lie farthest apart are taken"""
LEAST_SUM = 1e-6
"""sum of a band pair, in units of the image, below which their difference says nothing"""

Pairs = tuple[tuple[int, int], ...]
"""positions of bands in a stack"""


def band_pairs(sensor: Sensor, dates: int = 1) -> Pairs:
    """Pairs of bands for normalised differences: all of them, or those of the bands that lie farthest apart.

    Bands are chosen one by one, each the farthest in the logarithm of wavelength from those chosen before. With two
    dates, pairs are made within each date, and every chosen band is paired with itself at the other date.

    Parameters
    ----------
    sensor : Sensor
        B bands of one date
    dates : int
        that an image stacks
    """
    count, most = len(sensor), MOST_PAIRS // dates
    position = sensor.centre_nm.double().log()
    chosen = [int(position.argmin())]
    while len(chosen) < count and (len(chosen) + 1) * (len(chosen) + 2 * (dates - 1)) // 2 <= most:
        far = (position[:, None] - position[chosen]).abs().amin(1)
        far[chosen] = -1
        chosen.append(int(far.argmax()))
    chosen.sort(key=lambda band: float(position[band]))
    within = [(a + t * count, b + t * count) for t in range(dates) for a, b in combinations(chosen, 2)]
    between = [(band, band + count) for band in chosen] if dates == 2 else []
    return tuple(within + between)


def normalised_differences(spectra: Tensor, pairs: Sequence[tuple[int, int]], axis: int = 1) -> Tensor:
    """(a - b) / (a + b) of band pairs along an axis, always in -1..1.

    Negative values (over-corrected reflectance) count as 0, and so does a pair of which both are.
    """
    if not pairs:
        return spectra.narrow(axis, 0, 0)
    a, b = (
        spectra.index_select(axis, torch.tensor(side, device=spectra.device)).clamp(min=0)
        for side in zip(*pairs, strict=True)
    )
    return (a - b) / (a + b).clamp(min=LEAST_SUM)


def context_features(image: Tensor, valid: Tensor | None, pairs: Pairs) -> Tensor:
    """Images (N, B, H, W) to (N, 3 B + pairs, H, W): bands, their mean and deviation in 5x5, normalised differences.

    Parameters
    ----------
    valid : Tensor | None
        (N, H, W) bool; the surroundings leave missing pixels out. None: all are there
    """
    seen = torch.ones_like(image[:, :1]) if valid is None else valid[:, None].to(image)
    middle = (image * seen).sum((0, 2, 3), keepdim=True) / seen.sum().clamp(min=1)
    centred = (image - middle) * seen  # so that squares of large DN keep their digits
    share = _pooled(seen).clamp(min=1e-6)
    mean = _pooled(centred) / share
    spread = (_pooled(centred.square()) / share - mean.square()).clamp(min=0).sqrt()
    return torch.cat([image, mean + middle, spread, normalised_differences(image, pairs)], 1)


def _pooled(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, CONTEXT_PX, 1, CONTEXT_PX // 2)
