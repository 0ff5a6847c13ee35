"""The scores against figures worked by hand, scikit-learn and torchmetrics."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, jaccard_score, log_loss
from torchmetrics.classification import MulticlassCalibrationError

from terraficta.eval.metrics import EPSILON, Tally


def one_hot(classes: np.ndarray, count: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(classes), count).T.float()


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    classes = rng.choice(4, size=3000, p=[0.6, 0.3, 0.08, 0.02])
    logits = rng.normal(size=(3000, 4)) + 1.5 * np.eye(4)[classes]
    return classes, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_by_hand() -> None:
    # labels 0 0 1 1, mapped 0 1 1 1: IoU 1/2 and 2/3, F1 2/3 and 4/5
    q = torch.tensor([[0.8, 0.4, 0.1, 0.3], [0.2, 0.6, 0.9, 0.7]])
    tally = Tally(2)
    tally.add(q, one_hot(np.array([0, 0, 1, 1]), 2))
    scores = tally.scores()
    assert tally.confusion.tolist() == [[1.0, 1.0], [0.0, 2.0]]
    assert scores.accuracy == 0.75
    assert scores.iou == pytest.approx((1 / 2, 2 / 3))
    assert scores.miou == pytest.approx(7 / 12)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores.nll == pytest.approx(-(math.log(0.8) + math.log(0.4) + math.log(0.9) + math.log(0.7)) / 4)
    assert scores.brier == pytest.approx(2 * (0.2**2 + 0.6**2 + 0.1**2 + 0.3**2) / 4)
    assert scores.ece == pytest.approx((0.2 + 0.6 + 0.1 + 0.3) / 4)


def test_against_scikit_learn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    classes, q = drawn
    tally, mapped = Tally(4), q.argmax(1)
    tally.add(torch.from_numpy(q.T.copy()), one_hot(classes, 4))
    scores = tally.scores()
    assert scores.accuracy == pytest.approx(accuracy_score(classes, mapped))
    assert scores.miou == pytest.approx(jaccard_score(classes, mapped, average="macro"))
    assert scores.iou == pytest.approx(tuple(jaccard_score(classes, mapped, average=None)))
    assert scores.macro_f1 == pytest.approx(f1_score(classes, mapped, average="macro"))
    assert scores.nll == pytest.approx(log_loss(classes, q))
    by_class = sum(brier_score_loss(classes == k, q[:, k], pos_label=True) for k in range(4))
    assert scores.brier == pytest.approx(by_class)


def test_calibration_error_against_torchmetrics(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    classes, q = drawn
    tally = Tally(4)
    tally.add(torch.from_numpy(q.T.copy()), one_hot(classes, 4))
    theirs = MulticlassCalibrationError(4, n_bins=15, norm="l1")(torch.from_numpy(q), torch.from_numpy(classes))
    assert tally.scores().ece == pytest.approx(float(theirs), abs=1e-6)


def test_equal_mass_bins_by_hand(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    classes, q = drawn
    tally = Tally(4)
    tally.add(torch.from_numpy(q.T.copy()), one_hot(classes, 4))
    curve = tally.reliability(equal_mass=True)
    assert curve.weight.numpy() == pytest.approx(np.full(15, 1 / 15), abs=0.004)
    order = np.argsort(q.max(1))
    by_hand = sum(
        abs(q.max(1)[part].mean() - (q.argmax(1) == classes)[part].mean()) * len(part) / len(classes)
        for part in np.array_split(order, 15)
    )
    assert curve.error() == pytest.approx(by_hand, abs=0.005)


def test_a_class_mapped_but_never_labelled_counts_nought_and_one_in_neither_does_not_count() -> None:
    tally = Tally(4)
    q = one_hot(np.array([0, 0, 2, 1]), 4)
    tally.add(q, one_hot(np.array([0, 0, 0, 1]), 4))
    scores = tally.scores()
    assert scores.miou == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert math.isnan(scores.iou[3])
    assert scores.as_dict()["iou"][3] is None


def test_unlabelled_pixels_do_not_count_and_soft_mass_counts_by_its_shares() -> None:
    q = torch.tensor([[0.9, 0.9, 0.9], [0.1, 0.1, 0.1]])
    mass = torch.tensor([[0.75, 0.0, 0.5], [0.25, 0.0, 0.0]])
    tally = Tally(2)
    tally.add(q, mass)
    scores = tally.scores()
    assert scores.weight == pytest.approx(1.5)
    assert scores.accuracy == pytest.approx(1.25 / 1.5)
    assert scores.nll == pytest.approx(-(1.25 * math.log(0.9) + 0.25 * math.log(0.1)) / 1.5)
    assert scores.brier == pytest.approx((1.0 * 2 * 0.15**2 + 0.5 * 2 * 0.1**2) / 1.5)


def test_parts_add_up_to_the_whole(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    classes, q = drawn
    whole, parts = Tally(4), Tally(4)
    whole.add(torch.from_numpy(q.T.copy()), one_hot(classes, 4))
    for rows in np.array_split(np.arange(len(classes)), 7):
        part = Tally(4)
        part.add(torch.from_numpy(q[rows].T.copy()), one_hot(classes[rows], 4))
        parts.merge(part)
    assert parts.scores().nll == pytest.approx(whole.scores().nll)
    assert parts.scores().ece_mass == pytest.approx(whole.scores().ece_mass)
    assert torch.equal(parts.confusion, whole.confusion)


def test_a_probability_of_nought_costs_a_stated_amount() -> None:
    tally = Tally(2)
    tally.add(torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0], [1.0]]))
    assert tally.scores().nll == pytest.approx(-math.log(EPSILON))


def test_nothing_counted_is_not_a_score() -> None:
    assert math.isnan(Tally(3).scores().accuracy)
