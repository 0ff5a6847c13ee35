"""Moving weights: which weights of a mapper a training on a few labels may change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from terraficta.finetune.recipe import FullRecipe
from terraficta.pretrain.model import Mapper

ASIDE = ("dense.", "used.", "log_")
"""parameters that no map of a user's legend hangs on"""
DECODER = ("deepest.", "ups.", "full_size.", "spectral_out.", "context_out.")
"""what comes after the encoder and the spectral path"""


class LowRank(nn.Module):
    """A weight and a change of low rank on top: W + B A, nothing at first.

    Source
    ------
    Hu et al. 2021, "LoRA", arXiv 2106.09685: A at random, B zero.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.down = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as it is used."""
        return weight + (self.up @ self.down).view_as(weight)


@contextmanager
def moving(mapper: Mapper, recipe: FullRecipe) -> Iterator[list[nn.Parameter]]:
    """The parameters that a training may move, while it lasts; afterwards the mapper is of the usual shape again."""
    if recipe.moving != "lora":
        wanted = DECODER if recipe.moving == "decoder" else ("",)
        yield [p for name, p in mapper.named_parameters() if name.startswith(wanted) and not name.startswith(ASIDE)]
        return
    layers = [
        layer
        for name, layer in mapper.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
        and not f"{name}.".startswith(ASIDE)
        and min(layer.weight.flatten(1).shape) > recipe.rank
    ]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, recipe.rank))
    try:
        yield [p for name, p in mapper.named_parameters() if name.endswith((".down", ".up"))]
    finally:
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
