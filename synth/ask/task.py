"""The task: a kind of question, asked in the same words of several scenes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from terraficta.synth.ask.case import Case

Ability = Literal["extracting", "referring", "grounding", "reasoning", "analyzing"]
ABILITIES: tuple[Ability, ...] = ("extracting", "referring", "grounding", "reasoning", "analyzing")
"""what is tested. Source: Y. Huang et al. 2025, PEACE (GeoMap-Bench), arXiv:2501.06184, whose words these are: reading
off what is printed; saying what a place, a colour or a code stands for; finding where something is; comparing and
counting; applying knowledge of several layers"""


@dataclass(frozen=True)
class Wording:
    """A question as it is asked, with its choices.

    Parameters
    ----------
    text : str
        the question
    choices : tuple[str, ...]
        2 or 4
    answer : Callable[[Case], int | None]
        position of the right choice; None where the scene leaves it open, or it is too close to call
    """

    text: str
    choices: tuple[str, ...]
    answer: Callable[[Case], int | None]


@dataclass(frozen=True)
class Task:
    """A kind of question.

    Parameters
    ----------
    ability : Ability
        what it tests
    name : str
        of the task
    layers : tuple[str, ...]
        files of a tile that prove the answer, or `sheet`: what is printed
    wordings : Callable[[Sequence[Case]], Iterator[Wording]]
        in which words it can be asked of these scenes, most useful first
    """

    ability: Ability
    name: str
    layers: tuple[str, ...]
    wordings: Callable[[Sequence[Case]], Iterator[Wording]]


def most_common(found: Iterable[Hashable | None], count: int) -> list[Hashable]:
    """The `count` most frequent of what was found, the earlier first where they tie; None does not count."""
    tally: dict[Hashable, int] = {}
    for one in found:
        if one is not None:
            tally[one] = tally.get(one, 0) + 1
    return sorted(tally, key=lambda one: -tally[one])[:count]


def which(choices: Sequence[Hashable], own: Hashable | None) -> int | None:
    """Position of what a scene has among the choices; None where it is not among them."""
    return choices.index(own) if own in choices else None


def clear_winner(amounts: Sequence[float], by: float, least: float) -> int | None:
    """Position of the largest; None where it is below `least`, or not `by` times the second.

    Examples
    --------
    >>> clear_winner([1, 5, 3], by=1.5, least=2), clear_winner([1, 5, 4], by=1.5, least=2)
    (1, None)
    """
    order = sorted(range(len(amounts)), key=lambda n: -amounts[n])
    first, second = amounts[order[0]], amounts[order[1]]
    return order[0] if first >= least and first >= by * second and first > second else None
