"""The report: one page that shows what was done, what came of it, and what did not help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from terraficta.eval.benchmark.benchmark import ROWS, Ledger
from terraficta.eval.benchmark.summary import SIMPLE, Interval, summarise
from terraficta.eval.provenance import Link, read_link, walk
from terraficta.eval.report.atlas import Plate, plates_of
from terraficta.eval.report.figures import (
    LOSSES,
    arm_colour,
    class_scores,
    in_order,
    learning_curves,
    loss_curves,
    reliability,
)
from terraficta.eval.report.pages import write_page
from terraficta.eval.report.tables import KIND, RecordTable, tables_of
from terraficta.pretrain.curve import CURVE
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run

PAGE = "report.html"
SCORES = (
    ("miou", "mIoU"), ("macro_f1", "macro F1"), ("accuracy", "accuracy"), ("ece", "ECE"), ("nll", "NLL"),
    ("brier", "Brier"), ("seconds", "seconds"),
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A benchmark as a page shows it.

    Parameters
    ----------
    place : str
        its folder
    tables : tuple[dict[str, Any], ...]
        one a tileset
    verdicts : tuple[dict[str, Any], ...]
        one sentence an arm that is not a simple one
    arms : tuple[tuple[str, str], ...]
        (name, colour) for the key
    curves, classes : Markup
        figures as SVG
    reliability : Markup | None
        figures as SVG
    """

    place: str
    tables: tuple[dict[str, Any], ...]
    verdicts: tuple[dict[str, Any], ...]
    arms: tuple[tuple[str, str], ...]
    curves: Markup
    reliability: Markup | None
    classes: Markup


@dataclass(frozen=True)
class Experiment:
    """What a run record says of an experiment, as tables.

    Parameters
    ----------
    kind : str
        its name
    tables : tuple[RecordTable, ...]
        in order
    """

    kind: str
    tables: tuple[RecordTable, ...]


def write_report(paths: Sequence[Path], out: Path) -> Path:
    """Write `report.html` and run.json into a folder; the page needs nothing else, online or off.

    Parameters
    ----------
    paths : Sequence[Path]
        folders of runs, or GeoTIFF maps by `terraficta eval predict`
    out : Path
        folder
    """
    if not paths:
        raise Refusal("report", "--run", "none", "at least one run", "name a folder of finetune or benchmark")
    links = [read_link(path) for path in paths]
    run = Run(
        "report", {"runs": [str(p) for p in paths]}, seed=0, parents={f"run{n}": k.digest for n, k in enumerate(links)}
    )
    plates: list[Plate] = []
    notes: list[str] = []
    for link in links:
        more, note = plates_of(link)
        plates += more
        notes += [note] if note else []
    learnt = [_learnt(Path(link.place)) for link in links if link.stage == "pretrain" and link.place]
    comparisons = [compare(Path(link.place)) for link in links if link.stage == "benchmark"]
    experiments = experiments_of(links)
    size = write_page(
        PAGE, out / PAGE, chain=walk(links), plates=plates, comparisons=comparisons, notes=notes, learnt=learnt,
        experiments=experiments,
        losses=list(LOSSES.items()),
        written=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    )  # fmt: skip
    run.write(out, {"plates": len(plates), "comparisons": len(comparisons), "bytes": size})
    return out / PAGE


def experiments_of(links: Sequence[Link]) -> list[Experiment]:
    """The experiments whose records hold tables, those of a kind together."""
    found: dict[str, list[RecordTable]] = {}
    for link in links:
        tables = tables_of(link.record, link.place)
        if tables:
            found.setdefault(str(link.record.get(KIND) or link.stage), []).extend(tables)
    return [Experiment(kind, tuple(tables)) for kind, tables in found.items()]


def _learnt(folder: Path) -> Markup | None:
    """The losses of a pretraining as a figure; None where no table of them is there."""
    path = folder / CURVE
    return Markup(loss_curves(pd.read_csv(path))) if path.is_file() else None


def compare(folder: Path) -> Comparison:
    """Tables, sentences and figures of a benchmark."""
    ledger = Ledger(folder)
    rows = ledger.rows
    if rows.empty:
        raise Refusal(folder / ROWS, "rows", "none", "a benchmark with rows", "run terraficta eval benchmark")
    summary = summarise(rows)
    arms = in_order(list(rows["arm"].unique()))
    return Comparison(
        place=str(folder),
        tables=tuple(_table(name, rows, summary, arms) for name in dict.fromkeys(rows["tileset"])),
        verdicts=tuple(_verdict(summary[summary["arm"] == arm]) for arm in arms if arm not in SIMPLE),
        arms=tuple((arm, arm_colour(arm)) for arm in arms),
        curves=Markup(learning_curves(rows)),
        reliability=Markup(reliability(ledger.details)) if ledger.details else None,
        classes=Markup(class_scores(rows)),
    )


def _table(name: str, rows: pd.DataFrame, summary: pd.DataFrame, arms: list[str]) -> dict[str, Any]:
    mine, levels = rows[rows["tileset"] == name], summary[summary["tileset"] == name]
    labels = sorted(mine["labels_per_class"].unique().tolist())
    lines = []
    for arm in (a for a in arms if a in set(mine["arm"])):
        by_labels = {r["labels_per_class"]: r for r in levels[levels["arm"] == arm].to_dict("records")}
        lines.append({"arm": arm, "colour": arm_colour(arm), "cells": [_cell(by_labels.get(n)) for n in labels]})
    every = []
    for number in labels:
        for arm in arms:
            part = mine[(mine["labels_per_class"] == number) & (mine["arm"] == arm)]
            if len(part):
                values = [_level(Interval.of(part[column]), column) for column, _ in SCORES]
                every.append({"labels": number, "arm": arm, "values": values})
    return {
        "tileset": name, "labels": labels, "lines": lines,
        "scores": [label for _, label in SCORES],
        "every": every,
        "n_test": int(mine["n_test"].iloc[0]), "draws": int(mine["seed"].nunique()),
        "classes": sum(c.startswith("iou_") and bool(mine[c].notna().any()) for c in mine.columns),
    }  # fmt: skip


def _level(level: Interval, column: str) -> str:
    digits = 1 if column == "seconds" else 3
    spread = "" if np.isnan(level.low) else f" ± {level.high - level.mean:.{digits}f}"
    return "–" if np.isnan(level.mean) else f"{level.mean:.{digits}f}{spread}"


def _cell(row: dict[Any, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    half = row["high"] - row["mean"]
    gain = "" if np.isnan(row["gain"]) else f"{row['gain']:+.3f}".replace("-", "−")
    return {
        "mean": f"{row['mean']:.3f}", "half": "" if np.isnan(half) else f"{half:.3f}", "best": row["best"],
        "gain": gain, "verdict": row["verdict"], "baseline": row["arm"] == row["baseline"],
    }  # fmt: skip


def _verdict(mine: pd.DataFrame) -> dict[str, Any]:
    """How often an arm beats the best simple one, said as plainly where it does not."""
    counts = mine["verdict"].value_counts()
    helps, hurts, even = (int(counts.get(word, 0)) for word in ("helps", "hurts", "even"))
    return {
        "arm": str(mine["arm"].iloc[0]), "colour": arm_colour(str(mine["arm"].iloc[0])), "cells": len(mine),
        "helps": helps, "hurts": hurts, "even": even, "unknown": len(mine) - helps - hurts - even,
        "gain": f"{mine['gain'].mean():+.3f}".replace("-", "−"),
    }  # fmt: skip
