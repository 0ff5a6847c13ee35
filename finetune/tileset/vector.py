"""Vector labels: points, lines and polygons with a class, drawn onto the pixels of an image."""

from __future__ import annotations

import csv
import json
import logging
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import transform_geom

from terraficta.synth.types.raster import Raster, last_line
from terraficta.synth.types.refusal import Refusal

SUFFIXES = (".geojson", ".json", ".csv", ".gpkg", ".shp", ".fgb")
LONGITUDE = ("lon", "longitude", "long", "lng", "x_lon")
LATITUDE = ("lat", "latitude", "y_lat")
EAST, NORTH = ("x", "easting", "east", "x_m"), ("y", "northing", "north", "y_m")
CLASS_WORDS = ("class", "label", "class_name", "classname", "landcover", "land_cover", "lc", "name", "category", "type")
"""columns that hold the class, most likely first"""
GEOJSON_CRS = "OGC:CRS84"
"""what coordinates of a GeoJSON are without another word (RFC 7946)"""
NEEDS_EXTRA = "install pyogrio (pip install pyogrio), or write GeoJSON or CSV (ogr2ogr labels.geojson FILE)"
log = logging.getLogger("terraficta")

Shape = dict[str, Any]
"""a geometry as GeoJSON writes it"""


@dataclass(frozen=True)
class Features:
    """What a vector file holds.

    Parameters
    ----------
    shapes : list[Shape]
        geometries
    rows : list[dict[str, Any]]
        attributes, one a geometry
    crs : CRS | None
        of the coordinates; None: that of the image
    """

    shapes: list[Shape]
    rows: list[dict[str, Any]]
    crs: CRS | None


