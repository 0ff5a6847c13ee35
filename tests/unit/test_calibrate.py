"""Temperature and cross-validation on labels whose truth is known."""

import numpy as np
import pytest
import torch

from terraficta.eval.metrics import Tally
from terraficta.finetune.calibrate import fit_temperature, out_of_fold, soften, spatial_folds


def overconfident(rng: np.random.Generator, count: int = 6000) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities three times too sharp, and classes drawn from the true ones."""
    logits = torch.from_numpy(rng.normal(size=(3, count)) * 1.5)
    true = torch.softmax(logits, 0).numpy()
    classes = (rng.random(count) > true.cumsum(0)).sum(0).clip(0, 2)
    return torch.softmax(3 * logits, 0), torch.nn.functional.one_hot(torch.from_numpy(classes), 3).T.double()


def test_temperature_finds_how_sharp_the_probabilities_were_made() -> None:
    q, mass = overconfident(np.random.default_rng(0))
    assert fit_temperature(q, mass) == pytest.approx(3.0, rel=0.06)


def test_temperature_mends_calibration_and_leaves_the_map() -> None:
    q, mass = overconfident(np.random.default_rng(1))
    mended = soften(q, fit_temperature(q[:, :3000], mass[:, :3000]))[:, 3000:]
    before, after = Tally(3), Tally(3)
    before.add(q[:, 3000:], mass[:, 3000:])
    after.add(mended, mass[:, 3000:])
    assert after.scores().ece < 0.3 * before.scores().ece
    assert torch.equal(after.confusion, before.confusion)
    assert soften(q, 1.0) is q


def test_folds_keep_neighbours_together_where_they_can() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 10)
    classes = rng.integers(0, 3, size=200)
    splits = list(spatial_folds(classes, groups, seed=0))
    assert len(splits) == 5
    assert sorted(np.concatenate([check for _, check in splits])) == list(range(200))
    assert all(not set(groups[learn]) & set(groups[check]) for learn, check in splits)


def test_folds_fall_back_to_classes_where_a_class_has_one_block() -> None:
    classes, groups = np.repeat([0, 1, 2], 5), np.repeat([0, 1, 2], 5)
    splits = list(spatial_folds(classes, groups, seed=0))
    assert len(splits) == 5
    assert all(set(classes[learn]) == {0, 1, 2} for learn, _ in splits)


def test_one_label_a_class_cannot_be_split() -> None:
    classes = np.array([0, 1, 2])
    assert out_of_fold(lambda learn: lambda check: np.eye(3)[check], classes, classes, 3, seed=0) is None


def test_no_label_is_predicted_by_a_model_that_saw_it() -> None:
    classes, groups = np.tile([0, 1], 30), np.arange(60) // 4
    seen: list[set[int]] = []

    def fit(learn: np.ndarray):
        def predict(check: np.ndarray) -> np.ndarray:
            seen.append(set(learn) & set(check))
            return np.full((len(check), 2), 0.5)

        return predict

    found = out_of_fold(fit, classes, groups, 2, seed=0)
    assert found is not None
    assert found.shape == (60, 2)
    assert seen == [set()] * 5
