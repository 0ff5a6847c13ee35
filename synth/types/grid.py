"""The grid: where the pixels of a tile lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rasterio.transform import Affine


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
