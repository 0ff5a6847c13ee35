"""The ablation: one thing at a time out of the generator and the objective, and what it is worth on real land."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from terraficta.eval.benchmark.summary import Interval
from terraficta.eval.experiment import Experiment
from terraficta.eval.fidelity.figure import draw_fidelity
from terraficta.eval.fidelity.judge import Exam, JudgeAmounts, judge, set_exam
from terraficta.eval.fidelity.variants import AS_SHIPPED, SEQUENCE, UNLEARNED, WHOLE, Tell, Variant, make_variants
from terraficta.eval.table import Table
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.pretrain.groups import write_group
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.pretrain.stream import FictionStream
from terraficta.pretrain.task import pretrain
from terraficta.pretrain.weights import SHIPPED, WEIGHTS, read_weights, weights_digest
from terraficta.synth.types.run import WATTS_PER_CPU_CORE, Run
from terraficta.synth.types.scene_recipe import read_scene_recipe

KIND = "ablation"
SCORES = ("names", "ridge", "default")
"""without a label; the ridge on features; the whole default head"""
JOULES_PER_KWH = 3.6e6
FIGURE = "fidelity.png"
TIERS = {"tier0": "tier0", "tier1": "tier1", "tier2": "tier2", WHOLE: "tier3 (whole)", SEQUENCE: SEQUENCE}
"""variants that differ in fidelity alone, and what they are called beside each other"""


def ablate(
    recipe: PretrainRecipe,
    tilesets: Sequence[Path],
    out: Path,
    *,
    seeds: int = 2,
    names: Sequence[str] | None = None,
    amounts: JudgeAmounts | None = None,
    device: str = "cpu",
    tell: Tell = print,
) -> list[Table]:
    """Pretrain every variant with the same steps and seeds, judge each on the same pixels; all that is there stays.

    Scenes are rendered once a variant of land and kept; grounds are shared by all variants that do not change the
    ground, so their comparisons are paired: the same land in another light.

    Parameters
    ----------
    recipe : PretrainRecipe
        as it is with nothing taken out
    tilesets : Sequence[Path]
        real land
    out : Path
        folder of the experiment
    seeds : int
        pretrainings of each variant, the first of all variants first
    names : Sequence[str] | None
        of variants; None: all
    amounts : JudgeAmounts | None
        how much is judged
    """
    amounts = amounts or JudgeAmounts()
    plan = {"pretraining": recipe.model_dump(mode="json"), "judge": vars(amounts), "seeds": seeds}
    experiment = Experiment(out, KIND, plan)
    variants = [v for v in make_variants(recipe, out / "lands") if names is None or v.name in (*names, WHOLE)]
    exams: dict[Path, Exam] = {}

    def exam_of(folder: Path) -> Exam:
        if folder not in exams:
            exams[folder] = set_exam(folder, amounts)
        return exams[folder]

    def judged(variant: Variant, seed: int, folder: Path) -> dict[str, Any]:
        return judge(_mapper(variant, seed, out), exam_of(folder), amounts)

    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        for variant in variants:
            made = experiment.cell(_key(variant, seed), partial(_train, variant, seed, out, device))
            for folder in tilesets:
                key = _key(variant, seed) | {"tileset": folder.name, "judge": vars(amounts)}
                found = experiment.cell(key, partial(judged, variant, seed, folder))
                rows.append({"variant": variant.name, "group": variant.group, "seed": seed, "tileset": folder.name}
                            | found | {"price": made})  # fmt: skip
            mine = [r for r in rows if r["variant"] == variant.name and r["seed"] == seed]
            means = "  ".join(f"{score} {_mean([_value(r, score) for r in mine]):.3f}" for score in SCORES)
            tell(f"{variant.name}, seed {seed}: {means}")
            tables = summarise(rows, amounts)
            draw(rows, out / FIGURE)
            experiment.write(tables, [FIGURE], variants=len(variants), cells=len(rows))
    return tables


def _key(variant: Variant, seed: int) -> dict[str, Any]:
    """All that a training hangs on, wherever the recipes of its lands lie."""
    key = {"stages": [content_of(stage) for stage in variant.stages], "seed": seed, "model": str(variant.recipe.model)}
    return key | ({"weights": weights_digest(SHIPPED)} if variant.name == AS_SHIPPED else {})


def content_of(recipe: PretrainRecipe) -> str:
    """Digest of a pretraining recipe with the contents of its lands in place of their names."""
    content = recipe.model_dump(mode="json", exclude={"name", "about", "lands"})
    content["lands"] = [[_scene_content(land), share] for land, share in recipe.lands.items()]
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()


def _scene_content(land: str) -> dict[str, Any]:
    content = read_scene_recipe(land).model_dump(mode="json")
    return {name: value for name, value in content.items() if name not in ("name", "about")}


def _folder(variant: Variant, seed: int, out: Path) -> Path:
    return out / "trained" / f"{variant.name.replace(' ', '-')}-{seed}"


def _mapper(variant: Variant, seed: int, out: Path) -> Mapper:
    if variant.name == AS_SHIPPED:
        return read_weights()[0]
    if not variant.stages:
        return fresh_mapper(FinetuneRecipe(name=UNLEARNED, about="random weights", model=variant.recipe.model), seed)
    return read_weights(_folder(variant, seed, out) / WEIGHTS)[0]


def _train(variant: Variant, seed: int, out: Path, device: str) -> dict[str, Any]:
    """Render what a variant looks at and train it; what it cost, in seconds of a processor."""
    price = {"render_s": 0.0, "train_s": 0.0, "groups": 0, "steps": 0}
    weights: Path | None = None
    for number, stage in enumerate(variant.stages):
        last = number == len(variant.stages) - 1
        groups, render_s, count = _render(stage, seed, out, device)
        start = time.process_time()
        folder = _folder(variant, seed, out)
        if not last:
            folder = folder.with_name(f"{folder.name}.stage{number}")
        if (folder / WEIGHTS).is_file():  # finished, but the cell was lost
            shutil.rmtree(folder)
        weights = pretrain(stage, folder, seed=seed, groups=groups, weights=weights, device=device)
        price["train_s"] += time.process_time() - start
        price["render_s"] += render_s
        price["groups"] += count
        price["steps"] += stage.steps
    return price


def _render(recipe: PretrainRecipe, seed: int, out: Path, device: str) -> tuple[Path, float, int]:
    """The groups of a recipe on disk, what each cost to see in seconds of a processor (the ground at hand) times their
    number, and their number."""  # fmt: skip
    lands = [[_scene_content(land), share] for land, share in recipe.lands.items()]
    amounts = [recipe.size_px, recipe.ground_px, recipe.looks, recipe.pool, recipe.episode.scenes, seed]
    name = hashlib.blake2b(json.dumps([lands, amounts], sort_keys=True).encode(), digest_size=6).hexdigest()
    folder, count = out / "groups" / name, -(-recipe.steps // recipe.reuse)
    run = Run("groups", recipe.model_dump(mode="json"), seed)
    stream = FictionStream(recipe, seed, 0, device, out / "grounds")
    spent: list[float] = json.loads((folder / "seen.json").read_text()) if (folder / "seen.json").is_file() else []
    for number in range(count):
        path = folder / f"{number:05d}.pt"
        if path.is_file():
            continue
        grown, start = stream.store.grown, time.process_time()
        batch = stream.group(number)
        if stream.store.grown == grown:
            spent.append(time.process_time() - start)
        write_group(path, batch)
    (folder / "seen.json").write_text(json.dumps(spent))
    run.write(folder, {"groups": count}, digest=f"{name}-{count}")
    each = float(np.median(spent)) if spent else 0.0
    return folder, each * count, count


# --- what it says ----------------------------------------------------------------------------------------------------


def _value(row: Mapping[str, Any], score: str) -> float:
    value = row[score]
    return _mean(value) if isinstance(value, list) else float("nan") if value is None else float(value)


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")


def summarise(rows: Sequence[Mapping[str, Any]], amounts: JudgeAmounts) -> list[Table]:
    """Tables: the effect of every variant with its interval and price, the tilesets one by one, gain against cost."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    return [_effects(rows, names, amounts), _by_tileset(rows, names), _curve(rows, names)]


