"""The raster: one GeoTIFF read whole, with refusals in place of stack traces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from terraficta.synth.types.grid import Grid
from terraficta.synth.types.refusal import Refusal

SAME_PLACE_PX = 0.25
"""how far the corners of two rasters may lie apart and still show the same ground [px]"""
SAME_GSD = 0.2
"""by how much a projected pixel size may differ from the stated gsd_m (map projections stretch)"""


@dataclass(frozen=True)
class Raster:
    """What a file says of itself, its pixels unread.

    Parameters
    ----------
    path : of the file
    count, height_px, width_px : bands and size [px]
    dtype : of the stored numbers
    nodata : as the file declares it, or None
    crs, transform : where it lies, or None
    """

    path: Path
    count: int
    height_px: int
    width_px: int
    dtype: str
    nodata: float | None
    crs: rasterio.crs.CRS | None
    transform: Affine | None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height_px, self.width_px

    def grid(self, gsd_m: float) -> Grid:
        """The grid of its pixels; refuses a pixel size in metres that contradicts `gsd_m`."""
        if self.crs is not None and self.transform is not None and self.crs.is_projected:
            side_m = math.sqrt(abs(self.transform.determinant)) * self.crs.linear_units_factor[1]
            # the metres of web Mercator are not the ground's; asking a system for its number takes a while
            if abs(side_m / gsd_m - 1) > SAME_GSD and self.crs.to_epsg() != 3857:
                mend = f"write gsd_m: {side_m:g}, or correct the georeference of the file"
                raise Refusal(self.path, "pixel size", f"{side_m:g} m", f"gsd_m {gsd_m:g} of tileset.yaml", mend)
        crs = None if self.crs is None else self.crs.to_string()
        return Grid(self.height_px, self.width_px, gsd_m, crs, self.transform)

    def read(self) -> np.ndarray:
        """(count, H, W) as stored; refuses a file that ends too early."""
        try:
            with rasterio.open(self.path) as file:
                return file.read()
        except (RasterioError, OSError) as error:
            expected = f"{self.count} x {self.height_px} x {self.width_px} readable pixels"
            mend = "the file is truncated or damaged: copy or download it again"
            raise Refusal(self.path, "pixels", _last_line(error), expected, mend) from error

    def require_one_band_of_integers(self, role: str) -> None:
        """Refuse a label, fold or cloud mask that is not one band of whole numbers."""
        if self.count != 1 or not np.issubdtype(np.dtype(self.dtype), np.integer):
            found = f"{self.count} bands of {self.dtype}"
            raise Refusal(self.path, role, found, "one band of uint8", f"write the {role} as a single uint8 band")

    def require_same_ground(self, other: Raster, role: str) -> None:
        """Refuse `other` (label, fold, ...) where it does not lie on this image pixel by pixel."""
        mend = f"warp the {role} to the grid of the image (nearest neighbour), or name the right file"
        if other.shape != self.shape:
            found = f"{other.height_px} x {other.width_px} px"
            raise Refusal(other.path, role, found, f"{self.height_px} x {self.width_px} px, as {self.path.name}", mend)
        if self.crs is not None and other.crs is not None and self.crs != other.crs:
            raise Refusal(other.path, role, other.crs.to_string(), f"{self.crs.to_string()}, as {self.path.name}", mend)
        if self.transform is None or other.transform is None:
            return  # a label without georeference says nothing that could disagree
        corners = np.array([[0, 0, 1], [self.width_px, self.height_px, 1]]).T
        theirs = np.reshape(other.transform, (3, 3)) @ corners
        far_px = float(np.abs(np.linalg.solve(np.reshape(self.transform, (3, 3)), theirs) - corners).max())
        if far_px > SAME_PLACE_PX:
            found = f"corners {far_px:.1f} px away from those of {self.path.name}"
            raise Refusal(other.path, role, found, f"the same ground within {SAME_PLACE_PX} px", mend)


def _last_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    return " ".join(str(cause).split())[-160:] or type(error).__name__


def open_raster(path: Path, manifest: Path, field: str) -> Raster:
    """Read the head of a GeoTIFF that field `field` of `manifest` names."""
    if not path.is_file():
        raise Refusal(manifest, field, f"no file {path}", "a GeoTIFF", "correct the path, or add the file")
    try:
        with rasterio.open(path) as file:
            placed = not file.transform.is_identity
            return Raster(
                path, file.count, file.height, file.width, file.dtypes[0], file.nodata,
                file.crs if placed else None, file.transform if placed else None,
            )  # fmt: skip
    except (RasterioError, OSError) as error:
        mend = "the file is truncated, damaged or of another format: copy or export it again"
        raise Refusal(path, field, _last_line(error), "a readable GeoTIFF", mend) from error
