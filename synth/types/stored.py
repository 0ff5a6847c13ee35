"""Stored numbers: how a file keeps what an image means, and what its type can keep at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

SAME_SCALE = 1e-4
"""by which share a declared scale or offset may differ from the stated one: some are stored in float32"""


@dataclass(frozen=True)
class Stored:
    """How an image is stored: image = stored * scale + offset.

    Parameters
    ----------
    scale : float | None
        from stored numbers to product units; None: as the file declares
    offset : float | None
        likewise
    nodata : float | None
        stored value of missing pixels, or None; 0 marks a pixel as missing only where every band is 0, since a dark
        band may well measure 0. What the file itself declares as nodata is honoured too
    dropped : tuple[int, ...]
        positions of bands in the files that are not read
    """

    scale: float | None
    offset: float | None
    nodata: float | None
    dropped: tuple[int, ...] = ()


def as_stored(value: float, dtype: str) -> Any | None:
    """A number as a type stores it, or None where it cannot: -9999 is no uint8."""
    kind = np.dtype(dtype)
    if np.issubdtype(kind, np.integer):
        info = np.iinfo(kind)
        return kind.type(value) if float(value).is_integer() and info.min <= value <= info.max else None
    if np.isfinite(value) and abs(value) > float(np.finfo(kind).max) * (1 + 1e-6):
        return None
    with np.errstate(over="ignore"):
        mark = kind.type(value)
        # the least float32, printed with eight digits, lies beyond itself
        return kind.type(math.copysign(float(np.finfo(kind).max), value)) if np.isinf(mark) else mark


def number_text(value: float) -> str:
    """A number as YAML and the command line read it back, whole.

    Examples
    --------
    >>> number_text(0.0), number_text(-9999.0), number_text(1e20), number_text(-0.1)
    ('0', '-9999', '1.0e+20', '-0.1')
    """
    if math.isnan(value):
        return ".nan"
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = repr(float(value))
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return text


def same_scaling(one: float, other: float) -> bool:
    """Whether a declared scale or offset is the stated one."""
    return math.isclose(one, other, rel_tol=SAME_SCALE, abs_tol=1e-12)


def same_mark(one: float, other: float, dtype: str) -> bool:
    """Whether two nodata values are one, as a type stores them."""
    mine, theirs = as_stored(one, dtype), as_stored(other, dtype)
    return mine is not None and theirs is not None and bool(mine == theirs or (np.isnan(mine) and np.isnan(theirs)))
