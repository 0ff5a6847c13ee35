"""The benchmark: every arm on every tileset, with the same labels, on the same test pixels."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from terraficta.eval.benchmark.arms import Arm, Fitted
from terraficta.eval.benchmark.ground import Ground, protocol_of, read_ground
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.eval.benchmark.store import Ledger, keep_cell
from terraficta.eval.coverage import Coverage
from terraficta.eval.metrics import Scores, Tally
from terraficta.finetune.calibrate import soften
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal

SCORES = ("accuracy", "miou", "macro_f1", "ece", "ece_mass", "ece_class", "nll", "brier")
"""of a row, as the arm says it first"""
NUMBERS = "0.4.0"
"""version of Terraficta since which arms find the same numbers in the same ground; raised by code that moves them, so
that older cells are computed anew, and not by every release"""
CALIBRATED = ("ece", "ece_class", "nll", "brier")
"""once more at the temperature that the arm found in its labels"""


def content_of(tileset: str, protocol: str, arm: Arm, per_class: int, seed: int) -> str:
    """Digest of all that a cell hangs on: its key, the ground, weights, recipe of the arm, and `NUMBERS`."""
    recipe = getattr(arm, "recipe", None)
    key = (tileset, arm.name, str(per_class), str(seed))
    tuned = str(getattr(arm, "grid", ""))
    parts = [*key, protocol, arm.weights, "" if recipe is None else recipe.digest(), tuned, NUMBERS]
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
        probabilities, mass = fitted.probabilities(ground.test), ground.test_mass
        calibrated = soften(probabilities, fitted.temperature or 1.0)
        self.plain.add(probabilities, mass)
        self.mended.add(calibrated, mass)
        if fitted.sets is not None:
            self.coverage.add(fitted.sets, calibrated, mass)
        self._add_blocks(probabilities, mass, ground.blocks)

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
    labels = ground.labels(per_class, seed) if per_class else None
    start = time.process_time()
    fitted = arm.fit(ground.blind, labels, seed, ground.tileset.meanings)
    fit_s = time.process_time() - start
    scored = Scored(len(ground.tileset.legend))
    scored.add(fitted, ground)
    predict_s = time.process_time() - start - fit_s
    scores, mended = scored.plain.scores(), scored.mended.scores()
    content = content_of(ground.tileset.name, ground.protocol, arm, per_class, seed)
    key = {"tileset": ground.tileset.name, "arm": arm.name, "labels_per_class": per_class, "seed": seed}
    row = {
        **key, **{name: getattr(scores, name) for name in SCORES},
        "temperature": fitted.temperature, **_calibrated(mended, fitted, scored.coverage),
        "seconds": fit_s + predict_s, "fit_s": fit_s, "predict_s": predict_s,
        "n_train": 0 if labels is None else len(labels), "n_test": sum(len(p) for p in ground.test),
        "choice": fitted.choice, "weights": arm.weights, "content": content,
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


Tell = Callable[[str, int, int], None]
"""called after every cell with a line about it, cells done and cells in all"""


@dataclass(frozen=True)
class Task:
    """The cells that a tileset lacks.

    Parameters
    ----------
    folder : Path
        of the tileset
    cells : tuple[tuple[int, int, str], ...]
        (labels a class, draw, arm), in the order of work
    size : int
        numbers in its images: what reading it costs
    """

    folder: Path
    cells: tuple[tuple[int, int, str], ...]
    size: int


@dataclass(frozen=True)
class Step:
    """What came of a cell.

    Parameters
    ----------
    tileset, arm : str
        of the cell
    per_class : int
        labels a class
    line : str
        about it
    content : str
        digest of the cell, which is on disk; empty where it was left out
    reason : str
        why it was left out
    """

    tileset: str
    arm: str
    per_class: int
    line: str
    content: str = ""
    reason: str = ""


def work_on(task: Task, recipe: BenchmarkRecipe, arms: Mapping[str, Arm], out: Path) -> Iterator[Step]:
    """Compute the cells of a task, each on disk as soon as it is there.

    Parameters
    ----------
    task : Task
        a tileset and its cells
    recipe : BenchmarkRecipe
        amounts
    arms : Mapping[str, Arm]
        by name
    out : Path
        folder of the benchmark
    """
    ground = read_ground(task.folder, recipe.test_pixels, recipe.test_area_px, recipe.train_area_px)
    name = ground.tileset.name
    foreseen = ground.every_label(max(max(recipe.every_count()), 1), range(recipe.seeds))
    for per_class, seed, arm_name in task.cells:
        arm = arms[arm_name]
        start = time.process_time()
        try:
            arm.prepare(ground, foreseen)
            shared_s = time.process_time() - start
            row, detail = run_cell(ground, arm, per_class, seed)
        except Refusal as refusal:
            line = f"{name} {arm_name} {per_class} labels left out: {refusal}"
            yield Step(name, arm_name, per_class, line, reason=str(refusal))
            continue
        keep_cell(out, {**row, "shared_s": shared_s}, detail)
        line = f"{name} {arm_name} {per_class} labels, draw {seed}: mIoU {row['miou']:.3f} in {row['seconds']:.1f} s"
        yield Step(name, arm_name, per_class, line, content=row["content"])


Work = Callable[[Sequence[Task]], Iterator[Step]]
"""does tasks, in any order"""


def run_benchmark(
    folders: Sequence[Path],
    recipe: BenchmarkRecipe,
    arms: Mapping[str, Arm],
    out: Path,
    tell: Tell = lambda line, done, total: None,
    work: Work | None = None,
) -> Ledger:
    """Fill in the cells that `out` lacks; a tileset that lacks none is not read.

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
    tell : Tell
        hears of every cell
    work : Work | None
        how tasks are done; None: here, tileset by tileset, one of them in memory at a time
    """
    ledger = Ledger(out)
    if stale := ledger.forget({name: arm.weights for name, arm in arms.items()}):
        tell(f"{stale} rows of other weights are out of the table; their cells stay in {out}", 0, 1)
    cells = [cell for cell in recipe.cells() if cell[2] in arms]
    total, names = len(folders) * len(cells), []
    tasks: list[Task] = []
    for folder in folders:
        tileset = read_tileset(folder, verify=False)
        protocol = protocol_of(tileset, recipe.test_pixels, recipe.test_area_px, recipe.train_area_px)
        names.append(tileset.name)
        lacking = []
        for per_class, seed, arm in cells:
            if not ledger.find(content_of(tileset.name, protocol, arms[arm], per_class, seed)):
                ledger.drop((tileset.name, arm, per_class, seed))
                lacking.append((per_class, seed, arm))
        if lacking:
            size = len(tileset.sensor) * tileset.dates * sum(math.prod(scene.shape) for scene in tileset.scenes)
            tasks.append(Task(folder, tuple(lacking), size))
            for line in tileset.meanings.lines() if {"names", "default"} & set(arms) else ():
                tell(f"{tileset.name} means {line}", 0, total)
    done = total - sum(len(task.cells) for task in tasks)
    here = (step for task in tasks for step in work_on(task, recipe, arms, out))
    try:
        for step in here if work is None else work(tasks):
            done += 1
            if step.content:
                ledger.find(step.content)
            else:
                ledger.skip(step.tileset, step.arm, step.per_class, step.reason)
            tell(step.line, done, total)
    finally:
        ledger.write(names, recipe.arms)
    return ledger
