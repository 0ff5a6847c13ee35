"""Conformal sets: as many truths in them as stated, on labels and pixels that are exchangeable."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from terraficta.finetune.conformal import ConformalSets, fit_sets, likelier, limit_of

CLASSES = 4


def draw(rng: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (K, n) of a model that is far too sure, and true classes, of which some are rare."""
    logits = rng.normal(size=(CLASSES, count)) + np.array([1.5, 0.5, 0.0, -1.0])[:, None]
    true = np.exp(logits) / np.exp(logits).sum(0)
    classes = (rng.random(count) > true.cumsum(0)).sum(0).clip(0, CLASSES - 1)
    return torch.softmax(torch.from_numpy(2.5 * logits), 0).float(), torch.from_numpy(classes)


def within(covered: int, of: int, share: float) -> bool:
    """Whether a count lies where 99.9 % of binomial draws lie."""
    return bool(binom.ppf(0.0005, of, share) <= covered <= binom.ppf(0.9995, of, share))


@pytest.mark.parametrize("asked", [0.8, 0.9, 0.95])
def test_one_more_like_the_others_stays_under_the_limit_as_often_as_asked(asked: float) -> None:
    """Closed form: with n scores and an integer rank the chance is exactly asked, whatever the distribution."""
    rng = np.random.default_rng(0)
    drawn = rng.gamma(0.7, size=(4000, 40))  # 39 to learn from: rank 40 * asked is whole
    covered = sum(bool(row[-1] <= limit_of(row[:-1], asked)) for row in drawn)
    assert within(covered, len(drawn), asked)


def test_sets_hold_the_truth_as_often_as_asked_and_so_for_every_class() -> None:
    rng = np.random.default_rng(1)
    covered, of = np.zeros(CLASSES), np.zeros(CLASSES)
    for _ in range(300):
        probabilities, classes = draw(rng, 800)
        sets = fit_sets(probabilities, classes, 0.95)
        assert bool(sets.own.all())
        new, truth = draw(rng, 20)
        inside = sets.members(new).gather(0, truth[None])[0].numpy()
        covered += np.bincount(truth, inside, minlength=CLASSES)
        of += np.bincount(truth, minlength=CLASSES)
    assert all(within(int(a), int(n), 0.95) for a, n in zip(covered[1:], of[1:], strict=True))
    assert covered[0] / of[0] >= 0.94  # the commonest: the likeliest class alone is right more often than asked


def test_an_overconfident_model_alone_covers_less() -> None:
    """Else the test above would prove nothing."""
    probabilities, classes = draw(np.random.default_rng(2), 20_000)
    naive = likelier(probabilities) <= 0.95
    assert naive.gather(0, classes[None]).double().mean() < 0.93


def test_no_set_is_empty_and_the_likeliest_come_first() -> None:
    probabilities, classes = draw(np.random.default_rng(3), 500)
    sets = fit_sets(probabilities, classes, 0.9)
    members = sets.members(probabilities)
    assert bool(members.gather(0, probabilities.argmax(0)[None]).all())
    assert torch.equal(sets.sizes(probabilities), members.sum(0))
    same = ConformalSets(torch.full((CLASSES,), 0.7), 0.9, 0.9, torch.zeros(CLASSES, dtype=torch.bool))
    ordered = same.members(probabilities).gather(0, probabilities.argsort(0, descending=True)).int()
    assert bool((ordered.diff(dim=0) <= 0).all())


def test_classes_of_few_labels_share_a_limit_and_too_few_labels_say_what_they_can() -> None:
    probabilities, classes = draw(np.random.default_rng(4), 400)
    few = torch.cat([torch.nonzero(classes == k)[: 30 if k < 2 else 8, 0] for k in range(CLASSES)])
    sets = fit_sets(probabilities[:, few], classes[few], 0.95)
    assert sets.own.tolist() == [True, True, False, False]
    assert sets.limits[2] == sets.limits[3]
    tiny = fit_sets(probabilities[:, :9], classes[:9], 0.95)
    assert not bool(tiny.own.any())
    assert tiny.stated < 0.95
    assert ConformalSets.of_content(tiny.content()) is not None
    assert ConformalSets.of_content(None) is None
