"""The suggestion: what each term asks for, and that no pixel is asked for twice."""

import pytest
import torch

from terraficta.eval.map.suggestion import Candidates, Weights, in_words, strewn, suggest

NONE = Weights(0.0, 0.0, 0.0, 0.0, 0.0)


def candidates(count: int = 200) -> Candidates:
    """Pixels of three classes on a line; the features tell the classes apart, and one is alone."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(count, 3, generator=generator)
    logits[7] = torch.tensor([1.0, 1.0, -9.0])
    features = torch.randn(count, 5, generator=generator)
    features[11] = 30.0
    place = torch.arange(count)
    return Candidates(torch.softmax(logits, 1), features, torch.zeros_like(place), place * 0, place)


def ask(number: int = 1, **weights: float) -> list[int]:
    some = candidates()
    chosen = suggest(some, some.features[:3], torch.tensor([50, 50, 1]), number, Weights(**{**vars(NONE), **weights}))
    return [one.row for one in chosen]


def test_each_term_asks_for_its_own() -> None:
    p = candidates().probabilities
    assert ask(torn=1.0) == [7]
    assert ask(unlike=1.0) == [11]
    entropy = -(p * p.log()).sum(1)
    assert ask(unsure=1.0) == [int(entropy.argmax())]
    assert ask(rare=1.0) == [int(p[:, 2].argmax())]


def test_reasons_name_the_term() -> None:
    some = candidates()
    (one,) = suggest(some, some.features[:3], torch.ones(3), 1, Weights(**{**vars(NONE), "unlike": 1.0}))
    assert one.reason == "unlike"
    assert in_words("rare", "bog", "fen") == "may be bog, which has few labels"


def test_no_pixel_comes_twice_and_neighbours_come_late() -> None:
    chosen = ask(40, torn=1.0, rare=1.0, unlike=1.0, spread_px=3.0)
    assert len(set(chosen)) == 40
    first = torch.tensor(sorted(chosen[:10]))
    assert int(first.diff().min()) >= 3
    close = torch.tensor(sorted(ask(10, torn=1.0, rare=1.0, unlike=1.0, spread_px=0.0)))
    assert int(close.diff().min()) < int(first.diff().min())


def test_asking_evens_out_the_classes() -> None:
    some = candidates()
    chosen = [
        one.row for one in suggest(some, some.features[:0], torch.zeros(3), 60, Weights(**{**vars(NONE), "rare": 1.0}))
    ]
    counts = torch.bincount(some.probabilities[chosen].argmax(1), minlength=3)
    assert int(counts.max() - counts.min()) <= 6


def test_no_more_than_there_are_and_without_labels() -> None:
    some = candidates().take(torch.arange(5))
    assert len(suggest(some, some.features[:0], torch.zeros(3), 9)) == 5


@pytest.mark.parametrize(("count", "found"), [(9, [0, 1, 2]), (2, [0, 1])])
def test_strewn(count: int, found: list[int]) -> None:
    assert [a for a, _ in strewn(count, [(n, n) for n in range(3)])] == found
