"""Optics: what a pixel sees of the ground. Point spread, native sampling, band misregistration, resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import InstrumentRecipe
from terraficta.synth.types.sensor import Band, Sensor

Resampling = Literal["nearest", "bilinear"]
"""how a product brings a coarse band to the grid of the finest one"""

BOX_MTF = 2 / math.pi
"""MTF at Nyquist of a square detector alone: sinc(1/2)"""
MAX_SHIFT_SD = 2.5
"""band shifts are cut here [standard deviations], so that the margin a scene needs is known beforehand"""
REACH_SD = 3.5
"""the Gaussian part of a PSF is cut here [standard deviations]; 5e-4 of its weight lies beyond"""


@dataclass(frozen=True)
class Optics:
    """The camera's optics for N scenes: what `observe` needs.

    Parameters
    ----------
    sensor : Sensor
        whose bands these are
    psf : float
        0: a pixel is the plain mean of its ground; 1: the sensor's own point spread function and native GSD
    shift_px : NDArray[np.float64]
        (N, B, 2) float64, misregistration of every band (y, x) [px of the product grid]
    resampling : tuple[Resampling, ...]
        one a scene; how bands coarser than the grid come onto it
    """

    sensor: Sensor
    psf: float
    shift_px: NDArray[np.float64]
    resampling: tuple[Resampling, ...]

    @classmethod
    def none(cls, sensor: Sensor, count: int = 1) -> Optics:
        """Optics that do nothing: a pixel is the exact mean of its fine cells."""
        resampling: list[Resampling] = ["nearest"] * count
        return cls(sensor, 0.0, np.zeros((count, len(sensor), 2)), tuple(resampling))

    def facts(self, scene: int) -> dict[str, Any]:
        """What was drawn for one scene of the batch."""
        rms_px = float(np.sqrt((self.shift_px[scene] ** 2).sum(-1).mean()))
        return {"psf": self.psf, "misregistration_rms_px": round(rms_px, 4), "resampling": self.resampling[scene]}


def draw_optics(recipe: InstrumentRecipe, sensor: Sensor, keys: Sequence[SceneKey]) -> Optics:
    """Draw the band shifts and the resampling of every scene."""
    shift_px = np.stack(
        [np.stack([key.at("instrument", "shift", b.name).rng().normal(size=2) for b in sensor.bands]) for key in keys]
    )
    shift_px = shift_px.clip(-MAX_SHIFT_SD, MAX_SHIFT_SD) * recipe.misregistration_px
    resampling: list[Resampling] = [
        "bilinear" if key.at("instrument", "resampling").rng().random() < 0.5 else "nearest" for key in keys
    ]
    return Optics(sensor, recipe.psf, shift_px, tuple(resampling))


def observe(toa: Tensor, optics: Optics, factor: int, margin: int = 0, together: bool | None = None) -> Tensor:
    """What the pixels see: the ground weighted by every band's point spread function, on the product's grid.

    Parameters
    ----------
    toa : Tensor
        (N, B, H', W') on fine cells, H' = H * factor + 2 * margin [any]
    optics : Optics
        of the N scenes; a band's native GSD keeps its ratio to the sensor's grid, whatever the scene's GSD
    factor : int
        fine cells along a pixel's side
    margin : int
        fine cells around the tile. `margin_cells` says how many are needed; where there are fewer, the edge is repeated
    together : bool | None
        all planes in one sweep, which keeps a GPU busy, or one by one, which keeps a plane in a CPU's cache; None: as
        suits the device

    Returns
    -------
    Tensor
        (N, B, H, W)

    Error
    -----
    MTF at Nyquist is that of the sensor's documents within 0.002 by construction, within 0.02 on a slanted edge
    (tests/physics/test_optics.py). Between 0 and Nyquist its shape is that of a Gaussian times a square detector.

    Source
    ------
    Separable detector x Gaussian model of the system MTF: e.g. Schowengerdt (2007), Remote Sensing, ch. 3.

    Examples
    --------
    >>> from terraficta.synth.types.sensor import read_sensor
    >>> observe(torch.ones(1, 8, 64, 64), Optics.none(read_sensor("superdove")), factor=2).shape
    torch.Size([1, 8, 32, 32])
    """
    height, width = ((side - 2 * margin) // factor for side in toa.shape[-2:])
    toa, margin = _with_margin(toa, margin, _need_cells(optics, factor))
    seen = torch.empty((*toa.shape[:2], height, width), dtype=toa.dtype, device=toa.device)
    together = toa.device.type != "cpu" if together is None else together
    ratios = [coarseness(b, optics) for b in optics.sensor.bands]
    for ratio in sorted(set(ratios)):
        bands = [i for i, r in enumerate(ratios) if r == ratio]
        native = _sample(toa, optics, bands, factor, ratio, margin, (height, width), together)
        if ratio == 1:
            seen[:, bands] = native
        else:
            for scene, way in enumerate(optics.resampling):
                seen[scene, bands] = to_grid(native[scene], ratio, (height, width), way)
    return seen


def margin_cells(sensor: Sensor, recipe: InstrumentRecipe, factor: int) -> int:
    """Fine cells that `observe` needs around a tile, so that its edge is as true as its middle."""
    worst = np.full((1, len(sensor), 2), MAX_SHIFT_SD * recipe.misregistration_px)
    return _need_cells(Optics(sensor, recipe.psf, worst, ("bilinear",)), factor)


def point_spread(
    mtf_nyquist: float, pixel_cells: float, psf: float, pitch: int, shift_cells: float, radius: int
) -> NDArray[np.float64]:
    """Weights of the fine cells in one pixel, along one axis; they sum to 1.

    The spread is a square detector of the pixel's side smeared by a Gaussian. The Gaussian is as wide as makes the
    whole chain (fine cell, detector, Gaussian) pass `mtf_nyquist` at the Nyquist frequency of the band's pixels.

    Parameters
    ----------
    mtf_nyquist : float
        of the band along this axis
    pixel_cells : float
        native pixel [fine cells]
    psf : float
        0 detector alone .. 1 sensor's own MTF (geometric in between)
    pitch : int
        cells from one sample to the next
    shift_cells : float
        misregistration [fine cells]
    radius : int
        cells beyond the pitch on either side

    Returns
    -------
    NDArray[np.float64]
        (pitch + 2 * radius,)
    """
    sigma = _gaussian_cells(mtf_nyquist, pixel_cells, psf)
    edges = np.arange(-radius, pitch + radius + 1, dtype=np.float64) - (pitch / 2 + shift_cells)
    weights = np.diff(_spread_cdf(edges, pixel_cells, sigma))
    return weights / weights.sum()


def _spread_cdf(x: NDArray[np.float64], width: float, sigma: float) -> NDArray[np.float64]:
    """Integral of box(width) * Gaussian(sigma) from minus infinity to x."""
    if sigma == 0:
        return np.clip(x / width + 0.5, 0, 1)

    def ramp(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return t * ndtr(t / sigma) + sigma / math.sqrt(2 * math.pi) * np.exp(-0.5 * (t / sigma) ** 2)

    return (ramp(x + width / 2) - ramp(x - width / 2)) / width


@lru_cache(maxsize=4096)
def _gaussian_cells(mtf_nyquist: float, pixel_cells: float, psf: float) -> float:
    """Standard deviation of the Gaussian part [fine cells], by bisection on the MTF of the whole chain."""
    goal = BOX_MTF ** (1 - psf) * mtf_nyquist**psf
    frequency = 0.5 / pixel_cells  # [1 / cell]
    edges = np.arange(-math.ceil(12 * pixel_cells), math.ceil(12 * pixel_cells) + 1, dtype=np.float64)
    edges -= (round(pixel_cells) % 2) / 2  # a cell in the middle of an odd pixel, an edge in that of an even one
    cosine = np.cos(2 * math.pi * frequency * (edges[1:] + edges[:-1]) / 2)

    def mtf(sigma: float) -> float:
        weights = np.diff(_spread_cdf(edges, pixel_cells, sigma))
        return float(np.sinc(frequency) * (weights * cosine).sum())  # the scene is made of cells: they smear too

    if psf == 0 or goal >= mtf(0.0):
        return 0.0  # the detector and the cell alone spread as much

    low, high = 0.0, 3.0 * pixel_cells
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if mtf(middle) > goal else (low, middle)
    return high


def coarseness(band: Band, optics: Optics) -> int:
    """Product pixels along the side of a native pixel, where that is a whole number of two or more; else 1."""
    ratio = _native_px(band, optics)
    return round(ratio) if ratio > 1.5 and abs(ratio - round(ratio)) < 1e-6 else 1


def _native_px(band: Band, optics: Optics) -> float:
    """Side of a native pixel [px of the product grid]."""
    return 1.0 if optics.psf == 0 or band.gsd_m is None else band.gsd_m / optics.sensor.gsd_m


def _radius_cells(bands: Sequence[Band], optics: Optics, factor: int, ratio: int) -> int:
    """Cells beyond the pitch that the widest spread of these bands reaches, shifts included."""
    reach = 0.0
    for band in bands:
        pixel = _native_px(band, optics) * factor
        sigma = max(_gaussian_cells(m, pixel, optics.psf) for m in band.mtf_nyquist)
        reach = max(reach, pixel / 2 + REACH_SD * sigma)
    shift = float(np.abs(optics.shift_px).max(initial=0.0)) * factor
    return max(0, math.ceil(reach + shift - ratio * factor / 2 - 1e-9))


def _need_cells(optics: Optics, factor: int) -> int:
    """Cells of margin for every band: its radius, and a ring of native pixels where it is resampled."""
    need = 0
    for band in optics.sensor.bands:
        ratio = coarseness(band, optics)
        ring = 0 if ratio == 1 else 2 * ratio * factor  # one to interpolate with, one where the tile cuts a pixel
        need = max(need, _radius_cells([band], optics, factor, ratio) + ring)
    return need


def _with_margin(toa: Tensor, margin: int, need: int) -> tuple[Tensor, int]:
    if need <= margin:
        return toa, margin
    more = need - margin
    return F.pad(toa, (more, more, more, more), mode="replicate"), need


def _sample(
    toa: Tensor, optics: Optics, bands: list[int], factor: int, ratio: int, margin: int, shape: tuple[int, int],
    together: bool,
) -> Tensor:  # fmt: skip
    """Samples on the grid `ratio` times coarser than the product's, with one ring around where ratio > 1."""
    pitch, ring = ratio * factor, int(ratio > 1)
    rows, columns = (math.ceil(side / ratio) + 2 * ring for side in shape)
    chosen = [optics.sensor.bands[b] for b in bands]
    radius = _radius_cells(chosen, optics, factor, ratio)
    first = margin - ring * pitch - radius
    weights = np.stack([_weights(optics, bands, factor, ratio, radius, axis) for axis in (0, 1)])  # (2, N * bands, T)
    native = toa.new_empty((toa.shape[0], len(bands), rows, columns))
    if not together:
        for p, (n, i) in enumerate(product(range(toa.shape[0]), range(len(bands)))):
            seen = _gather(toa[n, bands[i]], weights[0, p], first, pitch, rows)
            native[n, i] = _gather(seen.T.contiguous(), weights[1, p], first, pitch, columns).T
        return native
    down, across = torch.as_tensor(weights, dtype=toa.dtype, device=toa.device)
    stack = toa[:, bands].flatten(0, 1)
    seen = _gather(stack, down, first, pitch, rows)
    return _gather(seen.mT.contiguous(), across, first, pitch, columns).mT.reshape(native.shape)


