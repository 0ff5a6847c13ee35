"""Figures of a window that need no label: levels, contrast, texture, correlation, greenness and noise of its bands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

Table = NDArray[np.float64]
MOST_BANDS = 6
"""bands that are looked at; more, evenly picked, say little else"""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LAGS_PX = (1, 2, 4, 8)
"""distances at which pixels are compared: fields, streets and crowns show in where the differences stop growing [px]"""
RED_NM, INFRARED_NM, NEAR_NM = 660.0, 850.0, 60.0
"""bands of greenness, and how far a band may lie from them [nm]"""
QUIET = 0.647
"""the smoothest tenth of pure noise, as a share of its mean: of 60 windows of 64 px of independent normal numbers"""
FLOOR = 1e-6
"""least deviation; a flat window has no texture"""


@dataclass(frozen=True)
class Figures:
    """Windows described.

    Parameters
    ----------
    values : Table
        (P, F) one row a window
    names : tuple[str, ...]
        F names KIND.BAND.DETAIL
    tile : NDArray[np.int64]
        (P,) number of the tile that each window is of
    """

    values: Table
    names: tuple[str, ...]
    tile: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Figures:
        """Some of the windows."""
        return Figures(self.values[rows], self.names, self.tile[rows])


def picked(sensor: Sensor) -> list[int]:
    """Bands that are looked at: at most `MOST_BANDS`, evenly by their order of wavelength."""
    order = np.argsort(sensor.centre_nm.numpy(), kind="stable")
    at = np.linspace(0, len(order) - 1, min(MOST_BANDS, len(order))).round().astype(int)
    return [int(order[i]) for i in dict.fromkeys(at.tolist())]


def describe(tiles: Iterator[Tile] | Sequence[Tile], window_px: int, most: int) -> Figures:
    """Describe whole windows of tiles, at most `most`, evenly taken; windows with invalid pixels are left out.

    Where the product is not calibrated (RADIANCE, DN) the numbers of each tile are spread between its own 2nd and 98th
    percentile: what is left is relative.

    Parameters
    ----------
    tiles : Iterator[Tile] | Sequence[Tile]
        of one sensor
    window_px : int
        side of a window [px]
    most : int
        windows that are kept
    """
    rows, owners = [], []
    names: tuple[str, ...] = ()
    for number, tile in enumerate(tiles):
        bands = picked(tile.sensor)
        image = tile.image[bands].double()
        if tile.level in ("RADIANCE", "DN") and bool(tile.valid.any()):
            image = _relative(image, tile.valid)
        for y in range(0, tile.grid.height_px - window_px + 1, window_px):
            for x in range(0, tile.grid.width_px - window_px + 1, window_px):
                part = (slice(y, y + window_px), slice(x, x + window_px))
                if bool(tile.valid[part].all()):
                    row, names = _row(image[(slice(None), *part)], [tile.sensor.bands[b].name for b in bands],
                                      tile.sensor.centre_nm[bands])  # fmt: skip
                    rows.append(row)
                    owners.append(number)
    values = np.array(rows, np.float64).reshape(len(rows), len(names))
    found = Figures(values, names, np.array(owners, np.int64))
    if len(found) <= most:
        return found
    return found.take(np.linspace(0, len(found) - 1, most).round().astype(np.int64))


def _relative(image: Tensor, valid: Tensor) -> Tensor:
    seen = image[:, valid]
    seen = seen[:, :: max(1, seen.shape[1] // 100_000)]
    low, high = (torch.quantile(seen, q, dim=1)[:, None, None] for q in (0.02, 0.98))
    return (image - low) / (high - low).clamp(min=FLOOR)


def _row(window: Tensor, bands: Sequence[str], centre_nm: Tensor) -> tuple[list[float], tuple[str, ...]]:
    """Figures of one window (B, H, W), and their names."""
    flat = window.flatten(1)
    found: dict[str, float] = {}
    levels = torch.quantile(flat, torch.tensor(QUANTILES, dtype=flat.dtype), dim=1).T
    deviation = flat.std(1).clamp(min=FLOOR)
    noise = _noise(window)
    for b, name in enumerate(bands):
        found |= {f"level.{name}.q{round(100 * q):02d}": float(v) for q, v in zip(QUANTILES, levels[b], strict=True)}
        found[f"contrast.{name}.log"] = float(deviation[b].log10())
        found[f"noise.{name}.log"] = float(noise[b].clamp(min=FLOOR).log10())
        for lag in LAGS_PX:
            down = (window[b, lag:] - window[b, :-lag]).square().mean()
            across = (window[b, :, lag:] - window[b, :, :-lag]).square().mean()
            found[f"texture.{name}.{lag}px"] = float(0.25 * (down + across) / deviation[b].square())
    alike = torch.corrcoef(flat) if len(flat) > 1 else torch.ones(1, 1, dtype=flat.dtype)
    alike = torch.nan_to_num(alike, nan=0.0)
    for b in range(len(bands)):
        for c in range(b + 1, len(bands)):
            found[f"correlation.{bands[b]}.{bands[c]}"] = float(alike[b, c])
    found |= _greenness(window, centre_nm)
    return list(found.values()), tuple(found)


def _noise(window: Tensor) -> Tensor:
    """Deviation of the noise of each band (B,), of the smoothest tenth of its 3 x 3 neighbourhoods.

    Source
    ------
    J. Immerkaer 1996, doi:10.1006/cviu.1996.0060: the difference of two Laplacians, of which edges are mostly free; the
    smoothest tenth in place of the mean, for land has texture everywhere.
    """
    kernel = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]], dtype=window.dtype)
    rough = torch.nn.functional.conv2d(window[:, None], kernel[None, None])[:, 0].abs()
    local = torch.nn.functional.avg_pool2d(rough[:, None], 4)[:, 0].flatten(1)
    return local.quantile(0.1, dim=1) * (np.pi / 2) ** 0.5 / 6 / QUIET


def _greenness(window: Tensor, centre_nm: Tensor) -> dict[str, float]:
    red, infrared = (int((centre_nm - nm).abs().argmin()) for nm in (RED_NM, INFRARED_NM))
    if float((centre_nm[red] - RED_NM).abs()) > NEAR_NM or float((centre_nm[infrared] - INFRARED_NM).abs()) > NEAR_NM:
        return {}
    total = (window[infrared] + window[red]).clamp(min=1e-3)
    index = ((window[infrared] - window[red]) / total).clamp(-1, 1).flatten()
    levels = torch.quantile(index, torch.tensor([0.1, 0.5, 0.9], dtype=index.dtype))
    return {f"greenness.ndvi.q{q}": float(v) for q, v in zip((10, 50, 90), levels, strict=True)}


@dataclass(frozen=True)
class Scale:
    """Brings figures to one measure: the middle and spread of some windows.

    Parameters
    ----------
    middle, spread : Table
        (F,)
    """

    middle: Table
    spread: Table

    @classmethod
    def of(cls, values: Table) -> Scale:
        """Median and interquartile range, each kept from zero."""
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        return cls(middle, np.maximum((high - low) / 1.349, 1e-3 * np.abs(middle) + 1e-9))

    def __call__(self, values: Table) -> Table:
        """Figures in spreads from the middle, cut at 6: a far figure is far, but no more than that."""
        return np.clip((values - self.middle) / self.spread, -6, 6) / np.sqrt(len(self.middle))


def energy_distance(a: Table, b: Table, weight: Table | None = None) -> float:
    """Energy distance of two sets of points; 0 where they are of one distribution. `weight` (P,) is of `a`.

    Source
    ------
    G. Szekely and M. Rizzo 2013, doi:10.1016/j.jspi.2013.03.018; unbiased, so that equal sets may be a little below 0.
    """
    p = np.full(len(a), 1 / len(a)) if weight is None else weight
    within_a, within_b, between = apart(a, a), apart(b, b), apart(a, b)
    own = float(p @ within_a @ p / max(1 - float((p**2).sum()), 1e-9))
    other = float(within_b.sum() / (len(b) * max(len(b) - 1, 1)))
    return float(2 * (p @ between).mean() - own - other)


def apart(a: Table, b: Table) -> Table:
    """Distances of all pairs (P, Q)."""
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(square, 0.0))
