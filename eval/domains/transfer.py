"""The transfer matrix: learn in one domain, map another; mean and deviation over scenes, and whether gaps are sure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from terraficta.eval.benchmark.summary import Interval
from terraficta.eval.domains.densenet import train_densenet
from terraficta.eval.domains.domain import Domain, Sample, sample_plots
from terraficta.eval.domains.significance import holm, sign_flip_p
from terraficta.eval.experiment import Experiment
from terraficta.eval.metrics import Tally
from terraficta.eval.table import Table
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.experts.blend import Blend, Exponents, log_shares
from terraficta.finetune.experts.forest import fit_forest
from terraficta.finetune.experts.linear import fit_linear
from terraficta.finetune.experts.names import NamesHead
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import BlendRecipe
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.model import Mapper

LEARNERS = ("forest", "ridge", "default")
"""on bands, surroundings and ratios; closed form on the network's features; both and the names"""
DENSENET = "FC-DenseNet"
"""trained on all labelled pixels of the plots, where it is asked for"""
NAMES = "names alone"
"""what needs no domain to learn from"""
LEVEL = 0.05
"""of the tests"""
MANY_LABELS = 100
"""labels a class for the exponents of the blend: a domain has hundreds"""


@dataclass(frozen=True)
class TransferAmounts:
    """How much is learnt from and tested.

    Parameters
    ----------
    learn_px, check_px : int
        pixels of every plot
    seeds : int
        draws of the pixels
    trees : int
        of the forest
    densenet_steps : int
        of the FC-DenseNet; 0: it is left out
    """

    learn_px: int = 150
    check_px: int = 300
    seeds: int = 3
    trees: int = 60
    densenet_steps: int = 0


@dataclass(frozen=True)
class Learnt:
    """What a domain gives to learn from.

    The scaling of the network is that of the domain learnt from, as it would be at use; of the land to be mapped only
    each scene's own spread is known.

    Parameters
    ----------
    sample : Sample
        labelled pixels of its plots
    encoder : Encoder
        tied to their tiles
    evidence : Evidence
        of these pixels
    """

    sample: Sample
    encoder: Encoder
    evidence: Evidence

    @classmethod
    def of(cls, domain: Domain, mapper: Mapper, amounts: TransferAmounts, seed: int) -> Learnt:
        """Of the plots to learn from of a domain."""
        sample = sample_plots(domain.learn, amounts.learn_px, seed)
        encoder = Encoder.fit(mapper, sample.tiles)
        return cls(sample, encoder, evidence_at(encoder, sample.tiles, sample.labels))

    def seen(self, other: Domain, amounts: TransferAmounts, seed: int) -> tuple[Sample, Evidence]:
        """Pixels of the plots of a domain to be tested on, and their evidence."""
        test = sample_plots(other.check, amounts.check_px, 1000 + seed)
        return test, evidence_at(self.encoder.with_tiles(test.tiles), test.tiles, test.labels)


def transfer(
    domain: Domain, others: Sequence[Domain], mapper: Mapper, meanings: Meanings, amounts: TransferAmounts, seed: int
) -> dict[str, Any]:
    """Learn in one domain and map all: by test domain, learner and plot the share of pixels that are right."""
    learnt = Learnt.of(domain, mapper, amounts, seed)
    said = fit_learners(learnt.evidence, learnt.sample.labels.mass, mapper, meanings, amounts, seed)
    dense = train_densenet(domain.learn, amounts.densenet_steps, seed) if amounts.densenet_steps else None
    found: dict[str, Any] = {}
    for other in others:
        test, evidence = learnt.seen(other, amounts, seed)
        found[other.name] = {name: scored(predict(evidence), test) for name, predict in said.items()}
        if dense is not None:
            found[other.name][DENSENET] = scored(dense.log_probabilities(test), test)
    return found


Predict = Callable[[Evidence], Tensor]
"""evidence of P pixels -> (P, K) log-probabilities"""


