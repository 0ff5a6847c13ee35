"""The unread tile: a scene of any size as a tile; its pixels are read part by part, when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from rasterio.windows import Window
from torch import Tensor

from terraficta.synth.types.tile import Tile

ROWS = 256
"""of a part: those of a tiled GeoTIFF's blocks, so that each is read once [px]"""
MOST_NUMBERS = 64_000_000
"""of a tileset in memory, and of a part of a larger one [floats]: 256 MB"""

ReadPart = Callable[[Window | None, int], Tile]
"""part of a scene, and of how many pixels one is read -> a tile of it, in memory"""
HasLabels = Callable[[Window], bool]
"""whether a part of a scene may hold labels"""


class UnreadTile(Tile):
    """A tile that holds no pixel: `image`, `valid`, `mass` and the like are read whole each time that one asks.

    Who works on `parts` and `crop` has no more in memory than a part, whatever the size of the scene.

    Parameters
    ----------
    read : ReadPart
        reads
    has_labels : HasLabels
        looks for labels without reading the image
    known : Any
        fields of a tile that need no reading
    """

    def __init__(self, read: ReadPart, has_labels: HasLabels, **known: Any) -> None:
        usual: dict[str, Any] = {"region": None, "date": None, "facts": {}}
        for name, value in {**usual, **known, "_read": read, "_has_labels": has_labels}.items():
            object.__setattr__(self, name, value)

    _read: ReadPart
    _has_labels: HasLabels

    @property
    def image(self) -> Tensor:
        """(B, H, W)."""
        return self._read(None, 1).image

    @property
    def valid(self) -> Tensor:
        """(H, W)."""
        return self._read(None, 1).valid

    @property
    def mass(self) -> Tensor:
        """(K, H, W)."""
        return self._read(None, 1).mass

    @property
    def fold(self) -> Tensor | None:
        """(H, W), or None."""
        return self._read(None, 1).fold

    @property
    def layers(self) -> Mapping[str, Tensor]:
        """By name."""
        return self._read(None, 1).layers

    def __repr__(self) -> str:
        size = " x ".join(str(side) for side in (len(self.sensor), *self.grid.shape))
        return f"UnreadTile({self.id}, {self.sensor.name}, {size}, {self.grid.gsd_m:g} m, {self.level})"

    def __hash__(self) -> int:
        return hash((self.id, self.grid.shape))

    def crop(self, y_px: int, x_px: int, height_px: int, width_px: int) -> Tile:
        """The part of the tile that starts at row `y_px`, column `x_px`, in memory."""
        height, width = self.grid.shape
        part = Window(x_px, y_px, min(width_px, width - x_px), min(height_px, height - y_px))
        return self._read(part, 1)

    def parts(self, labelled: bool = False) -> Iterator[tuple[int, int, Tile]]:
        """As of a tile; strips of the whole width, unless that is very wide."""
        height, width = self.grid.shape
        wide = max(ROWS, MOST_NUMBERS // (ROWS * len(self.sensor)))
        for y in range(0, height, ROWS):
            for x in range(0, width, wide):
                part = Window(x, y, min(wide, width - x), min(ROWS, height - y))
                if not labelled or self._has_labels(part):
                    yield y, x, self._read(part, 1)

    def thinned(self, step: int) -> tuple[Tensor, Tensor]:
        """Image (B, h, w) and valid (h, w) of every so many pixels."""
        few = self._read(None, step)
        return few.image, few.valid

    def with_mass(self, mass: Tensor, legend: Any = None) -> Tile:
        """The same tile with other labels, in memory."""
        return self._read(None, 1).with_mass(mass, legend)

    def to(self, device: torch.device | str) -> Tile:
        """The same tile on a device, in memory."""
        return self._read(None, 1).to(device)
