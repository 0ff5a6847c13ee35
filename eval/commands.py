"""The commands of `terraficta eval`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from eval.benchmark import run_benchmark
from eval.networks import make_arms
from eval.recipe import read_benchmark_recipe
from eval.summary import summarise
from synth.spec.device import pick_device
from synth.spec.refusal import Refusal
from synth.spec.run import Run, whole_file

app = typer.Typer(help="Map real land, score the map, compare ways to it, report.", no_args_is_help=True)


def summary_table(summary: pd.DataFrame) -> Table:
    """Mean mIoU with intervals, and the paired gain over the best simple arm, also where it is a loss."""
    table = Table("tileset", "labels", "arm", "mIoU", "gain over the best simple arm", "", box=None, pad_edge=False)
    last: tuple[str, str] | None = None
    for row in summary.to_dict("records"):
        cell = (str(row["tileset"]), str(row["labels_per_class"]))
        mean, high, gain, low_gain, high_gain = (row[c] for c in ("mean", "high", "gain", "gain_low", "gain_high"))
        level = f"{mean:.3f}" if math.isnan(high) else f"{mean:.3f} ± {high - mean:.3f}"
        gained = "" if math.isnan(gain) else f"{gain:+.3f}"
        gained += "" if math.isnan(low_gain) else f" [{low_gain:+.3f}, {high_gain:+.3f}]"
        names = cell if cell != last else ("", "")
        style = "bold" if row["best"] else ""
        table.add_row(*names, str(row["arm"]), level, gained or "the best simple", str(row["verdict"]), style=style)
        last = cell
    return table


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise Refusal("--labels-per-class", "numbers", text, "whole numbers with commas", "write 5,25,100") from error


@app.command()
def benchmark(
    tileset: Annotated[list[Path], typer.Option(help="tileset folders; name the option once for each")],
    out: Annotated[Path, typer.Option(help="folder; rows that stand there already are not computed again")],
    weights: Annotated[Path | None, typer.Option(help="pretrained weights for synthetic and episodic")] = None,
    recipe: Annotated[str, typer.Option(help="name or file")] = "standard",
    arms: Annotated[str | None, typer.Option(help="with commas, in place of the recipe's")] = None,
    labels_per_class: Annotated[str | None, typer.Option(help="with commas, in place of the recipe's")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="draws of labels, in place of the recipe's")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="field=value of the recipe")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Compare ways to a map: one tidy CSV row a tileset x arm x labels x draw."""
    changes = list(change or [])
    if arms is not None:
        changes.append(f"arms=[{arms}]")
    if labels_per_class is not None:
        changes.append(f"labels_per_class={_numbers(labels_per_class)}")
    if seeds is not None:
        changes.append(f"seeds={seeds}")
    chosen = read_benchmark_recipe(recipe, changes)
    where = pick_device(device)
    known = make_arms(chosen, weights, where)
    run = Run("benchmark", chosen.model_dump(mode="json"), seed=0, parents={"weights": known.weights})
    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("benchmark", total=None)

        def tell(line: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            bar.console.print(line, highlight=False)

        ledger = run_benchmark(tileset, chosen, known.arms, out, tell)
    summary = summarise(ledger.rows)
    with whole_file(out / "summary.csv") as partial:
        summary.to_csv(partial, index=False, float_format="%.4f")
    best = {f"{r['tileset']} {r['labels_per_class']}": r["arm"] for r in summary.to_dict("records") if r["best"]}
    metrics = {"rows": len(ledger.rows), "best": best}
    run.write(out, metrics, device=where, weights=known.record, tilesets=[str(t) for t in tileset])
    console.print(summary_table(summary))
    console.print(f"{out / 'benchmark.csv'}\n{out / 'summary.csv'}", highlight=False)
