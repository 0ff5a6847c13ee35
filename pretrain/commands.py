"""`terraficta pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import lightning
import typer
from lightning.pytorch.utilities import rank_zero_only

from terraficta.pretrain.export.item import write_model_item
from terraficta.pretrain.export.onnx import export_onnx
from terraficta.pretrain.familiarity import GROUPS
from terraficta.pretrain.groups import GroupStream, render_groups
from terraficta.pretrain.progress import ProgressLine
from terraficta.pretrain.recipe import PretrainRecipe, read_pretrain_recipe
from terraficta.pretrain.stream import FictionStream
from terraficta.pretrain.task import PretrainTask, pretrain
from terraficta.pretrain.weights import read_weights, write_weights
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import require_own_record
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Level

app = typer.Typer(help="Learn on land that never was.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Learn on land that never was."""


def look(trainer: lightning.Trainer, task: lightning.LightningModule) -> tuple[float, str]:
    """How far a pretraining is, and its losses."""
    assert isinstance(task, PretrainTask)
    return task.progress(), "  ".join(f"{name} {value:.3f}" for name, value in task.running.items() if name != "loss")


@app.command("run")
def run(
    out: Annotated[
        Path, typer.Option(help="Folder for weights.safetensors and run.json; an interrupted run there goes on.")
    ],
    recipe: Annotated[str, typer.Option(help="Name in pretrain/recipes, or a YAML file.")] = "standard",
    minutes: Annotated[float | None, typer.Option(help="Budget of wall time [min].")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget of steps, in place of the recipe's.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Folder of tiles; without it, the generator.")] = None,
    groups: Annotated[Path | None, typer.Option(help="Folder of `pretrain render`; its groups are used again.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights of the same network to start from, in place of random ones.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the fictional world and of the network.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that render ahead.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the weights of a finished run.")] = False,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="GPUs, or processes on a CPU, that train one network.")] = 1,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a field of the recipe: a.b=value")] = None,
) -> None:
    """Pretrain a mapper on fictional land: dense classes and few-label episodes."""
    if minutes is not None and steps is not None:
        raise Refusal("pretrain run", "--minutes, --steps", "both", "one budget", "leave one out")
    if corpus is not None and groups is not None:
        raise Refusal("pretrain run", "--corpus, --groups", "both", "one source of scenes", "leave one out")
    for name, value in (("--minutes", minutes), ("--steps", steps)):
        if value is not None and value <= 0:
            raise Refusal("pretrain run", name, value, "a positive number", "give a budget above 0")
    require_own_record(out, "pretrain")
    changes = list(set_ or []) + ([f"steps={steps}"] if steps is not None else [])
    first = getattr(rank_zero_only, "rank", 0) == 0  # the others were started by the first, and say nothing
    written = pretrain(
        read_pretrain_recipe(recipe, changes),
        out,
        seed=seed,
        minutes=minutes,
        corpus=corpus,
        groups=groups,
        weights=weights,
        workers=workers,
        device=pick_device(device),
        devices=devices,
        progress=[ProgressLine("pretrain", look)] if first else [],
        overwrite=overwrite,
    )
    if first:
        typer.echo(written)


@app.command("render")
def render(
    out: Annotated[Path, typer.Option(help="Folder for the groups; those that are there already stay.")],
    count: Annotated[int, typer.Option(min=1, help="Groups in the folder at the end.")],
    recipe: Annotated[str, typer.Option(help="Name in pretrain/recipes, or a YAML file.")] = "standard",
    seed: Annotated[int, typer.Option(help="Of the fictional world.")] = 0,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda")] = "auto",
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a field of the recipe: a.b=value")] = None,
) -> None:
    """Render groups of scenes once, for trainings that see each of them many times."""
    with typer.progressbar(
        render_groups(read_pretrain_recipe(recipe, set_), out, count, seed, pick_device(device)), length=count
    ) as numbers:
        for _ in numbers:
            pass
    typer.echo(out)


@app.command("familiarity")
def familiarity(
    weights: Annotated[Path, typer.Option(help="A weights file; it is written anew.")],
    groups: Annotated[Path | None, typer.Option(help="Folder of `pretrain render`; without it, the generator.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Groups of scenes to look at.")] = GROUPS,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda")] = "auto",
) -> None:
    """Write into a weights file how its features are spread over fiction; pretraining does so by itself."""
    mapper, record = read_weights(weights)
    where, seed = pick_device(device), int(record["seed"])
    if groups is not None:
        numbers, stream = list(range(count)), GroupStream(groups, seed, 0)
        looks = (stream.group(number) for number in numbers)
    else:
        fiction = FictionStream(PretrainRecipe.from_dict(record["recipe"], where=weights), seed, 0, where)
        looks = (fiction.group(number) for number in fiction.first_looks(count))
    with typer.progressbar(looks, length=count) as batches:
        mapper.to(where).fit_familiarity(batches)
    write_weights(weights, mapper, record)
    typer.echo(weights)


@app.command("item")
def item(
    out: Annotated[Path, typer.Option(help="The STAC item, a JSON file beside the weights.")],
    weights: Annotated[Path | None, typer.Option(help="In place of those that ship.")] = None,
) -> None:
    """Write what STAC's extension for models says of weights: inputs, classes, recipe, file."""
    typer.echo(write_model_item(out, weights))


@app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="The ONNX file.")],
    sensor: Annotated[str, typer.Option(help="Whose bands it reads, e.g. sentinel2a.")],
    level: Annotated[str, typer.Option(help="BOA | TOA | RADIANCE | DN: what the numbers of its images are.")] = "BOA",
    weights: Annotated[Path | None, typer.Option(help="In place of those that ship.")] = None,
) -> None:
    """Write a mapper for one sensor as an ONNX file, for programs that have no torch."""
    for known in get_args(Level):
        if level == known:
            typer.echo(export_onnx(read_weights(weights)[0], read_sensor(sensor), out, known))
            return
    raise Refusal("--level", "level", level, ", ".join(get_args(Level)), "use one of them")
