"""The benchmark: every arm on every tileset, with the same labels, on the same test pixels."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from terraficta.eval.benchmark.arms import Arm, Fitted
from terraficta.eval.benchmark.ground import Ground, read_ground
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.eval.benchmark.store import Ledger
from terraficta.eval.coverage import Coverage
from terraficta.eval.metrics import Scores, Tally
from terraficta.finetune.calibrate import soften
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.synth.types.refusal import Refusal

SCORES = ("accuracy", "miou", "macro_f1", "ece", "ece_mass", "ece_class", "nll", "brier")
"""of a row, as the arm says it first"""
CALIBRATED = ("ece", "ece_class", "nll", "brier")
"""once more at the temperature that the arm found in its labels"""


def content_of(ground: Ground, arm: Arm, per_class: int, seed: int) -> str:
    """Digest of all that a cell hangs on: its key, ground, weights, recipe of the arm, version."""
    recipe = getattr(arm, "recipe", None)
    try:
        version = metadata.version("terraficta")
    except metadata.PackageNotFoundError:  # a checkout that was not installed
        version = ""
    key = (ground.tileset.name, arm.name, str(per_class), str(seed))
    tuned = str(getattr(arm, "grid", ""))
    parts = [*key, ground.protocol, arm.weights, "" if recipe is None else recipe.digest(), tuned, version]
    return hashlib.blake2b(" ".join(parts).encode(), digest_size=8).hexdigest()


@dataclass
class Scored:
    """An arm's tallies on the test pixels.

    Parameters
    ----------
    classes : int
        K

    Attributes
    ----------
    plain, mended : Tally
        as the arm says it, and at its temperature
    coverage : Coverage
        of its conformal sets, at that temperature
    blocks : dict[tuple[int, int, int], float]
        mass by (block of ground, true class, mapped class)
    """

    classes: int
    plain: Tally = field(init=False)
    mended: Tally = field(init=False)
    coverage: Coverage = field(init=False)
    blocks: dict[tuple[int, int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plain, self.mended, self.coverage = Tally(self.classes), Tally(self.classes), Coverage(self.classes)

    def add(self, fitted: Fitted, ground: Ground) -> None:
        """Score a fitted arm on the test pixels of a ground."""
        for pixels, block in zip(ground.test, ground.blocks, strict=True):
            probabilities = fitted.probabilities(pixels)
            calibrated = soften(probabilities, fitted.temperature or 1.0)
            self.plain.add(probabilities, pixels.mass)
            self.mended.add(calibrated, pixels.mass)
            if fitted.sets is not None:
                self.coverage.add(fitted.sets, calibrated, pixels.mass)
            self._add_blocks(probabilities, pixels.mass, block)

    def _add_blocks(self, probabilities: torch.Tensor, mass: torch.Tensor, block: np.ndarray) -> None:
        best = probabilities.argmax(0).numpy()
        true, pixel = np.nonzero(mass.numpy())
        cells = np.stack([block[pixel], true, best[pixel]])
        places, which = np.unique(cells, axis=1, return_inverse=True)
        weight = np.bincount(which.ravel(), mass.numpy()[true, pixel], places.shape[1])
        for (b, i, j), value in zip(places.T.tolist(), weight.tolist(), strict=True):
            self.blocks[b, i, j] = self.blocks.get((b, i, j), 0.0) + value


def run_cell(ground: Ground, arm: Arm, per_class: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One cell: draw the labels, fit the arm, score it. Its row, and its detail: confusion by block, reliability."""
    labels = draw_labels(ground.train, per_class, seed) if per_class else None
    start = time.process_time()
    fitted = arm.fit(ground.blind, labels, seed, ground.tileset.meanings)
    fit_s = time.process_time() - start
    scored = Scored(len(ground.tileset.legend))
    scored.add(fitted, ground)
    predict_s = time.process_time() - start - fit_s
    scores, mended = scored.plain.scores(), scored.mended.scores()
    key = {"tileset": ground.tileset.name, "arm": arm.name, "labels_per_class": per_class, "seed": seed}
    row = {
        **key, **{name: getattr(scores, name) for name in SCORES},
        "temperature": fitted.temperature, **_calibrated(mended, fitted, scored.coverage),
        "seconds": fit_s + predict_s, "fit_s": fit_s, "predict_s": predict_s,
        "n_train": 0 if labels is None else len(labels), "n_test": sum(len(p) for p in ground.test),
        "choice": fitted.choice, "weights": arm.weights, "content": content_of(ground, arm, per_class, seed),
        **_by_class(ground.tileset.legend.classes, scores, scored.plain),
    }  # fmt: skip
    curves = [tally.reliability() for tally in (scored.plain, scored.mended)]
    before, after = ([[round(v, 5) for v in p.tolist()] for p in (c.confidence, c.accuracy, c.weight)] for c in curves)
    detail = {
        **key, "classes": list(ground.tileset.legend.classes),
        "blocks": [[b, i, j, round(mass, 3)] for (b, i, j), mass in sorted(scored.blocks.items())],
        "reliability": after, "reliability_before": before,
    }  # fmt: skip
    return row, detail


