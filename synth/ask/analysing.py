"""Analysing: what a planner would ask, by a rule over several layers that the question states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terraficta.synth.ask.case import QUARTERS, Case
from terraficta.synth.ask.reasoning import binned, bins
from terraficta.synth.ask.task import Task, Wording, clear_winner

TILLED = ("cropland", "fallow", "orchard", "bare_soil")
OPEN = ("grassland", "pasture", "cropland", "fallow", "shrubland", "bare_soil")
FUEL = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "plantation", "shrubland")
RISES_M = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0)
STEEP = (5, 8, 10, 12, 15, 20)
"""slopes that erosion is asked for [%]"""
FLAT = (2, 3, 4, 6, 8, 12)
"""slopes that building ground is asked for [%]"""
LEAST_PX = 12
"""pixels that the best quarter has at least, and 1.3 times those of the second"""


def _floods(cases: Sequence[Case]) -> Iterator[Wording]:
    for rise_m in RISES_M:
        shares = [100 * _flooded(rise_m, case) for case in cases]
        limits = sorted({max(1, round(float(q))) for q in np.quantile(shares, (0.25, 0.5, 0.75))})
        if len(limits) == 3:
            text = (
                f"Water rises to {rise_m:g} m above the lowest ground of this sheet and covers all that lies lower. "
                "What share of the sheet is under it?"
            )
            yield Wording(text, bins(limits, " %"), partial(_flood, rise_m, tuple(limits)))


def _flooded(rise_m: float, case: Case) -> float:
    ground = case.elevation_m.astype(np.float64)
    return float((ground < ground.min() + rise_m).mean())


def _flood(rise_m: float, limits: tuple[int, ...], case: Case) -> int | None:
    return binned(100 * _flooded(rise_m, case), limits)


def _erosion(cases: Sequence[Case]) -> Iterator[Wording]:
    del cases
    for steep in STEEP:
        text = (
            "Which quarter of the sheet has the most ground at risk of erosion: cropland, fallow, orchard or bare soil "
            f"on slopes above {steep} %?"
        )
        yield Wording(text, QUARTERS, partial(_eroding, steep))


def _eroding(steep: int, case: Case) -> int | None:
    return _best(case, case.among(*TILLED) & (100 * case.slope > steep))


def _building_ground(cases: Sequence[Case]) -> Iterator[Wording]:
    del cases
    for flat in FLAT:
        text = (
            "Which quarter of the sheet has the most ground to build on: grassland, pasture, cropland, fallow, "
            f"shrubland or bare soil on slopes below {flat} %?"
        )
        yield Wording(text, QUARTERS, partial(_buildable, flat))


def _buildable(flat: int, case: Case) -> int | None:
    return _best(case, case.among(*OPEN) & (100 * case.slope < flat))


def _fires(cases: Sequence[Case]) -> Iterator[Wording]:
    del cases
    for reach in (1, 2, 4):
        text = (
            "Which quarter of the sheet has the most buildings at risk of wildfire: pixels of building with forest, "
            f"plantation or shrubland within {reach} px, along rows and columns and across corners?"
        )
        yield Wording(text, QUARTERS, partial(_burning, reach))


def _burning(reach: int, case: Case) -> int | None:
    side = np.ones((2 * reach + 1, 2 * reach + 1), dtype=bool)
    near: NDArray[np.bool_] = ndimage.binary_dilation(case.among(*FUEL), side)
    return _best(case, case.among("building") & near)


def _best(case: Case, mask: NDArray[np.bool_]) -> int | None:
    return clear_winner(case.by_quarter(mask), 1.3, LEAST_PX)


TASKS = (
    Task("analyzing", "flood", ("elevation_m",), _floods),
    Task("analyzing", "erosion", ("label", "elevation_m"), _erosion),
    Task("analyzing", "building_ground", ("label", "elevation_m"), _building_ground),
    Task("analyzing", "wildfire", ("label",), _fires),
)
