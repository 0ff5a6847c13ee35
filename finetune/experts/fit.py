"""The experts of a place: fitted to its labels and its names, each for a blend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.finetune.calibrate import fit_temperature, out_of_fold, soften
from terraficta.finetune.conformal import fit_sets
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.experts.blend import Blend, Exponents
from terraficta.finetune.experts.forest import fit_forest
from terraficta.finetune.experts.linear import fit_linear
from terraficta.finetune.experts.names import NamesHead, evenly
from terraficta.finetune.head import NEVER, FitHead, FittedHead
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.synth.types.refusal import Refusal

UNLABELLED = 3000
"""pixels of a place that names alone are fitted to"""
SHARPENED = 2.0
"""power of what names say of them before a ridge learns it; 1 gained .004 less mIoU in the mean of ten tilesets"""
SHARES_EXPONENT = 0.5
"""how far areas that the user knows of count: labels are drawn by class, and land is not"""


def names_of(meanings: Meanings, dates: int) -> NamesHead | None:
    """The names as an expert; None where they tell no classes apart, and for change, which has no class in fiction."""
    return NamesHead.of(meanings) if meanings.enough and dates == 1 else None


def names_alone(
    rest: Evidence, meanings: Meanings, dates: int, fit_ridge: FitHead, recipe: FinetuneRecipe
) -> FittedHead:
    """A head that needs no label: names in odds against a mean pixel, and a ridge that learns from them.

    The ridge is fitted to what the sharpened names say of unlabelled pixels, and carries it over to pixels that look
    alike to the network.

    Parameters
    ----------
    rest : Evidence
        of unlabelled pixels of the place, some `UNLABELLED`
    dates : int
        of an image
    fit_ridge : FitHead
        the closed-form head

    Raises
    ------
    Refusal
        names that tell no two classes apart
    """
    names = names_of(meanings, dates)
    if names is None:
        lost = [name for name, named in zip(meanings.classes, meanings.named, strict=True) if not named]
        found = f"no meaning for {', '.join(lost)}" if lost else "one meaning for all classes"
        mend = "write means: {class: {class of ours: weight}} in tileset.yaml, or draw labels"
        raise Refusal("--labels-per-class", "0", found, "names that tell classes apart", mend)
    names = names.balanced(rest, torch.ones(len(rest)))
    ridge = fit_ridge(rest.features, torch.softmax(SHARPENED * names.log_probabilities(rest), 1))
    blend = Blend(ridge, None, None, names, Exponents(recipe.blend.alone, 0.0, 0.0, 1.0), prior_of(meanings))
    return FittedHead(blend, 1.0, "names")


def prior_of(meanings: Meanings) -> Tensor:
    """(K,) what the areas that the user knows of add to the logarithm."""
    if meanings.shares is None:
        return torch.zeros(len(meanings.classes))
    return SHARES_EXPONENT * meanings.shares.clamp(min=1e-6).log()


def fit_experts(
    evidence: Evidence,
    mass: Tensor,
    fit_ridge: FitHead,
    meanings: Meanings,
    names: NamesHead | None,
    recipe: FinetuneRecipe,
    seed: int,
    trees: int,
) -> Blend:
    """Fit the experts to labels, without a temperature.

    Parameters
    ----------
    evidence : Evidence
        of P labels
    mass : Tensor
        (P, K) class mass of them
    fit_ridge : FitHead
        the closed-form head
    trees : int
        of the forest
    """
    classes, weight = mass.argmax(1).numpy(), mass.sum(1).double().numpy()
    alone = evidence.context.shape[1]
    forest = fit_forest(evidence.inputs, classes, weight, mass.shape[1], seed, trees, alone)
    if names is not None:
        names = names.balanced(evidence, evenly(mass).sum(1))
    told = 0.0 if names is None else meanings.telling * names.worth(evidence, mass)
    exponents = exponents_for(mass, told, recipe)
    prior = torch.where(mass.sum(0) == 0, torch.tensor(NEVER), prior_of(meanings))
    ridge = fit_ridge(evidence.features, mass) if exponents.ridge else None
    linear = fit_linear(torch.from_numpy(evidence.context), mass) if exponents.linear else None
    return Blend(ridge, forest, linear, names, exponents, prior)


def exponents_for(mass: Tensor, told: float, recipe: FinetuneRecipe) -> Exponents:
    """Exponents for labels (P, K), by those of the median class; names count as far as they are told."""
    counts = torch.bincount(mass.argmax(1), minlength=mass.shape[1])
    return Exponents.of(recipe.blend, float(counts[counts > 0].float().median()), told)


def fit_blend(
    evidence: Evidence,
    mass: Tensor,
    groups: NDArray[np.int64],
    fit_ridge: FitHead,
    meanings: Meanings,
    names: NamesHead | None,
    recipe: FinetuneRecipe,
    seed: int,
) -> FittedHead:
    """Fit the experts to all labels; temperature and sets come from experts that have not seen the labels they judge.

    Parameters
    ----------
    evidence : Evidence
        of P labels, (P, K)
    mass : Tensor
        of P labels, (P, K)
    groups : NDArray[np.int64]
        (P,) block of ground, which a split keeps together
    fit_ridge : FitHead
        the closed-form head
    """
    classes = mass.argmax(1).numpy()

    def fit(rows: NDArray[np.int64], trees: int) -> Blend:
        some = evidence.take(torch.from_numpy(rows))
        return fit_experts(some, mass[rows], fit_ridge, meanings, names, recipe, seed, trees)

    def learn(rows: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
        blend = fit(rows, recipe.blend.check_trees)
        return lambda check: blend.log_probabilities(evidence.take(torch.from_numpy(check))).double().exp().numpy()

    temperature, sets = recipe.blend.temperature, None
    found = out_of_fold(learn, classes, groups, mass.shape[1], seed, recipe.folds)
    if found is not None:
        unseen = torch.from_numpy(found).T
        temperature = fit_temperature(unseen, mass.T, recipe.blend.temperature_doubt, recipe.blend.temperature)
        sets = fit_sets(soften(unseen, temperature), mass.argmax(1), recipe.coverage)
    blend = fit(np.arange(len(classes)), recipe.blend.trees)
    choice = " ".join(f"{name}^{e:.2g}" for name, e in blend.exponents._asdict().items() if e)
    return FittedHead(blend, temperature, choice, sets)
