"""Settlements of a sheet by size: where people live, in how many houses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terraficta.synth.card.compass import part
from terraficta.synth.card.patch import EIGHT, middle
from terraficta.synth.card.place_name import place_name
from terraficta.synth.card.sheet import Sheet

SIZES_HA = {"farmstead": 0.0, "hamlet": 3.0, "village": 10.0, "small town": 80.0, "town": 400.0}
"""settled area from which on a place is called so [ha]; chosen: at 20 to 40 people a hectare a village has some
hundreds, a small town some thousands, as in the degree of urbanisation of Eurostat 2021, doi:10.2785/706535"""
SMALLEST_HA = 0.25
"""settled area below which a spot is no place: the rim of what lies beyond the sheet [ha]"""


@dataclass(frozen=True)
class Settlement:
    """One settled place.

    Parameters
    ----------
    name : str
        of the place
    size : str
        what it is called by its area
    area_ha : float
        settled area: roofs, streets and what lies between them [ha]
    buildings : int | None
        that stand in it; None where they are not known
    y_px, x_px : int
        its pixel nearest to the middle [px]
    part : str
        of the sheet
    whole : bool
        whether it ends within the sheet
    """

    name: str
    size: str
    area_ha: float
    buildings: int | None
    y_px: int
    x_px: int
    part: str
    whole: bool


def settlements(sheet: Sheet) -> list[Settlement]:
    """Settled places, the largest first."""
    number, count = ndimage.label(sheet.settled, structure=EIGHT)
    size = np.bincount(number.reshape(-1), minlength=count + 1)
    houses = _houses(sheet, number, count)
    found = []
    ranked = [int(n) for n in np.argsort(-size[1:], kind="stable") + 1 if size[n] * sheet.pixel_ha >= SMALLEST_HA]
    for rank, n in enumerate(ranked, 1):
        y, x = middle(number == n)
        edge = bool((number[[0, -1]] == n).any() or (number[:, [0, -1]] == n).any())
        area_ha = float(size[n]) * sheet.pixel_ha
        name = f"settlement {rank}" if sheet.key is None else place_name(sheet.key, "settlement", y, x)
        found.append(
            Settlement(
                name,
                size_word(area_ha),
                area_ha,
                None if houses is None else int(houses[n]),
                y,
                x,
                part(y, x, sheet.shape),
                not edge,
            )  # fmt: skip
        )
    return found


def size_word(area_ha: float) -> str:
    """What a place of so many hectares is called.

    Examples
    --------
    >>> size_word(1.0), size_word(100.0)
    ('farmstead', 'small town')
    """
    return [word for word, least in SIZES_HA.items() if area_ha >= least][-1]


def _houses(sheet: Sheet, number: NDArray[np.int32], count: int) -> NDArray[np.int64] | None:
    """Buildings of each settlement; one that stands in two is counted in the first."""
    if sheet.building is None:
        return None
    inside = (sheet.building > 0) & (number > 0)
    _, first = np.unique(sheet.building[inside], return_index=True)
    return np.bincount(number[inside][first], minlength=count + 1)
