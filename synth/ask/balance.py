"""Balance: questions in groups of the same words, in which every choice is right exactly once.

Whoever reads the words alone gives every question of a group the same answer, and is right once in each: at chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from terraficta.synth.ask.case import Case
from terraficta.synth.ask.task import ABILITIES, Ability, Task, Wording

ROUNDS = 3
"""groups of the same words at most: more words rather than more of the same"""


@dataclass(frozen=True)
class Group:
    """One wording, asked of as many scenes as it has choices.

    Parameters
    ----------
    task : Task
        the kind of question
    wording : Wording
        in these words
    cases : tuple[Case, ...]
        whose right choices are 0, 1, 2, ... in this order
    """

    task: Task
    wording: Wording
    cases: tuple[Case, ...]


def groups_of(task: Task, cases: Sequence[Case]) -> Iterator[Group]:
    """All groups of a task, one of each wording before the second of any."""
    found: list[list[Group]] = [[] for _ in range(ROUNDS)]
    for wording in task.wordings(cases) if cases else ():
        by_answer: list[list[Case]] = [[] for _ in wording.choices]
        for case in cases:
            right = wording.answer(case)
            if right is not None:
                by_answer[right].append(case)
        for some, chosen in zip(found, zip(*by_answer, strict=False), strict=False):
            some.append(Group(task, wording, chosen))
    for some in found:
        yield from some


def choose(tasks: Sequence[Task], cases: Sequence[Case], count: int) -> list[Group]:
    """Groups with `count` questions at most: as many of each ability as can be, and within it of each task in turn.

    Where an ability runs out of questions, the others go on.
    """
    streams: dict[Ability, Iterator[Group]] = {
        ability: _in_turn([groups_of(task, cases) for task in tasks if task.ability == ability])
        for ability in ABILITIES
    }
    asked, chosen, left = dict.fromkeys(ABILITIES, 0), [], count
    while streams:
        ability = min(streams, key=lambda name: asked[name])
        group = next(streams[ability], None)
        if group is None:
            del streams[ability]
        elif len(group.cases) <= left:
            chosen.append(group)
            asked[ability] += len(group.cases)
            left -= len(group.cases)
        if left < 2:
            break
    return chosen


def blind_ceiling(rows: Sequence[dict[str, object]]) -> float:
    """The share of questions that the best answerer could get right who knows the words, and all answers, but no image.

    Parameters
    ----------
    rows : Sequence[dict[str, object]]
        with `question`, `choices` and `answer`
    """
    tally: dict[str, dict[object, int]] = {}
    for row in rows:
        answers = tally.setdefault(f"{row['question']}\n{row['choices']}", {})
        answers[row["answer"]] = answers.get(row["answer"], 0) + 1
    return sum(max(answers.values()) for answers in tally.values()) / max(len(rows), 1)


def _in_turn(streams: list[Iterator[Group]]) -> Iterator[Group]:
    while streams:
        for stream in list(streams):
            group = next(stream, None)
            if group is None:
                streams.remove(stream)
            else:
                yield group
