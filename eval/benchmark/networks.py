"""Networks as arms of a benchmark: a mapper, pretrained or fresh, and one of the heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from terraficta.eval.benchmark.arms import CHANGE_ARMS, PIXEL_ARMS, Arm, Fitted
from terraficta.eval.benchmark.pixels import Pixels
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.eval.map.windows import Windows
from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.recipe import FinetuneRecipe, HeadKind, read_finetune_recipe
from terraficta.finetune.tileset.labels import Labels
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
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


@dataclass
class NetworkArm:
    """A mapper adapted to the labels; its scaling is fitted once a tileset, on pixels that are not test pixels.

    Parameters
    ----------
    name : str
        of the arm
    head : HeadKind
        "default" and "ridge" map without a gradient step, "linear" and "full" train
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

        def probabilities(pixels: Pixels) -> Tensor:
            mine = replace(model, encoder=model.encoder.with_tiles([pixels.tile]))
            return at_pixels(lambda image, valid, scenes: mine(image, valid=valid, scenes=scenes), pixels)

        return Fitted(probabilities, choice=choice)


@dataclass(frozen=True)
class Arms:
    """Arms by name, and the pretraining that some of them stand on.

    Parameters
    ----------
    arms : Mapping[str, Arm]
        by name
    weights : str | None
        digest of the weights; None without
    record : dict[str, Any] | None
        run record of the pretraining; None without
    """

    arms: Mapping[str, Arm]
    weights: str | None = None
    record: dict[str, Any] | None = None


NETWORKS: Mapping[str, tuple[HeadKind, bool]] = {
    "names": ("default", True),
    "default": ("default", True),
    "ridge": ("ridge", True),
    "scratch": ("full", False),
    "synthetic": ("full", True),
}
"""head, and whether it starts from pretrained weights"""
SIMPLE = PIXEL_ARMS | CHANGE_ARMS
"""arms without a network"""
NAMES = (*NETWORKS, *SIMPLE)


def make_arms(recipe: BenchmarkRecipe, weights: Path | None, device: str) -> Arms:
    """The arms that a recipe names; scratch and synthetic share network, steps and everything but the start.

    Raises
    ------
    Refusal
        an unknown arm, or one that needs weights where there are none
    """
    for name in recipe.arms:
        if name not in NAMES:
            raise Refusal("--arms", "arm", name, f"among {', '.join(NAMES)}", "correct the name")
    tuning = read_finetune_recipe(recipe.adapt)
    learned = any(NETWORKS.get(name, ("", False))[1] for name in recipe.arms)
    mapper, record = read_weights(weights) if weights is not None or learned else (None, None)
    digest = weights_digest(weights or SHIPPED) if mapper is not None else "none"
    if mapper is not None:
        tuning = tuning.model_copy(update={"model": mapper.recipe})  # scratch: the same network, unlearned
    made: dict[str, Arm] = {}
    for name in recipe.arms:
        if name in SIMPLE:
            made[name] = SIMPLE[name]
            continue
        head, learned = NETWORKS[name]
        made[name] = NetworkArm(name, head, tuning, mapper if learned else None, digest if learned else "none", device)
    return Arms(made, None if mapper is None else digest, record)
