"""Label error or domain shift: a gap measured with labels of 500 m, right in 81 %, is taken apart with the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from terraficta.eval.benchmark.summary import Interval
from terraficta.eval.domains.domain import Domain, Sample
from terraficta.eval.domains.fiction import coarse_labels
from terraficta.eval.domains.transfer import LEARNERS, Learnt, TransferAmounts, fit_learners, run_cells, scored
from terraficta.eval.experiment import Experiment
from terraficta.eval.table import Table
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.model import Mapper

KINDS = ("true", "coarse")
"""labels: perfect, or of 500 m with 19 % of the blocks wrong"""


def coarsened(sample: Sample) -> Tensor:
    """(P, K) class mass of the same pixels by coarse labels."""
    labels = sample.labels
    masses = [coarse_labels(tile).mass for tile in sample.tiles]
    return torch.stack([masses[t][:, y, x] for t, y, x in labels.pixels()])


def transfer_by_label(
    domain: Domain, others: Sequence[Domain], mapper: Mapper, meanings: Meanings, amounts: TransferAmounts, seed: int
) -> dict[str, Any]:
    """Learn in one domain from true and from coarse labels, map all, score on both: accuracies by plot."""
    learnt = Learnt.of(domain, mapper, amounts, seed)
    given = {"true": learnt.sample.labels.mass, "coarse": coarsened(learnt.sample)}
    said = {kind: fit_learners(learnt.evidence, mass, mapper, meanings, amounts, seed) for kind, mass in given.items()}
    found: dict[str, Any] = {}
    for other in others:
        test, seen = learnt.seen(other, amounts, seed)
        rough = replace(test, labels=replace(test.labels, mass=coarsened(test)))
        found[other.name] = {
            learner: {
                f"{kind} {scale}": scored(logs, on)["accuracy"]
                for kind in KINDS
                for logs in [said[kind][learner](seen)]
                for scale, on in (("true", test), ("coarse", rough))
            }
            for learner in LEARNERS
        }
    return found


def run_label_error(
    experiment: Experiment,
    domains: Sequence[Domain],
    mapper: Mapper,
    meanings: Meanings,
    amounts: TransferAmounts,
    made_of: Mapping[str, Any],
    tell: Callable[[str], None] = lambda line: None,
) -> Table:
    """What of a gap is shift, and what is the labels' doing; see `label_error_table`."""

    def cell(domain: Domain, seed: int) -> dict[str, Any]:
        tell(f"labels of 500 m: learn in {domain.name}")
        return transfer_by_label(domain, domains, mapper, meanings, amounts, seed)

    found = run_cells(experiment, domains, dict(made_of) | {"part": "labels"}, amounts, cell)
    return label_error_table(found)


def label_error_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """At home and elsewhere by what was learnt from and what is scored on; gaps with intervals over test domains."""
    names = list(found)
    rows: list[list[Any]] = []
    for learner in LEARNERS:
        for kind in KINDS:
            for scale in KINDS:
                home, away = _levels(found, names, learner, f"{kind} {scale}")
                gap = Interval.of(pd.Series(home - away))
                said = f"{gap.mean:.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
                rows.append([learner, kind, scale, float(home.mean()), float(away.mean()), said])
    note = (
        "Only fiction has the truth, so only it can tell: coarse / coarse is what a study with such labels measures, "
        "true / true what there is. Intervals: Student's t over test domains."
    )
    columns = ["learner", "learnt from", "scored on", "at home", "elsewhere", "gap"]
    return Table("Label error or domain shift", note, columns, rows)


def _levels(
    found: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str], learner: str, way: str
) -> tuple[np.ndarray, np.ndarray]:
    """(D,) accuracy on each test domain, learnt at home and learnt elsewhere."""
    level = np.array([[np.mean([s[t][learner][way] for s in found[n]]) for t in names] for n in names])
    home = np.diag(level)
    return home, (level.sum(0) - home) / (len(names) - 1)
