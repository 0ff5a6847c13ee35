"""The experiment: a cell once, whatever happens; a table that says NaN as nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from terraficta.eval.experiment import Experiment
from terraficta.eval.table import Table
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run


def test_a_cell_is_computed_once_and_anew_where_its_key_differs(tmp_path: Path) -> None:
    asked: list[int] = []

    def compute(value: int) -> dict[str, Any]:
        asked.append(value)
        return {"value": value, "third": 1 / 3}

    for _ in range(2):
        experiment = Experiment(tmp_path, "trial", {"a": 1})
        assert experiment.cell({"n": 1}, lambda: compute(1)) == {"value": 1, "third": 1 / 3}
        assert experiment.cell({"n": 2}, lambda: compute(2))["value"] == 2
    assert asked == [1, 2]
    assert experiment.made == 0


def test_what_fails_leaves_no_cell(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, "trial", {})

    def fail() -> dict[str, Any]:
        raise KeyboardInterrupt

    experiment.cell({"n": 0}, lambda: {"value": 0})
    with pytest.raises(KeyboardInterrupt):
        experiment.cell({"n": 1}, fail)
    assert len(list((tmp_path / "cells").glob("*.json"))) == 1


def test_the_record_has_kind_and_tables(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, "trial", {"a": 1}, seed=3, parents={"weights": "abc"})
    table = Table("Scores", "how to read", ["arm", "mIoU"], [["forest", 0.123456789], ["none", float("nan")]])
    experiment.write([table], ["a.png"], ["it rained"], cells=2)
    record = read_run(tmp_path)
    assert record["kind"] == record["stage"] == "trial"
    assert record["tables"] == [
        {"title": "Scores", "note": "how to read", "columns": ["arm", "mIoU"],
         "rows": [["forest", 0.12346], ["none", None]]}
    ]  # fmt: skip
    assert record["metrics"] == {"cells": 2}
    assert (record["figures"], record["said"], record["parents"]) == (["a.png"], ["it rained"], {"weights": "abc"})
    json.dumps(record, allow_nan=False)
    with pytest.raises(Refusal, match="trial"):
        Experiment(tmp_path, "another", {})


def test_the_text_of_a_table_stands_in_columns() -> None:
    lines = Table("T", "", ["a", "long name"], [["x", 0.5], ["yy", None]]).text().splitlines()
    assert lines == ["T", "a   long name", "x   0.500", "yy  –"]
