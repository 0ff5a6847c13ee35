"""The blend: what names say, what a ridge on features says and what a forest on ratios says, joined as one head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from terraficta.finetune.evidence import Evidence
from terraficta.finetune.forest import Forest
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.head import Head

FLOOR = 0.01
"""what names grant every class: fiction is never that sure of real land"""
LEAST_SHARE = 2e-3
"""least share of the trees that a class is granted: none of 100 trees is no proof"""


@dataclass(frozen=True)
class NamesHead:
    """What the names of a legend say of pixels, from what fiction calls them.

    Parameters
    ----------
    membership : (24, K) share of each class of fiction that goes to each class of the user
    named : (K,) bool; a class without a name is what no named class claims
    """

    membership: Tensor
    named: Tensor

    @classmethod
    def of(cls, meanings: Meanings) -> NamesHead:
        """By Bayes' rule, areas alike: a class of fiction goes to those who mean it, to the narrower ones first."""
        weight = meanings.matrix.T
        claimed = weight.sum(1, keepdim=True)
        return cls(weight / claimed.clamp(min=1e-9), torch.tensor(meanings.named, dtype=torch.bool))

    def log_probabilities(self, evidence: Evidence) -> Tensor:
        """(P, K)."""
        assert evidence.fiction is not None
        said = evidence.fiction.exp() @ self.membership
        return torch.log_softmax((said + FLOOR).log(), 1)


@dataclass(frozen=True)
class Blend:
    """A product of experts: ridge, forest and names, each raised to an exponent.

    Parameters
    ----------
    ridge, forest, names : the experts; None where there are no labels, or no names
    exponents : of ridge, forest and names
    prior : (K,) added to the logarithm; areas that the user knows of
    """

    ridge: Head | None
    forest: Forest | None
    names: NamesHead | None
    exponents: tuple[float, float, float]
    prior: Tensor

    def log_probabilities(self, evidence: Evidence) -> Tensor:
        """(P, K)."""
        total = self.prior.expand(len(evidence), -1)
        for expert, exponent in zip(self.experts(evidence), self.exponents, strict=True):
            if expert is not None and exponent:
                total = total + exponent * expert
        return torch.log_softmax(total, 1)

    def experts(self, evidence: Evidence) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Log-probabilities (P, K) of each expert."""
        ridge = None if self.ridge is None else self.ridge.log_probabilities(evidence.features)
        forest = None
        if self.forest is not None:
            forest = torch.from_numpy(self.forest.probabilities(evidence.context)).clamp(min=LEAST_SHARE).log()
        return ridge, forest, None if self.names is None else self.names.log_probabilities(evidence)

    def content(self) -> dict[str, Any]:
        """Plain numbers and tensors, for a file."""
        return {
            "exponents": list(self.exponents),
            "prior": self.prior,
            "ridge": None if self.ridge is None else head_content(self.ridge),
            "forest": None if self.forest is None else self.forest.arrays(),
            "names": None if self.names is None else dict(vars(self.names)),
        }

    @classmethod
    def of_content(cls, content: Mapping[str, Any]) -> Blend:
        """From what `content` gave."""
        ridge, forest, names = content["ridge"], content["forest"], content["names"]
        strengths = tuple(float(e) for e in content["exponents"])
        return cls(
            None if ridge is None else Head(**ridge),
            None if forest is None else Forest.of_arrays(forest),
            None if names is None else NamesHead(**names),
            (strengths[0], strengths[1], strengths[2]), content["prior"],
        )  # fmt: skip


def head_content(head: Head) -> dict[str, Tensor]:
    """A linear head as tensors, for a file."""
    return {name: value.detach().cpu() for name, value in vars(head).items()}