def fit_learners(
    evidence: Evidence, mass: Tensor, mapper: Mapper, meanings: Meanings, amounts: TransferAmounts, seed: int
) -> dict[str, Predict]:
    """Fit every learner to the same labels; names alone, which need none, stand beside them where names tell enough."""
    classes, weight = mass.argmax(1).numpy(), mass.sum(1).double().numpy()
    forest = fit_forest(evidence.context, classes, weight, mass.shape[1], seed, amounts.trees)
    ridge = ridge_head(mapper)(evidence.features, mass)
    names = NamesHead.of(meanings) if meanings.enough else None
    linear = fit_linear(torch.from_numpy(evidence.context), mass)
    exponents = Exponents.of(BlendRecipe(), MANY_LABELS, 0.0 if names is None else meanings.telling)
    blend = Blend(ridge, forest, linear, names, exponents, torch.zeros(mass.shape[1]))

    def of_forest(e: Evidence) -> Tensor:
        return log_shares(forest.probabilities(e.context))

    made: dict[str, Predict] = {
        "forest": of_forest, "ridge": lambda e: ridge.log_probabilities(e.features), "default": blend.log_probabilities,
    }  # fmt: skip
    return made if names is None else made | {NAMES: names.log_probabilities}


def scored(log_probabilities: Tensor, test: Sample) -> dict[str, Any]:
    """Accuracy by plot, and mIoU over all of them."""
    mass, best = test.labels.mass, log_probabilities.argmax(1)
    right, plots = mass.gather(1, best[:, None])[:, 0], int(test.plot.max()) + 1
    sums = torch.zeros(2, plots).index_add_(1, test.plot, torch.stack([right, mass.sum(1)]))
    tally = Tally(mass.shape[1])
    tally.add(torch.nn.functional.one_hot(best, mass.shape[1]).float().T, mass.T)
    return {"accuracy": (sums[0] / sums[1].clamp(min=1e-6)).tolist(), "miou": tally.scores().miou}


Cell = Callable[[Domain, int], dict[str, Any]]
"""(domain learnt from, seed) -> scores by test domain"""
Found = dict[str, list[dict[str, Any]]]
"""by domain learnt from, the scores of every seed"""


def run_cells(
    experiment: Experiment, domains: Sequence[Domain], key: Mapping[str, Any], amounts: TransferAmounts, cell: Cell
) -> Found:
    """Compute a cell for every domain to learn from and seed; those that are there stay.

    Parameters
    ----------
    key : Mapping[str, Any]
        what all cells hang on beside the amounts: digests of the tiles and of the weights
    """
    plots = {d.name: [[p.name for p in side] for side in (d.learn, d.check)] for d in domains}
    known = dict(key) | {"amounts": vars(amounts), "plots": plots}
    return {
        domain.name: [
            experiment.cell(known | {"learn": domain.name, "seed": seed}, partial(cell, domain, seed))
            for seed in range(amounts.seeds)
        ]
        for domain in domains
    }


def run_transfer(
    experiment: Experiment,
    domains: Sequence[Domain],
    mapper: Mapper,
    meanings: Meanings,
    amounts: TransferAmounts,
    made_of: Mapping[str, Any],
    tell: Callable[[str], None] = lambda line: None,
) -> Found:
    """By domain learnt from, what `transfer` says for every seed."""

    def cell(domain: Domain, seed: int) -> dict[str, Any]:
        found = transfer(domain, domains, mapper, meanings, amounts, seed)
        right = {other: np.mean(said["default"]["accuracy"]) for other, said in found.items()}
        away = np.mean([value for other, value in right.items() if other != domain.name])
        tell(f"learnt in {domain.name}: accuracy {right[domain.name]:.3f} at home, {away:.3f} elsewhere")
        return found

    return run_cells(experiment, domains, made_of, amounts, cell)


# --- what it says ----------------------------------------------------------------------------------------------------


def learners_of(found: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str]) -> list[str]:
    """Those of some learners that were asked."""
    domain = next(iter(found))
    return [name for name in names if name in found[domain][0][domain]]


def plot_scores(results: Sequence[Mapping[str, Any]], test: str, learner: str) -> np.ndarray:
    """(U,) accuracy of a learner on the plots of a test domain, mean over seeds."""
    return np.mean([result[test][learner]["accuracy"] for result in results], axis=0)


def matrix_table(found: Mapping[str, Sequence[Mapping[str, Any]]], learner: str, kind: str) -> Table:
    """Accuracy, mean and deviation over the test plots: rows learn, columns test, as the tables of the study."""
    names = list(found)
    rows: list[list[Any]] = []
    for name in names:
        cells = []
        for test in names:
            values = plot_scores(found[name], test, learner)
            cells.append(f"{values.mean():.3f} ± {values.std(ddof=1) if len(values) > 1 else 0:.3f}")
        rows.append([name, *cells])
    note = "Share of labelled pixels mapped right: mean ± standard deviation over test plots; rows learn, columns test."
    return Table(f"{learner}: {kind} learnt from (row) and mapped (column)", note, [f"learnt in {kind}", *names], rows)


