"""`terraficta pretrain`."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Annotated, Any

import lightning
import typer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pretrain.recipe import read_pretrain_recipe
from pretrain.task import PretrainTask, pretrain
from synth.spec.device import pick_device
from synth.spec.refusal import Refusal

app = typer.Typer(help="Learn on land that never was.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Learn on land that never was."""


class ProgressLine(Callback):
    """One line on the terminal: how far, how fast, how well."""

    def __init__(self) -> None:
        self.bar = Progress(
            TextColumn("[bold]pretrain"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[state]}"), TimeElapsedColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self.line = self.bar.add_task("pretrain", total=1.0, state="")

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *rest: Any, **more: Any
    ) -> None:
        task = pl_module
        assert isinstance(task, PretrainTask)
        losses = "  ".join(f"{name} {value:.3f}" for name, value in task.running.items() if name != "loss")
        self.bar.update(self.line, completed=min(1.0, task.progress()), state=f"step {trainer.global_step}  {losses}")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.bar.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.bar.stop()


@app.command("run")
def run(
    out: Annotated[Path, typer.Option(help="Folder for weights.pt and run.json; an interrupted run there goes on.")],
    recipe: Annotated[str, typer.Option(help="Name in pretrain/recipes, or a YAML file.")] = "standard",
    minutes: Annotated[float | None, typer.Option(help="Budget of wall time [min].")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget of steps, in place of the recipe's.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Folder of tiles; without it, the generator.")] = None,
    seed: Annotated[int, typer.Option(help="Of the fictional world and of the network.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that render ahead.")] = 0,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda")] = "auto",
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a field of the recipe: a.b=value")] = None,
) -> None:
    """Pretrain a mapper on fictional land: dense classes and few-label episodes."""
    if minutes is not None and steps is not None:
        raise Refusal("pretrain run", "--minutes, --steps", "both", "one budget", "leave one out")
    for name, value in (("--minutes", minutes), ("--steps", steps)):
        if value is not None and value <= 0:
            raise Refusal("pretrain run", name, value, "a positive number", "give a budget above 0")
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    changes = list(set_ or []) + ([f"steps={steps}"] if steps is not None else [])
    weights = pretrain(
        read_pretrain_recipe(recipe, changes),
        out,
        seed=seed,
        minutes=minutes,
        corpus=corpus,
        workers=workers,
        device=pick_device(device),
        progress=[ProgressLine()],
    )
    typer.echo(weights)
