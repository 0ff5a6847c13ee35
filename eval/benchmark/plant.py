"""Planted faults: a sound tileset broken on purpose, so that an audit can be seen to catch it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from terraficta.eval.benchmark.audit import Fault
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.tile import Tile

FACTOR = 10.0
"""of a wrong scale: the usual slip is a power of ten"""


def has_scale(tiles: Sequence[Tile]) -> bool:
    """Whether a wrong scale means anything: numbers of one uncalibrated scene have none to be wrong."""
    labelled = [tile for tile in tiles if bool((tile.mass.sum(0) > 0).any())]
    return labelled[0].level in ("BOA", "TOA") or len(labelled) > 2


def plant(tiles: Sequence[Tile], fault: Fault, seed: int = 0) -> list[Tile]:
    """The same tiles with a fault.

    leak: labelled pixels of both folds are dealt out anew, one by one, so that neighbours lie across the split. scale:
    the first labelled scene, and every scene where they are fewer than three, is ten times as bright. shuffle: class
    mass is dealt out anew among the labelled pixels of a tile.
    """
    if fault == "scale":
        first = next(n for n, tile in enumerate(tiles) if bool((tile.mass.sum(0) > 0).any()))
        every = len(tiles) < 3
        return [
            replace(tile, image=tile.image * FACTOR) if every or n == first else tile for n, tile in enumerate(tiles)
        ]
    return [_leaking(tile, seed) if fault == "leak" else _shuffled(tile, seed) for tile in tiles]


def _leaking(tile: Tile, seed: int) -> Tile:
    chance = torch.from_numpy(SceneKey(seed, 0).at("sample", "leak", tile.id).rng().random(tile.grid.shape))
    dealt = torch.where(chance < 0.5, TRAIN, TEST).to(torch.uint8)
    return replace(tile, fold=torch.where(tile.valid & (tile.mass.sum(0) > 0), dealt, 0).to(torch.uint8))


def _shuffled(tile: Tile, seed: int) -> Tile:
    labelled = torch.nonzero(tile.mass.sum(0).flatten() > 0)[:, 0]
    order = SceneKey(seed, 0).at("sample", "shuffle", tile.id).rng().permutation(len(labelled))
    mass = tile.mass.flatten(1).clone()
    mass[:, labelled] = mass[:, labelled[torch.from_numpy(order)]]
    return tile.with_mass(mass.unflatten(1, tile.grid.shape))
