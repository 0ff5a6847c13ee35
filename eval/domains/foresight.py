"""Foresight: whether what is known of unlabelled land tells how good a map of it will be, and what a fallback gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from terraficta.eval.benchmark.summary import Interval
from terraficta.eval.domains.domain import Plot, sample_plots
from terraficta.eval.domains.significance import holm
from terraficta.eval.domains.transfer import TransferAmounts, fit_learners, scored
from terraficta.eval.table import Table
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import evidence_at
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.model import Mapper
from terraficta.synth.types.key import SceneKey

FLIPS = 4999
"""random orders for the p of a rank correlation"""
SHARES = (0.1, 0.25, 0.5)
"""of the test plots, the least familiar first, that fall back to the forest"""


@dataclass(frozen=True)
class Foresight:
    """What was known beforehand of test plots, and how the maps of them turned out.

    Parameters
    ----------
    region : list[str]
        (U,) of each plot
    known : Mapping[str, list[float]]
        score -> (U,): `familiarity` to fiction, `likeness` to the land learnt from (less the mean distance of features
        to the nearest of it), `confidence` of the default head
    accuracy : Mapping[str, list[float]]
        learner -> (U,)
    """

    region: list[str]
    known: Mapping[str, list[float]]
    accuracy: Mapping[str, list[float]]


def foresee(
    learn: Sequence[Plot],
    check: Sequence[Plot],
    mapper: Mapper,
    meanings: Meanings,
    amounts: TransferAmounts,
    seed: int,
) -> Foresight:
    """Learn from some plots, map others, and note what could be known of them without their labels."""
    sample, test = sample_plots(learn, amounts.learn_px, seed), sample_plots(check, amounts.check_px, 1000 + seed)
    encoder = Encoder.fit(mapper, sample.tiles)
    evidence = evidence_at(encoder, sample.tiles, sample.labels)
    seen = evidence_at(encoder.with_tiles(test.tiles), test.tiles, test.labels)
    said = fit_learners(evidence, sample.labels.mass, mapper, meanings, amounts, seed)
    logs = {name: predict(seen) for name, predict in said.items()}
    count = len(check)
    few = evidence.features[:: max(1, len(evidence.features) // 2000)]
    known = {
        "likeness": -torch.cdist(seen.features, few).amin(1),
        "confidence": torch.softmax(logs["default"], 1).amax(1),
    }
    if mapper.familiarity is not None:
        known["familiarity"] = mapper.familiarity(seen.features)

    def by_plot(values: torch.Tensor) -> list[float]:
        sums = torch.zeros(2, count).index_add_(1, test.plot, torch.stack([values.float(), torch.ones(len(values))]))
        return (sums[0] / sums[1]).tolist()

    return Foresight(
        [str(plot.tile.region) for plot in check], {name: by_plot(value) for name, value in known.items()},
        {name: scored(value, test)["accuracy"] for name, value in logs.items()},
    )  # fmt: skip


def rank_correlation(x: Sequence[float], y: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Spearman's rank correlation, and the two-sided p of none by random orders.

    Examples
    --------
    >>> r, p = rank_correlation(range(9), range(9))
    >>> r, p < 0.001
    (1.0, True)
    """
    a, b = (pd.Series(v, dtype=float).rank().to_numpy() for v in (x, y))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan"), 1.0
    found = float(spearmanr(a, b).statistic)
    rng = SceneKey(seed, len(a)).at("ranks").rng()
    a, b = (v - v.mean() for v in (a, b))
    sums = np.array([abs(float(rng.permutation(a) @ b)) for _ in range(FLIPS)])
    return found, float((1 + (sums >= abs(a @ b) - 1e-9).sum()) / (FLIPS + 1))


def by_region(one: Foresight, values: Sequence[float]) -> NDArray[np.float64]:
    """(R,) means over the plots of each region, by name."""
    table = pd.Series(np.asarray(values, dtype=float)).groupby(np.array(one.region)).mean()
    return table.to_numpy(dtype=np.float64)


def correlation_table(one: Foresight) -> Table:
    """Every score against every learner's accuracy, over plots and over regions; p corrected by Holm."""
    raw = []
    for score, known in one.known.items():
        for learner, accuracy in one.accuracy.items():
            plots = rank_correlation(known, accuracy)
            regions = rank_correlation(by_region(one, known).tolist(), by_region(one, accuracy).tolist())
            raw.append((score, learner, plots, regions))
    corrected = holm([plots[1] for *_, plots, _ in raw])
    rows: list[list[Any]] = [
        [score, learner, plots[0], plots[1], float(q), regions[0], regions[1]]
        for (score, learner, plots, regions), q in zip(raw, corrected, strict=True)
    ]
    note = (
        f"Spearman's rank correlation over {len(one.region)} test plots and {len(set(one.region))} regions; p by "
        "random orders. Plots of one region are alike, so that p over plots is too small; that over regions is not."
    )
    columns = ["known before", "accuracy of", "over plots", "p", "p, Holm", "over regions", "p"]
    return Table("Does it foretell accuracy on unseen land?", note, columns, rows)


def fallback_table(one: Foresight) -> Table:
    """Accuracy gained where the least familiar plots get the forest's map in place of the default head's."""
    rows: list[list[Any]] = []
    default, forest = (np.array(one.accuracy[name]) for name in ("default", "forest"))
    for score, known in one.known.items():
        order = np.argsort(np.asarray(known), kind="stable")
        for share in SHARES:
            low = np.zeros(len(order), dtype=bool)
            low[order[: round(share * len(order))]] = True
            gain = Interval.of(pd.Series(by_region(one, np.where(low, forest - default, 0.0).tolist())))
            rest = float((forest - default)[~low].mean())
            rows.append([score, share, gain.mean, f"[{gain.low:+.3f}, {gain.high:+.3f}]",
                         float((forest - default)[low].mean()) if low.any() else float("nan"), rest])  # fmt: skip
    note = "Forest less default head; Student's t over regions. A gain needs the forest to win on strange land."
    columns = ["by", "share that falls back", "gain", "95 % interval", "forest's lead there", "elsewhere"]
    return Table("What a fallback gains", note, columns, rows)
