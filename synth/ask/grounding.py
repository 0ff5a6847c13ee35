"""Grounding: where on a sheet something is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from scipy import ndimage

from terraficta.synth.ask.case import QUARTERS, Case
from terraficta.synth.ask.task import Task, Wording, clear_winner
from terraficta.synth.card.patch import EIGHT

SHOWN = 0.005
"""share of the sheet from which on a class is asked for"""
FOUR = 4


def present(cases: Sequence[Case], least: int = FOUR) -> list[str]:
    """Classes that are shown on so many sheets, the most frequent first."""
    legend = cases[0].sheet.legend
    count = {name: sum(shows(case, name) for case in cases) for name in legend.classes}
    return sorted((name for name in count if count[name] >= least), key=lambda name: -count[name])


def shows(case: Case, name: str) -> bool:
    """Whether a class covers enough of a sheet to be asked for."""
    return bool(case.pixels[case.value(name)] >= SHOWN * case.sheet.label.size)


def _quarters(cases: Sequence[Case]) -> Iterator[Wording]:
    for name in present(cases):
        text = f"Which quarter of the sheet has the most {name.replace('_', ' ')}?"
        yield Wording(text, QUARTERS, partial(_quarter, name))


def _quarter(name: str, case: Case) -> int | None:
    if not shows(case, name):
        return None
    return clear_winner(case.by_quarter(case.among(name)), 1.2, 1)


def _ends(cases: Sequence[Case]) -> Iterator[Wording]:
    del cases
    for end in ("highest", "lowest"):
        yield Wording(f"In which quarter of the sheet does the {end} ground lie?", QUARTERS, partial(_end, end))


def _end(end: str, case: Case) -> int | None:
    """By the pixel; not where another quarter reaches as high or as low."""
    sign = 1.0 if end == "highest" else -1.0
    ground = sign * case.elevation_m.astype(np.float64)
    y, x = (side // 2 for side in ground.shape)
    best = [float(part.max()) for half in (ground[:y], ground[y:]) for part in (half[:, :x], half[:, x:])]
    order = sorted(range(4), key=lambda n: -best[n])
    clear = 0.01 * float(ground.max() - ground.min())
    return order[0] if best[order[0]] - best[order[1]] > clear else None


def _patches(cases: Sequence[Case]) -> Iterator[Wording]:
    """Boxes of the largest patch of a class on four sheets, asked of each of the four."""
    for name in present(cases):
        able = [(case, box) for case in cases if (box := largest_box(case, name)) is not None]
        for first in range(0, len(able) - FOUR + 1, FOUR):
            boxes = sorted(box for _, box in able[first : first + FOUR])
            if len(set(boxes)) == FOUR:
                text = (
                    f"Which box, in pixels as [west, north, east, south], bounds the largest patch of "
                    f"{name.replace('_', ' ')} (pixels that touch, corners too)?"
                )
                choices = tuple(str(list(box)) for box in boxes)
                yield Wording(text, choices, partial(_boxed, name, tuple(boxes)))


def _boxed(name: str, boxes: tuple[tuple[int, int, int, int], ...], case: Case) -> int | None:
    box = largest_box(case, name)
    return boxes.index(box) if box in boxes else None


def largest_box(case: Case, name: str) -> tuple[int, int, int, int] | None:
    """West, north, east, south of the largest patch [px], ends outside; None where two are of nearly one size."""
    if not shows(case, name):
        return None
    number, count = ndimage.label(case.among(name), structure=EIGHT)
    sizes = np.bincount(number.reshape(-1), minlength=count + 1)[1:].tolist()
    best = clear_winner([*sizes, 0], 1.2, 4)
    if best is None:
        return None
    rows, columns = ndimage.find_objects(number)[best]
    return columns.start, rows.start, columns.stop, rows.stop


TASKS = (
    Task("grounding", "quarter_of_class", ("label",), _quarters),
    Task("grounding", "quarter_of_height", ("elevation_m",), _ends),
    Task("grounding", "box_of_patch", ("label",), _patches),
)
