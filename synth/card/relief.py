"""Relief in figures: highest and lowest ground, and how steep it is between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from terraficta.synth.card.compass import part
from terraficta.synth.card.sheet import Sheet

SHARES = (0.1, 0.5, 0.9)
"""of the area that lies lower than the heights that are told"""


@dataclass(frozen=True)
class Height:
    """A place of note.

    Parameters
    ----------
    elevation_m : float
        of the ground [m]
    y_px, x_px : int
        where [px]
    part : str
        of the sheet
    on : str | None
        class that lies there
    """

    elevation_m: float
    y_px: int
    x_px: int
    part: str
    on: str | None


@dataclass(frozen=True)
class Relief:
    """The ground of a sheet.

    Parameters
    ----------
    lowest, highest : Height
        the first pixel from the north-west that has this height
    mean_m : float
        height [m]
    deciles_m : dict[str, float]
        heights by the share of the ground that lies lower [m]
    mean_slope, steepest_slope : float
        rise over run, between the middles of pixels
    """

    lowest: Height
    highest: Height
    mean_m: float
    deciles_m: dict[str, float]
    mean_slope: float
    steepest_slope: float


def relief(sheet: Sheet) -> Relief | None:
    """The relief of a sheet; None where it has no heights."""
    ground = sheet.elevation_m
    if ground is None:
        return None
    down, right = np.gradient(ground.astype(np.float64), sheet.grid.gsd_m)
    slope = np.hypot(down, right)
    levels = np.quantile(ground, SHARES)
    return Relief(
        lowest=_height(sheet, int(ground.argmin())),
        highest=_height(sheet, int(ground.argmax())),
        mean_m=float(ground.mean()),
        deciles_m={f"{share:g}": float(level) for share, level in zip(SHARES, levels, strict=True)},
        mean_slope=float(slope.mean()),
        steepest_slope=float(slope.max()),
    )


def _height(sheet: Sheet, flat: int) -> Height:
    y, x = divmod(flat, sheet.shape[1])
    ground: Any = sheet.elevation_m
    return Height(float(ground[y, x]), y, x, part(y, x, sheet.shape), sheet.class_at(y, x))
