"""Progress: one line on the terminal while a network trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Look = Callable[[lightning.Trainer, lightning.LightningModule], tuple[float, str]]
"""how far a training is, 0..1, and what there is to say of it"""


class ProgressLine(Callback):
    """A bar, a few words, and the time.

    Parameters
    ----------
    title : str
        of the line
    look : Look
        asked after every step
    """

    def __init__(self, title: str, look: Look) -> None:
        self.look = look
        self.bar = Progress(
            TextColumn(f"[bold]{title}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[state]}"), TimeElapsedColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self.line = self.bar.add_task(title, total=1.0, state="")

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *rest: Any, **more: Any
    ) -> None:
        share, state = self.look(trainer, pl_module)
        self.bar.update(self.line, completed=min(1.0, share), state=f"step {trainer.global_step}  {state}")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.bar.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.bar.stop()