@dataclass(frozen=True)
class Gap:
    """What a learner loses in a test domain when it has learnt elsewhere, paired over test plots.

    Parameters
    ----------
    learner, learnt, mapped : str
        of it; the domain learnt from, and the one that is mapped
    mean, low, high : float
        accuracy when learnt at home less when learnt there, and the interval of Student's t over plots
    p, corrected : float
        of no difference, by sign flips, and by Holm among all gaps of the learner
    plots : int
        that are paired
    """

    learner: str
    learnt: str
    mapped: str
    mean: float
    low: float
    high: float
    p: float
    corrected: float
    plots: int


def gaps_of(found: Mapping[str, Sequence[Mapping[str, Any]]], learner: str) -> list[Gap]:
    """Every off-diagonal gap of a learner, tested."""
    raw = []
    for learnt in found:
        for mapped in found:
            if learnt != mapped:
                apart = plot_scores(found[mapped], mapped, learner) - plot_scores(found[learnt], mapped, learner)
                raw.append((learnt, mapped, Interval.of(pd.Series(apart)), sign_flip_p(apart.tolist()), len(apart)))
    corrected = holm([p for *_, p, _ in raw])
    return [
        Gap(learner, learnt, mapped, i.mean, i.low, i.high, p, float(q), n)
        for (learnt, mapped, i, p, n), q in zip(raw, corrected, strict=True)
    ]


def gap_table(gaps: Sequence[Gap]) -> Table:
    """The gaps one by one, the largest first."""
    rows = [
        [g.learnt, g.mapped, g.mean, f"[{g.low:+.3f}, {g.high:+.3f}]", g.plots, g.p, g.corrected,
         "sure" if g.corrected <= LEVEL else "not told"]
        for g in sorted(gaps, key=lambda gap: -gap.mean)
    ]  # fmt: skip
    note = (
        "Accuracy when learnt in the mapped domain less when learnt elsewhere, paired over test plots. p by flips of "
        "sign (n plots give none below 2 / 2^n), corrected by Holm for all gaps of the learner."
    )
    columns = ["learnt in", "mapped", "gap", "95 % interval", "plots", "p", "p, Holm", "at .05"]
    return Table(f"{gaps[0].learner}: is every gap sure?", note, columns, rows)


def summary_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """At home, elsewhere and the gap between, by learner; the interval is over test domains."""
    rows: list[list[Any]] = []
    names = list(found)
    for learner in learners_of(found, (*LEARNERS, DENSENET, NAMES)):
        home = np.array([plot_scores(found[n], n, learner).mean() for n in names])
        away = np.array([np.mean([plot_scores(found[o], n, learner).mean() for o in names if o != n]) for n in names])
        apart = Interval.of(pd.Series(home - away))
        miou = [[np.mean([s[t][learner]["miou"] for s in found[n]]) for t in names] for n in names]
        off = (np.sum(miou) - np.trace(miou)) / (len(names) * (len(names) - 1))
        row: list[Any] = [learner, home.mean(), away.mean()]
        if learner == NAMES:
            rows.append([*row, "", "", float(np.trace(miou) / len(names)), float(off)])
            continue
        gaps = gaps_of(found, learner)
        sure = f"{sum(g.corrected <= LEVEL and g.mean > 0 for g in gaps)} of {len(gaps)}"
        rows.append([*row, f"{apart.mean:.3f} [{apart.low:+.3f}, {apart.high:+.3f}]", sure,
                     float(np.trace(miou) / len(names)), float(off)])  # fmt: skip
    note = "Gap: mean over test domains, 95 % interval of Student's t over them. Names alone learn from no domain."
    if DENSENET in learners_of(found, (DENSENET,)):
        note += f" {DENSENET} learns from every labelled pixel of its plots, the others from some hundred of each."
    columns = ["learner", "accuracy at home", "elsewhere", "gap", "sure losses", "mIoU at home", "elsewhere"]
    return Table("At home and elsewhere", note, columns, rows)


def transfer_tables(found: Mapping[str, Sequence[Mapping[str, Any]]], kind: str) -> list[Table]:
    """The summary, then a matrix and its gaps a learner."""
    made = [summary_table(found)]
    for learner in learners_of(found, (*LEARNERS, DENSENET)):
        made += [matrix_table(found, learner, kind), gap_table(gaps_of(found, learner))]
    return made
