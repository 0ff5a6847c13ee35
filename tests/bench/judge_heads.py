"""Heads beside each other in seconds: evidence of labelled and test pixels is computed once a weights file.

Run: python tests/bench/judge_heads.py --weights W.safetensors --tilesets DIR --cache DIR [--names slovenia ...]
     [--exponents .8 .4 ...]

Prints mIoU of names as they are and as the product uses them, and, with 5 / 25 / 100 labels a class, of a ridge, of
forests on context and ratios, on wide surroundings too, on features too, of the linear expert and of the default head,
with the recipe's exponent of names and with others; mean of two draws, 10,000 test pixels. Nothing is tuned: a
benchmark's forest is.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terraficta.eval.benchmark.arms import make_forest
from terraficta.eval.benchmark.pixels import fold_pixels, labels_of
from terraficta.eval.metrics import Tally
from terraficta.finetune.context import MOST_WIDE, WIDE_PX
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.experts.blend import LEAST_SHARE
from terraficta.finetune.experts.fit import UNLABELLED, fit_experts, names_alone
from terraficta.finetune.experts.forest import fit_forest
from terraficta.finetune.experts.names import NamesHead
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.finetune.tileset.labels import Labels, draw_labels, draw_pixels, ground_blocks
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
    """Evidence of one tileset: of its test pixels, of unlabelled ones of its train fold, and of every draw's labels."""

    name: str
    classes: tuple[str, ...]
    bands: int
    test: Evidence
    truth: Tensor
    rest: Evidence
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

    def near(self, evidence: Evidence) -> np.ndarray:
        """The context without wide surroundings: what a practitioner's forest is given."""
        wide = 2 * len(WIDE_PX) * min(MOST_WIDE, self.bands)
        return np.delete(evidence.context, np.s_[3 * self.bands : 3 * self.bands + wide], axis=1)


def compute(folder: Path, weights: Path) -> Case:
    """Read a tileset and ask the network about its test pixels, some unlabelled ones and drawn labels."""
    mapper, _ = read_weights(weights)
    tileset = read_tileset(folder)
    tiles = [tile for tile in tileset.tiles() if bool((tile.mass.sum(0) > 0).any())]
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())]
    encoder = Encoder.fit(mapper, train).with_tiles(tiles)
    pixels = fold_pixels(tiles, TEST, TEST_PIXELS, tileset.name)
    where = labels_of(pixels)
    test = evidence_at(encoder, [p.tile for p in pixels], where)
    rest = evidence_at(encoder, train, draw_pixels(train, UNLABELLED, 0))
    draws = []
    for seed in range(DRAWS):
        labels = draw_labels(train, MOST, seed)
        draws.append((evidence_at(encoder, train, labels), labels.mass, ground_blocks(train, labels), labels))
    return Case(tileset.name, tileset.legend.classes, len(encoder.sensor), test, where.mass, rest, draws)


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


def forests(case: Case, cache: Path) -> dict[tuple[str, int, int], Tensor]:
    """Log-probabilities of forests without features on the test pixels, by kind, draw and labels."""
    kept = cache / "forests" / f"{case.name}.pt"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        found = {}
        for draw in range(DRAWS):
            for count in COUNTS:
                evidence, mass, _ = case.at_most(draw, count)
                classes, weight = mass.argmax(1).numpy(), mass.sum(1).double().numpy()
                model = make_forest(draw, {"class_weight": "balanced"})
                model.fit(case.near(evidence), classes, sample_weight=weight)
                share = np.zeros(tuple(case.truth.shape))
                share[:, model.classes_] = model.predict_proba(case.near(case.test))
                found["forest", draw, count] = torch.from_numpy(share).float()
                wide = fit_forest(evidence.context, classes, weight, mass.shape[1], draw, TREES)
                found["wide", draw, count] = torch.from_numpy(wide.probabilities(case.test.context))
        torch.save(found, kept)
    return {key: p.clamp(min=LEAST_SHARE).log() for key, p in torch.load(kept, weights_only=False).items()}


def scored(log_probabilities: Tensor, truth: Tensor) -> float:
    """Mean intersection over union."""
    tally = Tally(truth.shape[1])
    tally.add(torch.softmax(log_probabilities, 1).T, truth.T)
    return tally.scores().miou


def judge(case: Case, mapper: Mapper, cache: Path, exponents: list[float]) -> dict[str, list[float]]:
    """Scores by head: names first at 0 labels, all others at each count."""
    recipe = FinetuneRecipe(name="judge", about="of heads")
    meanings, fit, known = propose_meanings(case.classes), ridge_head(mapper), forests(case, cache)
    names = NamesHead.of(meanings) if meanings.enough else None
    rows: dict[str, list[float]] = {"plain names": [float("nan")], "names": [float("nan")]}
    if names is not None:
        alone = names_alone(case.rest, meanings, 1, fit, recipe).head
        rows["plain names"] = [scored(names.log_probabilities(case.test), case.truth)]
        rows["names"] = [scored(alone.log_probabilities(case.test), case.truth)]
    for count in COUNTS:
        found: dict[str, list[float]] = {}
        for draw in range(DRAWS):
            evidence, mass, _ = case.at_most(draw, count)
            said = {kind: known[kind, draw, count] for kind in ("forest", "wide")}
            said["ridge"] = fit(evidence.features, mass).log_probabilities(case.test.features)
            blend = fit_experts(evidence, mass, fit, meanings, names, recipe, draw, TREES)
            parts = blend.experts(case.test)
            trees, told = parts["forest"], parts.get("names")
            said |= {"features": trees, "linear": parts["linear"]}
            said["default"] = blend.log_probabilities(case.test)
            for e in exponents:
                said[f"names^{e:g}"] = (
                    trees
                    + recipe.blend.linear * parts["linear"]
                    + (0.0 if told is None else e * meanings.telling * told)
                )
            for head, log_probabilities in said.items():
                found.setdefault(head, []).append(scored(log_probabilities, case.truth))
        for head, scores in found.items():
            rows.setdefault(head, []).append(float(np.mean(scores)))
    return rows


def main(weights: Path, tilesets: Path, cache: Path, names: list[str] | None, exponents: list[float]) -> None:
    """Judge a weights file on every named tileset, and print means."""
    mapper, _ = read_weights(weights)
    every: dict[str, list[list[float]]] = {}
    for case in cases(weights, tilesets, cache, names):
        rows = judge(case, mapper, cache, exponents)
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
    parser.add_argument("--exponents", nargs="*", type=float, default=[])
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
