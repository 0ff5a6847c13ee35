"""The curve: how the losses of a pretraining fell, step by step, kept as a small table beside its weights."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from terraficta.synth.types.run import whole_file

CURVE = "curve.csv"
"""name of the table in the folder of a run"""
EVERY = 5
"""steps between two rows"""


class CurveKeeper(Callback):
    """Writes running means of the losses, from the first step of a run to its last, interruptions included.

    Parameters
    ----------
    folder : Path
        of the run
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *rest: Any, **more: Any
    ) -> None:
        if trainer.global_step % EVERY == 0 or trainer.global_step == 1:
            running: dict[str, float] = pl_module.running  # type: ignore[assignment]
            self.rows.append({"step": float(trainer.global_step), **running})

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with whole_file(self.folder / CURVE) as partial, partial.open("w", newline="") as file:
            table = csv.DictWriter(file, names or ["step"])
            table.writeheader()
            table.writerows({name: f"{value:.5g}" for name, value in row.items()} for row in self.rows)

    def state_dict(self) -> dict[str, Any]:
        """What an interrupted run keeps."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where it stopped."""
        self.rows = list(state_dict["rows"])
