"""The linear expert: logistic regression whose scores shrink with what labels leave unknown of a pixel."""

from math import pi

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from terraficta.finetune.experts import linear
from terraficta.finetune.experts.linear import DOUBT, FARTHEST, FLOOR, VARIANCE, Linear, fit_linear


def labels(seed: int = 0, count: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    """(P, 5) context in units far apart and (P, 4) mass of classes 0, 1, 3; the last column is the same everywhere."""
    rng = torch.Generator().manual_seed(seed)
    classes = torch.tensor([0, 1, 3])[torch.arange(count) % 3]
    middle = torch.tensor([[-1.0, 0, 2, 0], [1, 1, 0, 0], [9, 9, 9, 9], [0, -2, 1, 0]])
    x = middle[classes] + torch.randn(count, 4, generator=rng)
    x = x * torch.tensor([1e4, 1.0, 1e-3, 5.0]) + 3
    return torch.cat([x, torch.full((count, 1), 7.0)], 1), torch.nn.functional.one_hot(classes, 4).float()


def test_scores_are_those_of_laplace_and_mackay() -> None:
    x, mass = labels()
    expert = fit_linear(x, mass)
    z = ((x[:, :4] - x[:, :4].mean(0)) / x[:, :4].std(0, correction=0)).double().numpy()
    model = LogisticRegression(C=VARIANCE, max_iter=300, tol=1e-2).fit(z.astype(np.float32), mass.argmax(1).numpy())
    p = model.predict_proba(z)
    told = (p * (1 - p)).mean(1)
    ones = np.c_[z, np.zeros(len(z)), np.ones(len(z))]
    covariance = np.linalg.inv((ones * told[:, None]).T @ ones + np.eye(6) / VARIANCE)
    variance = ((ones @ covariance) * ones).sum(1)
    score = model.decision_function(z) / np.sqrt(1 + DOUBT * pi / 8 * variance)[:, None]
    wanted = (1 - FLOOR) * np.exp(score) / np.exp(score).sum(1, keepdims=True) + FLOOR / 4
    found = expert.log_probabilities(x).exp().double().numpy()
    assert found[:, [0, 1, 3]] == pytest.approx(wanted, abs=2e-3)
    assert found[:, 2] == pytest.approx(FLOOR / 4), "a class without labels gets its share of the floor alone"
    assert found.sum(1) == pytest.approx(1)


def test_it_says_less_the_farther_a_pixel_lies_from_labels() -> None:
    x, mass = labels()
    expert = fit_linear(x, mass)
    away = torch.randn(5, generator=torch.Generator().manual_seed(3))
    z = away * torch.tensor([0.0, 0, 0, 1, 0])  # along a column that tells the classes little
    start = x[mass.argmax(1) == 0].mean(0)
    surest = [
        float(expert.log_probabilities((start + step * z * x.std(0))[None]).exp().max()) for step in (0.0, 2.0, 4.0)
    ]
    assert surest[0] > surest[1] > surest[2] > 1 / 4


def test_few_directions_leave_more_unknown_and_never_less(monkeypatch: pytest.MonkeyPatch) -> None:
    x, mass = labels()
    whole = fit_linear(x, mass).log_probabilities(x).exp().amax(1)
    monkeypatch.setattr(linear, "DIRECTIONS", 2)
    fewer = fit_linear(x, mass).log_probabilities(x).exp().amax(1)
    assert bool((fewer <= whole + 1e-6).all())
    assert float((whole - fewer).mean()) > 1e-3


def test_chunks_and_two_classes_and_a_file_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x, mass = labels()
    two = mass[:, :2].sum(1) > 0
    expert = fit_linear(x[two], mass[two])
    y = labels(1, 50)[0]
    whole = expert.log_probabilities(y)
    assert torch.equal(Linear.of_tensors(expert.tensors()).log_probabilities(y), whole)
    monkeypatch.setattr(linear, "CHUNK", 7)
    assert torch.allclose(expert.log_probabilities(y), whole, atol=1e-5)
    assert float(whole.exp()[:, 2:].max()) <= FLOOR
    far = expert.log_probabilities(y * torch.tensor([1e12, 1.0, 1.0, 1.0, 1e30]))
    assert bool(far.isfinite().all()), f"a column counts as at most {FARTHEST} deviations away"


def test_a_soft_label_is_several_labels_of_less_weight() -> None:
    x, mass = labels()
    soft = fit_linear(x, 0.5 * mass + 0.5 * mass[torch.randperm(len(mass), generator=torch.Generator().manual_seed(0))])
    hard = fit_linear(x, mass)
    assert float(soft.weight.norm()) < 0.7 * float(hard.weight.norm())
