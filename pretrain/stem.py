"""The stem: any set of bands, read by wavelength."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from terraficta.pretrain.scaling import VIEWS


def wavelength_code(centre_nm: Tensor, fwhm_nm: Tensor, octaves: int = 8) -> Tensor:
    """(B, 4 * octaves + 2) smooth code of where bands lie and how wide they are.

    Position and log-width are each given as sines and cosines of rising frequency, so that near bands have near codes.
    """
    position = (centre_nm - 400.0) / 2100.0
    width = torch.log(fwhm_nm / 10.0) / math.log(50.0)
    turns = math.pi * 2.0 ** torch.arange(octaves, device=centre_nm.device) * 0.5
    parts = [position[:, None], width[:, None]]
    for value in (position, width / 8):
        parts += [torch.sin(value[:, None] * turns), torch.cos(value[:, None] * turns)]
    return torch.cat(parts, 1)


class SpectralStem(nn.Module):
    """A layer over bands whose weights are a function of wavelength.

    A small network writes the weights of each band from its `wavelength_code`; the bands' contributions are averaged.
    The same stem so reads 3 bands or 300, in any order (Xiong et al. 2024, "DOFA", arXiv 2403.15356, has the idea).

    Parameters
    ----------
    width : int
        channels that come out
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        code = wavelength_code(torch.tensor([500.0]), torch.tensor([20.0])).shape[1]
        self.writer = nn.Sequential(nn.Linear(code, 128), nn.GELU(), nn.Linear(128, VIEWS * width))
        self.gain = nn.Parameter(torch.ones(VIEWS, 1, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mixer = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        """Views (N, V, B, H, W) of an image to (N, H, W, width)."""
        return self.weighed(views, self.written(centre_nm, fwhm_nm))

    def written(self, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        """The weights (V * B, width) of bands at some wavelengths (B,) [nm]."""
        bands = len(centre_nm)
        weight = self.writer(wavelength_code(centre_nm, fwhm_nm)).view(bands, VIEWS, self.width).transpose(0, 1)
        return (weight * self.gain * (4.0 / bands)).reshape(VIEWS * bands, self.width)

    def weighed(self, views: Tensor, written: Tensor) -> Tensor:
        """Views (N, V, B, H, W), with the weights of their bands, to (N, H, W, width)."""
        flat = views.flatten(1, 2).flatten(2).transpose(1, 2).flatten(0, 1)
        mixed: Tensor = self.mixer(torch.addmm(self.bias, flat, written))
        return mixed.view(views.shape[0], *views.shape[-2:], self.width)
