"""Scores of a map of a quantity: how far it is from what is known."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from terraficta.eval.benchmark.networks import at_pixels
from terraficta.eval.benchmark.pixels import fold_pixels
from terraficta.finetune.regression import ValueModel, read_value_model
from terraficta.finetune.tileset.split import TEST
from terraficta.finetune.tileset.tileset import VALUE, Tileset
from terraficta.synth.types.refusal import Refusal


@dataclass(frozen=True)
class ValueScores:
    """Errors over test pixels, in the unit of the quantity but for `r2`.

    Parameters
    ----------
    rmse, mae, bias : float
        root mean square, mean size and mean of estimate less truth
    r2 : float
        share of the variance of the truth that is explained; below 0 where the mean of the truth would be nearer
    mean, spread : float
        of the truth
    count : int
        pixels
    """

    rmse: float
    mae: float
    bias: float
    r2: float
    mean: float
    spread: float
    count: int

    @classmethod
    def of(cls, estimate: Tensor, truth: Tensor) -> ValueScores:
        """From pixels (n,).

        Examples
        --------
        >>> ValueScores.of(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 3.0, 5.0])).r2
        0.875
        """
        error, truth = estimate.double() - truth.double(), truth.double()
        total = float((truth - truth.mean()).square().sum())
        r2 = 1 - float(error.square().sum()) / total if total > 0 else math.nan
        return cls(
            float(error.square().mean().sqrt()), float(error.abs().mean()), float(error.mean()), r2,
            float(truth.mean()), float(truth.std(correction=0)), len(truth),
        )  # fmt: skip

    def table(self, quantity: str) -> Table:
        """As a small table."""
        table = Table(quantity, "", box=None, pad_edge=False)
        for name, value in asdict(self).items():
            table.add_row(
                "test pixels" if name == "count" else name, f"{value:,}" if name == "count" else f"{value:.4g}"
            )
        return table


def score_values(model: ValueModel | Path, tileset: Tileset, most: int = 0) -> ValueScores:
    """Score a map of a quantity on the known pixels of the test fold.

    Parameters
    ----------
    model : ValueModel | Path
        or the folder that holds it
    tileset : Tileset
        with `task: value`
    most : int
        test pixels at most, a plain random sample; 0: every one

    Raises
    ------
    Refusal
        another quantity, or no known pixel in the test fold
    """
    model = read_value_model(model) if isinstance(model, Path) else model
    if tileset.quantity != model.quantity:
        mend = "score it on a tileset of the same quantity"
        raise Refusal(tileset.folder, "quantity", tileset.quantity, model.quantity, mend)
    tiles = list(tileset.tiles("test"))
    encoder = model.encoder.with_tiles(tiles)
    estimates, truths = [], []
    for pixels in fold_pixels(tiles, TEST, most, tileset.name):
        encoder.require_sensor(pixels.tile.sensor)
        mine = ValueModel(**{**vars(model), "encoder": encoder})
        estimates.append(at_pixels(lambda i, v, s, m=mine: m(i, v, s)[:, None], pixels)[0])  # type: ignore[misc]
        truths.append(pixels.tile.layers[VALUE][pixels.y, pixels.x])
    if not truths:
        mend = "give some scenes fold: test"
        raise Refusal(tileset.folder, "fold", "no known value in the test fold", "at least one", mend)
    return ValueScores.of(torch.cat(estimates), torch.cat(truths))
