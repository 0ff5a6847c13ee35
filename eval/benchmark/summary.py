"""Summaries of a benchmark: means with intervals, and differences from the best simple baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from terraficta.eval.benchmark.resample import CONFIDENCE, cells_of, interval, resampled

SIMPLE = (
    "forest", "forest-context", "forest-ratios", "forest-wide", "extra-trees", "logistic", "boosting", "filters",
)  # fmt: skip
"""the baselines that any practitioner has, all tuned on the training labels"""
BEST_SIMPLE = "the best simple arm"
CELL = ["tileset", "labels_per_class"]


@dataclass(frozen=True)
class Interval:
    """A mean over draws of labels, and the interval that its Student t gives.

    It covers the luck of the labels alone: the test pixels are the same in every draw, so another place may differ
    by more; see `resampled` for intervals over blocks of ground too. With one draw there is no interval, and `low` and
    `high` are NaN.
    """

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: pd.Series) -> Interval:
        """Of the values of one cell; NaN are left out."""
        kept = values.dropna().to_numpy(dtype=np.float64)
        n = len(kept)
        if n < 2:
            return cls(float(kept.mean()) if n else np.nan, np.nan, np.nan, n)
        half = float(student.ppf((1 + CONFIDENCE) / 2, n - 1) * kept.std(ddof=1) / np.sqrt(n))
        return cls(float(kept.mean()), float(kept.mean()) - half, float(kept.mean()) + half, n)

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ± {self.high - self.mean:.3f}"


def summarise(
    rows: pd.DataFrame, details: Sequence[Mapping[str, Any]] = (), score: str = "miou"
) -> pd.DataFrame:  # fmt: skip
    """One row a tileset x labels x arm: mean and interval of a score, and the paired gain over the best simple arm.

    Parameters
    ----------
    rows : pd.DataFrame
        a benchmark's tidy rows
    details : Sequence[Mapping[str, Any]]
        of the same rows: gains in mIoU then have intervals over draws and blocks of ground, else over draws alone
    score : str
        a column where more is better, for the choice of the best simple arm

    Returns
    -------
    pd.DataFrame
        tileset, labels_per_class, arm, mean, low, high, draws, best (the highest mean of the cell), baseline (the
        simple arm with the highest mean), gain, gain_low, gain_high (arm minus baseline, paired by draw; NaN for the
        baseline itself), verdict (helps | hurts | even: whether the interval of the gain excludes 0; empty where there
        is no interval)
    """
    blocks = cells_of(details) if score == "miou" else {}
    found = []
    for (tileset, labels), cell in rows.groupby(CELL, sort=True):
        by_arm = cell.pivot_table(index="seed", columns="arm", values=score)
        means = by_arm.mean()
        simple = [arm for arm in SIMPLE if arm in means]
        baseline = str(means[simple].idxmax()) if simple else None
        arms = blocks.get((str(tileset), int(str(labels))), {})
        sampled = resampled(arms, f"{tileset} {labels}") if len(arms) > 1 else {}
        for arm in by_arm.columns:
            level = Interval.of(by_arm[arm])
            gain = Interval(np.nan, np.nan, np.nan, 0)
            if baseline is not None and arm != baseline:
                gain = Interval.of(by_arm[arm] - by_arm[baseline])
                if arm in sampled and baseline in sampled:
                    gain = Interval(gain.mean, *interval(sampled[arm] - sampled[baseline]), gain.count)
            found.append(
                {
                    "tileset": tileset, "labels_per_class": labels, "arm": arm,
                    "mean": level.mean, "low": level.low, "high": level.high, "draws": level.count,
                    "best": bool(level.mean == means.max()), "baseline": baseline,
                    "gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high, "verdict": _verdict(gain),
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def _verdict(gain: Interval) -> str:
    if np.isnan(gain.low):
        return ""
    if gain.low > 0:
        return "helps"
    return "hurts" if gain.high < 0 else "even"
