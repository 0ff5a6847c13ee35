"""The forest: random trees fitted by scikit-learn, kept as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from terraficta.synth.types.refusal import Refusal

TREES = 100
"""more change the third decimal of mIoU"""
CHUNK = 65_536
"""pixels that walk down the trees together: enough that what a node costs beside them is little"""


@dataclass(frozen=True)
class Forest:
    """Trees, their nodes end to end; a node's right child stands behind its left one, and a leaf leads to itself.

    Arrays and not scikit-learn's own objects, so that a model on disk holds numbers and no code (no pickle), reads
    with any version, and maps without scikit-learn. A node hands all its pixels on at once: about as fast as compiled
    trees, where a walk of every pixel by itself (gathers) takes three times as long.

    Parameters
    ----------
    feature : NDArray[np.int32]
        (M,) int32 feature that a node asks for
    threshold : NDArray[np.float32]
        (M,) float32; larger values go right
    left : NDArray[np.int32]
        (M,) int32 position of the left child; of the node itself in leaves
    share : NDArray[np.float32]
        (M, K) float32 class shares in a leaf; of a quantity (M, 1) its mean there
    roots : NDArray[np.int32]
        (T,) int32 position of each tree's root
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    share: NDArray[np.float32]
    roots: NDArray[np.int32]

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(P, F) features to (P, K): the mean of the trees."""
        return self.of_columns(list(np.ascontiguousarray(x.T)))

    def of_columns(self, columns: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """F features of P pixels, (P,) each, to (P, K): the mean of the trees."""
        count, share = len(columns[0]), torch.from_numpy(self.share)
        found = np.empty((count, self.share.shape[1]), dtype=np.float32)
        for start in range(0, count, CHUNK):
            leaf = self._leaves([column[start : start + CHUNK] for column in columns])
            # one pass over the leaves of all trees: a gather and a sum for each tree take as long as the walk
            total = functional.embedding_bag(torch.from_numpy(leaf).T.contiguous(), share, mode="sum")
            found[start : start + CHUNK] = total.numpy()
        return found / np.float32(len(self.roots))

    def _leaves(self, columns: Sequence[NDArray[np.float32]]) -> NDArray[np.int32]:
        """(T, P) the node that each pixel ends at in each tree."""
        feature, threshold, left = self.feature.tolist(), self.threshold, self.left.tolist()
        leaf = np.empty((len(self.roots), len(columns[0])), dtype=np.int32)
        everyone = np.arange(len(columns[0]))
        for mine, root in zip(leaf, self.roots.tolist(), strict=True):
            waiting = [(root, everyone)]
            while waiting:
                node, pixels = waiting.pop()
                below = left[node]
                if below == node:
                    mine[pixels] = node
                elif len(pixels):
                    right = columns[feature[node]].take(pixels) > threshold[node]
                    waiting += [(below, pixels[~right]), (below + 1, pixels[right])]
        return leaf

    def joined(self, other: Forest) -> Forest:
        """The trees of both."""
        nodes = len(self.left)
        return Forest(
            np.concatenate([self.feature, other.feature]), np.concatenate([self.threshold, other.threshold]),
            np.concatenate([self.left, other.left + np.int32(nodes)]), np.concatenate([self.share, other.share]),
            np.concatenate([self.roots, other.roots + np.int32(nodes)]),
        )  # fmt: skip

    def arrays(self) -> dict[str, Tensor]:
        """As tensors, for a file."""
        return {name: torch.from_numpy(value) for name, value in vars(self).items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Forest:
        """From what `arrays` gave; refuses a damaged tree, in which a walk would not end."""
        made = cls(**{name: value.numpy() for name, value in arrays.items()})
        nodes = np.arange(len(made.left))
        inner = made.left != nodes
        if not (bool((made.left[inner] > nodes[inner]).all()) and bool((made.left[inner] + 1 < len(nodes)).all())):
            raise Refusal("forest", "left", "children that do not follow their parents", "a whole tree", "fit it again")
        return made


def fit_forest(
    x: NDArray[np.float32],
    classes: NDArray[np.int64],
    weight: NDArray[np.float64],
    count: int,
    seed: int,
    trees: int = TREES,
    alone: int | None = None,
) -> Forest:
    """Fit extremely randomised trees to labelled pixels, every class with the same weight.

    Parameters
    ----------
    x : NDArray[np.float32]
        (P, F) features
    classes : NDArray[np.int64]
        (P,) class and weight of every label
    weight : NDArray[np.float64]
        (P,) class and weight of every label
    count : int
        K classes of the legend; those without a label get no share
    alone : int | None
        half of the trees see only that many of the features, the first ones; None: all trees see all

    Source
    ------
    Geurts, Ernst & Wehenkel 2006, doi 10.1007/s10994-006-6226-1
    """
    from sklearn.ensemble import ExtraTreesClassifier  # loaded to fit, not to map: 0.1 GB

    def grown(columns: NDArray[np.float32], some: int) -> Forest:
        model = ExtraTreesClassifier(some, class_weight="balanced", random_state=seed, n_jobs=1)
        model.fit(columns, classes, sample_weight=weight)
        present = model.classes_.astype(np.int64)

        def shares(value: NDArray[np.float64]) -> NDArray[np.float32]:
            share = np.zeros((len(value), count), dtype=np.float32)
            share[:, present] = value / value.sum(1, keepdims=True)
            return share

        return _together(model, shares)

    if alone is None or not 0 < alone < x.shape[1]:
        return grown(x, trees)
    return grown(x[:, :alone], trees // 2).joined(grown(x, trees - trees // 2))


def fit_value_forest(x: NDArray[np.float32], value: NDArray[np.float64], seed: int, trees: int = TREES) -> Forest:
    """Fit trees to a quantity (P,); a third of the features at each node and three samples a leaf, as is usual."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(trees, max_features=1 / 3, min_samples_leaf=3, random_state=seed, n_jobs=1)
    model.fit(x, value)
    return _together(model, lambda found: found.astype(np.float32))


def _together(model: Any, shares: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> Forest:
    """The trees of a fitted model, end to end."""
    parts: list[tuple[NDArray[np.generic], ...]] = []
    roots, offset = [], 0
    for estimator in model.estimators_:
        parts.append(_laid_out(estimator.tree_, shares, offset))
        roots.append(offset)
        offset += len(parts[-1][0])
    feature, threshold, left, share = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Forest(feature, threshold, left, share, np.array(roots, dtype=np.int32))


def _laid_out(
    tree: Any, shares: Callable[[NDArray[np.float64]], NDArray[np.float32]], offset: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Nodes of one scikit-learn tree, brought level by level into an order where siblings are neighbours."""
    left, right = tree.children_left, tree.children_right
    order = [0]
    for node in order:  # grows as it is walked
        if left[node] >= 0:
            order += [int(left[node]), int(right[node])]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    order_of = np.array(order)
    leaf = left[order_of] < 0
    feature = np.where(leaf, 0, tree.feature[order_of]).astype(np.int32)
    exact = tree.threshold[order_of]
    threshold = exact.astype(np.float32)
    above = threshold.astype(np.float64) > exact  # the next float32 below splits float32 values as the float64 does
    threshold = np.where(above, np.nextafter(threshold, np.float32(-np.inf)), threshold).astype(np.float32)
    child = np.where(leaf, np.arange(len(order)), place[np.where(leaf, 0, left[order_of])])
    return feature, threshold, (child + offset).astype(np.int32), shares(tree.value[order_of, 0])
