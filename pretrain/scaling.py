"""Input scaling: what a network sees of an image, fitted on pixels that are not test pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.types.tile import Level, Tile

SAMPLE_PX = 4096
"""pixels taken of each image, evenly spaced: enough for percentiles to 1 %"""
CLIP = 4.0
"""in spreads; beyond lies glint, cloud and dead detector"""


@dataclass(frozen=True)
class Scaling:
    """Two views of an image: relative to its own land, and absolute.

    The relative view is (x - centre) / spread per band and works at any level. The absolute view is the square root
    of reflectance, which needs a calibrated level (BOA, TOA); for DN and RADIANCE it is all zero, and networks are
    trained with it missing half of the time.

    Parameters
    ----------
    centre, spread : (..., B) median, and 5..95 percentile range / 3.29 (a standard deviation, were it normal)
    absolute : whether the numbers are reflectance
    """

    centre: Tensor
    spread: Tensor
    absolute: bool

    @classmethod
    def fit(cls, tiles: Iterable[Tile], fold: int | None = 1) -> Scaling:
        """Fit on the valid pixels of tiles: of one fold and of no fold, never those of another.

        Pixels need no label. `fold=None` takes every valid pixel.
        """
        samples, level = [], None
        for tile in tiles:
            usable = tile.valid
            if fold is not None and tile.fold is not None:
                usable = usable & (tile.fold != 3 - fold)
            pixels = tile.image[:, usable]
            samples.append(pixels[:, :: max(1, pixels.shape[1] // SAMPLE_PX)])
            level = tile.level
        return cls.of_pixels(torch.cat(samples, 1), level or "DN")

    @classmethod
    def of_pixels(cls, pixels: Tensor, level: Level) -> Scaling:
        """Fit on pixels (..., B, P)."""
        low, centre, high = torch.quantile(
            pixels.float(), torch.tensor([0.05, 0.5, 0.95], device=pixels.device), dim=-1
        )
        spread = (high - low) / 3.29
        floor = 1e-3 * centre.abs().amax(-1, keepdim=True).clamp(min=1e-6)
        return cls(centre, torch.maximum(spread, floor), level in ("BOA", "TOA"))

    def __call__(self, image: Tensor) -> Tensor:
        """Image (..., B, H, W) in product units to (..., 2, B, H, W): relative and absolute view."""
        relative = (image - self.centre[..., None, None]) / self.spread[..., None, None]
        relative = relative.clamp(-CLIP, CLIP)
        root = (image.clamp(0.0, 1.5).sqrt() - 0.35) / 0.2
        absolute = root if self.absolute else torch.zeros_like(relative)
        return torch.stack([relative, absolute], dim=-4)

    def to(self, device: torch.device | str) -> Scaling:
        """The same scaling on a device."""
        return Scaling(self.centre.to(device), self.spread.to(device), self.absolute)
