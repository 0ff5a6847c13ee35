"""Whether a map's own word on itself holds: conformal coverage in place, familiarity, and a fallback by it.

Run: python tests/bench/judge_trust.py --weights W.safetensors --tilesets DIR --cache DIR [--names slovenia ...]

By tileset and 5 / 25 / 100 labels a class, mean of two draws, on what judge_heads.py keeps: expected calibration error
of the probabilities, and their temperature; coverage asked for, stated and measured on test pixels (in other blocks of
ground than the labels), classes in a set; familiarity, and what taking the forest brings in mIoU where a scene or a
pixel is less familiar than a threshold. What cannot be told from so few labels is nan, and left out of means.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from judge_heads import COUNTS, DRAWS, Case, cases, forests, scored
from torch import Tensor

from terraficta.eval.metrics import Tally
from terraficta.finetune.calibrate import soften
from terraficta.finetune.conformal import ConformalSets
from terraficta.finetune.experts.blend import Blend
from terraficta.finetune.experts.fit import fit_blend
from terraficta.finetune.experts.names import NamesHead
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.weights import read_weights

SCENE_RULE, PIXEL_RULES = 0.5, (0.05, 0.1, 0.2, 0.3)
"""familiarity below which the forest is taken"""


def trust(case: Case, mapper: Mapper, cache: Path, count: int, draw: int) -> list[float]:
    """Calibration, temperature, coverage asked, stated and measured (all, by class), set size, familiarity, gains."""
    meanings = propose_meanings(case.classes)
    names = NamesHead.of(meanings) if meanings.enough else None
    evidence, mass, blocks = case.at_most(draw, count)
    recipe = FinetuneRecipe(name="judge", about="of trust")
    fitted = fit_blend(evidence, mass, blocks, ridge_head(mapper), meanings, names, recipe, draw)
    assert isinstance(fitted.head, Blend)
    logs = fitted.head.log_probabilities(case.test)
    found = soften(logs.exp(), fitted.temperature, 1).T
    truth = case.truth.argmax(1)
    tally = Tally(len(case.classes))
    tally.add(found, case.truth.T)
    told = [tally.scores().ece, fitted.temperature, *coverage(fitted.sets, found, truth)]
    forest = forests(case, cache)["forest", draw, count]
    assert mapper.familiarity is not None, "give weights that `terraficta pretrain familiarity` has been at"
    familiarity, plain = mapper.familiarity(case.test.features), scored(logs, case.truth)
    scene = scored(forest, case.truth) - plain if float(familiarity.mean()) < SCENE_RULE else 0.0
    pixel = [
        scored(torch.where((familiarity < least)[:, None], forest, logs), case.truth) - plain for least in PIXEL_RULES
    ]
    return [*told, float(familiarity.mean()), scene, *pixel]


def coverage(sets: ConformalSets | None, found: Tensor, truth: Tensor) -> list[float]:
    """Asked, stated, measured on all pixels and in the mean of classes, and classes in a set; nan without sets."""
    if sets is None:
        return [float("nan")] * 5
    inside = sets.members(found).gather(0, truth[None])[0].float()
    by_class = [float(inside[truth == k].mean()) for k in torch.unique(truth).tolist()]
    return [
        sets.asked,
        sets.stated,
        float(inside.mean()),
        float(np.mean(by_class)),
        float(sets.sizes(found).double().mean()),
    ]


def main(weights: Path, tilesets: Path, cache: Path, names: list[str] | None) -> None:
    """Print a row a tileset and number of labels, and means."""
    mapper, _ = read_weights(weights)
    heads = ["ECE", "temper.", "asked", "stated", "covered", "by class", "set size", "familiar", "scene rule"]
    print(f"{'':18}     ", *(f"{head:>10}" for head in [*heads, *(f"pixel {t:g}" for t in PIXEL_RULES)]))
    rows: dict[int, list[np.ndarray]] = {count: [] for count in COUNTS}
    for case in cases(weights, tilesets, cache, names):
        for count in COUNTS:
            row = np.mean([trust(case, mapper, cache, count, draw) for draw in range(DRAWS)], 0)
            rows[count].append(row)
            print(f"{case.name:18} {count:4}", *(f"{value:10.3f}" for value in row), flush=True)
    for count in COUNTS:
        print(f"{'mean':18} {count:4}", *(f"{value:10.3f}" for value in np.nanmean(rows[count], 0)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("weights", "tilesets", "cache"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    parser.add_argument("--names", nargs="*")
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
