"""Referring: what a place that is pointed at is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from terraficta.synth.ask.case import Case
from terraficta.synth.ask.task import Task, Wording, clear_winner, most_common, which

STEPS = tuple(range(10, 100, 10))
"""places are named in whole percents of the sheet"""
FOUR = 4
CLEAR = 0.05
"""difference in height, over that between the highest and the lowest ground, from which on it can be seen"""
MOST_OF_A_BOX = 0.4
"""share of a box that its largest class has at least, and 1.5 times what the second has"""


def pixel(percent: int, side_px: int) -> int:
    """Row or column that a place in percent of a side falls on [px].

    Examples
    --------
    >>> pixel(50, 128), pixel(0, 128)
    (64, 0)
    """
    return min(side_px - 1, percent * side_px // 100)


def _places(cases: Sequence[Case]) -> Iterator[Wording]:
    for y in STEPS:
        for x in STEPS:
            names = most_common([_class_at(y, x, case) for case in cases], FOUR)
            if len(names) == FOUR:
                some = tuple(sorted(str(name) for name in names))
                text = (
                    f"Which class covers the pixel at {x} % of the width (from west) and {y} % of the height "
                    "(from north)?"
                )
                yield Wording(text, tuple(n.replace("_", " ") for n in some), partial(_at, y, x, some))


def _class_at(y: int, x: int, case: Case) -> str | None:
    height, width = case.sheet.shape
    return case.sheet.class_at(pixel(y, height), pixel(x, width))


def _at(y: int, x: int, names: tuple[str, ...], case: Case) -> int | None:
    return which(names, _class_at(y, x, case))


def _boxes(cases: Sequence[Case]) -> Iterator[Wording]:
    for y in STEPS[:-2:2]:
        for x in STEPS[:-2:2]:
            names = most_common([_class_in(y, x, case) for case in cases], FOUR)
            if len(names) == FOUR:
                some = tuple(sorted(str(name) for name in names))
                text = (
                    f"Which class covers most of the box from {x} to {x + 20} % of the width (from west) and from "
                    f"{y} to {y + 20} % of the height (from north)?"
                )
                yield Wording(text, tuple(n.replace("_", " ") for n in some), partial(_in, y, x, some))


def _class_in(y: int, x: int, case: Case) -> str | None:
    height, width = case.sheet.shape
    rows, columns = slice(pixel(y, height), pixel(y + 20, height)), slice(pixel(x, width), pixel(x + 20, width))
    box = case.sheet.label[rows, columns]
    count = np.bincount(box.reshape(-1), minlength=len(case.sheet.legend) + 1)[1:]
    best = clear_winner(count.tolist(), 1.5, MOST_OF_A_BOX * box.size)
    return None if best is None else case.sheet.legend.classes[best]


def _in(y: int, x: int, names: tuple[str, ...], case: Case) -> int | None:
    return which(names, _class_in(y, x, case))


def _heights(cases: Sequence[Case]) -> Iterator[Wording]:
    for n, y in enumerate(STEPS):
        a, b = (y, STEPS[n * 4 % 9]), (STEPS[(n * 5 + 3) % 9], STEPS[(n * 7 + 5) % 9])
        if a != b:
            text = (
                f"Which of two places lies higher: A, at {a[1]} % of the width (from west) and {a[0]} % of the height "
                f"(from north), or B, at {b[1]} % and {b[0]} %?"
            )
            yield Wording(text, ("A", "B"), partial(_higher, a, b))


def _higher(a: tuple[int, int], b: tuple[int, int], case: Case) -> int | None:
    ground, (height, width) = case.elevation_m, case.sheet.shape
    at_a, at_b = (float(ground[pixel(p[0], height), pixel(p[1], width)]) for p in (a, b))
    clear = CLEAR * float(ground.max() - ground.min())
    return None if abs(at_a - at_b) <= clear else int(at_b > at_a)


TASKS = (
    Task("referring", "class_of_place", ("label",), _places),
    Task("referring", "class_of_box", ("label",), _boxes),
    Task("referring", "height_of_places", ("elevation_m",), _heights),
)