def _calibrated(mended: Scores, fitted: Fitted, coverage: Coverage) -> dict[str, float | None]:
    known, sure = fitted.temperature is not None, fitted.sets is not None
    found = {f"{name}_calibrated": getattr(mended, name) if known else None for name in CALIBRATED}
    sets = {"coverage": coverage.share, "worst_coverage": coverage.worst, "set_size": coverage.size}
    return {**found, **{name: value if sure else None for name, value in sets.items()}}


def _by_class(classes: Sequence[str], scores: Scores, tally: Tally) -> dict[str, float | None]:
    iou = {f"iou_{name}": None if np.isnan(v) else v for name, v in zip(classes, scores.iou, strict=True)}
    support = tally.confusion.sum(1).tolist()
    return iou | {f"px_{name}": round(mass, 3) for name, mass in zip(classes, support, strict=True)}


def run_benchmark(
    folders: Sequence[Path],
    recipe: BenchmarkRecipe,
    arms: Mapping[str, Arm],
    out: Path,
    tell: Callable[[str, int, int], None] = lambda line, done, total: None,
) -> Ledger:
    """Fill in the cells that `out` lacks, tileset by tileset, one of them in memory at a time.

    Parameters
    ----------
    folders : Sequence[Path]
        tilesets
    recipe : BenchmarkRecipe
        amounts
    arms : Mapping[str, Arm]
        by name; those of the recipe that are not here are left out
    out : Path
        folder; cells that stand there already are kept and not computed again
    tell : Callable[[str, int, int], None]
        called after every row with a line about it, rows done and rows in all
    """
    ledger = Ledger(out)
    if stale := ledger.forget({name: arm.weights for name, arm in arms.items()}):
        tell(f"{stale} rows of other weights are out of the table; their cells stay in {out}", 0, 1)
    cells = [cell for cell in recipe.cells() if cell[2] in arms]
    total, done = len(folders) * len(cells), 0
    for folder in folders:
        ground = read_ground(folder, recipe.test_pixels, recipe.test_area_px)
        name = ground.tileset.name
        if {"names", "default"} & set(arms):
            for line in ground.tileset.meanings.lines():
                tell(f"{name} means {line}", done, total)
        foreseen = None
        for per_class, seed, arm_name in cells:
            done += 1
            arm = arms[arm_name]
            if ledger.find(content_of(ground, arm, per_class, seed)):
                continue
            if foreseen is None:
                foreseen = ground.every_label(max(max(recipe.every_count()), 1), range(recipe.seeds))
            ledger.drop((name, arm_name, per_class, seed))
            start = time.process_time()
            try:
                arm.prepare(ground, foreseen)
                shared_s = time.process_time() - start
                row, detail = run_cell(ground, arm, per_class, seed)
            except Refusal as refusal:
                ledger.skip(name, arm_name, per_class, str(refusal))
                tell(f"{name} {arm_name} {per_class} labels left out: {refusal}", done, total)
                continue
            ledger.add({**row, "shared_s": shared_s}, detail)
            tell(
                f"{name} {arm_name} {per_class} labels, draw {seed}: mIoU {row['miou']:.3f} in {row['seconds']:.1f} s",
                done, total,
            )  # fmt: skip
    return ledger
