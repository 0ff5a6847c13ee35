"""The source: the image files of one place, read window by window in product units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rasterio.windows import Window
from torch import Tensor

from terraficta.synth.types.raster import Raster, open_raster, tell_notes
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.stored import Stored, number_text


@dataclass(frozen=True)
class Source:
    """Open image files on one grid: one, or before and after.

    Parameters
    ----------
    files : list[Any]
        open rasterio datasets
    rasters : list[Raster]
        what they say of themselves
    stored : list[Stored]
        how the numbers of each are stored
    """

    files: list[Any]
    rasters: list[Raster]
    stored: list[Stored]

    @property
    def first(self) -> Any:
        """The dataset whose grid counts."""
        return self.files[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.rasters[0].shape

    @property
    def files_read(self) -> list[str]:
        """Every file that the images stand on, masks and what a virtual raster is made of among them."""
        return [
            name for file, raster in zip(self.files, self.rasters, strict=True) for name in file.files or [raster.path]
        ]

    def read(self, y: int, x: int, height: int, width: int, step: int = 1) -> tuple[Tensor, Tensor]:
        """Image (B, h, w) float32, 0 where missing, and valid (h, w); every `step`-th pixel of the window."""
        window, shape = Window(x, y, width, height), (-(-height // step), -(-width // step))
        parts = [
            raster.image(file, stored, window, shape)
            for file, raster, stored in zip(self.files, self.rasters, self.stored, strict=True)
        ]
        valid = torch.stack([torch.from_numpy(part) for _, part in parts]).all(0)
        return torch.cat([torch.from_numpy(part) for part, _ in parts]) * valid, valid


@contextmanager
def open_source(
    paths: Sequence[str | Path], stored: Stored, sensor: Sensor, dates: int, stated: bool = True
) -> Iterator[Source]:
    """Open images, and refuse what a model could not map.

    Parameters
    ----------
    paths : Sequence[str | Path]
        one image, or before and after; any name that GDAL opens
    stored : Stored
        how numbers are stored
    sensor : Sensor
        what the model was fitted on, for one date
    dates : int
        images that it wants
    stated : bool
        whether somebody said `stored` of these images: then a file that contradicts is refused; else a file that
        declares scale and offset is read by them

    Raises
    ------
    Refusal
        a missing or damaged file, other bands, another pixel size or number of images, grids that differ
    """
    if len(paths) != dates:
        wanted = "one image" if dates == 1 else "two images, before and after"
        raise Refusal("--image", "number", len(paths), wanted, "repeat --image as often as the run has dates")
    rasters, scalings = [], []
    for path in paths:
        raster = _fitting(open_raster(path, field="image"), sensor, stored.dropped)
        rasters.append(raster)
        scalings.append(_stored(raster, stored, stated))
        rasters[0].require_same_ground(raster, "image")
        if (rasters[0].transform is None) != (raster.transform is None):
            mend = "warp one image onto the grid of the other (gdalwarp)"
            raise Refusal(raster.path, "grid", "one image has a place, one has none", "the same grid", mend)
    tell_notes(rasters)
    with ExitStack() as stack:
        files = [stack.enter_context(raster.opened()) for raster in rasters]
        yield Source(files, rasters, scalings)


def _fitting(raster: Raster, sensor: Sensor, dropped: Sequence[int]) -> Raster:
    every = len(sensor) + len(dropped)
    if dropped and raster.count in (every, every + (raster.alpha is not None)):
        raster = raster.without_bands(dropped)
    mend = "hand over the bands that the run was fitted on, in that order (gdal_translate -b)"
    raster = raster.with_bands(sensor.bands, True, mend)
    mend = f"bring the image to the pixels of the model (gdalwarp -tr {sensor.gsd_m:g} {sensor.gsd_m:g})"
    raster.require_gsd(sensor.gsd_m, "of the pixels that the model was fitted on", mend)
    return raster


def _stored(raster: Raster, stored: Stored, stated: bool) -> Stored:
    """How an image is stored: as stated, else as it declares, else as the images were that the model was fitted on."""
    if stated:
        raster.require_scaling(stored, "as stated")
        return stored
    pairs = raster.declared()
    if pairs is None:
        raster.require_scaling(stored, "as stated")  # refuses where neither says anything
        return stored
    scale, offset = pairs[0]
    usual = (stored.scale, stored.offset)
    if len(set(pairs)) > 1 or usual != (scale, offset):
        text = f"scale {number_text(scale)}, offset {number_text(offset)}" if len(set(pairs)) == 1 else "own, by band"
        note = f"read as the file declares ({text}), not as the tileset of the run was stored"
        tell_notes([replace(raster, notes=(note,))])
    return Stored(None, None, stored.nodata, stored.dropped)
