"""The neighbourhood of a pixel: means over 5 x 5, of a whole image or only where they are asked for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

AROUND_PX = 5
"""side of the neighbourhood [px]"""


def mean_around(maps: Tensor, at: Tensor | None = None) -> Tensor:
    """Means (P, C) of maps (N, H, W, C) over the part of each pixel's neighbourhood that lies inside the image.

    Parameters
    ----------
    at : Tensor | None
        (P,) flat positions in the N maps laid end to end; None: every pixel, in order
    """
    count, height, width, channels = maps.shape
    if at is None:
        every = functional.avg_pool2d(maps.permute(0, 3, 1, 2), AROUND_PX, 1, AROUND_PX // 2, count_include_pad=False)
        return every.permute(0, 2, 3, 1).reshape(-1, channels)
    step = torch.arange(AROUND_PX, device=at.device) - AROUND_PX // 2
    image, inside = at // (height * width), at % (height * width)
    y = (inside // width)[:, None, None] + step[:, None]
    x = (inside % width)[:, None, None] + step
    within = ((y >= 0) & (y < height) & (x >= 0) & (x < width)).flatten(1)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    rows = (image[:, None, None] * (height * width) + y * width + x).flatten(1)
    weight = within.to(maps.dtype)
    # a sum of few rows with weights: what an embedding bag is, without 25 copies of every row
    return functional.embedding_bag(
        rows, maps.flatten(0, 2), mode="sum", per_sample_weights=weight / weight.sum(1, keepdim=True)
    )
