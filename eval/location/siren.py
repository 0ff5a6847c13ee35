"""SIREN: a small network of sines, which draws fine patterns from few numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FREQUENCY = 30.0
"""of the first layer's sines; 1 in those after it, as Russwurm et al. have it"""


class SineLayer(nn.Module):
    """sin(w (W x + b)).

    Parameters
    ----------
    inputs, outputs : int
        widths
    frequency : float
        w
    first : bool
        whether its input is a location: the spread of its weights then hangs on the width alone

    Source
    ------
    Sitzmann et al. 2020, arXiv 2006.09661, section 3.2
    """

    def __init__(self, inputs: int, outputs: int, frequency: float, first: bool) -> None:
        super().__init__()
        self.linear, self.frequency = nn.Linear(inputs, outputs), frequency
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / frequency
        nn.init.uniform_(self.linear.weight, -bound, bound)
        nn.init.uniform_(self.linear.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(P, inputs) to (P, outputs)."""
        return torch.sin(self.frequency * self.linear(x))


def make_siren(inputs: int, classes: int, width: int = 64, layers: int = 2, first: float = FREQUENCY) -> nn.Sequential:
    """(P, inputs) to logits (P, classes); no layers: a linear map."""
    parts: list[nn.Module] = []
    for number in range(layers):
        frequency = first if number == 0 else 1.0
        parts.append(SineLayer(inputs if number == 0 else width, width, frequency, number == 0))
    return nn.Sequential(*parts, nn.Linear(width if layers else inputs, classes))
