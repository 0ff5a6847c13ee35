"""Networks as arms of a benchmark: a mapper, pretrained or fresh, frozen under a head or trained whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.eval.benchmark.arms import FOREST_GRID, Fitted, fit_tuned, make_forest
from terraficta.eval.benchmark.ground import Ground
from terraficta.eval.benchmark.pixels import Pixels
from terraficta.eval.benchmark.readings import PlacedReader, Reader
from terraficta.eval.map.windows import Windows
from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.experts.fit import UNLABELLED, fit_blend, names_alone, names_of
from terraficta.finetune.head import FitHead, FittedHead, fit_head, ridge_head, silence
from terraficta.finetune.recipe import FinetuneRecipe, HeadKind
from terraficta.finetune.tileset.labels import Labels, draw_pixels, ground_blocks
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.head import Head, fit_ridge
from terraficta.pretrain.model import Mapper
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

WINDOWS = Windows()


Network = Callable[[Tensor, Tensor, list[str]], Tensor]
"""(N, B, h, w) images, (N, h, w) valid and N scene ids -> (N, K, h, w)"""


def at_pixels(network: Network, pixels: Pixels, windows: Windows = WINDOWS) -> Tensor:
    """(K, n) what a network says of pixels: the tile is mapped in windows, of which only those with such pixels.

    Parameters
    ----------
    network : Network
        of features or probabilities
    pixels : Pixels
        of one tile
    """
    tile = pixels.tile
    height, width = tile.grid.shape
    asked = np.zeros((height, width), dtype=bool)
    asked[pixels.y, pixels.x] = True
    high, wide = min(windows.size_px, height), min(windows.size_px, width)

    def predict(corners: Sequence[tuple[int, int]]) -> Tensor:
        views = [(slice(y, y + high), slice(x, x + wide)) for y, x in corners]
        return network(
            torch.stack([tile.image[:, r, c] for r, c in views]),
            torch.stack([tile.valid[v] for v in views]),
            [tile.id] * len(views),
        )

    def wanted(y: int, x: int, h: int, w: int) -> bool:
        return bool(asked[y : y + h, x : x + w].any())

    found: Tensor | None = None
    for y, x, piece in windows.strips(height, width, predict, wanted):
        h, w = piece.shape[1:]
        mine = (pixels.y >= y) & (pixels.y < y + h) & (pixels.x >= x) & (pixels.x < x + w)
        if found is None:
            found = torch.zeros(len(piece), len(pixels))
        found[:, mine] = piece[:, pixels.y[mine] - y, pixels.x[mine] - x]
    assert found is not None  # there is at least one pixel, so at least one window
    return found


@dataclass(frozen=True)
class WideForestArm:
    """A tuned forest on what the default head's forest is given, less the network's features: its twin without fiction.

    Parameters
    ----------
    name : str
        of the arm
    reader : Reader
        of whose evidence the context is taken, near and wide surroundings and ratios; no network has a part in it
    """

    name: str
    reader: Reader
    weights: str = "none"
    grid: tuple[Mapping[str, Any], ...] = FOREST_GRID

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Read all that is needed in one pass."""
        self.reader.prepare(ground, labels)

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        """Tune, then fit to all labels; names mean nothing to it."""
        if labels is None:
            raise Refusal("--labels-per-class", self.name, 0, "at least one label", "ask for labels, or for arm names")
        x, blocks = self.reader.at(tiles, labels).context, ground_blocks(tiles, labels)
        return fit_tuned(
            make_forest, self.grid, x, labels, blocks, seed, lambda test: self.reader.of(tiles, test).context
        )


FitEvidence = Callable[[Evidence, Labels, NDArray[np.int64], Meanings, int], FittedHead]
"""(evidence of the labels, the labels, blocks of ground that they lie in, meanings, seed) -> fitted head"""
FitAlone = Callable[[Evidence, Meanings, int], FittedHead]
"""(evidence of unlabelled pixels, meanings, dates) -> head that no label has shaped"""
PENALTIES = (0.1, 0.01, 1.0, 10.0)
"""of a ridge whose features come with no penalty of their own, the customary one first"""
SHARPNESS = 5.0
"""of such a ridge before its temperature is found: near what pretraining learns"""


