"""The experiment: a question to the whole house, answered cell by cell, with a record that a report can show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from terraficta.eval.table import Table
from terraficta.synth.types.run import Run, require_own_record, whole_file

CELLS = "cells"
"""folder of the cells within that of an experiment"""


class Experiment:
    """A folder of cells that are each computed once, and a record with tables at the end.

    A cell is kept under a digest of all that it hangs on, as soon as it is there: an interrupted experiment loses one,
    and one whose inputs changed is computed anew and never mistaken.

    Parameters
    ----------
    folder : Path
        gets cells/, run.json, and whatever figures the experiment draws
    kind : str
        of the experiment; also the stage of its record
    recipe : Mapping[str, Any]
        amounts, in full
    seed : int
        of its chance
    parents : Mapping[str, str | None] | None
        digests of what it stands on

    Raises
    ------
    Refusal
        a folder with the record of another kind of run
    """

    def __init__(
        self, folder: Path, kind: str, recipe: Mapping[str, Any], seed: int = 0,
        parents: Mapping[str, str | None] | None = None,
    ) -> None:  # fmt: skip
        require_own_record(folder, kind)
        self.folder, self.kind = folder, kind
        self._run = Run(kind, recipe, seed, parents)
        self.made = 0
        """cells that were not there before"""

    def cell(self, key: Mapping[str, Any], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a cell: read back, or computed and kept at once.

        Parameters
        ----------
        key : Mapping[str, Any]
            all that the result hangs on, as plain data
        compute : Callable[[], dict[str, Any]]
            gives the result, as plain data
        """
        text = json.dumps(dict(key), sort_keys=True, default=str)
        path = self.folder / CELLS / f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.json"
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text())["result"]
            return found
        result = compute()
        self.made += 1
        with whole_file(path) as partial:
            partial.write_text(json.dumps({"key": json.loads(text), "result": result}, indent=1) + "\n")
        kept: dict[str, Any] = json.loads(path.read_text())["result"]
        return kept  # as it will be read back: a first run and a resumed one give the same

    def write(
        self, tables: Sequence[Table], figures: Sequence[str] = (), said: Sequence[str] = (), **metrics: Any
    ) -> Path:
        """Write run.json: tables, names of figures in the folder, sentences about what was found, and metrics."""
        digest = hashlib.blake2b(digest_size=6)
        content = [table.plain() for table in tables]
        digest.update(json.dumps(content, sort_keys=True).encode())
        self._run.write(
            self.folder, metrics, kind=self.kind, digest=digest.hexdigest(), tables=content, figures=list(figures),
            said=list(said),
        )  # fmt: skip
        return self.folder / "run.json"
