"""The blend: what names say, what a ridge on features says and what a forest on ratios says, joined as one head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.finetune.calibrate import fit_temperature, out_of_fold
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.forest import Forest, fit_forest
from terraficta.finetune.head import FitHead, FittedHead
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.head import Head
from terraficta.synth.types.refusal import Refusal

FLOOR = 0.01
"""what names grant every class: fiction is never that sure of real land"""
LEAST_WEIGHT = 0.02
"""weight in a meaning from which on a class of fiction counts"""
LEAST_SHARE = 2e-3
"""least share of the trees that a class is granted: none of 100 trees is no proof"""
SHARES_EXPONENT = 0.5
"""how far areas that the user knows of count: labels are drawn by class, and land is not"""


@dataclass(frozen=True)
class NamesHead:
    """What the names of a legend say of pixels, from what fiction calls them.

    A class is credited with every class of fiction that it means, whole, even where another class means it too:
    dividing by Bayes' rule starves broad classes (mIoU .385 against .397 in the mean over 8 tilesets).

    Parameters
    ----------
    membership : (24, K) 1 where a class of fiction counts for a class of the user
    named : (K,) bool; classes without a name share what no named class means
    """

    membership: Tensor
    named: Tensor

    @classmethod
    def of(cls, meanings: Meanings) -> NamesHead:
        """From the meanings of a legend."""
        return cls((meanings.matrix.T > LEAST_WEIGHT).float(), torch.tensor(meanings.named, dtype=torch.bool))

    def log_probabilities(self, evidence: Evidence) -> Tensor:
        """(P, K)."""
        assert evidence.fiction is not None
        probability = evidence.fiction.exp()
        said = probability @ self.membership
        left = 1 - probability @ self.membership.amax(1)
        return torch.log_softmax((torch.where(self.named, said, left[:, None]).clamp(min=0) + FLOOR).log(), 1)


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


def names_of(meanings: Meanings, encoder: Encoder) -> NamesHead | None:
    """The names as an expert; None where they tell no classes apart, and for change, which has no class in fiction."""
    return NamesHead.of(meanings) if meanings.enough and encoder.dates == 1 else None


def names_alone(meanings: Meanings, encoder: Encoder) -> FittedHead:
    """A head that needs no label.

    Raises
    ------
    Refusal
        names that tell no two classes apart
    """
    names = names_of(meanings, encoder)
    if names is None:
        lost = [name for name, named in zip(meanings.classes, meanings.named, strict=True) if not named]
        found = f"no meaning for {', '.join(lost)}" if lost else "one meaning for all classes"
        mend = "write means: {class: {class of ours: weight}} in tileset.yaml, or draw labels"
        raise Refusal("--labels-per-class", "0", found, "names that tell classes apart", mend)
    return FittedHead(Blend(None, None, names, (0.0, 0.0, 1.0), prior_of(meanings)), 1.0, "names")


def prior_of(meanings: Meanings) -> Tensor:
    """(K,) what the areas that the user knows of add to the logarithm."""
    if meanings.shares is None:
        return torch.zeros(len(meanings.classes))
    return SHARES_EXPONENT * meanings.shares.clamp(min=1e-6).log()


def fit_blend(
    evidence: Evidence,
    mass: Tensor,
    groups: NDArray[np.int64],
    fit_ridge: FitHead,
    meanings: Meanings,
    names: NamesHead | None,
    recipe: FinetuneRecipe,
    seed: int,
) -> FittedHead:
    """Fit the experts to all labels; the temperature comes from experts that have not seen the labels they judge.

    Parameters
    ----------
    evidence, mass : of P labels, (P, K)
    groups : (P,) block of ground, which a split keeps together
    fit_ridge : the closed-form head
    """
    classes, weight = mass.argmax(1).numpy(), mass.sum(1).double().numpy()
    counts = torch.bincount(mass.argmax(1), minlength=mass.shape[1])
    exponents = recipe.blend.exponents(float(counts[counts > 0].float().median()), names is not None)
    prior = prior_of(meanings)

    def fit(rows: NDArray[np.int64], trees: int) -> Blend:
        some = evidence.take(torch.from_numpy(rows))
        forest = fit_forest(some.context, classes[rows], weight[rows], mass.shape[1], seed, trees)
        return Blend(fit_ridge(some.features, mass[rows]), forest, names, exponents, prior)

    def learn(rows: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
        blend = fit(rows, recipe.blend.check_trees)
        return lambda check: blend.log_probabilities(evidence.take(torch.from_numpy(check))).double().exp().numpy()

    temperature = 1.0
    found = out_of_fold(learn, classes, groups, mass.shape[1], seed, recipe.folds)
    if found is not None:
        temperature = fit_temperature(torch.from_numpy(found).T, mass.T, recipe.temperature_doubt)
    choice = " ".join(f"{name}^{e:.2g}" for name, e in zip(("ridge", "forest", "names"), exponents, strict=True))
    return FittedHead(fit(np.arange(len(classes)), recipe.blend.trees), temperature, choice)
