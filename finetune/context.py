"""The context: bands of every pixel, its surroundings near and wide, ratios of band pairs; what a forest is given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from terraficta.synth.types.sensor import Sensor

CONTEXT_PX = 5
"""side of the neighbourhood whose mean and standard deviation count [px]"""
WIDE_PX = (11, 21, 41)
"""sides of the wider neighbourhoods [px]"""
MOST_WIDE = 6
"""bands whose mean and deviation there count: those that lie farthest apart"""
MOST_PAIRS = 60
"""normalised differences at most; of more pairs, those of the bands that lie farthest apart are taken"""
LEAST_SUM = 1e-6
"""sum of a band pair, in units of the image, below which their difference says nothing"""

Pairs = tuple[tuple[int, int], ...]
"""positions of bands in a stack"""


def far_apart(sensor: Sensor, most: int) -> list[int]:
    """Positions of at most that many bands, by wavelength.

    They are chosen one by one, each the farthest in the logarithm of wavelength from those chosen before.
    """
    position = sensor.centre_nm.double().log()
    chosen = [int(position.argmin())]
    while len(chosen) < min(most, len(sensor)):
        far = (position[:, None] - position[chosen]).abs().amin(1)
        far[chosen] = -1
        chosen.append(int(far.argmax()))
    return sorted(chosen, key=lambda band: float(position[band]))


def band_pairs(sensor: Sensor, dates: int = 1) -> Pairs:
    """Pairs of bands for normalised differences: all of them, or those of the bands that lie farthest apart.

    With two dates, pairs are made within each date, and every chosen band is paired with itself at the other date.

    Parameters
    ----------
    sensor : Sensor
        B bands of one date
    dates : int
        that an image stacks
    """
    count, most = len(sensor), MOST_PAIRS // dates
    few = max(n for n in range(1, count + 1) if n * (n + 2 * dates - 3) // 2 <= most)
    chosen = far_apart(sensor, few)
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


def context_features(image: Tensor, valid: Tensor | None, pairs: Pairs, wide: Sequence[int] = ()) -> Tensor:
    """Images (N, B, H, W) to (N, 3 B + 6 W + pairs, H, W): bands, their surroundings near and wide, ratios.

    Bands, their mean and deviation in 5x5; mean and deviation of W of them in 11x11, 21x21 and 41x41; normalised
    differences.

    Parameters
    ----------
    valid : Tensor | None
        (N, H, W) bool; the surroundings leave missing pixels out. None: all are there
    wide : Sequence[int]
        positions of the W bands that are looked at widely; none: the context that a practitioner's forest is given
    """
    seen = torch.ones_like(image[:, :1]) if valid is None else valid[:, None].to(image)
    middle = (image * seen).sum((0, 2, 3), keepdim=True) / seen.sum().clamp(min=1)
    centred = ((image - middle) * seen).double()  # so that squares of large DN keep their digits
    sums, squares, counts = (_running(x) for x in (centred, centred.square(), seen))
    mean, spread = _around(sums, squares, counts, CONTEXT_PX)
    parts, few = [image, mean + middle, spread], list(wide)
    if few:
        sums, squares = sums[:, few], squares[:, few]
    for side in WIDE_PX if few else ():
        mean, spread = _around(sums, squares, counts, side)
        parts += [mean + middle[:, few], spread]
    return torch.cat([*parts, normalised_differences(image, pairs)], 1)


def _around(sums: Tensor, squares: Tensor, counts: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation in a square neighbourhood, of what is seen of it, from running sums."""
    share = _summed(counts, side).clamp(min=1e-6)
    mean = _summed(sums, side) / share
    return mean.float(), (_summed(squares, side) / share - mean.square()).clamp(min=0).sqrt().float()


def _running(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, H + 1, W + 1) float64: the sum of all that lies above and to the left of each corner."""
    total = torch.zeros(*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1, dtype=torch.float64, device=x.device)
    total[..., 1:, 1:] = x
    return torch.cumsum(torch.cumsum(total, -1, out=total), -2, out=total)


def _summed(running: Tensor, side: int) -> Tensor:
    """Sum over a square around each pixel, of what of it lies in the image: four corners, whatever its side."""
    reach = side // 2
    wide = functional.pad(running, (reach, reach, reach, reach), mode="replicate")
    rows = wide[..., side:, :] - wide[..., :-side, :]
    return rows[..., side:] - rows[..., :-side]