@dataclass(frozen=True)
class VectorLabel:
    """Labels drawn as geometries, on the grid of an image.

    Parameters
    ----------
    path : str
        of the file
    image : Raster
        whose grid they are drawn on
    legend : tuple[str, ...]
        K class names
    column : str | None
        that holds the class; None: the one that does
    """

    path: str
    image: Raster
    legend: tuple[str, ...]
    column: str | None = None

    @cached_property
    def values(self) -> NDArray[np.int64]:
        """(H, W) class 1..K; 0 where nothing is drawn, or where drawn shapes of two classes meet.

        A line labels the pixels that it runs through, a polygon those whose middle it holds.

        Raises
        ------
        Refusal
            a file that cannot be read, no place for it, no column of classes, or nothing that falls on the image
        """
        features = read_features(self.path)
        classes = self._classes(features)
        shapes = self._on_pixels(features)
        drawn = np.zeros(self.image.shape, np.int64)
        doubt = np.zeros(self.image.shape, bool)
        inside: Counter[int] = Counter()
        for k in sorted(set(classes) - {0}):
            mine = [shape for shape, own in zip(shapes, classes, strict=True) if own == k]
            burnt = self._burn(mine)
            doubt |= burnt & (drawn > 0)
            drawn[burnt] = k
            inside[k] = int(burnt.sum())
        conflicts, drawn[doubt] = int(doubt.sum()), 0
        if not (drawn > 0).any():
            mend = "check the coordinate system of the file, and that it lies on the image"
            raise Refusal(self.path, "label", f"{len(shapes)} features, none on the image", "labelled pixels", mend)
        outside = sum(not self._near(shape) for shape in shapes)
        empty = sum(k == 0 for k in classes)
        told = [f"{len(shapes)} features label {int((drawn > 0).sum())} pixels"]
        told += [f"{outside} lie outside {self.image.name}"] if outside else []
        told += [f"{empty} have no class"] if empty else []
        told += [f"{conflicts} pixels of two classes are left unlabelled"] if conflicts else []
        log.warning("%s: %s", Path(self.path).name, "; ".join(told))
        return drawn

    def on_image(self, features: Features) -> list[bool]:
        """Whether each feature meets the image."""
        return [self._near(shape) for shape in self._on_pixels(features)]

    def _near(self, shape: Shape) -> bool:
        """Whether the box around a shape in pixels meets the image."""
        spans = zip(*_points(shape["coordinates"]), strict=True)
        return all(
            min(span) < side and max(span) >= 0 for span, side in zip(spans, self.image.shape[::-1], strict=True)
        )

    def _burn(self, shapes: Sequence[Shape]) -> NDArray[np.bool_]:
        thin = [s for s in shapes if "Polygon" not in s["type"]]
        areas = [s for s in shapes if "Polygon" in s["type"]]
        found = np.zeros(self.image.shape, bool)
        for some, touched in ((thin, True), (areas, False)):
            if some:
                found |= rasterize(some, self.image.shape, transform=Affine.identity(), all_touched=touched) > 0
        return found

    def _on_pixels(self, features: Features) -> list[Shape]:
        """The geometries in pixels (column, row) of the image, whatever its grid is turned by."""
        image = self.image
        if image.transform is None or image.crs is None:
            mend = "georeference the image, or draw the labels as a raster"
            raise Refusal(image.path, "CRS", "none", f"a place, so that {self.path} can be drawn on it", mend)
        back = ~image.transform
        found = []
        for shape in features.shapes:
            placed = shape
            if features.crs is not None and features.crs != image.crs:
                try:
                    placed = transform_geom(features.crs, image.crs, shape)
                except (RasterioError, ValueError) as error:
                    mend = "check the coordinate system of the file"
                    raise Refusal(self.path, "CRS", last_line(error), "coordinates that can be moved", mend) from error
            found.append({"type": placed["type"], "coordinates": _moved(placed["coordinates"], back)})
        return found

    def _classes(self, features: Features) -> list[int]:
        """Class 1..K of each feature; 0 where it has none."""
        columns = list(features.rows[0]) if features.rows else []
        if self.column is not None and self.column not in columns:
            mend = "correct label_column in tileset.yaml"
            raise Refusal(self.path, "label_column", self.column, f"one of {', '.join(columns)}", mend)
        wanted = [self.column] if self.column is not None else sorted(columns, key=_likeliness)
        strange: list[str] = []
        for column in wanted:
            classes, unknown = self._read_column([row.get(column) for row in features.rows])
            if not unknown and any(classes):
                return classes
            if unknown and not strange and (self.column or column.lower() in CLASS_WORDS):
                strange = unknown
        found = f"{', '.join(strange[:6])}" if strange else f"columns {', '.join(columns) or 'none'}"
        expected = f"a column of classes: {', '.join(self.legend)}, or numbers 1..{len(self.legend)}"
        mend = "name the column in tileset.yaml (label_column: NAME), or add the class to the legend"
        raise Refusal(self.path, "label", found, expected, mend)

    def _read_column(self, values: Sequence[Any]) -> tuple[list[int], list[str]]:
        """Class of each value, and the values that are none."""
        by_name = {name.strip().lower(): k for k, name in enumerate(self.legend, 1)}
        classes, unknown = [], []
        for value in values:
            text = "" if value is None else str(value).strip()
            k = by_name.get(text.lower())
            if k is None and text:
                try:
                    number = float(text)
                except ValueError:
                    number = -1.0
                k = int(number) if number.is_integer() and 0 <= number <= len(self.legend) else None
            if k is None and text and text.lower() not in ("none", "null", "nan"):
                unknown.append(text)
            classes.append(k or 0)
        return classes, list(dict.fromkeys(unknown))


def is_vector(name: str) -> bool:
    """Whether a label is named by the suffix of a vector file."""
    return name.lower().endswith(SUFFIXES)


def open_vector(path: str, image: Raster, legend: tuple[str, ...], column: str | None) -> VectorLabel:
    """Vector labels of an image; refuses a file that is not there."""
    if not Path(path).is_file():
        raise Refusal(path, "label", "no such file", "points, lines or polygons with a class", "check the path")
    return VectorLabel(path, image, legend, column)


def read_features(path: str) -> Features:
    """Every geometry of a vector file with its attributes.

    GeoJSON and CSV are read by themselves, everything else by pyogrio where it is installed.

    Raises
    ------
    Refusal
        a damaged file, or one without coordinates
    """
    suffix = Path(path).suffix.lower()
    try:
        if suffix in (".geojson", ".json"):
            return _geojson(path)
        return _csv(path) if suffix == ".csv" else _by_pyogrio(path)
    except (ValueError, KeyError, TypeError, struct.error, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, Refusal):
            raise
        mend = "the file is damaged or of another format: export it again"
        raise Refusal(path, "label", last_line(error), "geometries with attributes", mend) from error


def _geojson(path: str) -> Features:
    content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    items = content["features"] if content.get("type") == "FeatureCollection" else [content]
    items = [item for item in items if item.get("geometry")]
    shapes = [part for item in items for part in [item["geometry"]]]
    rows = [dict(item.get("properties") or {}) for item in items]
    named = ((content.get("crs") or {}).get("properties") or {}).get("name")
    crs = _crs(path, named or GEOJSON_CRS)
    if named is None:
        far = max((max(abs(x), abs(y)) for shape in shapes for x, y in _points(shape["coordinates"])), default=0.0)
        if far > 360:
            mend = "export it in longitude and latitude, or name its system in a `crs` member"
            raise Refusal(path, "CRS", f"coordinates up to {far:g} and no crs", "longitude and latitude", mend)
    return Features(shapes, rows, crs)


