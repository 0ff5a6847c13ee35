"""The grid: where the pixels of a raster lie, how large they are on the ground, and whether two show the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform as moved

# WGS 84, NIMA TR8350.2
MAJOR_M = 6_378_137.0
"""semi-major axis of the ellipsoid [m]"""
ECCENTRICITY_2 = 6.694_379_990_14e-3
"""its first eccentricity, squared"""
GEOGRAPHIC = "EPSG:4326"
NO_WAY = (RasterioError, CPLE_BaseError, ValueError)
"""what is raised where no way leads from one system to another, e.g. from a plan of one's own"""


@dataclass(frozen=True)
class Grid:
    """A north-up raster grid.

    Parameters
    ----------
    height_px, width_px : int
        size [px]
    gsd_m : float
        ground sampling distance [m]
    crs : str | None
        coordinate reference system as WKT or "EPSG:n"; None where a product carries none
    transform : Affine | None
        affine map from (column, row) to (x, y), as in rasterio; None likewise
    """

    height_px: int
    width_px: int
    gsd_m: float
    crs: str | None = None
    transform: Affine | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height_px, self.width_px

    def window(self, y_px: int, x_px: int, height_px: int, width_px: int) -> Grid:
        """The part of the grid that starts at row `y_px`, column `x_px`."""
        transform = None if self.transform is None else self.transform * Affine.translation(x_px, y_px)
        return replace(self, height_px=height_px, width_px=width_px, transform=transform)


def ground_size_m(crs: CRS, transform: Affine, shape: tuple[int, int]) -> tuple[float, float] | None:
    """Sides (down, across) of the middle pixel of a raster on the ground [m].

    The pixel is followed to latitude and longitude and measured on the ellipsoid, so degrees, feet and the stretch of
    a projection (web Mercator: 1 / cos latitude) all come out in metres of ground.

    Parameters
    ----------
    crs : CRS
        of the raster
    transform : Affine
        from (column, row) to (x, y); turned and south-up ones as well
    shape : tuple[int, int]
        (H, W) [px]

    Returns
    -------
    tuple[float, float] | None
        None where the system has no place on earth
    """
    row, column = shape[0] / 2, shape[1] / 2
    corners = [transform * at for at in ((column, row), (column, row + 1), (column + 1, row))]
    try:
        longitude, latitude = moved(crs, CRS.from_string(GEOGRAPHIC), *zip(*corners, strict=True))
    except NO_WAY:
        longitude, latitude = [math.nan], [math.nan]
    if not np.isfinite([*longitude, *latitude]).all():
        if not crs.is_projected:
            return None
        unit_m = float(crs.linear_units_factor[1])
        return unit_m * math.hypot(transform.b, transform.e), unit_m * math.hypot(transform.a, transform.d)
    flat = 1 - ECCENTRICITY_2 * math.sin(math.radians(latitude[0])) ** 2
    north_m = math.radians(1) * MAJOR_M * (1 - ECCENTRICITY_2) / flat**1.5
    east_m = math.radians(1) * MAJOR_M / math.sqrt(flat) * math.cos(math.radians(latitude[0]))
    sides = []
    for n in (1, 2):
        turn = (longitude[n] - longitude[0] + 180) % 360 - 180
        sides.append(math.hypot((latitude[n] - latitude[0]) * north_m, turn * east_m))
    return sides[0], sides[1]


def corners_apart_px(
    mine: tuple[CRS | None, Affine], theirs: tuple[CRS | None, Affine], shape: tuple[int, int]
) -> float:
    """How far the four corners of two rasters of one shape lie apart [px of the first].

    Systems are compared by where they put the corners, so other names of a system, its axes in the other order, or a
    vertical system beside it make no difference.
    """
    height, width = shape
    corners: Sequence[tuple[int, int]] = ((0, 0), (width, 0), (0, height), (width, height))
    points = [theirs[1] * corner for corner in corners]
    if mine[0] is not None and theirs[0] is not None and mine[0] != theirs[0]:
        try:
            points = list(zip(*moved(theirs[0], mine[0], *zip(*points, strict=True)), strict=True))
        except NO_WAY:
            return math.inf
    back = [~mine[1] * point for point in points]
    far = float(np.abs(np.array(back) - np.array(corners)).max())
    return far if math.isfinite(far) else math.inf
