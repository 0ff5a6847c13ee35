"""Heads beside each other in seconds: evidence of labelled and test pixels is computed once a weights file.

Run: python tests/bench/judge_heads.py --weights W.safetensors --tilesets DIR --cache DIR [--names slovenia ...]
     [--exponents .5,1,.6 .5,1,.3 ...]

Prints mIoU of names alone, ridge, forest on context and ratios, and of their product at the recipe's exponents and at
others; 5 / 25 / 100 labels a class, mean of two draws, 10,000 test pixels. The forest is not tuned: a benchmark's is.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terraficta.eval.benchmark.pixels import fold_pixels, labels_of
from terraficta.eval.metrics import Tally
from terraficta.finetune.blend import LEAST_SHARE, NamesHead
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.forest import fit_forest
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.finetune.tileset.labels import Labels, draw_labels, ground_blocks
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.weights import read_weights, weights_digest

TEST_PIXELS, DRAWS, MOST = 10_000, 2, 100
"""test pixels a tileset, draws of labels, labels a class in the largest draw"""
COUNTS = (5, 25, 100)
TREES = 100


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
    where = labels_of(pixels)
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


def forests(case: Case, cache: Path) -> dict[tuple[int, int], Tensor]:
    """Log-probabilities of the forest on the test pixels, by draw and labels; they hang on no weights."""
    kept = cache / "forests" / f"{case.name}.pt"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        found = {}
        for draw in range(DRAWS):
            for count in COUNTS:
                evidence, mass, _ = case.at_most(draw, count)
                classes, weight = mass.argmax(1).numpy(), mass.sum(1).double().numpy()
                forest = fit_forest(evidence.context, classes, weight, mass.shape[1], draw, TREES)
                found[draw, count] = torch.from_numpy(forest.probabilities(case.test.context))
        torch.save(found, kept)
    return {key: p.clamp(min=LEAST_SHARE).log() for key, p in torch.load(kept, weights_only=False).items()}


def scored(log_probabilities: Tensor, truth: Tensor) -> float:
    """Mean intersection over union."""
    tally = Tally(truth.shape[1])
    tally.add(torch.softmax(log_probabilities, 1).T, truth.T)
    return tally.scores().miou


def judge(case: Case, mapper: Mapper, cache: Path, exponents: list[tuple[float, ...]]) -> dict[str, list[float]]:
    """Scores by head: names first at 0 labels, all others at each count."""
    meanings, fit = propose_meanings(case.classes), ridge_head(mapper)
    names = NamesHead.of(meanings).log_probabilities(case.test) if meanings.enough else None
    forest, recipe = forests(case, cache), FinetuneRecipe(name="judge", about="of heads").blend
    rows: dict[str, list[float]] = {"names": [scored(names, case.truth) if names is not None else float("nan")]}
    for count in COUNTS:
        experts = []
        for draw in range(DRAWS):
            evidence, mass, _ = case.at_most(draw, count)
            experts.append((fit(evidence.features, mass).log_probabilities(case.test.features), forest[draw, count]))
        rows.setdefault("ridge", []).append(float(np.mean([scored(r, case.truth) for r, _ in experts])))
        rows.setdefault("forest", []).append(float(np.mean([scored(f, case.truth) for _, f in experts])))
        for e in [recipe.exponents(count, names is not None), *exponents]:
            tag = "default" if e == recipe.exponents(count, names is not None) else ",".join(f"{v:g}" for v in e)
            said = 0.0 if names is None else meanings.telling * e[2] * names
            rows.setdefault(tag, []).append(
                float(np.mean([scored(e[0] * r + e[1] * f + said, case.truth) for r, f in experts]))
            )
    return rows


def main(weights: Path, tilesets: Path, cache: Path, names: list[str] | None, exponents: list[str]) -> None:
    """Judge a weights file on every named tileset, and print means."""
    mapper, _ = read_weights(weights)
    others = [tuple(float(v) for v in e.split(",")) for e in exponents]
    every: dict[str, list[list[float]]] = {}
    for case in cases(weights, tilesets, cache, names):
        rows = judge(case, mapper, cache, others)
        for head, row in rows.items():
            every.setdefault(head, []).append(row)
        print(
            f"{case.name:18}",
            "  ".join(f"{h} {' '.join(f'{v:.3f}' for v in row)}" for h, row in rows.items()),
            flush=True,
        )
    for head, rows_of in every.items():
        print(f"mean of {len(rows_of)}  {head:16}", " / ".join(f"{v:.3f}" for v in np.nanmean(np.array(rows_of), 0)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("weights", "tilesets", "cache"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    parser.add_argument("--names", nargs="*")
    parser.add_argument("--exponents", nargs="*", default=[])
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
