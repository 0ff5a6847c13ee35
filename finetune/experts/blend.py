"""The blend: what names, a ridge on features, a forest and a linear expert on context say, joined as one head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.finetune.evidence import Evidence
from terraficta.finetune.experts.forest import Forest
from terraficta.finetune.experts.linear import Linear
from terraficta.finetune.experts.names import NamesHead
from terraficta.finetune.recipe import BlendRecipe
from terraficta.pretrain.head import Head

LEAST_SHARE = 2e-3
"""least share of the trees that a class is granted: none of 100 trees is no proof"""


def log_shares(share: NDArray[np.float32]) -> Tensor:
    """(P, K) log-probabilities of what trees say."""
    return torch.from_numpy(share).clamp(min=LEAST_SHARE).log()


class Exponents(NamedTuple):
    """How far each expert counts; 0: not at all."""

    ridge: float
    forest: float
    linear: float
    names: float

    @classmethod
    def of(cls, recipe: BlendRecipe, labels_per_class: float, told: float) -> Exponents:
        """For so many labels a class, and names that are told from chance so far (0..1): a ridge where they are not."""
        return cls(
            0.0 if told > 0 else recipe.ridge, recipe.forest, recipe.linear, told * recipe.names_at(labels_per_class)
        )

    def product(self, said: Mapping[str, Tensor]) -> Tensor:
        """(P, K) logarithm of the product of experts, each given by name as log-probabilities (P, K)."""
        return torch.stack([getattr(self, name) * logs for name, logs in said.items()]).sum(0)


@dataclass(frozen=True)
class Blend:
    """A product of experts, each raised to an exponent; None in place of one that is not there.

    Parameters
    ----------
    ridge : Head | None
        on the network's features
    forest : Forest | None
        on context and features
    linear : Linear | None
        on context
    names : NamesHead | None
        on what fiction calls a pixel
    exponents : Exponents
        of them
    prior : Tensor
        (K,) added to the logarithm; areas that the user knows of
    """

    ridge: Head | None
    forest: Forest | None
    linear: Linear | None
    names: NamesHead | None
    exponents: Exponents
    prior: Tensor

    def log_probabilities(self, evidence: Evidence) -> Tensor:
        """(P, K)."""
        return torch.log_softmax(self.prior + self.exponents.product(self.experts(evidence)), 1)

    def experts(self, evidence: Evidence) -> dict[str, Tensor]:
        """Log-probabilities (P, K) of those that count, by name."""
        said: dict[str, Tensor] = {}
        if self.ridge is not None and self.exponents.ridge:
            said["ridge"] = self.ridge.log_probabilities(evidence.features)
        if self.forest is not None and self.exponents.forest:
            said["forest"] = log_shares(self.forest.of_columns(evidence.columns))
        if self.linear is not None and self.exponents.linear:
            said["linear"] = self.linear.log_probabilities(torch.from_numpy(evidence.context))
        if self.names is not None and self.exponents.names:
            said["names"] = self.names.log_probabilities(evidence)
        return said

    def content(self) -> dict[str, Any]:
        """Plain numbers and tensors, for a file."""
        return {
            "exponents": self.exponents._asdict(),
            "prior": self.prior,
            "ridge": None if self.ridge is None else head_content(self.ridge),
            "forest": None if self.forest is None else self.forest.arrays(),
            "linear": None if self.linear is None else self.linear.tensors(),
            "names": None if self.names is None else dict(vars(self.names)),
        }

    @classmethod
    def of_content(cls, content: Mapping[str, Any]) -> Blend:
        """From what `content` gave."""
        ridge, forest, linear, names = (content[name] for name in Exponents._fields)
        return cls(
            None if ridge is None else Head(**ridge),
            None if forest is None else Forest.of_arrays(forest),
            None if linear is None else Linear.of_tensors(linear),
            None if names is None else NamesHead(**names),
            Exponents(**content["exponents"]), content["prior"],
        )  # fmt: skip


def head_content(head: Head) -> dict[str, Tensor]:
    """A linear head as tensors, for a file."""
    return {name: value.detach().cpu() for name, value in vars(head).items()}
