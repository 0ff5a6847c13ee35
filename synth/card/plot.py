"""The plot: a picture of a sheet as SVG, with a scale bar and the names of places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

LETTER = 0.56
"""width of a letter over the height of the type, about"""
TYPE = 1 / 34
"""height of the type over the longer side of the picture"""
BAR = 0.3
"""most that the scale bar may take of the width"""


@dataclass(frozen=True)
class Mark:
    """A word at a place (row, column) [px]."""

    y_px: int
    x_px: int
    text: str
    kind: Literal["place", "water", "height"] | str


def scale_bar_m(width_m: float, most: float = BAR) -> float:
    """The longest of 1, 2, 5 times a power of ten that fits into a part of the width [m].

    Examples
    --------
    >>> scale_bar_m(1280.0), scale_bar_m(61440.0)
    (200.0, 10000.0)
    """
    room = most * width_m
    power = 10.0 ** math.floor(math.log10(room))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= room)


def svg(source: str, shape: tuple[int, int], grid: Mapping[str, Any], marks: Sequence[Mark]) -> str:
    """A picture with its scale bar and marks; of words that would overlap, the earlier one stands.

    Parameters
    ----------
    source : str
        data URI of the picture
    shape : tuple[int, int]
        (H, W) of the picture; the sheet may have more pixels
    grid : Mapping[str, Any]
        of the card
    marks : Sequence[Mark]
        the most important first
    """
    # in pixels of the sheet, whatever the picture has
    height, width = grid["height_px"], grid["width_px"]
    size = TYPE * max(height, width)
    drawn = [f'<image href="{source}" width="{width}" height="{height}" preserveAspectRatio="none"/>']
    taken = [(0.0, height - 3.4 * size, width * (BAR + 0.1), float(height))]
    drawn.append(_bar(width, height, grid["gsd_m"], size))
    for mark in marks:
        left = mark.x_px + 0.5 + 0.5 * size
        wide = LETTER * size * len(mark.text)
        if left + wide > width:
            left = mark.x_px + 0.5 - 0.5 * size - wide
        line = min(max(mark.y_px + 0.5 + 0.35 * size, 1.1 * size), height - 0.4 * size)
        box = (left, line - size, left + wide, line + 0.25 * size)
        if left < 0 or any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            continue
        taken.append(box)
        dot = f'<circle cx="{mark.x_px + 0.5:.1f}" cy="{mark.y_px + 0.5:.1f}" r="{0.22 * size:.2f}" fill="#1c1f1a"/>'
        kind = f' class="{mark.kind}"'
        drawn.append(
            (dot if mark.kind == "place" else "")
            + f'<text{kind} x="{left:.1f}" y="{line:.1f}" font-size="{size:.2f}" stroke-width="{0.24 * size:.2f}">'
            f"{escape(mark.text)}</text>"
        )
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(drawn)}</svg>'


def _bar(width: int, height: int, gsd_m: float, size: float) -> str:
    length_m = scale_bar_m(width * gsd_m)
    x, y, long = 0.6 * size, height - 0.7 * size, length_m / gsd_m
    said = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{long:.1f}" height="{0.25 * size:.2f}" fill="#1c1f1a" stroke="#fff" '
        f'stroke-width="{0.12 * size:.2f}"/><text x="{x:.1f}" y="{y - 0.4 * size:.1f}" font-size="{size:.2f}" '
        f'stroke-width="{0.24 * size:.2f}">{said}</text>'
    )
