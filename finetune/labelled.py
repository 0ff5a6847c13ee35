"""The labelled: what a map model keeps of the labels that it was fitted to, so that it can ask for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from terraficta.finetune.tileset.labels import Labels
from terraficta.synth.types.tile import Tile

MOST = 1000
"""labels that are kept; they tell where in the space of features there are some, which more of them hardly change"""


@dataclass(frozen=True)
class Labelled:
    """Labels as a network sees them.

    Parameters
    ----------
    features : Tensor
        (P, D)
    counts : Tensor
        (K,) int64 labels a class, those that are not kept among them
    scenes : tuple[str, ...]
        ids of the tiles that hold labels
    scene, y, x : Tensor
        (P,) int64; position in `scenes`, row and column
    """

    features: Tensor
    counts: Tensor
    scenes: tuple[str, ...]
    scene: Tensor
    y: Tensor
    x: Tensor

    @classmethod
    def of(cls, labels: Labels, tiles: Sequence[Tile], features: Tensor) -> Labelled:
        """From labels of tiles and their features (P, D); of many, an even selection by class."""
        place = torch.zeros(len(labels), dtype=torch.int64)
        for k in range(len(labels.legend)):
            mine = labels.classes == k
            place[mine] = torch.arange(int(mine.sum()))
        kept = torch.argsort(place, stable=True)[:MOST]
        counts = torch.bincount(labels.classes, minlength=len(labels.legend))
        some, ids = labels.take(kept), tuple(tile.id for tile in tiles)
        return cls(features[kept].half(), counts, ids, some.tile, some.y, some.x)

    def places(self, scene: str) -> list[tuple[int, int]]:
        """(y, x) of the labels in a scene, by its id."""
        mine = self.scene == self.scenes.index(scene) if scene in self.scenes else torch.zeros_like(self.scene).bool()
        return list(zip(self.y[mine].tolist(), self.x[mine].tolist(), strict=True))

    def content(self) -> dict[str, Any]:
        """Plain numbers and tensors, for a file."""
        return {**vars(self), "scenes": list(self.scenes)}

    @classmethod
    def of_content(cls, content: Mapping[str, Any] | None) -> Labelled | None:
        """From what `content` gave."""
        return None if content is None else cls(**{**content, "scenes": tuple(content["scenes"])})
