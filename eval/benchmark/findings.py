"""The findings: a benchmark as tables, for its run record, the report and RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.eval.benchmark.store import Ledger
from terraficta.eval.benchmark.summary import SIMPLE
from terraficta.eval.benchmark.worth import Worth
from terraficta.eval.table import Table

LEAK_MARGIN = 0.0
"""mIoU by which the arm that sees places alone must stand below the best arm that sees spectra"""


def findings(ledger: Ledger, recipe: BenchmarkRecipe) -> list[Table]:
    """Every table of a benchmark, the promise first."""
    rows = ledger.rows
    worth = Worth(rows, ledger.details)
    found: list[Table | None] = [
        worth.goals(recipe.goals) if recipe.goals else None,
        worth.table(),
        levels(rows),
        worth.efficiency(recipe.ladder),
        worth.rare(),
        calibration(rows),
        leaks(rows),
        worth.losing(),
        price(rows),
        skipped(ledger),
    ]
    return [table for table in found if table is not None and table.rows]


def levels(rows: pd.DataFrame) -> Table:
    """Mean mIoU of every arm, by tileset and labels; the mean of the tilesets that all widely tried arms have."""
    arms = list(dict.fromkeys(rows["arm"]))
    means = rows.pivot_table(index=["tileset", "labels_per_class"], columns="arm", values="miou", sort=False)
    lines = []
    for key in means.index:
        name, labels = str(key[0]), int(key[1])
        mine = means.loc[[key]].iloc[0]
        lines.append((name, labels, *[None if np.isnan(mine.get(arm, np.nan)) else float(mine[arm]) for arm in arms]))
    for labels in sorted(rows["labels_per_class"].unique()):
        part = means[means.index.get_level_values(1) == labels]
        tried = part.notna().sum()
        part = part[tried.index[tried == tried.max()]].dropna()  # arms tried on few tilesets do not shorten the mean
        if len(part) > 1:
            values = [float(part[arm].mean()) if arm in part else None for arm in arms]
            lines.append((f"mean of {len(part)} that have all", int(labels), *values))
    draws = int(rows.groupby(["tileset", "arm", "labels_per_class"])["seed"].nunique().max())
    note = (
        f"Mean IoU over up to {draws} draws of labels; 0: names alone. All arms have the same labels and test pixels."
    )
    return Table("Scores", note, ("tileset", "labels a class", *arms), tuple(lines))


def calibration(rows: pd.DataFrame) -> Table:
    """Calibration before and after the temperature, and conformal sets in place: means over tilesets and draws."""
    lines = []
    pairs = ("ece", "ece_class", "nll", "brier")
    for arm, labels in dict.fromkeys(zip(rows["arm"], rows["labels_per_class"].astype(int), strict=True)):
        part = rows[(rows["arm"] == arm) & (rows["labels_per_class"] == labels)]
        # arms without a temperature of their own have nothing after
        values = [value for name in pairs for value in (part[name].mean(), part[f"{name}_calibrated"].mean())]
        sets = [part[name].mean() for name in ("coverage", "worst_coverage", "set_size")]
        lines.append((str(arm), int(labels), int(part["tileset"].nunique()), *map(_known, [*values, *sets])))
    columns = (
        "arm", "labels a class", "tilesets", "ECE", "after", "class-wise ECE", "after", "NLL", "after", "Brier",
        "after", "coverage asked 0.95", "of the worst class", "classes in a set",
    )  # fmt: skip
    note = (
        "Before and after the temperature that each arm finds by cross-validation on its training labels. Labels are "
        "drawn evenly from all classes and land is not even: a temperature that is right for the labels may be wrong "
        "for the map. Coverage: share of the test pixels whose class is in their conformal set, in place."
    )
    return Table("Calibration", note, columns, tuple(lines))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def leaks(rows: pd.DataFrame) -> Table | None:
    """Tilesets in which the nearest label on the ground maps better than every arm that sees the ground: a leak."""
    if "location" not in set(rows["arm"]):
        return None
    means = rows[rows["labels_per_class"] > 0].groupby(["tileset", "labels_per_class", "arm"])["miou"].mean()
    lines = []
    for key in dict.fromkeys(index[:2] for index in means.index):
        mine = means.loc[key]
        seen = [arm for arm in SIMPLE if arm in mine.index]
        if "location" in mine.index and seen:
            best = mine[seen].idxmax()
            beaten = mine["location"] >= mine[best] - LEAK_MARGIN
            lines.append(
                (
                    str(key[0]),
                    int(key[1]),
                    float(mine["location"]),
                    str(best),
                    float(mine[best]),
                    "leak suspected" if beaten else "no",
                )
            )
    note = "`location` sees only where the nearest label lies. Where it wins, the split tests memory of places."
    columns = ("tileset", "labels a class", "location alone", "best simple arm", "its mIoU", "leak")
    return Table("Does the split leak?", note, columns, tuple(lines))


def price(rows: pd.DataFrame) -> Table:
    """Processor seconds by arm: fitting and mapping of a cell, and what a tileset costs once."""
    lines: list[tuple[Any, ...]] = []
    for arm, part in rows.groupby("arm", sort=False):
        once = part.groupby("tileset")["shared_s"].sum()
        cell = part[["fit_s", "predict_s"]].mean()
        whole = float(part["seconds"].sum() + part["shared_s"].sum())
        lines.append(
            (str(arm), len(part), float(cell["fit_s"]), float(cell["predict_s"]), float(once.mean()), round(whole))
        )
    total = sum(int(line[-1]) for line in lines)
    lines.append(("all", len(rows), None, None, None, total))
    columns = ("arm", "cells", "fit [s]", "map [s]", "shared, a tileset [s]", "in all [s]")
    note = (
        "Processor seconds. What names, default and ridge share (reading the images once with the network) stands with "
        "whichever of them came first."
    )
    return Table("What it cost", note, columns, tuple(lines))


def skipped(ledger: Ledger) -> Table:
    """What arms could not do, and why."""
    lines = [(s["tileset"], s["arm"], s["labels_per_class"], s["reason"]) for s in ledger.skipped]
    return Table("Left out", "", ("tileset", "arm", "labels a class", "why"), tuple(lines))


def summary_lines(tables: Sequence[Table]) -> list[str]:
    """What was promised and what came of it, a sentence each."""
    promised = [table for table in tables if table.title == "What was promised"]
    return [
        f"{row[0]} at {row[1]} labels a class: gain {row[4]:+.3f} {row[5]} over the best simple arm, "
        f"goal {row[2]:+g}: {row[7]}"
        for table in promised
        for row in table.rows
        if row[4] is not None
    ]
