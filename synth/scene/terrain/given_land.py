"""Given land: a real elevation model, a real class map, or both, for scenes to grow on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import calculate_default_transform, reproject
from rasterio.warp import transform as moved
from torch import Tensor

from terraficta.synth.types.crosswalk import read_codes, read_legend
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal

TRIES = 64
"""places that are tried before a raster is called too full of holes"""
HOLE = 0.02
"""share of a window that may lack data; it is filled from the nearest row and column that have some"""


@dataclass(frozen=True)
class GivenLand:
    """Real land on one metric, north-up grid.

    Parameters
    ----------
    name : str
        of the file
    elevation_m : Tensor | None
        (H, W) float32, NaN where unknown; None: the ground is fiction
    cover : Tensor | None
        (H, W) int64 position in the legend, -1 where unknown; None: the cover is fiction
    legend : Legend | None
        of the cover
    gsd_m : float
        [m]
    crs : str
        as WKT
    transform : Affine
        of the grid
    """

    name: str
    elevation_m: Tensor | None
    cover: Tensor | None
    legend: Legend | None
    gsd_m: float
    crs: str
    transform: Affine

    @property
    def extent_m(self) -> tuple[float, float]:
        """Height and width [m]."""
        rows, columns = (self.elevation_m if self.elevation_m is not None else self._cover()).shape
        return rows * self.gsd_m, columns * self.gsd_m

    def _cover(self) -> Tensor:
        if self.cover is None:
            raise Refusal(self.name, "cover", "no class map", "a class map", "give --cover FILE")
        return self.cover

    def corner(self, row_cell: int, column_cell: int, cell_m: float) -> tuple[float, float]:
        """Map coordinates (x, y) of the upper left corner of a cell that is counted from the grid's own corner."""
        x, y = self.transform * (column_cell * cell_m / self.gsd_m, row_cell * cell_m / self.gsd_m)
        return float(x), float(y)

    def elevation_at(self, y_m: Tensor, x_m: Tensor) -> Tensor:
        """(H, W) height at rows y_m (H,) and columns x_m (W,) [m] from the corner: Catmull-Rom between the posts.

        Source
        ------
        R. Keys 1981, doi:10.1109/TASSP.1981.1163711, a = -1/2: exact on planes and parabolas.
        """
        if self.elevation_m is None:
            raise Refusal(self.name, "elevation", "no elevation model", "one", "give --dem FILE")
        posts = self.elevation_m.to(y_m.device)
        (row, down), (column, right) = (
            _cubic(m / self.gsd_m - 0.5, n) for m, n in zip((y_m, x_m), posts.shape, strict=True)
        )
        along = torch.zeros(len(y_m), posts.shape[1], device=posts.device)
        for k in range(4):
            along += posts.index_select(0, row[k]) * down[k][:, None]
        height = torch.zeros(len(y_m), len(x_m), device=posts.device)
        for k in range(4):
            height += along.index_select(1, column[k]) * right[k]
        return height

    def cover_at(self, y_m: Tensor, x_m: Tensor) -> Tensor:
        """(H, W) int64 class at the nearest pixel; -1 where unknown or beyond the map."""
        classes = self._cover().to(y_m.device)
        row, column = (torch.floor(m / self.gsd_m).to(torch.int64) for m in (y_m, x_m))
        inside = ((row >= 0) & (row < classes.shape[0]))[:, None] & ((column >= 0) & (column < classes.shape[1]))
        row, column = row.clamp(0, classes.shape[0] - 1), column.clamp(0, classes.shape[1] - 1)
        return torch.where(inside, classes.index_select(0, row).index_select(1, column), -1)

    def place(self, tries: Sequence[tuple[float, float]], side_m: float, cell_m: float) -> tuple[int, int]:
        """Where a scene lies: its middle in whole cells (y, x) from the corner, at the first try with whole data.

        `tries` of `draw_place_tries`.

        Raises
        ------
        Refusal
            a raster smaller than the scene, or with holes wherever one looks
        """
        high, wide = self.extent_m
        if side_m > min(high, wide):
            found = f"{wide:.0f} x {high:.0f} m"
            raise Refusal(
                self.name, "extent", found, f"at least the {side_m:.0f} m of a tile", "make --size or gsd_m smaller"
            )
        first, room = 0.5 * side_m, (high - 0.5 * side_m - 0.5 * side_m, wide - 0.5 * side_m - 0.5 * side_m)
        for one in tries:
            y, x = (round((first + span * part) / cell_m) for part, span in zip(one, room, strict=True))
            if self._whole(y * cell_m, x * cell_m, side_m):
                return y, x
        found = f"holes at all of {len(tries)} places"
        raise Refusal(self.name, "nodata", found, "land without holes", "fill or crop it")

    def _whole(self, y_m: float, x_m: float, side_m: float) -> bool:
        rows, columns = (
            slice(max(0, math.floor((m - 0.5 * side_m) / self.gsd_m)), math.ceil((m + 0.5 * side_m) / self.gsd_m))
            for m in (y_m, x_m)
        )
        if self.elevation_m is not None and bool(self.elevation_m[rows, columns].isnan().any()):
            return False
        return self.cover is None or float((self.cover[rows, columns] < 0).float().mean()) <= HOLE


def _cubic(at: Tensor, count: int) -> tuple[list[Tensor], list[Tensor]]:
    """Four posts around each place and their weights; beyond the border the last post goes on."""
    first = torch.floor(at)
    t = (at - first).to(torch.float32)
    weights = [
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    ]
    return [(first.to(torch.int64) + k).clamp(0, count - 1) for k in (-1, 0, 1, 2)], weights


