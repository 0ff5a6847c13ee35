"""Vector labels: points, lines and polygons with a class, drawn onto the pixels of an image."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform_geom
from rasterio.windows import Window

from terraficta.finetune.tileset.drawn import Drawn, boxes_of, draw_shapes, meets, whole
from terraficta.finetune.tileset.features import Features, Shape, read_features
from terraficta.finetune.tileset.shares import CONFIDENCE_WORDS, Shares, read_shares, read_votes
from terraficta.synth.types.file_name import is_plain
from terraficta.synth.types.raster import Raster
from terraficta.synth.types.refusal import Refusal, last_line

SUFFIXES = (".geojson", ".json", ".csv", ".gpkg", ".shp", ".fgb")
CLASS_WORDS = ("class", "label", "class_name", "classname", "landcover", "land_cover", "lc", "name", "category", "type")
"""columns that hold the class, most likely first"""
ID_WORDS = ("fid", "id", "ogc_fid", "objectid", "gid", "index", "no", "nr", "number", "n")
"""columns that count features and hold no class, though their numbers could be ones"""
log = logging.getLogger("terraficta")


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
    confidence_column : str | None
        that holds how sure each class is, 0..1; None: one that is called so, where there is one
    votes_columns : Mapping[str, str] | None
        class -> column that counts votes for it; None: columns that are called as classes are, where none holds a class
    crs : str | None
        of the coordinates, where the file does not say; None: that of the image
    """

    path: str
    image: Raster
    legend: tuple[str, ...]
    column: str | None = None
    confidence_column: str | None = None
    votes_columns: Mapping[str, str] | None = None
    crs: str | None = None

    @property
    def values(self) -> NDArray[np.int64]:
        """(H, W) class 1..K; 0 where nothing is drawn, or where drawn shapes of two classes meet.

        A line labels the pixels that it runs through, a polygon those whose middle it holds.

        Raises
        ------
        Refusal
            a file that cannot be read, no place for it, no column of classes, or nothing that falls on the image
        """
        return self.values_in(whole(self.image.shape))

    @property
    def mass(self) -> NDArray[np.float32] | None:
        """(K, H, W) class mass from confidences and votes, the mean where shapes meet; None where there are neither."""
        return self.mass_in(whole(self.image.shape))

    def values_in(self, window: Window) -> NDArray[np.int64]:
        """The same of a part of the image."""
        rows, columns, which = self._drawn.within(window)
        found = np.zeros((window.height, window.width), np.int64)
        found[rows, columns] = self._drawn.classes[which]
        return found

    def mass_in(self, window: Window) -> NDArray[np.float32] | None:
        """The same of a part of the image."""
        if self._drawn.mass is None:
            return None
        rows, columns, which = self._drawn.within(window)
        found = np.zeros((self._drawn.mass.shape[1], window.height, window.width), np.float32)
        found[:, rows, columns] = self._drawn.mass[which].T
        return found

    @cached_property
    def _drawn(self) -> Drawn:
        features = read_features(self.path, self.crs)
        classes, shares = self._said(features)
        shapes = self._on_pixels(features)
        found, conflicts = draw_shapes(
            shapes, np.array(classes), None if shares is None else shares.of_classes, self.image.shape
        )
        if len(found.rows) == 0:
            mend = (
                "check that the file lies on the image, and its coordinate system "
                "(label_crs: EPSG:n in tileset.yaml, where the file does not say)"
            )
            raise Refusal(self.path, "label", f"{len(shapes)} features, none on the image", "labelled pixels", mend)
        outside = sum(not there for there in self._near(shapes))
        empty = sum(k == 0 for k in classes)
        told = [f"{len(shapes)} features label {len(found.rows)} pixels"]
        told += [f"{outside} lie outside {self.image.name}"] if outside else []
        told += [f"{empty} have no class"] if empty else []
        told += [f"{features.placeless} have no place"] if features.placeless else []
        told += [f"{conflicts} pixels of two classes are left unlabelled"] if conflicts else []
        told += [f"they count by {shares.because}"] if shares is not None else []
        log.warning("%s: %s", Path(self.path).name, "; ".join(told))
        return found

    def on_image(self, features: Features) -> list[bool]:
        """Whether each feature meets the image."""
        return self._near(self._on_pixels(features))

    def _near(self, shapes: Sequence[Shape]) -> list[bool]:
        """Whether the box around each shape in pixels meets the image."""
        return meets(boxes_of(shapes), whole(self.image.shape)).tolist()

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

    def _said(self, features: Features) -> tuple[list[int], Shares | None]:
        """Class 1..K of each feature, 0 where it has none; and what it says of each class, where it says more."""
        votes: NDArray[np.float32] | None = None
        classes: list[int] = []
        if self.votes_columns is not None:
            votes = read_votes(self.path, features.rows, self.legend, self.votes_columns)
        else:
            try:
                classes = self._classes(features)
            except Refusal:
                votes = None if self.column else read_votes(self.path, features.rows, self.legend, None)
                if votes is None:
                    raise
        if votes is not None:
            classes = [int(row.argmax()) + 1 if row.any() else 0 for row in votes]
        return classes, read_shares(self.path, features.rows, len(self.legend), classes, votes, self.confidence_column)

    def _classes(self, features: Features) -> list[int]:
        """Class 1..K of each feature; 0 where it has none.

        By a column that is called as columns of classes are, else by the one column of class names, else by the one of
        class numbers: where two could be meant, the user is asked.
        """
        columns = list(features.rows[0]) if features.rows else []
        if self.column is not None and self.column not in columns:
            mend = "correct label_column in tileset.yaml"
            raise Refusal(self.path, "label_column", self.column, f"one of {', '.join(columns)}", mend)
        other = {
            self.confidence_column,
            *(n for n in columns if _word(n) in (*CONFIDENCE_WORDS, *map(_word, self.legend))),
        }
        wanted = (
            [self.column]
            if self.column is not None
            else sorted((c for c in columns if c not in other), key=_likeliness)
        )
        strange: list[str] = []
        by_name: dict[str, list[int]] = {}
        by_number: dict[str, list[int]] = {}
        for column in wanted:
            values = [row.get(column) for row in features.rows]
            classes, unknown = self._read_column(values)
            called = column == self.column or _word(column) in CLASS_WORDS
            if not unknown and any(classes):
                if called:
                    return classes
                named = {_word(name) for name in self.legend} & {_word(value) for value in values}
                (by_name if named else by_number)[column] = classes
            elif unknown and called and not strange:
                strange = unknown
        for fits in (by_name, {name: classes for name, classes in by_number.items() if _word(name) not in ID_WORDS}):
            if not strange and len({tuple(classes) for classes in fits.values()}) == 1:
                return next(iter(fits.values()))
            if not strange and fits:
                mend = "name the one that holds the class in tileset.yaml (label_column: NAME)"
                raise Refusal(self.path, "label", f"columns {', '.join(fits)} that could hold classes", "one", mend)
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


def open_vector(path: str, image: Raster, legend: tuple[str, ...], column: str | None, **more: Any) -> VectorLabel:
    """Vector labels of an image; `more`: further fields. Refuses a file that is not there."""
    if is_plain(path) and not Path(path).is_file():
        raise Refusal(path, "label", "no such file", "points, lines or polygons with a class", "check the path")
    return VectorLabel(path, image, legend, column, **more)


def _moved(coordinates: Any, by: Affine) -> Any:
    if coordinates and isinstance(coordinates[0], int | float):
        return by * (coordinates[0], coordinates[1])
    return [_moved(part, by) for part in coordinates]


def _word(value: Any) -> str:
    return str(value).strip().lower()


def _likeliness(column: str) -> tuple[int, str]:
    word = _word(column)
    return (CLASS_WORDS.index(word) if word in CLASS_WORDS else len(CLASS_WORDS), word)