def _csv(path: str) -> Features:
    text = Path(path).read_text(encoding="utf-8-sig")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows: list[dict[str, Any]] = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    names = {name.strip().lower(): name for name in (rows[0] if rows else {})}
    for (across, up), crs in (((LONGITUDE, LATITUDE), CRS.from_string(GEOJSON_CRS)), ((EAST, NORTH), None)):
        x, y = (next((names[word] for word in words if word in names), None) for words in (across, up))
        if x is not None and y is not None:
            shapes = [{"type": "Point", "coordinates": (float(row[x]), float(row[y]))} for row in rows]
            rest = [{k: v for k, v in row.items() if k not in (x, y)} for row in rows]
            return Features(shapes, rest, crs)
    mend = "name the columns lon and lat (degrees), or x and y (in the system of the image)"
    raise Refusal(path, "columns", ", ".join(names) or "none", "lon and lat, or x and y", mend)


def _by_pyogrio(path: str) -> Features:
    try:
        from pyogrio.raw import read
    except ImportError as error:
        mend = NEEDS_EXTRA
        raise Refusal(path, "label", f"a {Path(path).suffix} file, and no pyogrio", "pyogrio", mend) from error
    try:
        meta, _, geometry, columns = read(path)
    except Exception as error:  # pyogrio has its own family of errors, which cannot be named before it is there
        mend = "the file is damaged or of another format: export it again"
        raise Refusal(path, "label", last_line(error), "geometries with attributes", mend) from error
    shapes, rows = [], []
    for n, blob in enumerate(geometry):
        if blob is not None:
            shapes.append(_wkb(bytes(blob)))
            rows.append({name: column[n] for name, column in zip(meta["fields"], columns, strict=True)})
    return Features(shapes, rows, _crs(path, meta["crs"]) if meta["crs"] else None)


def _crs(path: str, name: str) -> CRS:
    try:
        return CRS.from_user_input(name)
    except CRSError as error:
        raise Refusal(path, "CRS", name, "a known coordinate system", "name it as EPSG:n") from error


KINDS = {1: "Point", 2: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}
"""geometries of well-known binary by number (OGC 06-103r4), heights and measures left aside"""


def _wkb(blob: bytes) -> Shape:
    """Well-known binary as GeoJSON, in two dimensions."""
    return _wkb_at(blob, 0)[0]


def _wkb_at(blob: bytes, at: int) -> tuple[Shape, int]:
    order = "<" if blob[at] == 1 else ">"
    (code,) = struct.unpack_from(order + "I", blob, at + 1)
    axes = 2 + bool(code & 0x80000000) + bool(code & 0x40000000)
    plain = code & 0x0FFFFFFF
    axes += {0: 0, 1: 1, 2: 1, 3: 2}[plain // 1000]
    kind, at = KINDS[plain % 1000], at + 5

    def count() -> int:
        nonlocal at
        at += 4
        return int(struct.unpack_from(order + "I", blob, at - 4)[0])

    def point() -> tuple[float, float]:
        nonlocal at
        at += 8 * axes
        x, y = struct.unpack_from(order + "2d", blob, at - 8 * axes)
        return x, y

    if kind == "Point":
        return {"type": kind, "coordinates": point()}, at
    if kind == "LineString":
        return {"type": kind, "coordinates": [point() for _ in range(count())]}, at
    if kind == "Polygon":
        return {"type": kind, "coordinates": [[point() for _ in range(count())] for _ in range(count())]}, at
    parts = []
    for _ in range(count()):
        part, at = _wkb_at(blob, at)
        parts.append(part["coordinates"])
    return {"type": kind, "coordinates": parts}, at


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
    else:
        for part in coordinates:
            yield from _points(part)


def _moved(coordinates: Any, by: Affine) -> Any:
    if coordinates and isinstance(coordinates[0], int | float):
        return by * (coordinates[0], coordinates[1])
    return [_moved(part, by) for part in coordinates]


def _likeliness(column: str) -> tuple[int, str]:
    word = column.strip().lower()
    return (CLASS_WORDS.index(word) if word in CLASS_WORDS else len(CLASS_WORDS), word)
