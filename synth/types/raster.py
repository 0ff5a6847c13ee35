"""The raster: a file that GDAL opens, and all that it says of itself. Every image, label and elevation is read here."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.transform import Affine, from_gcps
from rasterio.windows import Window

from terraficta.synth.types.band_order import stated_order
from terraficta.synth.types.file_name import is_plain
from terraficta.synth.types.grid import Grid, corners_apart_px, ground_size_m
from terraficta.synth.types.refusal import Refusal, last_line
from terraficta.synth.types.sensor import Band
from terraficta.synth.types.stored import Stored, as_stored, number_text, same_mark, same_scaling

SAME_PLACE_PX = 0.25
"""how far the corners of two rasters may lie apart and still show the same ground [px]"""
SAME_GSD = 1.5
"""by which factor the pixels of a file may be larger or smaller than the stated gsd_m"""
UNITS_NM = {"": 1.0, "nanometers": 1.0, "nanometer": 1.0, "nm": 1.0, "micrometers": 1e3, "micrometer": 1e3, "um": 1e3}
"""nanometres in the units that ENVI headers write"""
READ_ERRORS = (RasterioError, CPLE_BaseError, OSError, ValueError)
"""what GDAL and rasterio raise where a file is not as it should be"""
log = logging.getLogger("terraficta")


@dataclass(frozen=True)
class Raster:
    """What a file says of itself, its pixels unread.

    Parameters
    ----------
    path : str
        as GDAL takes it
    order : tuple[int, ...]
        numbers (from 1) of the bands that are read, in the order of reading
    height_px, width_px : int
        size [px]
    dtypes : tuple[str, ...]
        of the stored numbers, by band of the file, as all that follows
    nodata : tuple[float | None, ...]
        declared
    scales, offsets : tuple[float, ...]
        declared; 1 and 0 where nothing is
    units, names : tuple[str | None, ...]
        declared
    centres_nm : tuple[float | None, ...]
        declared wavelengths [nm]
    alpha : int | None
        number of the band that is marked as alpha
    masked : bool
        whether there is a mask beside the bands
    crs : CRS | None
        where it lies
    transform : Affine | None
        where it lies
    size_m : tuple[float, float] | None
        sides of a pixel on the ground, down and across [m]; None where it has no place
    notes : tuple[str, ...]
        what was done because the file says so
    """

    path: str
    order: tuple[int, ...]
    height_px: int
    width_px: int
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    units: tuple[str | None, ...]
    names: tuple[str | None, ...]
    centres_nm: tuple[float | None, ...]
    alpha: int | None
    masked: bool
    crs: CRS | None
    transform: Affine | None
    size_m: tuple[float, float] | None
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def count(self) -> int:
        """Bands that are read."""
        return len(self.order)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height_px, self.width_px

    @property
    def name(self) -> str:
        """The last part of the path."""
        return re.split(r"[/\\]", self.path)[-1]

    @property
    def gsd_m(self) -> float | None:
        """Side of a square of ground as large as a pixel [m]."""
        return None if self.size_m is None else math.sqrt(self.size_m[0] * self.size_m[1])

    def grid(self, gsd_m: float) -> Grid:
        """The grid of its pixels."""
        crs = None if self.crs is None else self.crs.to_string()
        return Grid(self.height_px, self.width_px, gsd_m, crs, self.transform)

    def require_gsd(self, gsd_m: float, said_by: str, mend: str) -> None:
        """Refuse pixels that are much larger or smaller on the ground than `gsd_m`."""
        found = self.gsd_m
        if found is not None and not 1 / SAME_GSD <= found / gsd_m <= SAME_GSD:
            mend = mend.replace("{found}", f"{found:.3g}")
            raise Refusal(self.path, "pixel size", f"{found:.3g} m on the ground", f"gsd_m {gsd_m:g} {said_by}", mend)

    def require_real(self, role: str) -> None:
        """Refuse complex numbers."""
        if any(dtype.startswith("complex") for dtype in self.dtypes):
            mend = "write intensity or amplitude as real numbers first"
            raise Refusal(self.path, role, f"complex numbers ({self.dtypes[0]})", "real numbers", mend)

    def one_band(self, role: str, integers: bool = True) -> Raster:
        """The same with its one band; an alpha band beside it is its mask. Refuses several bands, and fractions."""
        self.require_real(role)
        mine = self._beside_alpha() if self.count == 2 else self
        if mine.count != 1 or (integers and not np.issubdtype(np.dtype(self.dtypes[0]), np.integer)):
            kind = "uint8" if integers else "real numbers"
            found = f"{mine.count} bands of {self.dtypes[0]}"
            mend = f"write the {role} as a single band of {kind}"
            if mine.count == 1:
                found, mend = (
                    f"{self.dtypes[0]} numbers",
                    f"write the {role} as whole numbers (gdal_translate -ot Byte)",
                )
            raise Refusal(self.path, role, found, f"one band of {kind}", mend)
        return mine

    def _beside_alpha(self) -> Raster:
        return replace(self, order=tuple(n for n in self.order if n != self.alpha))

    def without_bands(self, dropped: Sequence[int]) -> Raster:
        """The same without the bands at some positions."""
        return replace(self, order=tuple(n for k, n in enumerate(self.order) if k not in set(dropped)))

    def with_bands(self, bands: Sequence[Band], may_reorder: bool, mend: str) -> Raster:
        """The same with its bands in the order of a sensor, as names and wavelengths in the file say.

        Parameters
        ----------
        bands : Sequence[Band]
            of the sensor
        may_reorder : bool
            whether another order is followed, or refused since somebody has stated this one
        mend : str
            what to do about another number of bands

        Raises
        ------
        Refusal
            another number of bands, complex numbers, or bands that are not those of the sensor
        """
        self.require_real("image")
        own = self._beside_alpha() if self.alpha is not None and self.count == len(bands) + 1 else self
        numbers = own.order
        names = tuple(self.names[n - 1] for n in numbers)
        centres_nm = tuple(self.centres_nm[n - 1] for n in numbers)
        found = stated_order(names, centres_nm, bands)
        wanted = ", ".join(band.name for band in bands)
        said = ", ".join(str(name or centre or "?") for name, centre in zip(names, centres_nm, strict=True))
        whole = found is not None and set(range(len(bands))) <= set(found)
        if own.count != len(bands) and not (whole and may_reorder):
            beside = f" ({said})" if any(names) and own.count < 40 else ""
            raise Refusal(self.path, "bands", f"{own.count} bands{beside}", f"{len(bands)}: {wanted}", mend)
        if found is None or found == list(range(len(bands))):
            own._require_no_alpha(bands)
            return own
        if not whole or not may_reorder:
            mend = f"list the bands as they lie in the file: [{said}], or correct their names"
            if may_reorder:
                mend = f"hand over an image with the bands {wanted}, or correct their names (gdal_edit)"
            raise Refusal(self.path, "bands", f"bands named {said}", wanted, mend)
        order = tuple(numbers[found.index(k)] for k in range(len(bands)))
        note = f"bands taken by the names in the file: {wanted} are its numbers {', '.join(map(str, order))}"
        return replace(own, order=order, notes=(*own.notes, note))

    def _require_no_alpha(self, bands: Sequence[Band]) -> None:
        """Refuse an alpha band in the place of a measured one: marked so, without a name, and 0 or full throughout."""
        if self.alpha not in self.order or self.names[self.alpha - 1]:
            return
        step = max(1, max(self.shape) // 512)
        with self.opened() as file:
            shape = (-(-self.height_px // step), -(-self.width_px // step))
            seen = np.unique(self._guarded(lambda: file.read(self.alpha, out_shape=shape)))
        full = np.iinfo(self.dtypes[0]).max if np.issubdtype(np.dtype(self.dtypes[0]), np.integer) else 1
        if set(seen.tolist()) <= {0, full}:
            name = bands[self.order.index(self.alpha)].name
            mend = f"leave band {name} out, so that band {self.alpha} of the file is read as its mask"
            raise Refusal(self.path, "bands", f"an alpha band (0 or {full}) as band {name}", "a measured band", mend)

    def declared(self) -> list[tuple[float, float]] | None:
        """Scale and offset of each band that is read, or None where the file declares none."""
        pairs = [(self.scales[n - 1], self.offsets[n - 1]) for n in self.order]
        return None if all(pair == (1.0, 0.0) for pair in pairs) else pairs

    def require_scaling(self, stored: Stored, said_by: str) -> None:
        """Refuse a scale or offset that contradicts what the file declares."""
        pairs = self.declared()
        if pairs is None:
            for name in ("scale", "offset"):
                if getattr(stored, name) is None:
                    mend = f"state the {name} in reflectance = stored * scale + offset"
                    raise Refusal(self.path, name, "nothing in the file", f"a {name}, as none is stated", mend)
            return
        for k, name in enumerate(("scale", "offset")):
            stated = getattr(stored, name)
            other = [pair[k] for pair in pairs if stated is not None and not same_scaling(pair[k], stated)]
            if other:
                values = sorted({pair[k] for pair in pairs})
                text = ", ".join(number_text(v) for v in values[:4])
                use = number_text(values[0]) if len(values) == 1 else "null"
                mend = (
                    f"write {name}: {use}, or take it out of the file (gdal_edit.py -scale 1 -offset 0) if it is wrong"
                )
                raise Refusal(self.path, name, f"{text} in the file", f"{number_text(stated)} {said_by}", mend)

    def scaling(self, stored: Stored) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(B, 1, 1) scale and offset: as stated, else as the file declares."""
        pairs = self.declared() or [(1.0, 0.0)] * self.count
        scale = [pair[0] if stored.scale is None else stored.scale for pair in pairs]
        offset = [pair[1] if stored.offset is None else stored.offset for pair in pairs]
        return np.array(scale, np.float32)[:, None, None], np.array(offset, np.float32)[:, None, None]

    def require_nodata(self, stated: float | None, said_by: str) -> None:
        """Refuse a declared nodata value that nobody stated, unless no stored number can be it."""
        values = {n: self.nodata[n - 1] for n in self.order}
        declared = {v for n, v in values.items() if v is not None and as_stored(v, self.dtypes[n - 1]) is not None}
        if not declared or all(np.isnan(v) for v in declared):
            return
        same = [v for v in declared if stated is not None and same_mark(v, stated, self.dtypes[0])]
        if not same:
            first = min(declared)
            mend = (
                f"write nodata: {number_text(first)} in tileset.yaml, or take it out of the file "
                "(gdal_edit.py -unsetnodata)"
            )
            found = "null" if stated is None else number_text(stated)
            raise Refusal(self.path, "nodata", f"{number_text(first)} in the file", f"{found} {said_by}", mend)

    def require_same_ground(self, other: Raster, role: str) -> None:
        """Refuse `other` (label, fold, ...) where it does not lie on this image pixel by pixel."""
        mend = f"warp the {role} to the grid of the image (gdalwarp, nearest neighbour), or name the right file"
        if other.shape != self.shape:
            found = f"{other.height_px} x {other.width_px} px"
            raise Refusal(other.path, role, found, f"{self.height_px} x {self.width_px} px, as {self.name}", mend)
        if self.transform is None or other.transform is None:
            return  # a label without georeference says nothing that could disagree
        far_px = corners_apart_px((self.crs, self.transform), (other.crs, other.transform), self.shape)
        if far_px > SAME_PLACE_PX:
            found = f"corners {far_px:.1f} px away from those of {self.name}"
            expected = f"the same ground within {SAME_PLACE_PX} px"
            if self.crs != other.crs and self.crs is not None and other.crs is not None:
                found, expected = f"{other.crs.to_string()}, {found}", f"{expected}, in {self.crs.to_string()}"
            raise Refusal(other.path, role, found, expected, mend)

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The open dataset."""
        try:
            file = rasterio.open(self.path)
        except READ_ERRORS as error:
            raise self._unreadable(error) from error
        with file:
            yield file

    def numbers(
        self, file: Any, window: Window | None = None, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Stored numbers (B, h, w), and where the masks of the file and its alpha band let them count (h, w).

        Parameters
        ----------
        file : Any
            of `opened`
        window : Window | None
            part of the raster; None: all of it
        shape : tuple[int, int] | None
            (h, w) to thin it to

        Raises
        ------
        Refusal
            a file that ends too early, or is damaged
        """
        numbers = self._guarded(lambda: self._stored_numbers(file, window, shape))
        seen = np.ones(numbers.shape[1:], bool)
        if self.alpha is not None and self.alpha not in self.order:
            seen &= self._guarded(lambda: file.read(self.alpha, window=window, out_shape=shape)) > 0
        elif self.masked:
            masks = self._guarded(
                lambda: file.read_masks(list(self.order), window=window, out_shape=shape and (self.count, *shape))
            )
            seen &= (masks > 0).all(0)
        return numbers, seen

    def _stored_numbers(self, file: Any, window: Window | None, shape: tuple[int, int] | None) -> NDArray[Any]:
        """(B, h, w); a virtual raster may join bands of several types, which are read one by one."""
        if len({self.dtypes[n - 1] for n in self.order}) > 1:
            return np.stack([file.read(n, window=window, out_shape=shape) for n in self.order])
        found: NDArray[Any] = file.read(list(self.order), window=window, out_shape=shape and (self.count, *shape))
        return found

    def missing(self, numbers: NDArray[Any], nodata: float | None = None) -> NDArray[np.bool_]:
        """(B, h, w): stored numbers that are not finite or a nodata value, of the file or as stated."""
        missing = ~np.isfinite(numbers)
        kind = str(numbers.dtype)
        for value in [nodata, *{self.nodata[n - 1] for n in self.order}]:
            mark = None if value is None else as_stored(value, kind)
            if mark is None or np.isnan(mark):
                continue
            # of several bands, each has its own; a stated one is meant for all
            mine = [value is nodata or self.nodata[n - 1] == value for n in self.order]
            equal = (numbers == mark) & np.array(mine)[:, None, None]
            # a dark band may well measure 0, so a nodata of 0 means a pixel with no data in any band
            missing |= equal.all(0) if mark == 0 and all(mine) else equal
        return missing

    def image(
        self, file: Any, stored: Stored, window: Window | None = None, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Image (B, h, w) in product units, 0 where missing, and valid (h, w)."""
        numbers, valid = self.numbers(file, window, shape)
        valid &= ~self.missing(numbers, stored.nodata).any(0)
        scale, offset = self.scaling(stored)
        image = np.where(valid, numbers, 0).astype(np.float32) * scale + offset
        return np.where(valid, image, np.float32(0)), valid

    def _guarded(self, read: Any) -> NDArray[Any]:
        try:
            found: NDArray[Any] = read()
        except READ_ERRORS as error:
            raise self._unreadable(error) from error
        return found

    def _unreadable(self, error: BaseException) -> Refusal:
        expected = f"{len(self.dtypes)} x {self.height_px} x {self.width_px} readable pixels"
        mend = "the file is truncated or damaged: copy or download it again"
        return Refusal(self.path, "pixels", last_line(error), expected, mend)


def open_raster(name: str | Path, where: str | Path | None = None, field: str = "file") -> Raster:
    """Read the head of a raster that field `field` of `where` names.

    Parameters
    ----------
    name : str | Path
        a path, or any name that GDAL knows: /vsizip/, /vsicurl/, zip://, https://, s3://
    where : str | Path | None
        what names it; None: the file itself
    field : str
        which field of that

    Raises
    ------
    Refusal
        no such file, or none that GDAL reads
    """
    path = str(name)
    if is_plain(path) and not os.path.exists(path):
        raise Refusal(where or path, field, f"no file {path}", "a raster that GDAL reads", "check the path")
    try:
        with rasterio.open(path) as file:
            inside = file.subdatasets
            if file.count:
                return _head(path, file)
    except READ_ERRORS as error:
        mend = "the file is truncated, damaged or of another format: copy or export it again"
        if isinstance(error, PermissionError) or (is_plain(path) and not os.access(path, os.R_OK)):
            mend = "you may not read it: change its permissions"
        elif not is_plain(path):
            mend = "check the name; GDAL must be able to open it (gdalinfo)"
        raise Refusal(path, field, last_line(error), "a raster that GDAL reads", mend) from error
    found = f"no bands, but {len(inside)} rasters" if inside else "no bands"
    mend = f"name one of them: {', '.join(inside[:3])}{' ...' if len(inside) > 3 else ''}"
    raise Refusal(path, field, found, "a raster with bands", mend if inside else "export a raster")


def _head(path: str, file: Any) -> Raster:
    placed = not file.transform.is_identity
    crs, transform = (file.crs, file.transform) if placed else (None, None)
    shape, size_m = (file.height, file.width), None
    if crs is not None:
        size_m = ground_size_m(crs, transform, shape)
    elif len(file.gcps[0]) >= 3 and file.gcps[1] is not None:
        size_m = ground_size_m(file.gcps[1], from_gcps(file.gcps[0]), shape)
    alpha = [n for n, kind in zip(file.indexes, file.colorinterp, strict=True) if kind == ColorInterp.alpha]
    flags = file.mask_flag_enums
    masked = any(not set(own) & {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha} for own in flags)
    return Raster(
        path=path, order=tuple(file.indexes), height_px=file.height, width_px=file.width, dtypes=tuple(file.dtypes),
        nodata=tuple(file.nodatavals), scales=tuple(file.scales), offsets=tuple(file.offsets),
        units=tuple(file.units), names=tuple(file.descriptions),
        centres_nm=tuple(_centre_nm(file, n) for n in file.indexes), alpha=alpha[-1] if alpha else None,
        masked=masked, crs=crs, transform=transform, size_m=size_m,
    )  # fmt: skip


def _centre_nm(file: Any, band: int) -> float | None:
    """The wavelength that a file declares for a band [nm]: GDAL's own word for it, or that of ENVI headers."""
    um = file.tags(band, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")
    tags = {key.lower(): value for key, value in file.tags(band).items()}
    text, unit = (um, "um") if um else (tags.get("wavelength"), tags.get("wavelength_units", "").lower())
    try:
        return None if text is None or unit not in UNITS_NM else float(text) * UNITS_NM[unit]
    except ValueError:
        return None


def tell_notes(rasters: Sequence[Raster]) -> None:
    """Say what was done because files say so: every kind of note once, with the files."""
    notes: dict[str, list[str]] = {}
    for raster in rasters:
        for note in raster.notes:
            notes.setdefault(note, []).append(raster.name)
    for note, names in notes.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        log.warning("%s%s: %s", names[0], more, note)
