"""The classifier two-sample test: whether a forest can tell two sets of patches apart, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal

TREES, FOLDS = 150, 4
LEAST = 8
"""patches of a side: two a fold"""
PARTS = 8
"""runs of neighbouring patches that are kept together where a side has fewer tiles than folds"""


@dataclass(frozen=True)
class Test:
    """What a forest found.

    Parameters
    ----------
    auc : float
        area under the ROC curve, cross-validated over tiles: .5 cannot be told apart, 1 always
    weight : NDArray[np.float64]
        (F,) how much the forest looks at each figure; sums to 1
    """

    auc: float
    weight: NDArray[np.float64]


def tell_apart(
    a: NDArray[np.float64], of_a: NDArray[np.int64], b: NDArray[np.float64], of_b: NDArray[np.int64], seed: int = 0
) -> Test:
    """Train a forest to tell figures (P, F) of two sides apart; tiles never stand on both sides of a fold.

    Parameters
    ----------
    a, b : NDArray[np.float64]
        (P, F) and (Q, F)
    of_a, of_b : NDArray[np.int64]
        tile of each patch

    Raises
    ------
    Refusal
        fewer than LEAST patches of a side

    Source
    ------
    Lopez-Paz & Oquab 2017, Revisiting classifier two-sample tests, arXiv 1610.06545
    """
    if min(len(a), len(b)) < LEAST:
        found = f"{len(a)} and {len(b)} patches"
        raise Refusal("tiles", "patches", found, f"{LEAST} or more on each side", "hand over more or larger tiles")
    x, y = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    groups = np.concatenate([_groups(of_a), _groups(of_b) + 1_000_000])
    said, weight = np.zeros(len(x)), np.zeros(x.shape[1])
    for fit, check in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(x, y, groups):
        forest = RandomForestClassifier(
            TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed, n_jobs=1
        ).fit(x[fit], y[fit])
        said[check] = forest.predict_proba(x[check])[:, -1]
        weight += forest.feature_importances_ / FOLDS
    return Test(float(roc_auc_score(y, said)), weight)


def _groups(tile: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(np.unique(tile)) >= FOLDS:
        return tile
    return np.arange(len(tile)) * PARTS // len(tile)


def given_away(
    names: Sequence[str],
    fiction: NDArray[np.float64],
    real: NDArray[np.float64],
    weight: NDArray[np.float64],
    most: int = 4,
) -> list[str]:
    """What the classifier looks at, in words: the figures of most weight, one of each kind, and how they differ."""
    said: list[str] = []
    kinds: set[str] = set()
    for n in np.argsort(-weight):
        kind = names[n].split(" of ")[0]
        if kind in kinds or len(said) == most:
            continue
        kinds.add(kind)
        mine, theirs = float(np.median(fiction[:, n])), float(np.median(real[:, n]))
        single = roc_auc_score(
            np.repeat([0, 1], [len(fiction), len(real)]), np.concatenate([fiction[:, n], real[:, n]])
        )
        more = "less" if mine < theirs else "more"
        said.append(
            f"{names[n]}: {more} in fiction, {mine:.3f} to {theirs:.3f} (alone: AUC {max(single, 1 - single):.2f})"
        )
    return said


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Squared Frechet distance of two clouds (P, D), (Q, D), each taken for a normal distribution.

    Source
    ------
    Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X; on features: Heusel et al. 2017, arXiv 1706.08500

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(4000, 3))
    >>> round(frechet(x, x + np.array([2.0, 0, 0])), 6)
    4.0
    """
    apart = a.mean(0) - b.mean(0)
    one, two = np.cov(a.T), np.cov(b.T)
    root = sqrtm(one @ two).real
    return float(apart @ apart + np.trace(one + two - 2 * root))


def drift_limit(features: NDArray[np.float64], tile: NDArray[np.int64], seed: int = 0, deals: int = 60) -> float:
    """The distance that two halves of one set of tiles reach by chance in 1 case of 20: beyond it, a drift is called.

    Parameters
    ----------
    features : NDArray[np.float64]
        (P, D) of pixels of known land
    tile : NDArray[np.int64]
        (P,) which tile each is of; halves share none. Of fewer than 4 tiles, consecutive pixels go together
    """
    groups = tile if len(np.unique(tile)) >= FOLDS else np.arange(len(tile)) * 2 * FOLDS // len(tile)
    known = np.unique(groups)
    found = []
    for deal in range(deals):
        rng = SceneKey(seed, deal).at("drift").rng()
        half = rng.permutation(known)[: len(known) // 2]
        mine = np.isin(groups, half)
        found.append(frechet(features[mine], features[~mine]))
    return float(np.quantile(found, 0.95))
