"""Arms: the ways to a map that a benchmark sets beside each other. Each learns from sparse labels alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter
from torch import Tensor

from terraficta.eval.benchmark.ground import Ground
from terraficta.eval.benchmark.pixels import Features, Pixels, features_of, label_features
from terraficta.eval.metrics import EPSILON
from terraficta.finetune.calibrate import fit_temperature, out_of_fold, soften
from terraficta.finetune.conformal import ConformalSets, fit_sets
from terraficta.finetune.tileset.labels import Labels, ground_blocks
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

TEMPERATURE_DOUBT = 0.5
"""as in fine-tuning: few labels barely move a temperature from 1"""
COVERAGE = 0.95
"""share of the pixels whose class shall be in their conformal set, as in fine-tuning"""
FOLDS = 3
"""of the cross-validation that tunes"""
CHECKED: Mapping[str, Any] = {"n_estimators": 40}
"""while trees are tuned; they are fitted with all"""


@dataclass(frozen=True)
class Fitted:
    """A fitted arm.

    Parameters
    ----------
    probabilities : Callable[[Sequence[Pixels]], Tensor]
        n pixels, by tile -> (K, n) that sum to 1
    temperature : float | None
        found by cross-validation on the training labels; None where the arm does not look for one
    choice : str
        what tuning chose
    sets : ConformalSets | None
        at that temperature; None where labels were too few to hold any out
    """

    probabilities: Callable[[Sequence[Pixels]], Tensor]
    temperature: float | None = None
    choice: str = ""
    sets: ConformalSets | None = None


class Arm(Protocol):
    """A way to a map."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def weights(self) -> str:
        """Digest of the pretrained weights that it starts from; "none" where it starts from nothing."""
        ...

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Compute what all draws share: `labels` are those of every draw that will be asked for."""
        ...

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        """Learn from the images of the train fold (their class mass is withheld), the drawn labels and the names.

        Without labels (None) names alone must do.
        """
        ...


Make = Callable[[int, Mapping[str, Any]], Any]
"""(seed, choice) -> unfitted scikit-learn classifier"""


@dataclass(frozen=True)
class PixelArm:
    """A scikit-learn classifier on features of single pixels, tuned on the training labels.

    Parameters
    ----------
    name : str
        of the arm
    features : Features
        what of a pixel it sees
    make : Make
        the classifier
    grid : tuple[Mapping[str, Any], ...]
        candidates, the customary one first
    """

    name: str
    features: Features
    make: Make
    grid: tuple[Mapping[str, Any], ...]
    weights: str = "none"

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Nothing: test pixels keep their features themselves."""

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        """Tune, then fit to all labels; names mean nothing to it."""
        if labels is None:
            raise Refusal("--labels-per-class", self.name, 0, "at least one label", "ask for labels, or for arm names")
        x = label_features(tiles, labels, self.features)
        groups = ground_blocks(tiles, labels)
        return fit_tuned(self.make, self.grid, x, labels, groups, seed, lambda test: features_of(test, self.features))


def fit_tuned(
    make: Make,
    grid: Sequence[Mapping[str, Any]],
    x: NDArray[np.float32],
    labels: Labels,
    groups: NDArray[np.int64],
    seed: int,
    see: Callable[[Sequence[Pixels]], NDArray[np.float32]],
) -> Fitted:
    """Tune a classifier by cross-validation on the training labels, then fit it to all of them.

    Every candidate predicts each label out of fold (whole blocks of ground together, see `spatial_folds`); the one
    under which the labels are likeliest is taken. Likelihood and not accuracy decides: with 5 labels a class accuracy
    moves in steps of several per cent and mostly ties. Labels too few to split get the first candidate.

    Parameters
    ----------
    make : Make
        classifier and candidates
    grid : Sequence[Mapping[str, Any]]
        classifier and candidates
    x : NDArray[np.float32]
        (P, F) features of the labels
    labels : Labels
        (P,) labels, and the block of ground that each lies in
    groups : NDArray[np.int64]
        (P,) labels, and the block of ground that each lies in
    see : Callable[[Sequence[Pixels]], NDArray[np.float32]]
        the same features of any pixels
    """
    classes, weight = labels.classes.numpy(), labels.mass.sum(1).double().numpy()
    count = len(labels.legend)

    def fit_rows(choice: Mapping[str, Any], rows: NDArray[np.int64]) -> _Classifier:
        return _Classifier(make(seed, choice), x[rows], classes[rows], weight[rows], count)

    best, best_nll, temperature, sets = grid[0], np.inf, 1.0, None
    for choice in grid:
        tried = {**choice, **CHECKED} if "n_estimators" in make(seed, choice).get_params() else choice
        found = out_of_fold(partial(_predict_rows, fit_rows, tried, x), classes, groups, count, seed, FOLDS)
        if found is None:
            break
        nll = float(-np.log(np.maximum(found[np.arange(len(classes)), classes], EPSILON)).mean())
        if nll < best_nll:
            best, best_nll = choice, nll
            unseen = torch.from_numpy(found).T
            temperature = fit_temperature(unseen, labels.mass.T, TEMPERATURE_DOUBT)
            sets = fit_sets(soften(unseen, temperature), labels.classes, COVERAGE)
    final = fit_rows(best, np.arange(len(classes)))
    return Fitted(
        probabilities=lambda test: torch.from_numpy(final(see(test)).T),
        temperature=temperature,
        choice=" ".join(f"{name}={value}" for name, value in best.items()),
        sets=sets,
    )


