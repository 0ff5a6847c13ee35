"""The benchmark: every arm on every tileset, with the same labels, on the same test pixels."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from terraficta.eval.benchmark.arms import Arm, Fitted
from terraficta.eval.benchmark.pixels import Pixels, fold_pixels
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.eval.metrics import Tally
from terraficta.finetune.calibrate import soften
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.tile import Tile

ROWS, DETAILS = "benchmark.csv", "details.jsonl"
KEY = ["tileset", "arm", "labels_per_class", "seed"]
COLUMNS = [
    *KEY, "accuracy", "miou", "macro_f1", "ece", "ece_mass", "nll", "brier", "temperature", "ece_calibrated",
    "nll_calibrated", "seconds", "fit_s", "predict_s", "n_train", "n_test", "choice", "weights", "protocol",
]  # fmt: skip
"""then one `iou_<class>` a class of any legend, empty where a tileset lacks it"""
WORDS = dict.fromkeys(("tileset", "arm", "choice", "weights", "protocol"), str)
"""columns that stay text, also where a digest happens to look like a number"""


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


def read_ground(folder: Path, test_pixels: int) -> Ground:
    """Read a tileset for a benchmark."""
    tileset = read_tileset(folder)
    tiles = [tile for tile in tileset.tiles() if bool((tile.mass.sum(0) > 0).any())]
    if not tiles:
        raise Refusal(folder, "scenes", "no labels", "labelled scenes", "benchmark a tileset with labels")
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())]
    blind = [tile.with_mass(torch.zeros(1, 1, 1).expand_as(tile.mass)) for tile in train]
    test = fold_pixels(tiles, TEST, test_pixels, tileset.name)
    if not train or not test:
        fold = "test" if train else "train"
        raise Refusal(folder, "fold", f"no labelled pixel in the {fold} fold", "at least one", "check fold and label")
    return Ground(tileset, train, blind, test, _protocol(tileset, test_pixels))


def _protocol(tileset: Tileset, test_pixels: int) -> str:
    """Digest of what is in the files that a tileset stands on, wherever they lie, and of the test pixels."""
    digest = hashlib.blake2b(str(test_pixels).encode(), digest_size=6)
    for path in tileset.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def _made_by(ground: Ground, arm: Arm) -> str:
    """Digest of all that a row hangs on but its key and weights: ground, recipe of the arm, version."""
    recipe = getattr(arm, "recipe", None)
    try:
        version = metadata.version("terraficta")
    except metadata.PackageNotFoundError:  # a checkout that was not installed
        version = ""
    parts = [ground.protocol, "" if recipe is None else recipe.digest(), version]
    return hashlib.blake2b(" ".join(parts).encode(), digest_size=6).hexdigest()


def score(fitted: Fitted, pixels: Sequence[Pixels], classes: int) -> tuple[Tally, Tally | None]:
    """Tally a fitted arm on pixels: as it is, and at the temperature that it found."""
    plain = Tally(classes)
    mended = Tally(classes) if fitted.temperature is not None else None
    for some in pixels:
        probabilities = fitted.probabilities(some)
        plain.add(probabilities, some.mass)
        if mended is not None and fitted.temperature is not None:
            mended.add(soften(probabilities, fitted.temperature), some.mass)
    return plain, mended


class Ledger:
    """The rows of a benchmark on disk: read back, added to one by one, whole at every moment.

    Parameters
    ----------
    folder : Path
        of the benchmark; `benchmark.csv` has the scores, `details.jsonl` confusion and reliability by row
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path, details = folder / ROWS, folder / DETAILS
        self._rows: list[dict[str, Any]] = pd.read_csv(path, dtype=WORDS).to_dict("records") if path.is_file() else []  # type: ignore[assignment]
        self._details = [json.loads(line) for line in details.read_text().splitlines()] if details.is_file() else []

    @property
    def rows(self) -> pd.DataFrame:
        """Every row so far, tidy."""
        frame = pd.DataFrame(self._rows)
        extra = [c for c in frame.columns if c not in COLUMNS]
        return frame.reindex(columns=[*COLUMNS, *extra])

    @property
    def details(self) -> list[dict[str, Any]]:
        """Confusion and reliability, one a row."""
        return list(self._details)

    def find(self, key: tuple[str, str, int, int], protocol: str, weights: str) -> bool:
        """Whether a row is there already; refuses one that was made another way."""
        for row in self._rows:
            if tuple(row[k] for k in KEY) == key:
                stated = {"weights": str(row["weights"]), "protocol": str(row["protocol"])}
                for name, mine in (("weights", weights), ("protocol", protocol)):
                    if stated[name] != mine:
                        raise Refusal(
                            self.folder / ROWS, name, f"{stated[name]} in the row {key}", f"{mine}, as of now",
                            "choose a new --out: rows of other weights, recipes or files are no comparison",
                        )  # fmt: skip
                return True
        return False

    def add(self, row: dict[str, Any], detail: dict[str, Any]) -> None:
        """Add a row, and write."""
        self._rows.append(row)
        self._details.append(detail)
        with whole_file(self.folder / DETAILS) as partial:
            partial.write_text("".join(json.dumps(d) + "\n" for d in self._details))
        with whole_file(self.folder / ROWS) as partial:
            self.rows.to_csv(partial, index=False, float_format="%.6g")


