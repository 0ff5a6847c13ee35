"""The drawn: pixels that shapes label, listed; of an image of any size only these are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window

from terraficta.finetune.tileset.features import Shape, points_of

PART_PX = 1024
"""side of the part of an image that is looked at at once [px]"""
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """Labelled pixels of an image, row by row; what is not labelled is not kept.

    Parameters
    ----------
    rows, columns, classes : NDArray[np.int64]
        (P,) place [px], and class 1..K
    mass : NDArray[np.float32] | None
        (P, K) class mass, where labels say more than a class
    """

    rows: Whole
    columns: Whole
    classes: Whole
    mass: NDArray[np.float32] | None

    @classmethod
    def together(cls, parts: Sequence[Drawn]) -> Drawn:
        """Those of several parts of an image."""
        rows, columns, classes = (
            np.concatenate([getattr(p, name) for p in parts]) for name in ("rows", "columns", "classes")
        )
        order = np.lexsort((columns, rows))
        mass = None
        if parts[0].mass is not None:
            mass = np.concatenate([p.mass for p in parts if p.mass is not None])[order]
        return cls(rows[order], columns[order], classes[order], mass)

    def within(self, window: Window) -> tuple[Whole, Whole, slice | Whole]:
        """Rows and columns inside a part of the image, counted from its corner, and which of all pixels they are."""
        first, last = np.searchsorted(self.rows, [window.row_off, window.row_off + window.height])
        columns = self.columns[first:last] - window.col_off
        which = first + np.flatnonzero((columns >= 0) & (columns < window.width))
        return self.rows[which] - window.row_off, self.columns[which] - window.col_off, which


def draw_shapes(
    shapes: Sequence[Shape], classes: Whole, shares: NDArray[np.float32] | None, shape: tuple[int, int]
) -> tuple[Drawn, int]:
    """The pixels of an image that shapes label, and how many were of two classes and are left out.

    Parameters
    ----------
    shapes : Sequence[Shape]
        F of them, in pixels (column, row)
    classes : NDArray[np.int64]
        (F,) 1..K, 0 where a shape has none
    shares : NDArray[np.float32] | None
        (F, K) what each says of the classes; None: its class, whole
    shape : tuple[int, int]
        (H, W) of the image
    """
    boxes, conflicts = boxes_of(shapes), 0
    nothing = np.zeros(0, np.int64)
    parts = [Drawn(nothing, nothing, nothing, None if shares is None else shares[:0])]
    for window in parts_of(shape):
        near = np.flatnonzero(meets(boxes, window))
        if len(near):
            mine = [shapes[n] for n in near.tolist()]
            drawn, doubted = _draw(mine, classes[near], window)
            conflicts += doubted
            parts.append(_listed(drawn, mine, None if shares is None else shares[near], window))
    return Drawn.together(parts), conflicts


def whole(shape: tuple[int, int]) -> Window:
    """All of an image (H, W)."""
    return Window(0, 0, shape[1], shape[0])


def _draw(shapes: Sequence[Shape], classes: Whole, window: Window) -> tuple[Whole, int]:
    """(h, w) class of each pixel of a part, and how many were of two and are of none."""
    drawn = np.zeros((window.height, window.width), np.int64)
    doubt = np.zeros(drawn.shape, bool)
    for k in sorted(set(classes.tolist()) - {0}):
        burnt = _burn([shapes[n] for n in np.flatnonzero(classes == k).tolist()], window)
        doubt |= burnt & (drawn > 0)
        drawn[burnt] = k
    drawn[doubt] = 0
    return drawn, int(doubt.sum())


def parts_of(shape: tuple[int, int]) -> Iterator[Window]:
    """Windows that cover an image (H, W), row by row."""
    for y in range(0, shape[0], PART_PX):
        for x in range(0, shape[1], PART_PX):
            yield Window(x, y, min(PART_PX, shape[1] - x), min(PART_PX, shape[0] - y))


def boxes_of(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    """(F, 4) least and most column, least and most row of shapes in pixels."""
    found = np.empty((len(shapes), 4))
    for n, shape in enumerate(shapes):
        columns, rows = zip(*points_of(shape["coordinates"]), strict=True)
        found[n] = min(columns), max(columns), min(rows), max(rows)
    return found


def meets(boxes: NDArray[np.float64], window: Window) -> NDArray[np.bool_]:
    """(F,) whether boxes meet a part of the image."""
    left, right, top, bottom = boxes.T
    across = (left < window.col_off + window.width) & (right >= window.col_off)
    found: NDArray[np.bool_] = across & (top < window.row_off + window.height) & (bottom >= window.row_off)
    return found


def _burn(shapes: Sequence[Shape], window: Window) -> NDArray[np.bool_]:
    """(h, w) where shapes lie in a part of the image."""
    thin = [s for s in shapes if "Polygon" not in s["type"]]
    areas = [s for s in shapes if "Polygon" in s["type"]]
    size, corner = (window.height, window.width), Affine.translation(window.col_off, window.row_off)
    found = np.zeros(size, bool)
    for some, touched in ((thin, True), (areas, False)):
        if some:
            found |= rasterize(some, size, transform=corner, all_touched=touched) > 0
    return found


def _listed(drawn: Whole, shapes: Sequence[Shape], shares: NDArray[np.float32] | None, window: Window) -> Drawn:
    """The labelled pixels of a part (h, w), with the mean of what the shapes (F, K) on each say."""
    rows, columns = np.nonzero(drawn)
    mass = None
    if shares is not None:
        total = np.zeros((shares.shape[1], *drawn.shape), np.float32)
        count = np.zeros(drawn.shape, np.float32)
        for shape, share in zip(shapes, shares, strict=True):
            if share.any():
                box = _box_in(shape, window)
                burnt = _burn([shape], box)
                at = (
                    slice(box.row_off - window.row_off, box.row_off - window.row_off + box.height),
                    slice(box.col_off - window.col_off, box.col_off - window.col_off + box.width),
                )
                total[:, *at] += share[:, None, None] * burnt
                count[at] += burnt
        mass = (total / np.maximum(count, 1))[:, rows, columns].T.astype(np.float32)
    return Drawn(rows + window.row_off, columns + window.col_off, drawn[rows, columns], mass)


def _box_in(shape: Shape, window: Window) -> Window:
    """The part of a window around a shape that meets it."""
    left, right, top, bottom = boxes_of([shape])[0]
    x, y = max(window.col_off, math.floor(left)), max(window.row_off, math.floor(top))
    wide = min(window.col_off + window.width, math.floor(right) + 1) - x
    return Window(x, y, wide, min(window.row_off + window.height, math.floor(bottom) + 1) - y)