def _predict_rows(
    fit_rows: Callable[[Mapping[str, Any], NDArray[np.int64]], _Classifier],
    choice: Mapping[str, Any],
    x: NDArray[np.float32],
    learn: NDArray[np.int64],
) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    model = fit_rows(choice, learn)
    return lambda check: model(x[check])


class _Classifier:
    """A scikit-learn classifier whose columns are the whole legend, also where a class had no label."""

    def __init__(
        self,
        model: Any,
        x: NDArray[np.float32],
        classes: NDArray[np.int64],
        weight: NDArray[np.float64],
        count: int,
    ) -> None:
        self._only = int(classes[0]) if len(np.unique(classes)) == 1 else None
        self._count, self._model = count, model
        if self._only is None:
            last = model.steps[-1][0] + "__" if hasattr(model, "steps") else ""
            weighs = has_fit_parameter(model.steps[-1][1] if last else model, "sample_weight")
            model.fit(x, classes, **({f"{last}sample_weight": weight} if weighs else {}))

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        found = np.zeros((len(x), self._count))
        if self._only is not None:
            found[:, self._only] = 1.0
        else:
            found[:, self._model.classes_] = self._model.predict_proba(x)
        return found


def make_forest(seed: int, choice: Mapping[str, Any]) -> RandomForestClassifier:
    """100 trees; more change the third decimal of mIoU."""
    return RandomForestClassifier(**{"n_estimators": 100, "random_state": seed, "n_jobs": 1, **choice})


def make_extra_trees(seed: int, choice: Mapping[str, Any]) -> ExtraTreesClassifier:
    """100 trees whose thresholds are drawn at random: smoother between labels than a forest."""
    return ExtraTreesClassifier(**{"n_estimators": 100, "random_state": seed, "n_jobs": 1, **choice})


def make_logistic(seed: int, choice: Mapping[str, Any]) -> Any:
    """Logistic regression on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000, random_state=seed, **choice))


def make_boosting(seed: int, choice: Mapping[str, Any]) -> GradientBoostingClassifier:
    """Stochastic gradient boosting (Friedman 2002, doi 10.1016/S0167-9473(01)00065-2), 100 rounds."""
    usual = {"n_estimators": 100, "max_features": "sqrt", "subsample": 0.8, "random_state": seed}
    return GradientBoostingClassifier(**{**usual, **choice})


def make_neighbour(seed: int, choice: Mapping[str, Any]) -> KNeighborsClassifier:
    """The class of the nearest labels on the ground."""
    return KNeighborsClassifier(n_neighbors=1, **choice)


FOREST_GRID: tuple[Mapping[str, Any], ...] = (
    {"max_features": "sqrt", "min_samples_leaf": 1},
    {"max_features": "sqrt", "min_samples_leaf": 3},
    {"max_features": 0.5, "min_samples_leaf": 1},
)
LOGISTIC_GRID: tuple[Mapping[str, Any], ...] = tuple({"C": c} for c in (1.0, 0.1, 10.0, 100.0))
BOOSTING_GRID: tuple[Mapping[str, Any], ...] = (
    {"max_depth": 3},
    {"max_depth": 1},
)

PIXEL_ARMS = {
    arm.name: arm
    for arm in (
        PixelArm("forest", "spectra", make_forest, FOREST_GRID),
        PixelArm("forest-context", "context", make_forest, FOREST_GRID),
        PixelArm("forest-ratios", "ratios", make_forest, FOREST_GRID),
        PixelArm("extra-trees", "ratios", make_extra_trees, FOREST_GRID),
        PixelArm("logistic", "ratios", make_logistic, LOGISTIC_GRID),
        PixelArm("boosting", "ratios", make_boosting, BOOSTING_GRID),
        PixelArm("location", "location", make_neighbour, ({},)),
    )
}
"""the simple baselines: 100 trees on pixel spectra, with 5x5 context, with ratios too; extra trees, standardised
logistic regression and gradient boosting on the last; and the nearest label on the ground, which sees no spectrum: an
arm that it beats maps places, not land"""

CHANGE_ARMS = {
    arm.name: arm
    for arm in (
        PixelArm("differencing", "difference", make_forest, FOREST_GRID),
        PixelArm("cva", "magnitude", make_logistic, LOGISTIC_GRID[:1]),
    )
}
"""for two dates: a forest on the difference of the images, and a threshold on its length (change vector analysis,
Malila 1980), both found from the labels; the forests above see both dates as a stack"""
