"""`terraficta finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import lightning
import typer
from rich.console import Console

from terraficta.finetune.fitting import STAGE, fit_tileset, fit_tileset_values
from terraficta.finetune.map_model import MODEL
from terraficta.finetune.recipe import HeadKind, ValueHead, read_finetune_recipe
from terraficta.finetune.tileset.labels import Labels
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.progress import ProgressLine
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import require_new_folder, require_no_input

app = typer.Typer(help="Make a map model of a real place from a few labels.", no_args_is_help=True)
HEADS: tuple[HeadKind, ...] = ("default", "ridge", "linear", "full")
VALUE_HEADS: tuple[ValueHead, ...] = ("frozen", "full", "unet", "forest")


@app.callback()
def group() -> None:
    """Make a map model of a real place from a few labels."""


def look(trainer: lightning.Trainer, task: lightning.LightningModule) -> tuple[float, str]:
    """How far a training is, and its loss."""
    return trainer.global_step / trainer.max_steps, f"loss {float(trainer.callback_metrics['loss']):.3f}"


@app.command("run")
def run(
    tileset: Annotated[Path, typer.Option(help="Folder with a tileset.yaml.")],
    out: Annotated[Path, typer.Option(help="New folder for model.pt and run.json.")],
    weights: Annotated[
        str | None, typer.Option(help="weights.safetensors of a pretraining run, in place of those that ship; or none.")
    ] = None,
    labels_per_class: Annotated[
        str,
        typer.Option(
            help="Labelled pixels a class of the train fold; all; 0: names alone. Of a quantity: samples in all."
        ),
    ] = "25",
    seed: Annotated[int, typer.Option(help="Of the draw of labels, and of training.")] = 0,
    head: Annotated[
        str,
        typer.Option(
            help="default (names and forest) | ridge | linear | full; of a quantity: default (frozen features, one "
            "convolution) | full | unet | forest"
        ),
    ] = "default",
    recipe: Annotated[str, typer.Option(help="Name in finetune/recipes, or a YAML file.")] = "standard",
    device: Annotated[str, typer.Option(help="auto | cpu | cuda")] = "auto",
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a field of the recipe: a.b=value")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model that stands at --out.")] = False,
) -> None:
    """Draw labels from the train fold of a tileset and fit a map model to them."""
    number = _number(labels_per_class)
    replaced = STAGE if overwrite else None
    require_new_folder(out, replaced)
    content, on = read_finetune_recipe(recipe, set_), pick_device(device)
    land = read_tileset(tileset)
    require_no_input([out], [*land.files, *([] if weights in (None, "none") else [weights])])
    if land.quantity is not None:
        values = _value_head(head)
        made = fit_tileset_values(land, out, content, number=number, head=values, weights=weights, seed=seed,
                                  replaced=replaced)  # fmt: skip
        said = f"{made.samples} samples of {land.quantity}, {made.model.trained:,} parameters trained"
        Console(stderr=True).print(said)
        typer.echo(out / MODEL)
        return
    kind = _head(head)
    _say_meanings(land.meanings, kind)
    fitting = fit_tileset(
        land, out, content, number=number, head=kind, weights=weights, seed=seed, device=on, replaced=replaced,
        progress=[ProgressLine("finetune", look)],
    )  # fmt: skip
    _say(fitting.labels, fitting.model.temperature, out)


def _value_head(head: str) -> ValueHead:
    kind = next((known for known in VALUE_HEADS if known == {"default": "frozen"}.get(head, head)), None)
    if kind is None:
        raise Refusal("--head", "head", head, "default, full, unet or forest for a quantity", "use one of them")
    return kind


def _head(head: str) -> HeadKind:
    for kind in HEADS:
        if head == kind:
            return kind
    raise Refusal("--head", "head", head, "default, ridge, linear or full", "use one of them")


def _number(text: str) -> int | Literal["all"]:
    if text == "all":
        return "all"
    if not text.isdigit():
        mend = "write e.g. --labels-per-class 25"
        raise Refusal("--labels-per-class", "number", text, "0 (names alone), a number, or all", mend)
    return int(text)


def _say_meanings(meanings: Meanings, head: HeadKind) -> None:
    """What was understood, one line a class; the user corrects it with `means:` in tileset.yaml."""
    if head == "default":
        console = Console(stderr=True)
        for line in meanings.lines():
            console.print(f"  {line}", highlight=False, soft_wrap=True)


def _say(labels: Labels | None, temperature: float, out: Path) -> None:
    console = Console(stderr=True)
    if labels is None:
        console.print("no labels: names alone")
        typer.echo(out / MODEL)
        return
    wanted = "all" if labels.wanted == "all" else f"{labels.wanted} a class"
    console.print(f"{len(labels)} labels ({wanted}), temperature {temperature:.2f}")
    if short := labels.short():
        console.print("fewer than wanted: " + ", ".join(f"{name} {count}" for name, count in short.items()))
    typer.echo(out / MODEL)