def draw_place_tries(key: SceneKey) -> tuple[tuple[float, float], ...]:
    """Draw the places (y, x) at which one scene tries to lie on given land.

    Each is a share 0 .. 1 of the way along which the middle of its window may lie.
    """
    return tuple((float(y), float(x)) for y, x in key.at("given", "place").rng().random((TRIES, 2)))


def read_given(dem: Path | None, cover: Path | None, legend: str = "worldcover") -> GivenLand | None:
    """Read real land; None where nothing is given.

    Both files are brought to the finer one's grid. In degrees, in feet, or turned, that is warped to the UTM zone of
    its middle.

    Parameters
    ----------
    dem : Path | None
        one-band raster of heights [m]
    cover : Path | None
        one-band raster of classes, in the codes of the product or 1..K in the order of the legend
    legend : str
        name of the class map's legend, see `terraficta.synth.types.crosswalk`

    Raises
    ------
    Refusal
        a file that cannot be read, has no place on earth or does not overlap; values that are no heights, or no classes
        of the legend
    """
    if dem is None and cover is None:
        return None
    files = [path for path in (dem, cover) if path is not None]
    grids = []
    for path in files:
        with _open(path) as file:
            grids.append(_metric_grid(path, file))
    grid = min(grids, key=lambda g: float(g[1].a))
    main = files[grids.index(grid)]
    elevation = classes = found = None
    if dem is not None:
        values, known = _read(dem, grid, Resampling.cubic)
        elevation = torch.from_numpy(values)
        low, high = (float(v) for v in (np.nanmin(elevation), np.nanmax(elevation))) if known.any() else (0.0, 0.0)
        if not known.any() or low < -11_000 or high > 9_000:
            seen = f"{low:g} to {high:g}" if known.any() else "no data"
            raise Refusal(dem, "elevation", seen, "heights in metres, -11000 to 9000", "check nodata and units")
    if cover is not None:
        found = read_legend(legend)
        values, known = _read(cover, grid, Resampling.nearest)
        classes = _positions(cover, np.where(known, values, 0).astype(np.int64), known, legend)
        if not bool((classes >= 0).any()):
            raise Refusal(
                cover, "extent", "no labelled pixel on the elevation model", "overlapping files", "check both CRS"
            )
    return GivenLand(main.name, elevation, classes, found, float(grid[1].a), grid[0], grid[1])


def _open(path: Path) -> rasterio.DatasetReader:
    try:
        file = rasterio.open(path)
    except (RasterioError, OSError) as error:
        raise Refusal(
            path, "file", " ".join(str(error).split()), "a raster that GDAL reads", "check the path"
        ) from error
    if file.crs is None:
        raise Refusal(path, "CRS", "none", "a coordinate reference system", "gdal_edit.py -a_srs EPSG:n FILE")
    return file


def _metric_grid(path: Path, file: rasterio.DatasetReader) -> tuple[str, Affine, int, int]:
    """CRS, transform, width, height of a north-up grid in metres with square pixels."""
    t = file.transform
    if (
        file.crs.is_projected
        and file.crs.linear_units_factor[1] == 1.0
        and t.b == t.d == 0
        and math.isclose(t.a, -t.e, rel_tol=1e-3)
    ):
        return file.crs.to_wkt(), t, file.width, file.height
    longitude, latitude = moved(file.crs, "EPSG:4326", *([v] for v in file.xy(file.height // 2, file.width // 2)))
    zone = int((longitude[0] + 180) // 6) % 60 + 1
    utm = CRS.from_epsg((32600 if latitude[0] >= 0 else 32700) + zone)
    warped, width, height = calculate_default_transform(file.crs, utm, file.width, file.height, *file.bounds)
    if not width or not height:
        raise Refusal(path, "CRS", file.crs.to_string(), "one that can be brought to UTM", "warp it with gdalwarp")
    return utm.to_wkt(), warped, int(width), int(height)


def _read(path: Path, grid: tuple[str, Affine, int, int], how: Resampling) -> tuple[np.ndarray, np.ndarray]:
    """Values (H, W) float32 and where they are known, on a grid of CRS, transform, width and height."""
    crs, transform, width, height = grid
    values = np.full((height, width), np.nan, np.float32)
    with _open(path) as file:
        reproject(
            rasterio.band(file, 1), values, dst_crs=crs, dst_transform=transform, dst_nodata=np.nan, resampling=how
        )
    return values, np.isfinite(values)


def _positions(path: Path, values: np.ndarray, known: np.ndarray, legend: str) -> Tensor:
    """Positions in the legend from stored codes; 0 that is no code means unlabelled."""
    codes = read_codes(legend)
    in_order = {k + 1: k for k in range(len(codes))}
    by_code = {code: k for k, code in enumerate(codes)}
    stored = {int(v) for v in np.unique(values[known])}
    for table in (by_code, in_order):
        if stored - {0} <= set(table):
            place = np.full(max(stored | {0}) + 1, -1)
            for value in stored & set(table):
                place[value] = table[value]
            return torch.from_numpy(np.where(known, place[np.where(known, values, 0)], -1))
    strange = sorted(stored - {0} - set(by_code))[:5]
    raise Refusal(
        path,
        "classes",
        f"values {strange}",
        f"codes of {legend}: {list(codes)}, or 1..{len(codes)}",
        "name its legend: --cover-legend",
    )


def lay_out(
    given: GivenLand, tries: Sequence[Sequence[tuple[float, float]]], side_cells: int, cell_m: Tensor
) -> Tensor:
    """(N, 2) int64: the middle of each scene in whole cells (y, x) from the corner of the given land.

    `tries` one set a scene, of `draw_place_tries`.
    """
    places = [given.place(own, side_cells * float(cell), float(cell)) for own, cell in zip(tries, cell_m, strict=True)]
    return torch.tensor(places, dtype=torch.int64)