def run_cell(ground: Ground, arm: Arm, per_class: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One row: draw the labels, fit the arm, score it. Also its detail: confusion and reliability."""
    labels = draw_labels(ground.train, per_class, seed) if per_class else None
    classes = ground.tileset.legend.classes
    start = time.perf_counter()
    fitted = arm.fit(ground.blind, labels, seed, ground.tileset.meanings)
    fit_s = time.perf_counter() - start
    plain, mended = score(fitted, ground.test, len(classes))
    predict_s = time.perf_counter() - start - fit_s
    scores = plain.scores().as_dict()
    calibrated = None if mended is None else mended.scores()
    key = {"tileset": ground.tileset.name, "arm": arm.name, "labels_per_class": per_class, "seed": seed}
    row = {
        **key,
        **{name: scores[name] for name in ("accuracy", "miou", "macro_f1", "ece", "ece_mass", "nll", "brier")},
        "temperature": fitted.temperature,
        "ece_calibrated": None if calibrated is None else calibrated.ece,
        "nll_calibrated": None if calibrated is None else calibrated.nll,
        "seconds": fit_s + predict_s, "fit_s": fit_s, "predict_s": predict_s,
        "n_train": 0 if labels is None else len(labels), "n_test": sum(len(p) for p in ground.test),
        "choice": fitted.choice, "weights": arm.weights, "protocol": _made_by(ground, arm),
        **{f"iou_{name}": value for name, value in zip(classes, scores["iou"], strict=True)},
    }  # fmt: skip
    curve = plain.reliability()
    points = (curve.confidence, curve.accuracy, curve.weight)
    detail = {
        **key,
        "classes": list(classes),
        "confusion": [[round(v, 3) for v in line] for line in plain.confusion.tolist()],
        "reliability": [[round(v, 5) for v in part.tolist()] for part in points],
    }
    return row, detail


def run_benchmark(
    folders: Sequence[Path],
    recipe: BenchmarkRecipe,
    arms: Mapping[str, Arm],
    out: Path,
    tell: Callable[[str, int, int], None] = lambda line, done, total: None,
) -> Ledger:
    """Fill in the rows that `out` lacks, tileset by tileset, one of them in memory at a time.

    Parameters
    ----------
    folders : Sequence[Path]
        tilesets
    recipe : BenchmarkRecipe
        amounts
    arms : Mapping[str, Arm]
        by name, at least those of the recipe
    out : Path
        folder; rows that stand there already are kept and not computed again
    tell : Callable[[str, int, int], None]
        called after every row with a line about it, rows done and rows in all
    """
    ledger = Ledger(out)
    cells = list(recipe.cells())
    total, done = len(folders) * len(cells), 0
    for folder in folders:
        ground = read_ground(folder, recipe.test_pixels)
        if {"names", "default"} & set(recipe.arms):
            for line in ground.tileset.meanings.lines():
                tell(f"{ground.tileset.name} means {line}", done, total)
        for per_class, seed, name in cells:
            done += 1
            key = (ground.tileset.name, name, per_class, seed)
            if ledger.find(key, _made_by(ground, arms[name]), arms[name].weights):
                continue
            row, detail = run_cell(ground, arms[name], per_class, seed)
            ledger.add(row, detail)
            tell(
                f"{row['tileset']} {name} {per_class} labels, draw {seed}: mIoU {row['miou']:.3f} "
                f"in {row['seconds']:.1f} s", done, total,
            )  # fmt: skip
    return ledger
