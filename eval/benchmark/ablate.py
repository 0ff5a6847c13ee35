"""Ablation: what each part of the generator is worth, on real tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from lightning.pytorch.callbacks import Callback

from terraficta.eval.benchmark.benchmark import run_benchmark
from terraficta.eval.benchmark.lineup import make_arms
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.pretrain.task import pretrain
from terraficta.pretrain.weights import WEIGHTS
from terraficta.synth.types.run import whole_file

TIERS = ("tier0", "tier1", "tier2", "tier3")
WITHOUT = {"no-episodes": {"rehearsal": 0.0, "dense": 1.0}, "no-dense": {"dense": 0.0}}
"""changes to the objective, on the lands of the recipe itself"""


def variants(recipe: PretrainRecipe) -> dict[str, PretrainRecipe]:
    """The recipe as it is, on one tier of lands at a time, and with a part of its objective left out."""
    made = {"whole": recipe}
    made |= {tier: recipe.model_copy(update={"lands": {tier: 1.0}}) for tier in TIERS}
    return made | {name: recipe.model_copy(update=change) for name, change in WITHOUT.items()}


def ablate(
    recipe: PretrainRecipe,
    benchmark: BenchmarkRecipe,
    tilesets: Sequence[Path],
    out: Path,
    *,
    minutes: float,
    seed: int = 0,
    workers: int = 0,
    device: str = "cpu",
    tell: Callable[[str], None] = print,
    progress: Callable[[], list[Callback]] = list,
) -> pd.DataFrame:
    """Pretrain each variant for the same wall time, benchmark each on the same labels; one row a variant and cell.

    A variant whose weights stand in `out` is not trained again, and rows that stand there are not computed again.
    """
    tables = []
    for name, variant in variants(recipe).items():
        weights = out / name / WEIGHTS
        if not weights.is_file():
            tell(f"pretrain {name} for {minutes:g} min")
            pretrain(
                variant, out / name, seed=seed, minutes=minutes, workers=workers, device=device, progress=progress()
            )
        arms = make_arms(benchmark, weights, device).arms
        ledger = run_benchmark(tilesets, benchmark, arms, out / name / "benchmark", lambda *_: None)
        rows = pd.DataFrame(ledger.rows)
        tables.append(rows.assign(variant=name)[["variant", "tileset", "arm", "labels_per_class", "seed", "miou"]])
    table = pd.concat(tables, ignore_index=True)
    with whole_file(out / "ablation.csv") as partial:
        table.to_csv(partial, index=False, float_format="%.4f")
    return table
