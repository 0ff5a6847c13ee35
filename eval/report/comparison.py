"""The comparison: a benchmark as a page shows it, from its table and its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from terraficta.eval.benchmark.store import ROWS, Ledger
from terraficta.eval.benchmark.summary import SIMPLE, Interval, summarise
from terraficta.eval.report.figures import arm_colour, class_scores, in_order, learning_curves, reliability
from terraficta.synth.types.refusal import Refusal

SCORES = (
    ("miou", "mIoU"), ("macro_f1", "macro F1"), ("accuracy", "accuracy"), ("ece", "ECE"),
    ("ece_calibrated", "ECE after"), ("ece_class", "class-wise ECE"), ("nll", "NLL"), ("brier", "Brier"),
    ("coverage", "coverage"), ("seconds", "processor s"),
)  # fmt: skip
CONFUSED = ("default", "forest-ratios", "ridge", "forest")
"""arms whose confusion is shown: the first of them that is there"""
MOST_CLASSES = 14
"""a larger confusion is not drawn"""


@dataclass(frozen=True)
class Confusion:
    """Which classes an arm takes for which, shares of each true class.

    Parameters
    ----------
    tileset, arm : str
        whose
    labels : int
        labels a class
    lines : tuple[dict[str, Any], ...]
        name, support [px] and cells (text, strength 0..1, right) of each true class
    classes : tuple[str, ...]
        heads
    """

    tileset: str
    arm: str
    labels: int
    lines: tuple[dict[str, Any], ...]
    classes: tuple[str, ...]


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
    confusions : tuple[Confusion, ...]
        one a tileset whose cells are there
    """

    place: str
    tables: tuple[dict[str, Any], ...]
    verdicts: tuple[dict[str, Any], ...]
    arms: tuple[tuple[str, str], ...]
    curves: Markup
    reliability: Markup | None
    classes: Markup
    confusions: tuple[Confusion, ...]


def compare(folder: Path) -> Comparison:
    """Tables, sentences and figures of a benchmark."""
    ledger = Ledger(folder)
    rows = ledger.rows
    if rows.empty:
        raise Refusal(folder / ROWS, "rows", "none", "a benchmark with rows", "run terraficta eval benchmark")
    summary = summarise(rows, ledger.details)
    arms = in_order(list(rows["arm"].unique()))
    names = list(dict.fromkeys(rows["tileset"]))
    found = [confusion_of(name, ledger.details) for name in names]
    return Comparison(
        place=str(folder),
        tables=tuple(_table(name, rows, summary, arms) for name in names),
        verdicts=tuple(_verdict(summary[summary["arm"] == arm]) for arm in arms if arm not in (*SIMPLE, "names")),
        arms=tuple((arm, arm_colour(arm)) for arm in arms),
        curves=Markup(learning_curves(rows)),
        reliability=Markup(reliability(ledger.details)) if ledger.details else None,
        classes=Markup(class_scores(rows)),
        confusions=tuple(one for one in found if one is not None),
    )


def confusion_of(tileset: str, details: Sequence[Mapping[str, Any]]) -> Confusion | None:
    """The confusion of a tileset at 25 labels a class, or the nearest number there is, summed over draws."""
    mine = [d for d in details if d["tileset"] == tileset and d["labels_per_class"] > 0]
    arm = next((arm for arm in CONFUSED if any(d["arm"] == arm for d in mine)), None)
    if arm is None or len(mine[0]["classes"]) > MOST_CLASSES:
        return None
    mine = [d for d in mine if d["arm"] == arm]
    labels = min({int(d["labels_per_class"]) for d in mine}, key=lambda n: abs(n - 25))
    mine = [d for d in mine if d["labels_per_class"] == labels]
    classes = [str(name).replace("_", " ") for name in mine[0]["classes"]]
    table = np.zeros((len(classes), len(classes)))
    for detail in mine:
        for _, i, j, mass in detail["blocks"]:
            table[i, j] += mass
    share = table / np.maximum(table.sum(1, keepdims=True), 1e-9)
    lines = []
    for i, name in enumerate(classes):
        cells = [
            {"text": f"{100 * v:.0f}" if v >= 0.005 else "", "strength": round(float(v), 2), "right": i == j}
            for j, v in enumerate(share[i])
        ]
        lines.append({"name": name, "support": f"{table[i].sum() / len(mine):,.0f}", "cells": cells})
    return Confusion(tileset, arm, labels, tuple(lines), tuple(classes))


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
