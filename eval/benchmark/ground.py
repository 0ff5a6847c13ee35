"""The ground: a tileset as a benchmark uses it, with test pixels that every arm shares and the blocks they lie in."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.eval.benchmark.pixels import Pixels, fold_pixels, labels_of
from terraficta.finetune.tileset.labels import WINDOW_PX, Labels, draw_labels, ground_blocks
from terraficta.finetune.tileset.split import BLOCKS_A_SIDE, TEST, TRAIN
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

REVISION = 3
"""of the protocol: raised where code changes what a row means, so that older rows are computed anew"""
LEAST_BLOCK_PX = 32
"""side of a block of ground at least [px]"""
MANY_TILES = 6
"""from so many test tiles on, a block is as large as a tile"""


@dataclass(frozen=True)
class Ground:
    """A tileset as the benchmark uses it.

    Parameters
    ----------
    tileset : Tileset
        whence
    train : list[Tile]
        tiles that hold labels of the train fold, in order
    blind : list[Tile]
        the same without class mass: all that an arm gets to see beside the drawn labels
    test : list[Pixels]
        the pixels that every arm is scored on
    protocol : str
        digest of what else a row hangs on: the tileset's files and the test pixels
    """

    tileset: Tileset
    train: list[Tile]
    blind: list[Tile]
    test: list[Pixels]
    protocol: str
    _drawn: dict[int, Labels] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def test_mass(self) -> Tensor:
        """(K, n) class mass of the test pixels."""
        return torch.cat([pixels.mass for pixels in self.test], 1)

    @cached_property
    def blocks(self) -> NDArray[np.int64]:
        """(n,) block of ground of each test pixel: what resampling keeps together."""
        tiles = [pixels.tile for pixels in self.test]
        side = int(np.median([min(tile.grid.shape) for tile in tiles]))
        block_px = max(LEAST_BLOCK_PX, side if len(tiles) >= MANY_TILES else side // BLOCKS_A_SIDE)
        return ground_blocks(tiles, labels_of(self.test), block_px)

    def labels(self, per_class: int, seed: int) -> Labels:
        """A draw of labels; the largest of each seed is kept, for the smaller ones lie within it."""
        kept = self._drawn.get(seed)
        if kept is None or int(kept.wanted) < per_class:
            kept = self._drawn[seed] = draw_labels(self.train, per_class, seed)
        return replace(kept.at_most(per_class), wanted=per_class)

    def every_label(self, per_class: int, seeds: Sequence[int]) -> Labels:
        """The labels of several draws together, each pixel once: what may be read of the land in one pass."""
        draws = [self.labels(per_class, seed) for seed in seeds]
        place = np.concatenate([np.array(draw.pixels(), dtype=np.int64).reshape(-1, 3) for draw in draws])
        once = np.unique(place, axis=0, return_index=True)[1]
        parts = (torch.cat([getattr(draw, name) for draw in draws])[once] for name in ("tile", "y", "x", "mass"))
        tile, y, x, mass = parts
        return Labels(tile, y, x, mass, draws[0].legend, per_class)


def read_ground(folder: Path, test_pixels: int, test_area_px: int = 0, train_area_px: int = 0) -> Ground:
    """Read a tileset for a benchmark.

    Parameters
    ----------
    folder : Path
        of the tileset
    test_pixels : int
        at most; 0 takes every one
    test_area_px, train_area_px : int
        area of the windows that test pixels, and labels, are taken from, at most [px]; 0 takes all
    """
    tileset = read_tileset(folder)
    if tileset.quantity is not None:
        mend = "use terraficta finetune run and eval score"
        raise Refusal(folder, "quantity", tileset.quantity, "classes, which a benchmark compares", mend)
    tiles = [tile for tile in tileset.tiles() if bool((tile.mass.sum(0) > 0).any())]
    if not tiles:
        raise Refusal(folder, "scenes", "no labels", "labelled scenes", "benchmark a tileset with labels")
    protocol = protocol_of(tileset, test_pixels, test_area_px, train_area_px)
    if _wider_than(tileset, train_area_px):
        tiles = _within(tiles, train_area_px, tileset.name, TRAIN)
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())]
    blind = [tile.with_mass(torch.zeros(1, 1, 1).expand_as(tile.mass)) for tile in train]
    test = fold_pixels(_within(tiles, test_area_px, tileset.name, TEST), TEST, test_pixels, tileset.name)
    if not train or not test:
        fold = "test" if train else "train"
        raise Refusal(folder, "fold", f"no labelled pixel in the {fold} fold", "at least one", "check fold and label")
    return Ground(tileset, train, blind, test, protocol)


def protocol_of(tileset: Tileset, test_pixels: int, test_area_px: int, train_area_px: int = 0) -> str:
    """Digest of what is in the files that a tileset stands on, wherever they lie, and of what is taken of them.

    No image is read. A bound on the ground that labels come from counts only where there is more ground.
    """
    bound = f" {train_area_px}" if _wider_than(tileset, train_area_px) else ""
    digest = hashlib.blake2b(f"{REVISION} {test_pixels} {test_area_px}{bound}".encode(), digest_size=6)
    for path in tileset.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def _wider_than(tileset: Tileset, area_px: int) -> bool:
    """Whether the scenes whose labels may train cover more than an area [px]; 0 is no bound."""
    scenes = [scene for scene in tileset.scenes if scene.entry.labelled and scene.entry.fold != "test"]
    return area_px > 0 and sum(math.prod(scene.shape) for scene in scenes) > area_px


def _within(tiles: Sequence[Tile], area_px: int, name: str, fold: int) -> list[Tile]:
    """Tiles whose labels outside of some windows are gone from a fold: networks then read those windows alone.

    Windows are taken in an order that hangs on `name`, until their area is reached; only those with labels of the fold
    count.
    """
    windows = []
    for t, tile in enumerate(tiles):
        inside = tile.in_fold(fold)
        for y in range(0, tile.grid.shape[0], WINDOW_PX):
            for x in range(0, tile.grid.shape[1], WINDOW_PX):
                part = inside[y : y + WINDOW_PX, x : x + WINDOW_PX]
                if bool(part.any()):
                    windows.append((t, y, x, part.numel()))
    if area_px == 0 or sum(w[3] for w in windows) <= area_px:
        return list(tiles)
    order = SceneKey(zlib.crc32(name.encode()), 0).at("sample", "windows").rng().permutation(len(windows))
    kept = [torch.zeros(tile.grid.shape, dtype=torch.bool) for tile in tiles]
    total = 0
    for n in order.tolist():
        t, y, x, size = windows[n]
        if total and total + size > area_px:
            break
        kept[t][y : y + WINDOW_PX, x : x + WINDOW_PX] = True
        total += size
    return [tile.with_mass(tile.mass * (keep | ~tile.in_fold(fold))) for tile, keep in zip(tiles, kept, strict=True)]
