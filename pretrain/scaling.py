"""Input scaling: what a network sees of an image, fitted on pixels that need no label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from terraficta.synth.types.tile import Level, Tile

VIEWS = 4
"""of an image: relative to all scenes, absolute, relative to its own scene, shape of the spectrum"""
SAMPLE_PX = 4096
"""pixels taken of each image, evenly spaced: enough for percentiles to 1 %"""
CLIP = 4.0
"""in spreads; beyond lies glint, cloud and dead detector"""
LEVELS = (0.01, 0.05, 0.5, 0.95, 0.99)
"""percentiles that a `BandRange` is made of"""
SPREADS = 3.29
"""standard deviations between the 5 % and 95 % percentile of a normal distribution"""
DARKEST = 0.005
"""reflectance below which the logarithm tells noise [-]"""
STRETCH_FLOOR = 0.1
"""added to a 0..1 stretch before its logarithm, so that black does not fall out of the picture"""
SHAPE_GAIN = 1.5
"""brings the spread of the shape view near that of the others"""


@dataclass(frozen=True)
class BandRange:
    """How the values of each band are spread over some land.

    Parameters
    ----------
    centre, spread : Tensor
        (..., B) median, and 5..95 percentile range / 3.29 (a standard deviation, were it normal)
    low, high : Tensor
        (..., B) 1 and 99 percentile
    """

    centre: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of_pixels(cls, pixels: Tensor) -> BandRange:
        """Fit on pixels (..., B, P)."""
        darkest, low, centre, high, brightest = torch.quantile(
            pixels.float(), torch.tensor(LEVELS, device=pixels.device), dim=-1
        )
        floor = 1e-3 * centre.abs().amax(-1, keepdim=True).clamp(min=1e-6)
        spread = torch.maximum((high - low) / SPREADS, floor)
        return cls(centre, spread, darkest, torch.maximum(brightest, darkest + floor))

    @classmethod
    def of_image(cls, image: Tensor, valid: Tensor | None = None) -> BandRange:
        """Fit on the valid pixels of an image (B, H, W); where there is none, on all."""
        inside = image.flatten(1) if valid is None or not bool(valid.any()) else image[:, valid]
        return cls.of_pixels(inside[:, :: max(1, inside.shape[1] // SAMPLE_PX)])

    @classmethod
    def stack(cls, ranges: Sequence[BandRange]) -> BandRange:
        """(N, ..., B) of N of (..., B)."""
        return cls(*[torch.stack([getattr(r, f.name) for r in ranges]) for f in fields(cls)])

    def unflatten(self, dates: int) -> BandRange:
        """(..., T*B) to (..., T, B)."""
        return self._each(lambda x: x.unflatten(-1, (dates, -1)))

    def to(self, device: torch.device | str) -> BandRange:
        """The same on a device."""
        return self._each(lambda x: x.to(device))

    def relative(self, image: Tensor) -> Tensor:
        """Image (..., B, H, W) in spreads from the median, clipped."""
        shifted = image - self.centre[..., None, None]
        return shifted.div_(self.spread[..., None, None]).clamp_(-CLIP, CLIP)

    def stretched(self, image: Tensor) -> Tensor:
        """Image (..., B, H, W) with its 1 and 99 percentile at 0 and 1; what lies beyond is clipped at 0 and 1.2."""
        low, high = self.low[..., None, None], self.high[..., None, None]
        return ((image - low) / (high - low)).clamp_(0.0, 1.2)

    def _each(self, change: Callable[[Tensor], Tensor]) -> BandRange:
        return BandRange(*[change(getattr(self, f.name)) for f in fields(self)])


@dataclass(frozen=True)
class Scaling:
    """Four views of an image.

    Relative to all scenes of a task: (x - centre) / spread per band. Absolute: the square root of reflectance. Relative
    to its own scene: the same as the first, from that scene alone. Shape: the logarithm of reflectance less its mean
    over the bands, which haze of light and shade leaves alone. Where numbers are not reflectance (DN, RADIANCE), the
    absolute view is all zero and the shape is taken of the scene stretched to 0..1; networks are trained with both.

    Parameters
    ----------
    common : BandRange
        (..., B) of all scenes of a task together
    own : BandRange
        (..., B) of the scene that the image was cut from
    absolute : bool
        whether the numbers are reflectance
    """

    common: BandRange
    own: BandRange
    absolute: bool

    @classmethod
    def fit(cls, tiles: Iterable[Tile], fold: int | None = 1) -> Scaling:
        """Fit on the valid pixels of tiles: of one fold and of no fold, never those of another.

        Pixels need no label. `fold=None` takes every valid pixel.
        """
        samples, level = [], None
        for tile in tiles:
            samples += spread_pixels(tile, (fold,))
            level = tile.level
        return cls.of_pixels(torch.cat(samples, 1), level or "DN")

    @classmethod
    def of_pixels(cls, pixels: Tensor, level: Level) -> Scaling:
        """Fit on pixels (..., B, P); they are taken for the scene's own as well, until `with_own` says otherwise."""
        found = BandRange.of_pixels(pixels)
        return cls(found, found, level in ("BOA", "TOA"))

    @classmethod
    def of_image(cls, image: Tensor, level: Level) -> Scaling:
        """Fit on an image (B, H, W) alone."""
        found = BandRange.of_image(image)
        return cls(found, found, level in ("BOA", "TOA"))

    def with_own(self, own: BandRange) -> Scaling:
        """The same for a scene of its own spread."""
        return replace(self, own=own)

    def __call__(self, image: Tensor) -> Tensor:
        """Image (..., B, H, W) in product units to its views (..., 4, B, H, W)."""
        relative = self.common.relative(image)
        if self.absolute:
            root = (image.clamp(0.0, 1.5).sqrt_() - 0.35).div_(0.2)
            logs = image.clamp(DARKEST, 1.5).log_()
        else:
            root = torch.zeros_like(relative)
            logs = self.own.stretched(image).add_(STRETCH_FLOOR).log_()
        shape = (logs - logs.mean(-3, keepdim=True)).mul_(SHAPE_GAIN).clamp_(-CLIP, CLIP)
        return torch.stack([relative, root, self.own.relative(image), shape], dim=-4)

    def to(self, device: torch.device | str) -> Scaling:
        """The same scaling on a device."""
        return Scaling(self.common.to(device), self.own.to(device), self.absolute)


