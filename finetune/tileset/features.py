"""The features: geometries and attributes of a vector file, as GeoJSON, CSV or what pyogrio reads."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import CRSError

from terraficta.synth.types.refusal import Refusal, last_line

LONGITUDE = ("lon", "longitude", "long", "lng", "x_lon")
LATITUDE = ("lat", "latitude", "y_lat")
EAST, NORTH = ("x", "easting", "east", "x_m"), ("y", "northing", "north", "y_m")
GEOJSON_CRS = "OGC:CRS84"
"""what coordinates of a GeoJSON are without another word (RFC 7946)"""
DEGREES = 360.0
"""no longitude lies farther out"""
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
    placeless : int
        further rows, which have no coordinates
    """

    shapes: list[Shape]
    rows: list[dict[str, Any]]
    crs: CRS | None
    placeless: int = 0


def read_features(path: str, crs: str | None = None) -> Features:
    """Every geometry of a vector file with its attributes.

    GeoJSON and CSV are read by themselves, everything else by pyogrio where it is installed.

    Parameters
    ----------
    path : str
        of the file
    crs : str | None
        of its coordinates, where it does not say so itself

    Raises
    ------
    Refusal
        a damaged file, one without coordinates, or one in another system than is stated
    """
    suffix = Path(path).suffix.lower()
    try:
        if suffix in (".geojson", ".json"):
            found = _geojson(path)
        else:
            found = _csv(path) if suffix == ".csv" else _by_pyogrio(path)
    except (ValueError, KeyError, TypeError, struct.error, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, Refusal):
            raise
        mend = "the file is damaged or of another format: export it again"
        raise Refusal(path, "label", last_line(error), "geometries with attributes", mend) from error
    return _in_system(path, found, crs)


def _in_system(path: str, features: Features, stated: str | None) -> Features:
    """The same in the system that is stated for it; one that contradicts the file is refused, none at all is told."""
    usual = CRS.from_string(GEOJSON_CRS)
    if stated is None:
        if features.crs is None and not path.lower().endswith(".csv"):
            log.warning("%s: names no coordinate system, so that of the image is taken (label_crs: EPSG:n)", path)
        far = max((max(abs(x), abs(y)) for s in features.shapes for x, y in points_of(s["coordinates"])), default=0.0)
        if features.crs == usual and far > DEGREES:
            mend = "export it in longitude and latitude, or state its system (label_crs: EPSG:n in tileset.yaml)"
            raise Refusal(path, "CRS", f"coordinates up to {far:g} and no crs", "longitude and latitude", mend)
        return features
    crs = _crs(path, stated)
    if features.crs not in (None, usual, crs):
        mend = "take label_crs out of tileset.yaml, or correct the file"
        raise Refusal(path, "label_crs", f"{features.crs.to_string()} in the file", stated, mend)
    return replace(features, crs=crs)


def _geojson(path: str) -> Features:
    content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    items = content["features"] if content.get("type") == "FeatureCollection" else [content]
    shapes, rows, placeless = [], [], 0
    for item in items:
        parts = [part for part in _parts(item.get("geometry")) if _has_place(part)]
        shapes += parts
        rows += [dict(item.get("properties") or {})] * len(parts)
        placeless += not parts
    named = ((content.get("crs") or {}).get("properties") or {}).get("name")
    return Features(shapes, rows, _crs(path, named or GEOJSON_CRS), placeless)


def _parts(geometry: Shape | None) -> list[Shape]:
    """A geometry, or those that a collection holds."""
    if geometry is None:
        return []
    if geometry["type"] == "GeometryCollection":
        return [part for one in geometry["geometries"] for part in _parts(one)]
    return [geometry]


def _csv(path: str) -> Features:
    text = Path(path).read_text(encoding="utf-8-sig")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    names = {name.strip().lower(): name for name in (rows[0] if rows else {})}
    for (across, up), crs in (((LONGITUDE, LATITUDE), CRS.from_string(GEOJSON_CRS)), ((EAST, NORTH), None)):
        x, y = (next((names[word] for word in words if word in names), None) for words in (across, up))
        if x is not None and y is not None:
            comma = delimiter == ";"  # then numbers may be written with a decimal comma
            points = [tuple(_coordinate(row[name], comma) for name in (x, y)) for row in rows]
            placed = [math.isfinite(point[0]) and math.isfinite(point[1]) for point in points]
            shapes = [{"type": "Point", "coordinates": point} for point, has in zip(points, placed, strict=True) if has]
            rest = [{k: v for k, v in row.items() if k not in (x, y)} for row in rows]
            return Features(
                shapes, [row for row, has in zip(rest, placed, strict=True) if has], crs, placed.count(False)
            )
    mend = "name the columns lon and lat (degrees), or x and y (in the system of the image)"
    raise Refusal(path, "columns", ", ".join(names) or "none", "lon and lat, or x and y", mend)


def _coordinate(text: str | None, comma: bool) -> float:
    """A number of a table; NaN where there is none."""
    text = (text or "").strip()
    return float((text.replace(",", ".") if comma else text) or "nan")


def _by_pyogrio(path: str) -> Features:
    try:
        from pyogrio import list_layers
        from pyogrio.raw import read
    except ImportError as error:
        mend = NEEDS_EXTRA
        raise Refusal(path, "label", f"a {Path(path).suffix} file, and no pyogrio", "pyogrio", mend) from error
    try:
        layers = [str(name) for name, kind in list_layers(path) if kind is not None]
        if len(layers) > 1:
            mend = f"write the one that holds labels to a file of its own (ogr2ogr labels.gpkg {path} LAYER)"
            raise Refusal(path, "label", f"layers {', '.join(layers)}", "one layer with geometries", mend)
        meta, _, geometry, columns = read(path, layer=layers[0] if layers else None, force_2d=True)
    except Refusal:
        raise
    except Exception as error:  # pyogrio has its own family of errors, which cannot be named before it is there
        mend = "the file is damaged or of another format: export it again"
        raise Refusal(path, "label", last_line(error), "geometries with attributes", mend) from error
    shapes, rows = [], []
    for n, blob in enumerate(geometry):
        shape = None if blob is None else _wkb(bytes(blob))
        if shape is not None and _has_place(shape):
            shapes.append(shape)
            rows.append({name: column[n] for name, column in zip(meta["fields"], columns, strict=True)})
    crs = _crs(path, meta["crs"]) if meta["crs"] else None
    return Features(shapes, rows, crs, len(geometry) - len(shapes))


def _has_place(shape: Shape) -> bool:
    """Whether it has coordinates, all of them numbers."""
    points = list(points_of(shape["coordinates"]))
    return bool(points) and all(math.isfinite(x) and math.isfinite(y) for x, y in points)


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
    if plain % 1000 not in KINDS:
        raise ValueError(f"a geometry of kind {plain % 1000}, which is none of {', '.join(KINDS.values())}")
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


def points_of(coordinates: Any) -> Iterator[tuple[float, float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
    else:
        for part in coordinates:
            yield from points_of(part)
