"""Windows: a raster of any size mapped in overlapping pieces that blend into each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.finetune.tileset.labels import WINDOW_PX

Predict = Callable[[Sequence[tuple[int, int]]], Tensor]
"""top-left corners (y, x) of n windows -> (n, K, h, w) probabilities"""


@dataclass(frozen=True)
class Windows:
    """How a raster is cut.

    Every window has the same size, and the last of a row or column is moved back onto the raster, so a network
    always sees real ground. A window's say falls as sin^2 over the overlap towards its border, where it knows least.

    Parameters
    ----------
    size_px, overlap_px : int
        side of a window, and what it shares with its neighbour [px]
    batch : int
        windows handed over at once; on a processor, one takes half the memory of four and a quarter less time
    panel_px : int
        columns worked on at once [px]; bounds the memory of very wide rasters, and changes no number
    """

    size_px: int = WINDOW_PX
    overlap_px: int = 64
    batch: int = 1
    panel_px: int = 2048

    def starts(self, length_px: int) -> list[int]:
        """Where windows start along a side."""
        if length_px <= self.size_px:
            return [0]
        stride = self.size_px - self.overlap_px
        count = math.ceil((length_px - self.size_px) / stride) + 1
        return [min(i * stride, length_px - self.size_px) for i in range(count)]

    def ramp(self, length_px: int) -> Tensor:
        """(length,) say of a window's pixels along one side, in (0, 1]."""
        place = torch.arange(length_px) + 0.5
        inwards = torch.minimum(place, length_px - place) / max(self.overlap_px, 1)
        return torch.sin(inwards.clamp(max=1) * math.pi / 2).square()

    def strips(
        self,
        height_px: int,
        width_px: int,
        predict: Predict,
        wanted: Callable[[int, int, int, int], bool] = lambda y, x, height, width: True,
        done: int = 0,
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Finished pieces (y, x, probabilities (K, h, w)) that together cover the raster, each pixel once.

        Only the open strip of a panel is in memory: K x size x panel numbers, whatever the size of the raster.

        Parameters
        ----------
        height_px, width_px : int
            of the raster
        predict : Predict
            maps windows
        wanted : Callable[[int, int, int, int], bool]
            (y, x, height, width) -> whether a window is worth mapping; where none is, probabilities are 0
        done : int
            pieces that are not wanted, from the first on; of their windows only those are mapped again that reach into
            the next piece
        """
        high, wide = min(self.size_px, height_px), min(self.size_px, width_px)
        say = self.ramp(high)[:, None] * self.ramp(wide)
        rows, columns = self.starts(height_px), self.starts(width_px)
        for panel, left in enumerate(range(0, width_px, self.panel_px)):
            here = max(0, done - panel * len(rows))
            if here >= len(rows):
                continue
            right = min(left + self.panel_px, width_px)
            mine = [x for x in columns if x < right and x + wide > left]
            yield from self._panel(left, right, rows, mine, height_px, say, predict, wanted, here)

    def _panel(
        self,
        left: int,
        right: int,
        rows: list[int],
        columns: list[int],
        height_px: int,
        say: Tensor,
        predict: Predict,
        wanted: Callable[[int, int, int, int], bool],
        skip: int,
    ) -> Iterator[tuple[int, int, Tensor]]:
        high, wide = say.shape
        total: Tensor | None = None
        weight = torch.zeros(high, right - left)
        for n, (y, below) in enumerate(zip(rows, [*rows[1:], height_px], strict=True)):
            if y + high <= rows[skip]:
                continue
            corners = [(y, x) for x in columns if wanted(y, x, high, wide)]
            for first in range(0, len(corners), self.batch):
                some = corners[first : first + self.batch]
                found = predict(some).cpu()
                if total is None:
                    total = torch.zeros(found.shape[1], high, right - left)
                for (_, x), piece in zip(some, found, strict=True):
                    a, b = max(x, left), min(x + wide, right)
                    total[:, :, a - left : b - left] += (piece * say)[..., a - x : b - x]
                    weight[:, a - left : b - left] += say[:, a - x : b - x]
            ready = below - y
            if total is None:  # nothing wanted so far; the number of classes is not known yet
                weight = torch.zeros_like(weight)
                continue
            if n >= skip:
                yield y, left, total[:, :ready] / weight[:ready].clamp(min=1e-12)
            for part in (total, weight):  # in place: a strip of many classes is large
                part[..., : high - ready, :] = part[..., ready:, :].clone()
                part[..., high - ready :, :] = 0
