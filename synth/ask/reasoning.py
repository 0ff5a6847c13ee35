"""Reasoning: what follows from comparing and counting what a sheet shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from terraficta.synth.ask.case import Case
from terraficta.synth.ask.grounding import present, shows
from terraficta.synth.ask.task import Task, Wording, clear_winner
from terraficta.synth.card.patch import patch_sizes

FOUR = 4
CLEAR = 1.2
"""times that the largest has the area of the second"""
COMMON = 9
"""classes that are compared: those on most sheets"""
NEAR = 0.1
"""how near to a limit between two choices, over the limit, a number is not asked for"""


def _areas(cases: Sequence[Case]) -> Iterator[Wording]:
    for names in combinations(present(cases)[:COMMON], FOUR):
        some = tuple(sorted(names))
        for end in ("largest", "smallest"):
            text = f"Which of four classes has the {end} area on this sheet?"
            yield Wording(text, tuple(n.replace("_", " ") for n in some), partial(_area, end, some))


def _area(end: str, names: tuple[str, ...], case: Case) -> int | None:
    if not all(shows(case, name) for name in names):
        return None
    amounts = [float(case.pixels[case.value(name)]) for name in names]
    return clear_winner(amounts if end == "largest" else [1 / amount for amount in amounts], CLEAR, 0.0)


def _neighbours(cases: Sequence[Case]) -> Iterator[Wording]:
    for a, b in combinations(present(cases)[: 2 * COMMON], 2):
        first, second = (name.replace("_", " ") for name in (a, b))
        text = f"Do {first} and {second} border on each other on this sheet, along the side of a pixel?"
        yield Wording(text, ("yes", "no"), partial(_border, a, b))


def _border(a: str, b: str, case: Case) -> int | None:
    if not (shows(case, a) and shows(case, b)):
        return None
    edges = case.border_px[case.value(a) - 1, case.value(b) - 1]
    return None if 0 < edges < 3 else int(edges == 0)


def _shares(cases: Sequence[Case]) -> Iterator[Wording]:
    """Limits are quarters of what the sheets have, in whole percents."""
    for name in present(cases):
        shares = [_share(name, case) for case in cases if shows(case, name)]
        limits = sorted({max(1, round(100 * float(q))) for q in np.quantile(shares, (0.25, 0.5, 0.75))})
        if len(limits) == 3:
            text = f"What share of the known area of this sheet does {name.replace('_', ' ')} cover?"
            yield Wording(text, bins(limits, " %"), partial(_binned, name, tuple(limits)))


def bins(limits: Sequence[float], unit: str) -> tuple[str, ...]:
    """Four spans between three limits.

    Examples
    --------
    >>> bins([1, 5, 20], " %")
    ('below 1 %', '1 to 5 %', '5 to 20 %', 'above 20 %')
    """
    a, b, c = (f"{limit:g}" for limit in limits)
    return f"below {a}{unit}", f"{a} to {b}{unit}", f"{b} to {c}{unit}", f"above {c}{unit}"


def binned(value: float, limits: Sequence[float]) -> int | None:
    """Which span a number lies in; None where it is within a tenth of a limit."""
    if any(abs(value - limit) <= NEAR * limit for limit in limits):
        return None
    return sum(value > limit for limit in limits)


def _share(name: str, case: Case) -> float:
    return float(case.pixels[case.value(name)]) / max(case.known, 1)


def _binned(name: str, limits: tuple[int, ...], case: Case) -> int | None:
    return binned(100 * _share(name, case), limits) if shows(case, name) else None


def _counts(cases: Sequence[Case]) -> Iterator[Wording]:
    for name in present(cases):
        counts = [len(patch_sizes(case.among(name))) for case in cases if shows(case, name)]
        limits = sorted({round(float(q)) + 0.5 for q in np.quantile(counts, (0.25, 0.5, 0.75))})
        if len(limits) == 3:
            ends = [int(limit - 0.5) for limit in limits]
            a, b, c = ends
            text = (
                f"In how many patches does {name.replace('_', ' ')} lie on this sheet (pixels that touch, corners too)?"
            )
            choices = (f"{a} or fewer", f"{a + 1} to {b}", f"{b + 1} to {c}", f"more than {c}")
            yield Wording(text, choices, partial(_counted, name, tuple(limits)))


def _counted(name: str, limits: tuple[float, ...], case: Case) -> int | None:
    if not shows(case, name):
        return None
    return sum(len(patch_sizes(case.among(name))) > limit for limit in limits)


TASKS = (
    Task("reasoning", "area_comparison", ("label",), _areas),
    Task("reasoning", "adjacency", ("label",), _neighbours),
    Task("reasoning", "share", ("label",), _shares),
    Task("reasoning", "count", ("label",), _counts),
)
