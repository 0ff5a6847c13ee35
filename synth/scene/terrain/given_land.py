"""Given land: a real elevation model, a real class map, or both, for scenes to grow on."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import calculate_default_transform, reproject
from rasterio.warp import transform as moved
from scipy.ndimage import binary_dilation
from torch import Tensor

from terraficta.synth.types.crosswalk import read_codes, read_legend
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.raster import Raster, open_raster
from terraficta.synth.types.refusal import Refusal, last_line
from terraficta.synth.types.stored import number_text

TRIES = 64
"""places that are tried before a raster is called too full of holes"""
HOLE = 0.02
"""share of a window that may lack data; it is filled from the nearest row and column that have some"""
TRUE_METRES = 0.01
"""share by which the metres of a system may differ from those of the ground; UTM stays below 0.1 %"""
LOWEST_M, HIGHEST_M = -11_000.0, 9_000.0
"""Challenger Deep and Everest, rounded [m]"""
UNTAGGED = (-9999.0, -32768.0, -32767.0, 32767.0, -99999.0, -3.4028234663852886e38, 9999.0, 65535.0, 0.0)
"""stored numbers that mark voids in elevation models which fail to say so"""
VOID_STEP_M = 30.0
"""nine tenths of the ground around a void stand further off than this [m]; no lake and no sea lies so deep in a pit"""
STEEP = 1.0
"""rise over run; in the steepest ranges of the world less than half of the ground is steeper (chosen: 45 degrees)"""
TINY_M = 5.0
"""pixels below this are walls and trees, and may well be steep [m]"""
METRES = {
    "": 1.0, "m": 1.0, "metre": 1.0, "meter": 1.0, "metres": 1.0, "meters": 1.0,
    "dm": 0.1, "decimetre": 0.1, "decimeter": 0.1, "decimetres": 0.1, "decimeters": 0.1,
    "cm": 0.01, "centimetre": 0.01, "centimeter": 0.01, "centimetres": 0.01, "centimeters": 0.01,
    "mm": 0.001, "km": 1000.0,
    "ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "international foot": 0.3048,
    "us-ft": 1200 / 3937, "ftus": 1200 / 3937, "us survey foot": 1200 / 3937, "us survey feet": 1200 / 3937,
    "foot_us": 1200 / 3937,
}  # fmt: skip
"""metres in the units that elevation models declare"""
MetricGrid = tuple[str, Affine, int, int]
"""CRS as WKT, transform, width and height [px]"""
log = logging.getLogger("terraficta")


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


def read_given(dem: str | Path | None, cover: str | Path | None, legend: str = "worldcover") -> GivenLand | None:
    """Read real land; None where nothing is given.

    Both files are brought to the finer one's grid. Where that is in degrees, in feet, turned, or in metres that are not
    those of the ground (web Mercator), it is warped to the UTM zone of its middle. Heights that mark voids without a
    tag are voids.

    Parameters
    ----------
    dem : str | Path | None
        one-band raster of heights, in metres or in the unit that it declares; any name that GDAL opens
    cover : str | Path | None
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
    files = [str(path) for path in (dem, cover) if path is not None]
    grids = [_metric_grid(_open(path)) for path in files]
    grid = min(grids, key=lambda g: float(g[1].a))
    main = files[grids.index(grid)]
    elevation = classes = found = None
    if dem is not None:
        elevation = torch.from_numpy(_heights(_open(str(dem)), grid))
    if cover is not None:
        found = read_legend(legend)
        values = _classes(_open(str(cover)), grid)
        known = np.isfinite(values)
        classes = _positions(cover, np.where(known, values, 0).astype(np.int64), known, legend)
        if not bool((classes >= 0).any()):
            if dem is None:
                raise Refusal(cover, "classes", "no pixel with a class", "a class map", "check its nodata value")
            found_text = "no labelled pixel on the elevation model"
            raise Refusal(cover, "extent", found_text, "overlapping files", "check both CRS")
    return GivenLand(Path(main).name, elevation, classes, found, float(grid[1].a), grid[0], grid[1])


def _open(path: str) -> Raster:
    raster = open_raster(path).one_band("elevation or classes", integers=False)
    if raster.transform is None or raster.crs is None:
        found = "no place: neither CRS nor geotransform"
        mend = "georeference it: gdal_edit.py -a_srs EPSG:n -a_ullr ULX ULY LRX LRY FILE"
        with raster.opened() as file:
            if file.crs is not None:
                found = f"{file.crs.to_string()} without a geotransform"
            elif not file.transform.is_identity:
                found = "a geotransform without a system"
        raise Refusal(path, "CRS", found, "a coordinate reference system and a geotransform", mend)
    return raster


