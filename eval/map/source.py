"""The source: the image files of one place, read window by window in product units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from torch import Tensor

from terraficta.synth.types.refusal import Refusal


@dataclass(frozen=True)
class Stored:
    """How an image is stored: image = stored * scale + offset.

    Parameters
    ----------
    scale, offset : from stored numbers to product units
    nodata : stored value of missing pixels, or None; 0 marks a pixel as missing only where every band is 0, since a
        dark band may well measure 0. What the file itself declares as nodata is honoured too
    """

    scale: float
    offset: float
    nodata: float | None


class Source:
    """Open image files on one grid: one, or before and after.

    Parameters
    ----------
    files : open rasterio datasets
    stored : how numbers are stored
    """

    def __init__(self, files: Sequence[Any], stored: Stored) -> None:
        self.files, self.stored = list(files), stored

    @property
    def first(self) -> Any:
        """The dataset whose grid counts."""
        return self.files[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.first.height, self.first.width

    def read(self, y: int, x: int, height: int, width: int, step: int = 1) -> tuple[Tensor, Tensor]:
        """Image (B, h, w) float32, 0 where missing, and valid (h, w); every `step`-th pixel of the window."""
        images, valids = zip(*(self._read(file, Window(x, y, width, height), step) for file in self.files), strict=True)
        valid = torch.stack(valids).all(0)
        return torch.cat(images) * valid, valid

    def _read(self, file: Any, window: Window, step: int) -> tuple[Tensor, Tensor]:
        shape = (file.count, -(-int(window.height) // step), -(-int(window.width) // step))
        stored = file.read(window=window, out_shape=shape)
        missing = ~np.isfinite(stored)
        for nodata in {self.stored.nodata, file.nodata} - {None}:
            equal = stored == nodata
            missing |= equal.all(0) if nodata == 0 else equal
        valid = ~missing.any(0)
        image = stored.astype(np.float32) * np.float32(self.stored.scale) + np.float32(self.stored.offset)
        return torch.from_numpy(np.where(valid, image, np.float32(0))), torch.from_numpy(valid)


@contextmanager
def open_source(paths: Sequence[Path], stored: Stored, bands: Sequence[str], dates: int) -> Iterator[Source]:
    """Open images, and refuse what a model could not map.

    Parameters
    ----------
    paths : one image, or before and after
    stored : how numbers are stored
    bands : what the model was fitted on, in order, for one date
    dates : images that it wants

    Raises
    ------
    Refusal
        a missing or damaged file, another number of bands or images, grids that differ
    """
    if len(paths) != dates:
        wanted = "one image" if dates == 1 else "two images, before and after"
        raise Refusal("--image", "number", len(paths), wanted, "repeat --image as often as the run has dates")
    with ExitStack() as stack:
        files = []
        for path in paths:
            try:
                file = stack.enter_context(rasterio.open(path))
            except rasterio.errors.RasterioIOError as error:
                raise Refusal(path, "image", str(error), "a raster that GDAL reads", "check the path") from error
            if file.count != len(bands):
                expected = f"{len(bands)}: {', '.join(bands)}"
                mend = "hand over the bands that the run was fitted on, in that order (gdal_translate -b)"
                raise Refusal(path, "bands", file.count, expected, mend)
            files.append(file)
            grid, first = (file.shape, file.transform, file.crs), (files[0].shape, files[0].transform, files[0].crs)
            if grid != first:
                mend = "warp one image onto the grid of the other (gdalwarp)"
                raise Refusal(
                    path, "grid", f"{file.shape}, {file.crs}", f"that of {paths[0]}: {first[0]}, {first[2]}", mend
                )
        yield Source(files, stored)
