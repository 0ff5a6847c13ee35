"""Calibration: make a stated probability mean what it says, from training labels alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

EPSILON = 1e-6
"""least probability that the logarithm sees"""
LOG_TEMPERATURE = (-2.5, 2.5)
"""temperatures are sought between 0.08 and 12; beyond, the labels say nothing"""

Fit = Callable[[NDArray[np.int64]], Callable[[NDArray[np.int64]], NDArray[np.float64]]]
"""fit(rows to learn from) -> predict(rows) -> (n, K) probabilities"""


def soften(probabilities: Tensor, temperature: float, axis: int = 0) -> Tensor:
    """Probabilities (K, ...) at another temperature: softmax(log p / T). T > 1 is more modest."""
    if temperature == 1.0:
        return probabilities
    return torch.softmax(probabilities.clamp(min=EPSILON).log() / temperature, axis)


def fit_temperature(probabilities: Tensor, mass: Tensor, doubt: float | None = None, expected: float = 1.0) -> float:
    """The temperature that makes class mass (K, P) most likely under probabilities (K, P).

    Parameters
    ----------
    doubt : float | None
        how far log T is believed to lie from that of `expected` before any label is seen (a standard deviation); None:
        no belief
    expected : float
        the temperature that is believed in

    Source
    ------
    Guo et al. 2017, On calibration of modern neural networks, doi 10.48550/arXiv.1706.04599
    """
    from scipy.optimize import minimize_scalar  # loaded to fit, not to map: 0.1 GB

    logits = probabilities.double().clamp(min=EPSILON).log()
    p = mass.double()

    def cost(log_temperature: float) -> float:
        q = torch.log_softmax(logits / np.exp(log_temperature), 0)
        belief = 0.0 if doubt is None else 0.5 * ((log_temperature - np.log(expected)) / doubt) ** 2
        return float(-(p * q).sum()) + belief

    return float(np.exp(minimize_scalar(cost, bounds=LOG_TEMPERATURE, method="bounded").x))


def spatial_folds(
    classes: NDArray[np.int64], groups: NDArray[np.int64], seed: int, folds: int = 5
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Splits of labelled pixels (learn, check) that keep a group of neighbours together.

    With few labels a class may lie in one group only. Where grouping would leave the rest of a split without some
    class altogether, that split is made by class alone: neighbours leak a little, but every candidate gains alike.

    Parameters
    ----------
    classes : NDArray[np.int64]
        (n,) class of every label
    groups : NDArray[np.int64]
        (n,) block of ground that it lies in
    seed : int
        of the shuffle
    folds : int
        at most; fewer where the rarest class has fewer labels
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # loaded to fit, not to map: 0.1 GB

    count = min(folds, int(np.unique(classes, return_counts=True)[1].min()), len(classes))
    if count < 2:
        return
    whole = set(np.unique(classes))
    if len(np.unique(groups)) >= count:
        grouped = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        splits = [s for s in grouped.split(classes, classes, groups) if len(s[0]) and len(s[1])]
        if len(splits) > 1 and all(set(classes[learn]) == whole for learn, _ in splits):
            yield from splits
            return
    yield from StratifiedKFold(count, shuffle=True, random_state=seed).split(classes, classes)


def out_of_fold(
    fit: Fit, classes: NDArray[np.int64], groups: NDArray[np.int64], count: int, seed: int, folds: int = 5
) -> NDArray[np.float64] | None:
    """(n, K) probabilities of every label by a model that has not seen it; None where labels are too few to split."""
    found = np.full((len(classes), count), np.nan)
    for learn, check in spatial_folds(classes, groups, seed, folds):
        found[check] = fit(learn)(check)
    return None if np.isnan(found).any() else found
