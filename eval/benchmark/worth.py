"""The worth of fiction: pairs of arms that differ in one thing, in the mean over tilesets, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from terraficta.eval.benchmark.recipe import GoalRecipe, LadderRecipe
from terraficta.eval.benchmark.resample import REPEATS, cells_of, interval, resampled
from terraficta.eval.benchmark.summary import BEST_SIMPLE, SIMPLE
from terraficta.eval.table import Table
from terraficta.synth.types.key import SceneKey

PAIRS = (
    ("ridge", "random", "the same network and head, with fiction or with random weights"),
    ("ridge", "masked", "fiction, or painting in hidden patches of the place itself"),
    ("full", "scratch", "every weight trained on the labels, from fiction or from random weights"),
    (
        "default",
        "forest-wide",
        "the whole head, or a tuned forest on all that it sees beside fiction's network and names",
    ),
    (
        "default-place",
        "default",
        "the head told where on Earth a pixel lies, or not; where folds adjoin a gain is a leak",
    ),
    ("default", BEST_SIMPLE, "the whole head, or whichever simple arm is best there, chosen after the fact"),
    ("names", BEST_SIMPLE, "names without a label, or the best simple arm with labels"),
)
"""arm, against which, and what the difference is of"""
RARE_SHARE = 0.03
"""of the test pixels, below which a class is told by name"""
MOST_RARE = 40


@dataclass(frozen=True)
class Gain:
    """A difference of two arms at one number of labels.

    Parameters
    ----------
    mean, low, high : float
        mean over tilesets, and its interval over tilesets, draws of labels and blocks of ground
    by_tileset : dict[str, tuple[float, float, float]]
        mean, low and high of each, over draws and blocks
    """

    mean: float
    low: float
    high: float
    by_tileset: dict[str, tuple[float, float, float]]

    @property
    def helps(self) -> list[str]:
        """Tilesets whose interval lies above 0."""
        return [name for name, (_, low, _) in self.by_tileset.items() if low > 0]

    @property
    def hurts(self) -> list[str]:
        """Tilesets whose interval lies below 0."""
        return [name for name, (_, _, high) in self.by_tileset.items() if high < 0]


class Worth:
    """What differences of arms a benchmark holds.

    Parameters
    ----------
    rows : pd.DataFrame
        of a benchmark
    details : Sequence[Mapping[str, Any]]
        of the same rows
    """

    def __init__(self, rows: pd.DataFrame, details: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows
        self._cells = cells_of(details)
        self._means = rows.groupby(["tileset", "labels_per_class", "arm"])["miou"].mean()
        self._simple = {
            tileset: [arm for arm in SIMPLE if arm in set(own["arm"])] for tileset, own in rows.groupby("tileset")
        }
        self._sampled = {
            cell: resampled({**arms, **self._names(cell[0])}, f"{cell[0]} {cell[1]}")
            for cell, arms in self._cells.items()
        }

    def _names(self, tileset: str) -> dict[str, Any]:
        """The arm without labels stands beside those of every number of labels; its blocks are the same."""
        arms = self._cells.get((tileset, 0), {})
        return {"names": arms["names"]} if "names" in arms else {}

    @property
    def tilesets(self) -> list[str]:
        """In the order of the rows."""
        return list(dict.fromkeys(self.rows["tileset"]))

    @property
    def counts(self) -> list[int]:
        """Numbers of labels a class, without 0."""
        return sorted({int(n) for n in self.rows["labels_per_class"] if n > 0})

    def mean(self, tileset: str, arm: str, labels: int) -> float:
        """Mean mIoU over draws; NaN where there is none. `names` has no labels, whatever is asked."""
        key = (tileset, 0 if arm == "names" else labels, arm)
        return float(self._means[key]) if key in self._means.index else float("nan")

    def best_simple(self, tileset: str, labels: int) -> str | None:
        """The simple arm with the highest mean; None where some of a tileset's simple arms were not run.

        So it is between the numbers of labels that all arms were given: the ladder has its forests alone.
        """
        known = {arm: self.mean(tileset, arm, labels) for arm in self._simple[tileset]}
        return None if any(map(np.isnan, known.values())) or not known else max(known, key=lambda arm: known[arm])

    def gain(self, arm: str, other: str, labels: int) -> Gain | None:
        """Arm less another, on the tilesets that have both; None where there are none."""
        by_tileset, samples = {}, []
        for tileset in self.tilesets:
            against = self.best_simple(tileset, labels) if other == BEST_SIMPLE else other
            sampled = self._sampled.get((tileset, labels), {})
            if against is None or arm not in sampled or against not in sampled:
                continue
            apart = sampled[arm] - sampled[against]
            by_tileset[tileset] = (
                self.mean(tileset, arm, labels) - self.mean(tileset, against, labels),
                *interval(apart),
            )
            samples.append(apart)
        if not by_tileset:
            return None
        rng = SceneKey(0, 0).at("sample", "tilesets", arm, other, labels).rng()
        drawn = rng.multinomial(len(samples), np.full(len(samples), 1 / len(samples)), size=REPEATS)
        whole = (np.array(samples).T * drawn).sum(1) / len(samples)
        return Gain(float(np.mean([g[0] for g in by_tileset.values()])), *interval(whole), by_tileset)

    def table(self) -> Table:
        """What fiction was worth: every pair at every number of labels."""
        lines = []
        for arm, other, about in PAIRS:
            for labels in self.counts:
                gain = self.gain(arm, other, labels)
                if gain is not None and len(gain.by_tileset) > 1:
                    spread = f"[{gain.low:+.3f}, {gain.high:+.3f}]".replace("-", "−")
                    lines.append(
                        (f"{arm} less {other}", labels, len(gain.by_tileset), gain.mean, spread, len(gain.helps),
                         len(gain.hurts), ", ".join(gain.hurts) or "nowhere", about)
                    )  # fmt: skip
        columns = ("difference", "labels a class", "tilesets", "mIoU", "95 % interval", "helps in", "hurts in",
                   "hurts where", "of what")  # fmt: skip
        note = (
            "Mean over tilesets. The interval is over tilesets, draws of labels and blocks of ground (resampled "
            "together, paired); a tileset counts as helped or hurt where its own interval leaves 0 out. The best "
            "simple arm is chosen after the fact, for each tileset and number of labels: a hard opponent."
        )
        return Table("What fiction was worth", note, columns, tuple(lines))

    def losing(self) -> Table:
        """Every cell in which an arm on fiction stands below the best simple arm or below its twin without fiction."""
        lines = []
        for arm, other, _ in PAIRS:
            for labels in self.counts:
                gain = self.gain(arm, other, labels)
                for tileset, (mean, low, high) in (gain.by_tileset if gain else {}).items():
                    if mean < 0:
                        against = self.best_simple(tileset, labels) if other == BEST_SIMPLE else other
                        spread = f"[{low:+.3f}, {high:+.3f}]".replace("-", "−")
                        said = "loses" if high < 0 else "not told apart"
                        lines.append(
                            (tileset, labels, arm, str(against), self.mean(tileset, arm, labels), mean, spread, said)
                        )
        lines.sort(key=lambda line: line[5])
        columns = ("tileset", "labels a class", "arm", "stands below", "its mIoU", "by", "95 % interval", "which")
        note = "All of them, the worst first; intervals over draws of labels and blocks of ground."
        return Table("Every losing cell", note, columns, tuple(lines))

    def goals(self, goals: Sequence[GoalRecipe]) -> Table:
        """What was promised, and what came of it."""
        lines: list[tuple[Any, ...]] = []
        for goal in goals:
            gain = self.gain(goal.arm, BEST_SIMPLE, goal.labels)
            if gain is None:
                lines.append((goal.arm, goal.labels, goal.goal, goal.minimum, None, "", "", "not measured"))
                continue
            worst = min(gain.by_tileset, key=lambda name: gain.by_tileset[name][0])
            lost = gain.by_tileset[worst][0]
            verdict = "goal met" if gain.mean >= goal.goal else "minimum met, goal missed"
            verdict = verdict if gain.mean >= goal.minimum else "minimum missed"
            verdict += "; 0 lies within the interval" if gain.low <= 0 <= gain.high else ""
            if lost < goal.most_lost:
                verdict += f"; lost more than {-goal.most_lost:g} in {worst}"
            spread = f"[{gain.low:+.3f}, {gain.high:+.3f}]".replace("-", "−")
            lines.append(
                (
                    goal.arm,
                    goal.labels,
                    goal.goal,
                    goal.minimum,
                    gain.mean,
                    spread,
                    f"{worst} " + f"{lost:+.3f}".replace("-", "−"),
                    verdict,
                )
            )
        columns = ("arm", "labels a class", "goal", "minimum", "gain", "95 % interval", "worst tileset", "verdict")
        note = (
            "Gain in mIoU over the best tuned simple arm of each tileset, in the mean over tilesets. Goal and minimum "
            "stand in the benchmark's recipe and were written before it ran; earlier figures of the same tilesets were "
            "known by then."
        )
        return Table("What was promised", note, columns, tuple(lines))

    def rare(self) -> Table:
        """Classes of few test pixels, by name, at the largest number of labels that every tileset has."""
        labels = max(n for n in self.counts if n <= 100)
        shown = [a for a in ("names", "default", "ridge", "forest-ratios", "logistic") if a in set(self.rows["arm"])]
        lines: list[tuple[Any, ...]] = []
        for tileset in self.tilesets:
            mine = self.rows[self.rows["tileset"] == tileset]
            for column in [c for c in mine.columns if c.startswith("px_")]:
                support, total = float(mine[column].iloc[0]), float(mine["n_test"].iloc[0])
                if np.isnan(support) or not 0 < support < RARE_SHARE * total:
                    continue
                ious = []
                for arm in shown:
                    cells = mine[(mine["arm"] == arm) & (mine["labels_per_class"] == (0 if arm == "names" else labels))]
                    ious.append(float(cells[f"iou_{column[3:]}"].mean()))
                lines.append((f"{tileset}: {column[3:].replace('_', ' ')}", round(support), support / total, *ious))
        lines.sort(key=lambda line: float(line[2]))
        note = f"IoU at {labels} labels a class (names: none) of classes below {RARE_SHARE:.0%} of the test pixels."
        return Table("Rare classes", note, ("class", "test pixels", "share", *shown), tuple(lines[:MOST_RARE]))

    def efficiency(self, ladder: LadderRecipe | None) -> Table | None:
        """How many labels the best forest needs for what an arm does with few, by tileset."""
        if ladder is None:
            return None
        lines = []
        for tileset in self.tilesets:
            found = self._needed(tileset, ladder)
            if found is not None:
                lines.append((tileset, *found))
        if not lines:
            return None
        note = (
            f"Labels a class that the best of {', '.join(ladder.forests)} needs for the mean mIoU of {ladder.arm} with "
            f"{ladder.labels}, read off the forests' curve over {', '.join(map(str, ladder.counts))} labels (in the "
            f"logarithm of their number). The ratio is that number over {ladder.labels}: below 1, fewer."
        )  # fmt: skip
        columns = ("tileset", f"{ladder.arm} at {ladder.labels}", "forest needs", "ratio")
        return Table("Label efficiency", note, columns, tuple(lines))

    def _needed(self, tileset: str, ladder: LadderRecipe) -> tuple[Any, ...] | None:
        goal = self.mean(tileset, ladder.arm, ladder.labels)
        best = {
            n: np.nanmax([self.mean(tileset, a, n) for a in ladder.forests] + [-1.0]) for n in sorted(ladder.counts)
        }
        known = [(n, float(value)) for n, value in best.items() if value >= 0]
        if np.isnan(goal) or len(known) < 2:
            return None
        if known[0][1] >= goal:
            return goal, f"{known[0][0]} or fewer", f"{known[0][0] / ladder.labels:g} or less"
        for (a, low), (b, high) in zip(known, known[1:], strict=False):
            if high >= goal:
                step = (goal - low) / (high - low)
                needed = float(np.exp(np.log(a) + step * (np.log(b) - np.log(a))))
                return goal, f"{needed:.0f}", f"{needed / ladder.labels:.1f}"
        return goal, f"more than {known[-1][0]}", f"more than {known[-1][0] / ladder.labels:g}"
