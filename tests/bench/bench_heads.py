"""Heads beside each other in seconds: evidence of labelled and test pixels is computed once a weights file.

`python tests/bench/bench_heads.py cache --weights W.pt --tilesets DIR --cache DIR` computes; `judge` prints a table.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terraficta.eval.benchmark.pixels import fold_pixels
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.tileset.labels import Labels, draw_labels, ground_blocks
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.weights import read_weights, weights_digest

TEST_PIXELS, DRAWS, MOST = 10_000, 2, 100
"""test pixels a tileset, draws of labels, labels a class in the largest draw"""


@dataclass
class Case:
    """Evidence of one tileset: of its test pixels, and of every draw's labels."""

    name: str
    classes: tuple[str, ...]
    test: Evidence
    truth: Tensor
    draws: list[tuple[Evidence, Tensor, np.ndarray, Labels]]

    def at_most(self, draw: int, per_class: int) -> tuple[Evidence, Tensor, np.ndarray]:
        """A smaller draw: evidence, mass, blocks."""
        evidence, mass, groups, labels = self.draws[draw]
        place = torch.zeros(len(labels), dtype=torch.int64)
        for k in range(mass.shape[1]):
            mine = labels.classes == k
            place[mine] = torch.arange(int(mine.sum()))
        rows = torch.nonzero(place < per_class)[:, 0]
        return evidence.take(rows), mass[rows], groups[rows.numpy()]


def compute(folder: Path, weights: Path) -> Case:
    """Read a tileset and ask the network about its test pixels and drawn labels."""
    mapper, _ = read_weights(weights)
    tileset = read_tileset(folder)
    tiles = [tile for tile in tileset.tiles() if bool((tile.mass.sum(0) > 0).any())]
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())]
    encoder = Encoder.fit(mapper, train).with_tiles(tiles)
    pixels = fold_pixels(tiles, TEST, TEST_PIXELS, tileset.name)
    where = Labels(
        torch.cat([torch.full((len(p),), n) for n, p in enumerate(pixels)]),
        torch.cat([p.y for p in pixels]), torch.cat([p.x for p in pixels]),
        torch.cat([p.mass.T for p in pixels]), tileset.legend, "all",
    )  # fmt: skip
    test = evidence_at(encoder, [p.tile for p in pixels], where)
    draws = []
    for seed in range(DRAWS):
        labels = draw_labels(train, MOST, seed)
        draws.append((evidence_at(encoder, train, labels), labels.mass, ground_blocks(train, labels), labels))
    return Case(tileset.name, tileset.legend.classes, test, where.mass, draws)


def cases(weights: Path, tilesets: Path, cache: Path, names: list[str] | None = None) -> list[Case]:
    """Every tileset of a folder whose classes have names and labels, from the cache where it is there."""
    found = []
    for folder in sorted(path.parent for path in tilesets.glob("*/tileset.yaml")):
        if names and folder.name not in names:
            continue
        tileset = read_tileset(folder, verify=False)
        if not len(tileset.legend) or tileset.dates > 1:
            continue
        kept = cache / weights_digest(weights) / f"{folder.name}.pt"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.save(compute(folder, weights), kept)
            print(folder.name, flush=True)
        found.append(torch.load(kept, weights_only=False))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("weights", "tilesets", "cache"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    parser.add_argument("--names", nargs="*")
    cases(**vars(parser.parse_args()))