def _metric_grid(raster: Raster) -> MetricGrid:
    """A north-up grid of square pixels whose metres are those of the ground: the raster's own, or in UTM."""
    t, crs = raster.transform, raster.crs
    assert t is not None
    assert crs is not None
    own = crs.is_projected and t.b == t.d == 0 and t.a > 0 and math.isclose(t.a, -t.e, rel_tol=1e-3)
    if own and raster.size_m is not None and all(abs(side / t.a - 1) < TRUE_METRES for side in raster.size_m):
        return crs.to_wkt(), t, raster.width_px, raster.height_px
    corners = [t * at for at in ((0, 0), (raster.width_px, 0), (0, raster.height_px), raster.shape[::-1])]
    (left, right), (bottom, top) = ((min(v), max(v)) for v in zip(*corners, strict=True))
    try:
        longitude, latitude = moved(crs, "EPSG:4326", [(left + right) / 2], [(bottom + top) / 2])
        zone = int((longitude[0] + 180) // 6) % 60 + 1
        utm = CRS.from_epsg((32600 if latitude[0] >= 0 else 32700) + zone)
        box = (left, bottom, right, top)
        warped, width, height = calculate_default_transform(crs, utm, raster.width_px, raster.height_px, *box)
    except (RasterioError, ValueError, OverflowError) as error:
        found = f"{crs.to_string()}: {last_line(error)}"
        mend = "warp it with gdalwarp"
        raise Refusal(raster.path, "CRS", found, "one that can be brought to UTM", mend) from error
    return utm.to_wkt(), warped, int(width), int(height)


def _heights(raster: Raster, grid: MetricGrid) -> NDArray[np.float32]:
    """(H, W) heights [m] on a grid, NaN where unknown."""
    with raster.opened() as file:
        numbers, seen = raster.numbers(file)
    stored = numbers[0].astype(np.float32)
    stored[~seen | raster.missing(numbers)[0]] = np.nan
    scale, offset = (raster.declared() or [(1.0, 0.0)])[0]
    heights = (stored * scale + offset) * _unit_m(raster)
    for mark in UNTAGGED:
        void = stored == mark
        if _is_void(void, heights):
            heights[void] = np.nan
            share, text = void.mean(), number_text(mark)
            log.warning(
                "%s: %.1f %% of its heights are %s, taken as voids without a tag", raster.name, 100 * share, text
            )
    _tell_steep(raster, heights)
    known = np.isfinite(heights)
    low, high = (float(v) for v in (np.nanmin(heights), np.nanmax(heights))) if known.any() else (0.0, 0.0)
    if not known.any() or low < LOWEST_M or high > HIGHEST_M:
        seen_text = f"{low:g} to {high:g}" if known.any() else "no data"
        mend = "check nodata and units: name the unit in the file (gdal_edit.py -units ft), or fill the voids"
        raise Refusal(raster.path, "elevation", seen_text, "heights in metres, -11000 to 9000", mend)
    return _warped(raster, heights, grid, Resampling.cubic)


def _tell_steep(raster: Raster, heights: NDArray[np.float32]) -> None:
    """Say so where heights without a declared unit make land steeper than any: decimetres, centimetres or feet."""
    if _declares_unit(raster) or raster.size_m is None or min(raster.size_m) < TINY_M or min(heights.shape) < 2:
        return
    down, across = np.gradient(heights, *raster.size_m)
    slope = np.hypot(down, across)
    slope = slope[np.isfinite(slope)]
    if slope.size and (median := float(np.median(slope))) > STEEP:
        log.warning(
            "%s: half of its ground is steeper than %.0f degrees, if its heights are metres; no unit is declared "
            "(gdal_edit.py -units dm, cm or ft)", raster.name, math.degrees(math.atan(median)),
        )  # fmt: skip


def _declares_unit(raster: Raster) -> bool:
    named = bool((raster.units[raster.order[0] - 1] or "").strip())
    return named or (raster.crs is not None and "VERT_CS" in raster.crs.to_wkt())


def _is_void(void: NDArray[np.bool_], heights: NDArray[np.float32]) -> bool:
    """Whether a value that often marks voids does so here: the ground all around stands far off, as no cliff does."""
    if not void.any():
        return False
    around = binary_dilation(void, np.ones((3, 3), bool)) & ~void & np.isfinite(heights)
    if not around.any():
        return bool(void.sum() < np.isfinite(heights).sum())
    steps_m = np.abs(heights[around] - heights[void][0])
    return bool(np.quantile(steps_m, 0.1) > VOID_STEP_M)


def _unit_m(raster: Raster) -> float:
    """Metres in the unit of the heights, as the band or a vertical system declares it."""
    unit = (raster.units[raster.order[0] - 1] or "").strip().lower()
    if not unit and raster.crs is not None:
        vertical = re.search(r'VERT_CS\[.*?UNIT\["[^"]*",([0-9.eE+-]+)', raster.crs.to_wkt(), re.DOTALL)
        return float(vertical.group(1)) if vertical else 1.0
    if unit not in METRES:
        mend = "name it in the file (gdal_edit.py -units m), or convert the heights to metres"
        raise Refusal(raster.path, "unit", unit, f"one of {', '.join(filter(None, METRES))}", mend)
    return METRES[unit]


def _classes(raster: Raster, grid: MetricGrid) -> NDArray[np.float32]:
    """(H, W) stored codes on a grid, NaN where unknown."""
    with raster.opened() as file:
        numbers, seen = raster.numbers(file)
    codes = numbers[0].astype(np.float32)
    codes[~seen | raster.missing(numbers)[0]] = np.nan
    return _warped(raster, codes, grid, Resampling.nearest)


def _warped(raster: Raster, values: NDArray[np.float32], grid: MetricGrid, how: Resampling) -> NDArray[np.float32]:
    crs, transform, width, height = grid
    found = np.full((height, width), np.nan, np.float32)
    reproject(
        values.astype(np.float32), found, src_crs=raster.crs, src_transform=raster.transform, src_nodata=np.nan,
        dst_crs=crs, dst_transform=transform, dst_nodata=np.nan, resampling=how,
    )  # fmt: skip
    return found


def _positions(path: str | Path, values: np.ndarray, known: np.ndarray, legend: str) -> Tensor:
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