def _weights(optics: Optics, bands: list[int], factor: int, ratio: int, radius: int, axis: int) -> NDArray[np.float64]:
    """(N * bands, T) along axis 0 (y, along track) or 1 (x, across track).

    Each scene's weights reach as far as its own shifts need, and are zero up to the common radius: a scene has the
    same weights whatever it is batched with.
    """
    rows, pitch = [], ratio * factor
    chosen = [optics.sensor.bands[b] for b in bands]
    for shifts in optics.shift_px:
        own = _radius_cells(chosen, replace(optics, shift_px=shifts[None]), factor, ratio)
        for b in bands:
            band = optics.sensor.bands[b]
            pixel_cells = _native_px(band, optics) * factor
            mtf = band.mtf_nyquist[1 - axis]  # kept as (across, along)
            spread = point_spread(mtf, pixel_cells, optics.psf, pitch, float(shifts[b, axis]) * factor, own)
            rows.append(np.pad(spread, radius - own))
    return np.stack(rows)


def _gather(x: Tensor, weights: NDArray[np.float64] | Tensor, first: int, pitch: int, count: int) -> Tensor:
    """Weighted sum of every `pitch`-th row and its neighbours: (..., H', W') to (..., count, W').

    Shift and add, in a fixed order: the same bits alone and in a batch, which no library convolution promises.
    """
    seen: Tensor | None = None
    for tap in range(weights.shape[-1]):
        rows = x[..., first + tap : first + tap + (count - 1) * pitch + 1 : pitch, :]
        if isinstance(weights, Tensor):
            weighted = rows * weights[:, tap, None, None]
            seen = weighted if seen is None else seen.add_(weighted)
        elif weights[tap] != 0:
            seen = rows * float(weights[tap]) if seen is None else seen.add_(rows, alpha=float(weights[tap]))
    assert seen is not None  # weights sum to 1
    return seen


def to_grid(native: Tensor, ratio: int, shape: tuple[int, int], way: Resampling) -> Tensor:
    """(B, h, w) with a ring around to (B, H, W), `ratio` times finer."""
    height, width = shape
    if way == "nearest":
        fine = native.repeat_interleave(ratio, -2).repeat_interleave(ratio, -1)
    else:
        fine = F.interpolate(native[None], scale_factor=ratio, mode="bilinear", align_corners=False)[0]
    return fine[..., ratio : ratio + height, ratio : ratio + width]