def by_place(rows: Sequence[Mapping[str, Any]], name: str, score: str, other: str = WHOLE) -> Interval:
    """Mean difference to another variant, and its interval over tilesets (seeds are averaged first)."""
    whole = {(r["tileset"], r["seed"]): _value(r, score) for r in rows if r["variant"] == other}
    found: dict[str, list[float]] = {}
    for row in rows:
        key = (row["tileset"], row["seed"])
        if row["variant"] == name and key in whole:
            found.setdefault(row["tileset"], []).append(_value(row, score) - whole[key])
    return Interval.of(pd.Series([_mean(v) for v in found.values()], dtype=float))


def _effects(rows: Sequence[Mapping[str, Any]], names: Sequence[str], amounts: JudgeAmounts) -> Table:
    table: list[list[Any]] = []
    for name in names:
        mine = [r for r in rows if r["variant"] == name]
        row: list[Any] = [name, mine[0]["group"], len({r["seed"] for r in mine})]
        for score in SCORES:
            row.append(_mean([_value(r, score) for r in mine]))
            gain = by_place(rows, name, score)
            row.append("" if name == WHOLE else _said(gain))
        prices = [r["price"] for r in mine]
        seconds = _mean([p["render_s"] + p["train_s"] for p in prices])
        row += [_mean([p["render_s"] for p in prices]), _mean([p["train_s"] for p in prices]),
                f"{seconds * WATTS_PER_CPU_CORE / JOULES_PER_KWH:.1e}"]  # fmt: skip
        table.append(row)
    forest = _mean([_mean(r["forest"]) for r in rows if r["variant"] == WHOLE])
    few = amounts.labels_per_class
    note = (
        f"Mean over tilesets and seeds; difference to the whole recipe with the 95 % interval of Student's t over "
        f"tilesets, seeds averaged; * where it excludes 0 (one test a row, not corrected). {few} labels a class, "
        f"{amounts.draws} draws. A forest on the same labels, without fiction: {forest:.3f}. Price: processor seconds "
        f"of one core for seeing the scenes (grounds at hand) and for training; kWh at {WATTS_PER_CPU_CORE:g} W a core."
    )
    columns = ["variant", "of", "seeds", "names alone", "difference", f"ridge, {few}", "difference", f"default, {few}",
               "difference", "see [s]", "train [s]", "kWh"]  # fmt: skip
    return Table("What each part is worth", note, columns, table)


