"""Questions: balanced, provable from files by another path, and not to be guessed from their words."""

import json
import math
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answer_again import WAYS, answer
from PIL import Image

from terraficta.synth.ask.balance import blind_ceiling, choose, groups_of
from terraficta.synth.ask.case import Case, case_of
from terraficta.synth.ask.printed import BAR_PX, INK, zoom
from terraficta.synth.ask.questions import TASKS, rows_of, write_questions
from terraficta.synth.ask.task import ABILITIES
from terraficta.synth.card.scene import card_recipe
from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe

COUNT = 1000
LETTERS = "ABCD"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked") / "corpus"
    recipe = read_scene_recipe("tier0", ["size_px=48", "gsd_m=[30,30]", "oversampling=1"])
    write_corpus(card_recipe(recipe), 7, 96, folder)
    return folder


@pytest.fixture(scope="module")
def asked(corpus: Path) -> Path:
    write_questions(corpus, corpus.parent / "ask", COUNT)
    return corpus.parent / "ask"


@pytest.fixture(scope="module")
def rows(asked: Path) -> list[Row]:
    return [json.loads(line) for line in (asked / "questions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def cases(corpus: Path) -> dict[str, Case]:
    return {tile.id: case_of(tile) for tile in read_corpus(corpus)}


def test_a_thousand_in_five_abilities_of_every_kind(rows: list[Row]) -> None:
    assert len(rows) == COUNT
    assert set(Counter(row["ability"] for row in rows)) == set(ABILITIES)
    assert min(Counter(row["ability"] for row in rows).values()) >= 0.15 * COUNT
    assert {row["type"] for row in rows} == {f"{task.ability}-{task.name}" for task in TASKS} == set(WAYS)
    assert [row["id"] for row in rows] == list(range(COUNT))
    twice = Counter((row["tile"], row["question"], str(row["choices"])) for row in rows)
    assert max(twice.values()) == 1


def test_an_independent_path_gives_every_answer(rows: list[Row], asked: Path) -> None:
    wrong = [(row["id"], row["type"]) for row in rows if answer(asked, row) != row["answer"]]
    assert wrong == []


def test_every_choice_of_a_group_is_right_once(rows: list[Row]) -> None:
    groups = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    for own in groups.values():
        assert len({(row["question"], str(row["choices"])) for row in own}) == 1
        assert sorted(row["answer"] for row in own) == list(LETTERS[: len(own[0]["choices"])])
        assert all(row[row["answer"]] == row["answer_text"] for row in own)


def words_of(row: Row, choice: str) -> list[str]:
    return [f"{row['type']} {word}" for word in choice.split()] + choice.split()


def by_words(train: list[Row]) -> Callable[[Row], str]:
    """Naive Bayes over the words of choices that were right and of those that were not."""
    right: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    for row in train:
        for letter, choice in zip(LETTERS, row["choices"], strict=False):
            shown.update(words_of(row, choice))
            if letter == row["answer"]:
                right.update(words_of(row, choice))

    def guess(row: Row) -> str:
        scores = [
            sum(math.log((right[w] + 1) / (shown[w] + 3)) for w in words_of(row, choice)) / len(words_of(row, choice))
            for choice in row["choices"]
        ]
        return LETTERS[int(np.argmax(scores))]

    return guess


def by_letter(train: list[Row]) -> Callable[[Row], str]:
    """The letter that is right most often among questions of its kind."""
    tally = defaultdict(Counter)
    for row in train:
        tally[row["type"]][row["answer"]] += 1
    return lambda row: tally[row["type"]].most_common(1)[0][0] if tally[row["type"]] else "A"


def by_length(train: list[Row]) -> Callable[[Row], str]:
    """The longest choice, as test-takers do."""
    return lambda row: LETTERS[int(np.argmax([len(choice) for choice in row["choices"]]))]


def by_memory(train: list[Row]) -> Callable[[Row], str]:
    """All answers known by heart, but not the image."""
    tally = defaultdict(Counter)
    for row in train:
        tally[row["question"], str(row["choices"])][row["answer"]] += 1
    return lambda row: (tally[row["question"], str(row["choices"])] or Counter("A")).most_common(1)[0][0]


@pytest.mark.parametrize("baseline", [by_words, by_letter, by_length, by_memory])
def test_blind_baselines_are_at_chance(baseline: Callable[[list[Row]], Callable[[Row], str]], rows: list[Row]) -> None:
    chance = sum(1 / len(row["choices"]) for row in rows) / len(rows)
    halves = [[row for row in rows if row["group"] % 2 == n] for n in (0, 1)]
    apart = [guess(row) == row["answer"] for n in (0, 1) for guess in [baseline(halves[1 - n])] for row in halves[n]]
    known = baseline(rows)
    assert np.mean(apart) == pytest.approx(chance, abs=0.03)
    assert np.mean([known(row) == row["answer"] for row in rows]) == pytest.approx(chance, abs=0.03)


def test_the_ceiling_tells_what_words_give_away(rows: list[Row], cases: dict[str, Case]) -> None:
    """At chance for what is written; far above for the same questions of scenes as they come."""
    chance = sum(1 / len(row["choices"]) for row in rows) / len(rows)
    assert blind_ceiling(rows) == pytest.approx(chance)
    loose = [
        {"question": wording.text, "choices": wording.choices, "answer": right}
        for task in TASKS
        for wording in list(task.wordings(list(cases.values())))[:6]
        for case in cases.values()
        if (right := wording.answer(case)) is not None
    ]
    assert blind_ceiling(loose) > chance + 0.1


def test_what_is_printed_is_what_is_asked(rows: list[Row], asked: Path, cases: dict[str, Case]) -> None:
    printed = json.loads((asked / "printed.json").read_text())
    for name, case in list(cases.items())[:6]:
        page = np.asarray(Image.open(asked / "sheets" / f"{name}.png"))
        ink = (page == INK).all(2)
        times = zoom(case.sheet.shape)
        bars = [line for line in ink[2 * times :] if line[24 : 24 + 40].all()]
        lengths = {int(np.flatnonzero(~line[24:])[0]) for line in bars}
        assert len(bars) == BAR_PX
        assert lengths == {round(printed[name]["bar_m"] / 30.0 * times)}
        assert sorted(printed[name]["codes"].values()) == list(range(1, 1 + len(printed[name]["codes"])))
        assert Image.open(asked / "pictures" / f"{name}.png").size == tuple(times * side for side in case.sheet.shape)
    for row in rows:
        assert (asked / row["img_path"]).is_file()


def test_the_same_corpus_gives_the_same_questions(asked: Path, rows: list[Row], cases: dict[str, Case]) -> None:
    again = rows_of(choose(TASKS, list(cases.values()), COUNT), "elsewhere")
    assert [{**row, "proof": 0} for row in again] == [{**row, "proof": 0} for row in rows]
    said = json.loads((asked / "run.json").read_text())["metrics"]
    assert said["questions"] == COUNT
    assert said["blind_ceiling"] == pytest.approx(said["chance"])


def test_groups_of_too_few_scenes_are_none(cases: dict[str, Case]) -> None:
    one = list(cases.values())[:1]
    assert [group for task in TASKS for group in groups_of(task, one)] == []
    assert [group for task in TASKS for group in groups_of(task, [])] == []


def test_scenes_without_heights_are_refused(corpus: Path, tmp_path: Path) -> None:
    recipe = read_scene_recipe("tier0", ["size_px=16", "truth.layers=[cloud]"])
    write_corpus(recipe, 7, 4, tmp_path / "flat")
    with pytest.raises(Refusal, match="elevation_m: found no such layer"):
        write_questions(tmp_path / "flat", tmp_path / "ask", 10)
    assert not (tmp_path / "ask").exists()
    shutil.rmtree(tmp_path / "flat")