def spread_pixels(tile: Tile, folds: Sequence[int | None]) -> list[Tensor]:
    """Valid pixels of a tile of any size, evenly spaced, (B, P) with P of some `SAMPLE_PX`; a selection for each fold.

    `folds`: 1 or 2 takes pixels of that fold and of none, None takes every pixel.
    """

    def usable(part: Tile, fold: int | None) -> Tensor:
        return part.valid if fold is None or part.fold is None else part.valid & (part.fold != 3 - fold)

    counts = [0] * len(folds)
    for _, _, part in tile.parts():
        counts = [count + int(usable(part, fold).sum()) for count, fold in zip(counts, folds, strict=True)]
    steps, seen = [max(1, count // SAMPLE_PX) for count in counts], [0] * len(folds)
    found: list[list[Tensor]] = [[torch.zeros(len(tile.sensor), 0)] for _ in folds]
    for _, _, part in tile.parts():
        for n, (fold, step) in enumerate(zip(folds, steps, strict=True)):
            pixels = part.image[:, usable(part, fold)]
            found[n].append(pixels[:, -seen[n] % step :: step].clone())  # a view would keep all of them
            seen[n] += pixels.shape[1]
    return [torch.cat(parts, 1) for parts in found]


def task_views(image: Tensor, known: int, level: Level) -> Tensor:
    """Views (N, 4, B, H, W) of scenes (N, B, H, W) of one task: the first `known` of them give the common scaling."""
    pixels = image.flatten(2)[..., ::5]
    own = BandRange.of_pixels(pixels)
    if len(image) == 1:
        common = BandRange(*[getattr(own, name)[0] for name in ("centre", "spread", "low", "high")])
    else:
        common = BandRange.of_pixels(pixels[:known].transpose(0, 1).flatten(1))
    return Scaling(common, own, level in ("BOA", "TOA"))(image)