def _said(gain: Interval) -> str:
    if np.isnan(gain.low):
        return f"{gain.mean:+.3f}"
    sure = " *" if gain.low > 0 or gain.high < 0 else ""
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]{sure}"


def _by_tileset(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    places = list(dict.fromkeys(r["tileset"] for r in rows))
    table: list[list[Any]] = []
    for name in names:
        row: list[Any] = [name]
        for place in places:
            mine = [r for r in rows if r["variant"] == name and r["tileset"] == place]
            values = [f"{_mean([_value(r, s) for r in mine]):.3f}" for s in SCORES]
            row.append(" / ".join(values))
        table.append(row)
    return Table(
        "By tileset", "names alone / ridge / default head; mean over seeds and draws", ["variant", *places], table
    )


def _curve(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    """Gain over random weights against what fidelity costs, for the tiers."""
    table: list[list[Any]] = []
    for name in (n for n in (UNLEARNED, *TIERS) if n in names):
        mine = [r for r in rows if r["variant"] == name]
        scores = [_mean([_value(r, s) for r in mine]) for s in SCORES]
        table.append([TIERS.get(name, name), _cost_ms(mine), *scores])
    note = "Cost: seeing four scenes of a group once, grounds at hand [ms of one core]."
    return Table("Gain against fidelity", note, ["tier", "cost [ms]", "names alone", "ridge", "default"], table)


def _cost_ms(rows: Sequence[Mapping[str, Any]]) -> float:
    """What seeing a group of scenes cost a variant [ms]."""
    return _mean([1000 * row["price"]["render_s"] / max(1, row["price"]["groups"]) for row in rows])


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The figure of the rows so far."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    cost = {label: _cost_ms([r for r in rows if r["variant"] == n]) for n, label in TIERS.items() if n in names}
    tiers = {TIERS[n]: {s: by_place(rows, n, s, UNLEARNED) for s in SCORES} for n in TIERS if n in names}
    parts = {n: {s: by_place(rows, n, s) for s in SCORES} for n in names if n != WHOLE}
    draw_fidelity(tiers if UNLEARNED in names else {}, cost, parts, path)
