"""Statistics of images: densities, correlation, power spectrum and variogram, and how far two sets differ in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.eval.realism.patch import Patches

QUANTILES = np.linspace(0.01, 0.99, 99)
LAGS_PX = (1, 2, 3, 4, 6, 8, 12, 16)
"""of the variogram"""


@dataclass(frozen=True)
class Statistics:
    """What patches are like.

    Parameters
    ----------
    quantiles : NDArray[np.float64]
        (B, 99) of the values of each band
    ndvi : NDArray[np.float64]
        (99,) quantiles
    correlation : NDArray[np.float64]
        (B, B) of all pixels
    spectrum : NDArray[np.float64]
        (16,) power by radial wavenumber 1 .. 16 cycles a patch, mean over bands of standardised patches
    variogram : NDArray[np.float64]
        (8,) semivariance at LAGS_PX, likewise
    """

    quantiles: NDArray[np.float64]
    ndvi: NDArray[np.float64]
    correlation: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    variogram: NDArray[np.float64]

    @property
    def slope(self) -> float:
        """Exponent of the power spectrum over wavenumbers 2 .. 12; -2 and less is smooth, 0 is white."""
        k = np.arange(2, 13)
        return float(np.polyfit(np.log(k), np.log(self.spectrum[1:12]), 1)[0])


def measure(patches: Patches) -> Statistics:
    """Statistics of some patches."""
    flat = patches.image.transpose(0, 1).flatten(1).double()
    quantiles = np.quantile(flat[:, ::3].numpy(), QUANTILES, axis=1).T
    x = patches.image - patches.image.mean((2, 3), keepdim=True)
    x = x / x.std((2, 3), keepdim=True).clamp(min=1e-6)
    return Statistics(
        quantiles, np.quantile(patches.ndvi().flatten()[::3].double().numpy(), QUANTILES),
        np.nan_to_num(np.corrcoef(flat.numpy())), radial_power(x), semivariance(x),
    )  # fmt: skip


def radial_power(x: Tensor) -> NDArray[np.float64]:
    """(..., S, S) to (S / 2,) mean power at radial wavenumbers 1 .. S / 2; a window keeps edges out of it.

    Examples
    --------
    >>> y = torch.arange(32)[:, None] / 32 * 2 * torch.pi
    >>> int(radial_power(torch.sin(5 * y).expand(1, 32, 32)).argmax()) + 1
    5
    """
    side = x.shape[-1]
    window = torch.hann_window(side, periodic=False)
    power = torch.fft.fft2(x * window[:, None] * window).abs().square().flatten(0, -3).mean(0)
    k = torch.fft.fftfreq(side, 1 / side)
    ring = (k[:, None].square() + k.square()).sqrt().round().long().flatten()
    sums = torch.zeros(2, side + 1, dtype=torch.float64)
    sums.index_add_(1, ring, torch.stack([power.flatten(), torch.ones(side * side)]).double())
    return (sums[0] / sums[1].clamp(min=1))[1 : side // 2 + 1].numpy()


def semivariance(x: Tensor) -> NDArray[np.float64]:
    """(..., S, S) to (8,): half the mean squared difference of pixels LAGS_PX apart, down and across."""
    return np.array(
        [
            0.25 * float((x[..., lag:, :] - x[..., :-lag, :]).square().mean()
                         + (x[..., lag:] - x[..., :-lag]).square().mean())
            for lag in LAGS_PX
        ]
    )  # fmt: skip


def distances(a: Statistics, b: Statistics) -> dict[str, float]:
    """How far the first lies from the second, in words that a table can have as columns.

    `bands`: mean distance of quantiles (Wasserstein 1) in units of b's 5..95 % span; `NDVI`: the same, plain;
    `correlation`: root mean square difference; `slope`: of the exponents; `variogram`: root mean square of log ratios.
    """
    span = np.maximum(b.quantiles[:, 94] - b.quantiles[:, 4], 1e-6)
    off = ~np.eye(len(a.correlation), dtype=bool)
    return {
        "bands": float((np.abs(a.quantiles - b.quantiles).mean(1) / span).mean()),
        "NDVI": float(np.abs(a.ndvi - b.ndvi).mean()),
        "correlation": float(np.sqrt(np.mean((a.correlation - b.correlation)[off] ** 2))),
        "slope": a.slope - b.slope,
        "variogram": float(np.sqrt(np.mean(np.log(a.variogram / b.variogram) ** 2))),
    }