@dataclass
class FrozenArm:
    """A head on readings that nobody trains further; only the head sees labels.

    Parameters
    ----------
    name : str
        of the arm
    reader : Reader | PlacedReader
        what it reads of pixels, shared with other arms
    head : FitEvidence
        fits the head
    recipe : FinetuneRecipe
        of that head
    weights : str
        digest of what the reader stands on, or "none"
    alone : FitAlone | None
        the head where there is no label; None: it needs some
    """

    name: str
    reader: Reader | PlacedReader
    head: FitEvidence
    recipe: FinetuneRecipe
    weights: str = "none"
    alone: FitAlone | None = None

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Read all that is needed in one pass."""
        self.reader.prepare(ground, labels)

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        """Fit the head; probabilities are those before its temperature."""
        if labels is None:
            if self.alone is None:
                mend = "ask for labels, or for arm names"
                raise Refusal("--labels-per-class", self.name, 0, "at least one label", mend)
            rest = self.reader.at(tiles, draw_pixels(tiles, UNLABELLED, seed))
            fitted = self.alone(rest, meanings, tiles[0].dates)
        else:
            few = labels.at_most(self.recipe.most_labels)
            if len(torch.unique(few.classes)) < 2:
                raise Refusal("labels", "classes", few.counts(), "labels of at least two classes", "draw more labels")
            fitted = self.head(self.reader.at(tiles, few), few, ground_blocks(tiles, few), meanings, seed)
        head = fitted.head

        def probabilities(test: Sequence[Pixels]) -> Tensor:
            evidence = self.reader.of(tiles, test)
            if isinstance(head, Head):
                return torch.softmax(head.log_probabilities(evidence.features), 1).T
            return torch.softmax(head.log_probabilities(evidence), 1).T

        return Fitted(probabilities, fitted.temperature, f"{fitted.choice} T={fitted.temperature:.3g}", fitted.sets)


def names_head(mapper: Mapper, recipe: FinetuneRecipe) -> FitAlone:
    """The head of names alone."""
    return lambda rest, meanings, dates: names_alone(rest, meanings, dates, ridge_head(mapper), recipe)


def blend_head(mapper: Mapper, recipe: FinetuneRecipe) -> FitEvidence:
    """The default head: forest, linear expert and names, or a ridge in place of names."""

    def fit(evidence: Evidence, labels: Labels, blocks: NDArray[np.int64], meanings: Meanings, seed: int) -> FittedHead:
        names = None if evidence.fiction is None else names_of(meanings, 1)
        return fit_blend(evidence, labels.mass, blocks, ridge_head(mapper), meanings, names, recipe, seed)

    return fit


def closed_head(candidates: dict[str, FitHead], recipe: FinetuneRecipe) -> FitEvidence:
    """A ridge on features alone, the penalty chosen by cross-validation where there are several."""

    def fit(evidence: Evidence, labels: Labels, blocks: NDArray[np.int64], meanings: Meanings, seed: int) -> FittedHead:
        return fit_head(candidates, evidence.features, labels.mass, blocks, recipe, seed)

    return fit


def ridges() -> dict[str, FitHead]:
    """Ridges of several penalties, by name."""

    def of(penalty: float) -> FitHead:
        return lambda x, mass: silence(fit_ridge(x, mass, torch.tensor(penalty), torch.tensor(SHARPNESS)), mass)

    return {f"penalty={penalty:g}": of(penalty) for penalty in PENALTIES}


@dataclass
class NetworkArm:
    """A mapper trained whole on the labels of each draw; its scaling is fitted on pixels that are not test pixels.

    Parameters
    ----------
    name : str
        of the arm
    head : HeadKind
        "full" trains; the others map without a gradient step, each draw by itself
    recipe : FinetuneRecipe
        of fine-tuning, the same for every arm
    mapper : Mapper | None
        pretrained; None: random weights, anew for every draw
    weights : str
        digest of the pretrained weights, or "none"
    device : str
        "cpu" or "cuda"
    """

    name: str
    head: HeadKind
    recipe: FinetuneRecipe
    mapper: Mapper | None
    weights: str = "none"
    device: str = "cpu"
    _encoder: tuple[Sequence[Tile], Encoder] | None = field(default=None, init=False, repr=False)

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Nothing: weights change with every draw."""

    def encoder(self, tiles: Sequence[Tile], seed: int) -> Encoder:
        """The mapper tied to these tiles; kept while the tiles stay the same and the weights are not random."""
        if self.mapper is None:
            return Encoder.fit(fresh_mapper(self.recipe, seed), tiles)
        if self._encoder is None or self._encoder[0] is not tiles:
            self._encoder = (tiles, Encoder.fit(self.mapper, tiles))
        return self._encoder[1]

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        """Adapt; probabilities come calibrated, so no temperature is left to apply."""
        model = adapt(
            tiles, labels, self.encoder(tiles, seed), self.recipe, head=self.head, meanings=meanings,
            pretrained=self.mapper is not None, seed=seed, device=self.device,
        )  # fmt: skip
        choice = f"{model.choice} T={model.temperature:.3g}"

        def probabilities(test: Sequence[Pixels]) -> Tensor:
            mine = replace(model, encoder=model.encoder.with_tiles([own.tile for own in test]))
            said = (at_pixels(lambda image, valid, scenes: mine(image, valid=valid, scenes=scenes), p) for p in test)
            return torch.cat(list(said), 1)

        return Fitted(probabilities, choice=choice)
