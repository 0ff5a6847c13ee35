"""The store: cells of a benchmark on disk, each in a file of its own by what it hangs on, and the table of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from terraficta.synth.types.run import whole_file

ROWS, CELLS, SKIPPED = "benchmark.csv", "cells", "skipped.json"
"""the tidy table; the folder of cells; what arms could not do, and why"""
KEY = ["tileset", "arm", "labels_per_class", "seed"]
COLUMNS = [
    *KEY, "accuracy", "miou", "macro_f1", "ece", "ece_mass", "ece_class", "nll", "brier", "temperature",
    "ece_calibrated", "ece_class_calibrated", "nll_calibrated", "brier_calibrated", "coverage", "worst_coverage",
    "set_size", "seconds", "fit_s", "predict_s", "shared_s", "n_train", "n_test", "choice", "weights", "content",
]  # fmt: skip
"""then `iou_<class>` and `px_<class>` a class of any legend, empty where a tileset lacks it"""
WORDS = dict.fromkeys(("tileset", "arm", "choice", "weights", "content"), str)
"""columns that stay text, also where a digest happens to look like a number"""


def cell_path(folder: Path, content: str) -> Path:
    """Where a cell of a benchmark lies, by what it hangs on."""
    return folder / CELLS / f"{content}.json"


def keep_cell(folder: Path, row: Mapping[str, Any], detail: Mapping[str, Any]) -> None:
    """Write a cell of a benchmark whole or not at all: its row, and confusion by block and reliability."""
    with whole_file(cell_path(folder, row["content"])) as partial:
        partial.write_text(json.dumps({"row": row, "detail": detail}))


class Ledger:
    """The rows of a benchmark: `benchmark.csv` is the table, `cells/CONTENT.json` has all of each row.

    A cell is never thrown away. One that hangs on other weights, files or recipes has another name; the table shows
    those of the last run that asked for their key.

    Parameters
    ----------
    folder : Path
        of the benchmark
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path, skipped = folder / ROWS, folder / SKIPPED
        listed: list[dict[str, Any]] = pd.read_csv(path, dtype=WORDS).to_dict("records") if path.is_file() else []  # type: ignore[assignment]
        self._rows = {_key(row): row for row in listed}
        self._details: dict[str, dict[str, Any]] = {}
        self._skipped: list[dict[str, Any]] = json.loads(skipped.read_text()) if skipped.is_file() else []

    @property
    def rows(self) -> pd.DataFrame:
        """Every row of the table, tidy."""
        frame = pd.DataFrame(list(self._rows.values()))
        extra = [c for c in frame.columns if c not in COLUMNS]
        return frame.reindex(columns=[*COLUMNS, *extra])

    @property
    def details(self) -> list[dict[str, Any]]:
        """Confusion by block, and reliability, of the rows whose cells are there, in their order."""
        return [found for row in self._rows.values() if (found := self._detail(str(row["content"]))) is not None]

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """Tileset, arm and labels of what could not be done, and why."""
        return list(self._skipped)

    def find(self, content: str) -> bool:
        """Take a cell that is there already into the table; False where it is not."""
        path = self._path(content)
        if not path.is_file():
            return False
        row = json.loads(path.read_text())["row"]
        if self._rows.get(_key(row), {}).get("content") != content:
            self._rows[_key(row)] = row
        return True

    def skip(self, tileset: str, arm: str, per_class: int, reason: str) -> None:
        """Note what an arm cannot do."""
        entry = {"tileset": tileset, "arm": arm, "labels_per_class": per_class, "reason": reason}
        if entry not in self._skipped:
            self._skipped.append(entry)
            with whole_file(self.folder / SKIPPED) as partial:
                partial.write_text(json.dumps(self._skipped, indent=1) + "\n")

    def forget(self, weights: Mapping[str, str]) -> int:
        """Leave rows of other weights, by arm, out of the table (their cells stay), and how many those are."""
        stale = [key for key, row in self._rows.items() if weights.get(key[1], row["weights"]) != row["weights"]]
        for key in stale:
            del self._rows[key]
        return len(stale)

    def drop(self, key: tuple[str, str, int, int]) -> None:
        """Leave a row out of the table; its cell stays."""
        self._rows.pop(key, None)

    def _detail(self, content: str) -> dict[str, Any] | None:
        if content not in self._details:
            path = self._path(content)
            if not path.is_file():
                return None
            self._details[content] = json.loads(path.read_text())["detail"]
        return self._details[content]

    def _path(self, content: str) -> Path:
        return cell_path(self.folder, content)

    def write(self, tilesets: Sequence[str] = (), arms: Sequence[str] = ()) -> None:
        """Write the table in the order of tilesets, labels, draws and arms, whatever the order of work; others last."""
        places = [{name: n for n, name in enumerate(names)} for names in (tilesets, arms)]

        def place(key: tuple[str, str, int, int]) -> tuple[int, ...]:
            tileset, arm = (known.get(name, len(known)) for known, name in zip(places, key[:2], strict=True))
            return tileset, *key[2:], arm

        order = sorted(self._rows, key=place)
        self._rows = {key: self._rows[key] for key in order}
        with whole_file(self.folder / ROWS) as partial:
            self.rows.to_csv(partial, index=False, float_format="%.6g")


def _key(row: dict[str, Any]) -> tuple[str, str, int, int]:
    return str(row["tileset"]), str(row["arm"]), int(row["labels_per_class"]), int(row["seed"])
