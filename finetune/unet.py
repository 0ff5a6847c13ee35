"""The U-Net: the usual network without a pretraining, for comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALES = 4
"""each half the size of the one before"""


class DoubleConvolution(nn.Module):
    """Twice a 3 x 3 convolution, normalisation in groups, and a rectifier."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        out: Tensor = self.layers(x)
        return out


class UNet(nn.Module):
    """Convolutions down four scales and up again, each joined to what was there on the way down.

    Parameters
    ----------
    bands : int
        of the images
    width : int
        channels of the first scale; each further one has twice as many

    Source
    ------
    Ronneberger et al. 2015, arXiv 1505.04597; groups in place of batches are normalised, for batches are small

    Examples
    --------
    >>> UNet(5, 8)(torch.zeros(2, 5, 33, 40)).shape
    torch.Size([2, 33, 40])
    """

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**n for n in range(SCALES)]
        self.down = nn.ModuleList([DoubleConvolution(a, b) for a, b in zip([bands, *widths], widths, strict=False)])
        self.up = nn.ModuleList(
            [DoubleConvolution(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)]
        )
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, bands, H, W) to (N, H, W)."""
        kept: list[Tensor] = []
        for n, block in enumerate(self.down):
            x = block(x if n == 0 else functional.max_pool2d(x, 2, ceil_mode=True))
            kept.append(x)
        for block, fine in zip(self.up, kept[-2::-1], strict=True):
            coarse = functional.interpolate(x, size=fine.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([coarse, fine], 1))
        out: Tensor = self.out(x)[:, 0]
        return out
