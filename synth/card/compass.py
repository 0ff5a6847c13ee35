"""The compass: bearings, directions in words, and parts of a sheet."""

from __future__ import annotations

import math

WINDS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
"""eight directions, clockwise"""
THIRDS = (("north-west", "north", "north-east"), ("west", "middle", "east"), ("south-west", "south", "south-east"))
"""parts of a sheet, rows from the north"""


def bearing_deg(from_yx: tuple[float, float], to_yx: tuple[float, float]) -> float:
    """Clockwise from north, of the way between two places (row, column) [deg].

    Examples
    --------
    >>> bearing_deg((10, 10), (10, 20)), bearing_deg((10, 10), (20, 10))
    (90.0, 180.0)
    """
    south, east = to_yx[0] - from_yx[0], to_yx[1] - from_yx[1]
    return math.degrees(math.atan2(east, -south)) % 360.0


def wind(bearing: float) -> str:
    """A bearing [deg] in words: the nearest of eight.

    Examples
    --------
    >>> wind(350.0), wind(100.0)
    ('north', 'east')
    """
    return WINDS[round(bearing / 45.0) % 8]


def part(y_px: float, x_px: float, shape: tuple[int, int]) -> str:
    """Which ninth of a sheet (H, W) a place lies in.

    Examples
    --------
    >>> part(5, 95, (100, 100)), part(50, 50, (100, 100))
    ('north-east', 'middle')
    """
    row, column = (min(2, max(0, int(3 * at / side))) for at, side in zip((y_px, x_px), shape, strict=True))
    return THIRDS[row][column]


def sides_touched(rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, int]) -> list[str]:
    """Sides of a sheet (H, W) that something reaches which spans these first and last rows and columns [px]."""
    reached = {
        "north": rows[0] == 0, "east": columns[1] == shape[1] - 1,
        "south": rows[1] == shape[0] - 1, "west": columns[0] == 0,
    }  # fmt: skip
    return [side for side, there in reached.items() if there]
