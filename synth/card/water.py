"""Waters of a sheet: lakes and rivers, how large they are, and which way they flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terraficta.synth.card.compass import bearing_deg, part, sides_touched, wind
from terraficta.synth.card.patch import EIGHT, middle
from terraficta.synth.card.place_name import place_name
from terraficta.synth.card.sheet import Sheet

SMALLEST_PX = 4
"""waters of fewer pixels are counted, not described"""
LONG = 5.0
"""length over greatest width from which on a water is a river; chosen: ponds of a cut-off bend reach 3 to 4"""
END = 0.1
"""share of a river's pixels that make its upper and its lower end"""
LEAST_FALL_M = 0.1
"""difference in level below which nothing is said of the flow [m]: heights are means of pixels"""


@dataclass(frozen=True)
class Water:
    """One body of open water.

    Parameters
    ----------
    name : str
        of the place
    kind : str
        river | lake | open water (wide, and it goes on beyond the sheet)
    area_ha, length_m, width_m : float
        area [ha]; its length along the middle, of a river the area over the mean width [m]; greatest width [m]
    y_px, x_px : int
        its pixel nearest to the middle [px]
    part : str
        of the sheet
    sides : list[str]
        of the sheet that it reaches
    flows : str | None
        direction of a river's flow; None where its level does not tell
    fall_m : float | None
        from the upper to the lower end [m]; None where no heights are known
    """

    name: str
    kind: Literal["river", "lake", "open water"]
    area_ha: float
    length_m: float
    width_m: float
    y_px: int
    x_px: int
    part: str
    sides: list[str]
    flows: str | None
    fall_m: float | None


def waters(sheet: Sheet) -> tuple[list[Water], int]:
    """Waters of a sheet, the largest first, and how many more are too small to describe."""
    number, count = ndimage.label(sheet.water, structure=EIGHT)
    size = np.bincount(number.reshape(-1), minlength=count + 1)
    found, boxes = [], ndimage.find_objects(number)
    for n in range(1, count + 1):
        if size[n] >= SMALLEST_PX:
            found.append(_water(sheet, number, n, boxes[n - 1]))
    named = [_named(water, sheet, rank) for rank, water in enumerate(sorted(found, key=lambda w: -w.area_ha), 1)]
    return named, count - len(found)


def _water(sheet: Sheet, number: NDArray[np.int32], n: int, box: tuple[slice, slice]) -> Water:
    """One of them, from the part of the sheet around it."""
    mask, gsd_m = number[box] == n, sheet.grid.gsd_m
    y0, x0 = box[0].start, box[1].start
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    half_px = float(depth.max())
    # of a strip w wide the mean distance to the bank is w / 4 (of pixel middles), so its length is area / (4 * mean)
    length_px = max(mask.sum() / max(4 * depth[mask].mean() - 1.0, 1.0), float(max(mask.shape)))
    width_px = max(2 * half_px - 1.0, 1.0)
    sides = sides_touched((y0, box[0].stop - 1), (x0, box[1].stop - 1), sheet.shape)
    kind: Literal["river", "lake", "open water"] = "lake"
    if length_px / width_px >= LONG:
        kind = "river"
    elif sides:
        kind = "open water"
    y, x = middle(mask)
    flows, fall_m = _flow(sheet, mask, box) if kind == "river" else (None, None)
    return Water(
        name="", kind=kind, area_ha=float(mask.sum()) * sheet.pixel_ha, length_m=float(length_px) * gsd_m,
        width_m=width_px * gsd_m, y_px=y0 + y, x_px=x0 + x, part=part(y0 + y, x0 + x, sheet.shape), sides=sides,
        flows=flows, fall_m=fall_m,
    )  # fmt: skip


def _flow(sheet: Sheet, mask: NDArray[np.bool_], box: tuple[slice, slice]) -> tuple[str | None, float | None]:
    """Direction and fall of a river, from the middles of its highest and its lowest pixels."""
    heights = sheet.surface_m if sheet.surface_m is not None else sheet.elevation_m
    if heights is None:
        return None, None
    level = heights[box][mask]
    where = np.argwhere(mask)
    order = np.argsort(level, kind="stable")
    some = max(1, round(END * len(level)))
    low, high = order[:some], order[-some:]
    fall_m = float(level[high].mean() - level[low].mean())
    if fall_m < LEAST_FALL_M:
        return None, fall_m
    upper, lower = (tuple(float(v) for v in where[end].mean(0)) for end in (high, low))
    return wind(bearing_deg((upper[0], upper[1]), (lower[0], lower[1]))), fall_m


def _named(water: Water, sheet: Sheet, rank: int) -> Water:
    """With a name: of fiction its own, on a map of real land a number."""
    if sheet.key is None:
        return replace(water, name=f"{water.kind} {rank}")
    name = place_name(sheet.key, "river" if water.kind == "river" else "lake", water.y_px, water.x_px)
    pattern = {"river": "{}", "lake": "Lake {}", "open water": "{} Water"}[water.kind]
    return replace(water, name=pattern.format(name))
