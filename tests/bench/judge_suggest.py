"""Labels saved by asking for the right ones: a simulated oracle against random choice.

Run: python tests/bench/judge_suggest.py --weights W.safetensors --tilesets DIR --cache DIR [--names slovenia ...]
     [--terms torn=1,unlike=1,rare=1 torn=1 ...]

Of the test pixels that judge_heads.py keeps evidence of (a plain random sample, in the order of the ground), every
other strip of 24 is a pool that may be labelled, and the rest is mapped. All start with the same 10 random labels and
take 10 more a round, at random or as suggested by the map of the round before. Printed: mIoU by number of labels, and
the share of labels saved at the mIoU that 50 random ones reach (all in the mean over draws; where random choice itself
reaches it earlier, chance or saturation does). The pool has no places: the term of spread is not judged here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from judge_heads import Case, cases, scored
from torch import Tensor

from terraficta.eval.map.suggestion import Candidates, Weights, suggest
from terraficta.finetune.calibrate import soften
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.experts.blend import Blend
from terraficta.finetune.experts.fit import fit_experts
from terraficta.finetune.experts.names import NamesHead
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.weights import read_weights

FIRST, ROUND, LAST = 10, 10, 50
STRIPS, MOST, DRAWS, TREES = 24, 1500, 3, 50
"""of the ground; pixels of the pool and to be mapped; draws of the first labels; trees, as in checks"""

Choose = Callable[[Blend, list[int]], list[int]]
"""(map so far, labels so far) -> further ones, as rows of the pool"""


def curve(pool: tuple[Evidence, Tensor], fit: Callable[[list[int]], Blend], order: list[int], choose: Choose,
          score: Callable[[Blend], float]) -> list[float]:  # fmt: skip
    """MIoU at 10, 20 .. 50 labels; a few more at first where these are of one class."""
    have = order[:FIRST]
    while len(torch.unique(pool[1][have].argmax(1))) < 2:
        have = order[: len(have) + 1]
    found = []
    for wanted in range(FIRST, LAST + 1, ROUND):
        blend = fit(have)
        found.append(score(blend))
        have = have + choose(blend, have)[: max(0, wanted + ROUND - len(have))]
    return found


def saved(asked: np.ndarray, random: np.ndarray) -> float:
    """Share of the labels that 50 random ones need; 0 where their mIoU is not reached."""
    reached = np.flatnonzero(asked >= random[-1])
    if len(reached) == 0:
        return 0.0
    n = int(reached[0])
    step = 0.0 if n == 0 else (random[-1] - asked[n - 1]) / max(asked[n] - asked[n - 1], 1e-9) - 1
    return 1 - (FIRST + ROUND * (n + step)) / LAST


def judge(case: Case, mapper: Mapper, terms: dict[str, Weights]) -> dict[str, np.ndarray]:
    """The mean curve by choice, "random" first."""
    strip = torch.arange(len(case.test)) * STRIPS // len(case.test) % 2
    chance = torch.Generator().manual_seed(5)
    halves = [torch.nonzero(strip == side)[:, 0] for side in range(2)]
    ours, test = (half[torch.randperm(len(half), generator=chance)[:MOST]] for half in halves)
    pool, truth = (case.test.take(ours), case.truth[ours]), case.truth[test]
    mapped, meanings = case.test.take(test), propose_meanings(case.classes)
    names = NamesHead.of(meanings) if meanings.enough else None
    recipe, ridge = FinetuneRecipe(name="judge", about="of suggestions"), ridge_head(mapper)

    def fit(have: list[int]) -> Blend:
        evidence, mass = pool[0].take(torch.tensor(have)), pool[1][have]
        return fit_experts(evidence, mass, ridge, meanings, names, recipe, 0, TREES)

    def by(weights: Weights) -> Choose:
        def choose(blend: Blend, have: list[int]) -> list[int]:
            free = torch.tensor(sorted(set(range(len(ours))) - set(have)))
            evidence, zero = pool[0].take(free), torch.zeros_like(free)
            p = soften(blend.log_probabilities(evidence).exp(), recipe.blend.temperature, 1)
            counts = torch.bincount(pool[1][have].argmax(1), minlength=pool[1].shape[1])
            some = Candidates(p, evidence.features, free, zero, zero)
            chosen = suggest(some, pool[0].features[have], counts, ROUND, weights)
            return [int(free[one.row]) for one in chosen]

        return choose

    found: dict[str, list[list[float]]] = {}
    for draw in range(DRAWS):
        order = torch.randperm(len(ours), generator=torch.Generator().manual_seed(draw)).tolist()
        choices: dict[str, Choose] = {"random": lambda blend, have, order=order: order[len(have) :]}  # type: ignore[misc]
        for name, choose in (choices | {name: by(weights) for name, weights in terms.items()}).items():
            score = lambda blend: scored(blend.log_probabilities(mapped), truth)  # noqa: E731
            found.setdefault(name, []).append(curve(pool, fit, order, choose, score))
    return {name: np.mean(curves, 0) for name, curves in found.items()}


def main(weights: Path, tilesets: Path, cache: Path, names: list[str] | None, terms: list[str]) -> None:
    """Print curves and shares, by tileset and in the mean."""
    mapper, _ = read_weights(weights)
    wanted = {"usual": Weights()}
    if terms:
        none = dict.fromkeys(("torn", "unsure", "unlike", "rare"), 0.0)
        wanted = {t: Weights(**(none | {k: float(v) for k, v in (w.split("=") for w in t.split(","))})) for t in terms}
    shares: dict[str, list[float]] = {}
    for case in cases(weights, tilesets, cache, names):
        curves = judge(case, mapper, wanted)
        for name, found in curves.items():
            shares.setdefault(name, []).append(saved(found, curves["random"]))
            print(
                f"{case.name:18} {name:28}", *(f"{v:.3f}" for v in found), f"saved {shares[name][-1]:.2f}", flush=True
            )
    for name, found_shares in shares.items():
        print(f"mean of {len(found_shares)}  {name:28} saved {np.mean(found_shares):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("weights", "tilesets", "cache"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    parser.add_argument("--names", nargs="*")
    parser.add_argument("--terms", nargs="*", default=[])
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
