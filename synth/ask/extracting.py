"""Extracting: what is printed on a sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from terraficta.synth.ask.case import Case
from terraficta.synth.ask.task import Task, Wording, most_common, which

FOUR = 4


def _titles(cases: Sequence[Case]) -> Iterator[Wording]:
    """Titles of four sheets, asked of each of the four."""
    for first in range(0, len(cases) - FOUR + 1, FOUR):
        titles = tuple(sorted(case.title for case in cases[first : first + FOUR]))
        if len(set(titles)) == FOUR:
            yield Wording("What is the title of this sheet?", titles, partial(_own_title, titles))


def _own_title(titles: tuple[str, ...], case: Case) -> int | None:
    return which(titles, case.title)


def _bars(cases: Sequence[Case]) -> Iterator[Wording]:
    lengths = sorted({case.bar_m for case in cases}, key=lambda m: -sum(case.bar_m == m for case in cases))
    some = tuple(sorted(lengths[: FOUR if len(lengths) >= FOUR else 2]))
    if len(some) > 1:
        choices = tuple(length(m) for m in some)
        yield Wording("How long is the scale bar of this sheet?", choices, partial(_own_bar, some))


def _own_bar(lengths: tuple[float, ...], case: Case) -> int | None:
    return which(lengths, case.bar_m)


def length(metres: float) -> str:
    """A length as a scale bar has it.

    Examples
    --------
    >>> length(500.0), length(2000.0)
    ('500 m', '2 km')
    """
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"


def _climates(cases: Sequence[Case]) -> Iterator[Wording]:
    names = most_common([case.climate for case in cases], 2 * FOUR)
    for first in range(0, len(names) - FOUR + 1, FOUR):
        some = tuple(sorted(str(name) for name in names[first : first + FOUR]))
        yield Wording("Which climate does the margin of this sheet state?", some, partial(_own_climate, some))


def _own_climate(names: tuple[str, ...], case: Case) -> int | None:
    return which(names, case.climate)


def _codes(cases: Sequence[Case]) -> Iterator[Wording]:
    """Which class a number of the legend stands for; every sheet numbers its classes in an order of its own."""
    for code in range(1, 1 + max((len(case.codes) for case in cases), default=0)):
        own = [_class_of(code, case) for case in cases]
        names = most_common(own, 2 * FOUR)
        for first in range(0, len(names) - FOUR + 1, FOUR):
            some = tuple(sorted(str(name) for name in names[first : first + FOUR]))
            text = f"Which class has number {code} in the legend of this sheet?"
            yield Wording(text, tuple(n.replace("_", " ") for n in some), partial(_coded, code, some))


def _class_of(code: int, case: Case) -> str | None:
    return next((name for name, number in case.codes.items() if number == code), None)


def _coded(code: int, names: tuple[str, ...], case: Case) -> int | None:
    return which(names, _class_of(code, case))


TASKS = (
    Task("extracting", "sheet_name", ("sheet",), _titles),
    Task("extracting", "scale", ("sheet",), _bars),
    Task("extracting", "margin", ("sheet",), _climates),
    Task("extracting", "legend", ("sheet",), _codes),
)
