"""`terraficta finetune`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning
import typer
from rich.console import Console

from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.map_model import MODEL, write_map_model
from terraficta.finetune.recipe import FinetuneRecipe, HeadKind, ValueHead, read_finetune_recipe
from terraficta.finetune.regression import fit_values, sample_values, write_value_model
from terraficta.finetune.tileset.labels import Labels, draw_labels
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.progress import ProgressLine
from terraficta.pretrain.weights import read_weights, weights_digest
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, require_new_folder, require_no_input, whole_folder

app = typer.Typer(help="Make a map model of a real place from a few labels.", no_args_is_help=True)
STAGE = "finetune"
"""what run.json says of a model of ours"""
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
            help="default (names, ridge, forest) | ridge | linear | full; of a quantity: default (frozen features, one "
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
    mapper, pretraining = _mapper(weights, content, seed)
    land = read_tileset(tileset)
    require_no_input([out], [*land.files, *([] if weights in (None, "none") else [weights])])
    if land.quantity is not None:
        typer.echo(_run_values(land, mapper, pretraining, content, number, head, seed, out))
        return
    kind = _head(head)
    tiles = list(land.tiles("train"))
    if number == 0 and kind != "default":
        raise Refusal("--head", "head", f"{kind} without labels", "default", "draw labels, or leave --head out")
    if not tiles and number == 0 and len(land.legend):
        tiles = list(land.tiles())
    if not tiles:
        mend = "name a tileset with a legend and labels"
        raise Refusal(tileset, "label", "no labels", "labelled pixels in the train fold", mend)
    _say_meanings(land.meanings, kind)
    with whole_folder(out, replaced) as partial:
        parents = {"weights": (pretraining or {}).get("digest"), "tileset": _digest(land)}
        record = Run(STAGE, content.model_dump(mode="json"), seed, parents)
        labels = None if number == 0 else draw_labels(tiles, number, seed)
        model = adapt(
            tiles, labels, mapper, content, head=kind, meanings=land.meanings, pretrained=weights != "none", seed=seed,
            device=on, progress=[ProgressLine("finetune", look)],
        )  # fmt: skip
        write_map_model(partial, model)
        counts = {} if labels is None else labels.counts()
        metrics = {"labels": counts, "temperature": model.temperature, "choice": model.choice}
        record.write(
            partial, metrics, device=on, digest=weights_digest(partial / MODEL), head=kind, labels_per_class=number,
            weights=weights or "shipped", weights_record=pretraining, tileset=_about(land),
        )  # fmt: skip
    _say(labels, model.temperature, out)


def _run_values(
    land: Tileset, mapper: Mapper, pretraining: dict[str, Any] | None, recipe: FinetuneRecipe,
    number: int | Literal["all"], head: str, seed: int, out: Path,
) -> Path:  # fmt: skip
    """Fit a map of a quantity, and write it."""
    kind = next((known for known in VALUE_HEADS if known == {"default": "frozen"}.get(head, head)), None)
    if kind is None:
        raise Refusal("--head", "head", head, "default, full, unet or forest for a quantity", "use one of them")
    assert land.quantity is not None
    tiles = list(land.tiles("train"))
    if not tiles or number == 0:
        mend = "name a tileset with values in the train fold, and ask for some"
        raise Refusal(land.folder, "value", "no samples", "known values in the train fold", mend)
    with whole_folder(out) as partial:
        parents = {"weights": (pretraining or {}).get("digest"), "tileset": _digest(land)}
        record = Run("finetune", recipe.model_dump(mode="json"), seed, parents)
        samples = sample_values(tiles, recipe, None if number == "all" else number, seed)
        model = fit_values(tiles, samples, Encoder.fit(mapper, tiles), recipe, kind, land.quantity, seed)
        write_value_model(partial, model)
        metrics = {"samples": len(samples), "mean": model.mean, "spread": model.spread, "trained": model.trained}
        record.write(
            partial, metrics, digest=weights_digest(partial / MODEL), head=kind, quantity=land.quantity,
            weights_record=pretraining, tileset=_about(land),
        )  # fmt: skip
    Console(stderr=True).print(f"{len(samples)} samples of {land.quantity}, {model.trained:,} parameters trained")
    return out / MODEL


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


def _mapper(weights: str | None, recipe: FinetuneRecipe, seed: int) -> tuple[Mapper, dict[str, Any] | None]:
    """The mapper to start from, and the record of the run that made it."""
    return (fresh_mapper(recipe, seed), None) if weights == "none" else read_weights(weights)


def _about(tileset: Tileset) -> dict[str, Any]:
    """What a product of the same kind must be read by."""
    keys = ("folder", "name", "about", "level", "scale", "offset", "nodata", "dropped", "gsd_m", "dates")
    return {key: getattr(tileset, key) for key in keys}


def _digest(tileset: Tileset) -> str:
    """12 hex digits of the manifest."""
    return hashlib.blake2b((tileset.folder / MANIFEST).read_bytes(), digest_size=6).hexdigest()


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
