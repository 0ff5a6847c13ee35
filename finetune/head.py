"""Fitting a head: ridge in closed form or logistic regression, with penalty and temperature by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.finetune.calibrate import EPSILON, fit_temperature, out_of_fold, soften
from terraficta.finetune.conformal import ConformalSets, fit_sets
from terraficta.finetune.experts.blend import Blend
from terraficta.finetune.experts.linear import fit_logistic
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.pretrain.head import Head, fit_ridge
from terraficta.pretrain.model import Mapper

NEVER = -1e4
"""score of a class that had no label: the map never shows it"""

FitHead = Callable[[Tensor, Tensor], Head]
"""(P, D) features and (P, K) mass to a head"""


@dataclass(frozen=True)
class FittedHead:
    """A head and what cross-validation said of it.

    Parameters
    ----------
    head : Head | Blend
        linear classifier over features, or a blend of experts
    temperature : float
        its scores are divided by this
    choice : str
        what tuning chose, in words
    sets : ConformalSets | None
        which classes cannot be ruled out; None where there were too few labels to hold any out
    """

    head: Head | Blend
    temperature: float
    choice: str
    sets: ConformalSets | None = None


def ridge_head(mapper: Mapper) -> FitHead:
    """The episodic head, with the penalty and sharpness that pretraining learned."""
    penalty = mapper.log_penalty.detach().exp().cpu()
    sharpness = mapper.log_sharpness.detach().exp().cpu()
    return lambda features, mass: silence(fit_ridge(features, mass, penalty, sharpness), mass)


def logistic_head(inverse_penalty: float) -> FitHead:
    """Logistic regression on standardised features (scikit-learn), folded back into a head over plain features."""

    def fit(features: Tensor, mass: Tensor) -> Head:
        mean, spread = features.mean(0), features.std(0).clamp(min=1e-6)
        weight, bias = fit_logistic((features - mean) / spread, mass, inverse_penalty, most=500, tolerance=1e-3)
        weight = weight / spread[:, None]
        return silence(Head(weight, bias - mean @ weight, torch.tensor(1.0)), mass)

    return fit


def silence(head: Head, mass: Tensor) -> Head:
    """The same head, which never shows a class that had no label in mass (P, K)."""
    absent = mass.sum(0) == 0
    return replace(head, bias=torch.where(absent, torch.tensor(NEVER), head.bias))


def fit_head(
    candidates: dict[str, FitHead], features: Tensor, mass: Tensor, groups: NDArray[np.int64], recipe: FinetuneRecipe,
    seed: int,
) -> FittedHead:  # fmt: skip
    """Choose among candidates by cross-validated likelihood, find the temperature, fit to all labels.

    Parameters
    ----------
    candidates : dict[str, FitHead]
        by name, the customary one first; it stands where labels are too few to split
    features, mass : Tensor
        (P, D) and (P, K)
    groups : NDArray[np.int64]
        (P,) block of ground, which a split keeps together
    """
    classes = mass.argmax(1).numpy()
    best, best_nll, held_out = next(iter(candidates)), np.inf, None
    for name, fit in candidates.items():

        def learn(rows: NDArray[np.int64], fit: FitHead = fit) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
            head = fit(features[rows], mass[rows])
            return lambda check: head.log_probabilities(features[check]).double().exp().numpy()

        found = out_of_fold(learn, classes, groups, mass.shape[1], seed, recipe.folds)
        if found is None:
            break
        likelihood = np.log(np.maximum(found, EPSILON))
        nll = float(-(mass.numpy() * likelihood).sum() / mass.sum())
        if nll < best_nll:
            best, best_nll, held_out = name, nll, found
    temperature, sets = 1.0, None
    if held_out is not None:
        unseen = torch.from_numpy(held_out).T
        temperature = fit_temperature(unseen, mass.T, recipe.temperature_doubt)
        sets = fit_sets(soften(unseen, temperature), mass.argmax(1), recipe.coverage)
    return FittedHead(candidates[best](features, mass), temperature, best, sets)
