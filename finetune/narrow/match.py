"""The match: which of many fictional scenes are like the real tiles, and which real windows are like none of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from terraficta.finetune.narrow.figures import Figures, Scale, Table, apart

STEPS = 3000
"""of the descent; it stops earlier"""
LEAST_KEPT = 0.12
"""share of the scenes that must go on counting: fewer would follow single windows (chosen)"""
LEAST_SCENES = 16
FAR_LEVEL = 0.02
"""real windows that are further from all fiction than all but this share of fiction itself are strangers"""
ALARM_SHARE = 0.1
"""share of strangers above which there is an alarm: five times what chance brings"""
FIGURE_SHARE = 0.3
"""share of windows beyond what is drawn in a single figure above which there is one too: a shift of one band alone
hides among many figures. Chance brings .01, and a place is narrow: hence no less"""
OUTSIDE = (0.005, 0.995)
"""quantiles of fiction outside which a figure of the real windows is not drawn"""


def matching_weights(fiction: Table, real: Table) -> Table:
    """Weights (P,) of fictional windows, of sum 1, under which they are as near to the real ones as they can be.

    The energy distance is lowered by exponentiated gradient descent from equal weights; it is stopped while at least
    `LEAST_KEPT` of the scenes count.

    Parameters
    ----------
    fiction, real : Table
        (P, F) and (Q, F) scaled figures

    Source
    ------
    Kernel mean matching: A. Gretton et al. 2009, in Dataset Shift in Machine Learning, chapter 8; the kernel is that of
    the energy distance, D. Sejdinovic et al. 2013, doi:10.1214/13-AOS1140.
    """
    within, between = apart(fiction, fiction), apart(fiction, real).mean(1)
    weight = np.full(len(fiction), 1 / len(fiction))
    least = max(LEAST_SCENES, LEAST_KEPT * len(fiction))
    rate = 0.5 / max(float(between.std()), 1e-9)
    for _ in range(STEPS):
        slope = 2 * between - 2 * within @ weight
        moved = weight * np.exp(-rate * 0.05 * (slope - slope @ weight))
        moved /= moved.sum()
        if 1 / float((moved**2).sum()) < least or np.abs(moved - weight).sum() < 1e-7:
            break
        weight = moved
    return weight


@dataclass(frozen=True)
class Strangers:
    """How far real windows lie outside what a recipe draws.

    Parameters
    ----------
    share : float
        of real windows that are further from all fiction than fiction from itself
    outside : dict[str, float]
        {figure: share of real windows beyond what is drawn}, the worst first
    """

    share: float
    outside: dict[str, float]

    @property
    def alarm(self) -> bool:
        """Whether the real tiles lie outside."""
        return self.share > ALARM_SHARE or self.worst > FIGURE_SHARE

    @property
    def worst(self) -> float:
        """The largest share of windows beyond what is drawn in a single figure."""
        return max(self.outside.values(), default=0.0)


def strangers(fiction: Figures, real: Figures, scale: Scale) -> Strangers:
    """Real windows that a recipe does not draw: judged whole by the nearest fictional window, and figure by figure."""
    ours, theirs = scale(fiction.values), scale(real.values)
    among = apart(ours, ours)
    np.fill_diagonal(among, np.inf)
    usual = np.sort(among.min(1))
    nearest = apart(theirs, ours).min(1)
    rank = 1 - np.searchsorted(usual, nearest, side="left") / len(usual)
    low, high = np.quantile(fiction.values, OUTSIDE, axis=0)
    beyond = ((real.values < low) | (real.values > high)).mean(0)
    order = np.argsort(-beyond, kind="stable")
    outside = {real.names[i]: float(beyond[i]) for i in order if beyond[i] > ALARM_SHARE}
    return Strangers(float((rank < FAR_LEVEL).mean()), outside)


def told_apart(a: Table, b: Table) -> float:
    """Area under the ROC curve of a forest that tells two sets apart, cross-validated; 0.5 where it cannot.

    Source
    ------
    D. Lopez-Paz and M. Oquab 2017, "Revisiting classifier two-sample tests", arXiv 1610.06545.
    """
    x, y = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    said = np.zeros(len(x))
    folds = StratifiedKFold(min(4, len(a), len(b)), shuffle=True, random_state=0)
    for fit, check in folds.split(x, y):
        forest = RandomForestClassifier(100, min_samples_leaf=3, class_weight="balanced", random_state=0, n_jobs=1)
        forest.fit(x[fit], y[fit])
        said[check] = forest.predict_proba(x[check])[:, 1]
    return float(roc_auc_score(y, said))
