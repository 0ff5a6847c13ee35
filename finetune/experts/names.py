"""The names of a legend as an expert: what they say of pixels, from what fiction calls them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from terraficta.finetune.evidence import Evidence
from terraficta.finetune.tileset.kin import adopted
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.synth.types.legend import TERRAFICTA, USES

FLOOR = 0.01
"""what names grant every class: fiction is never that sure of real land"""
LEAST_WEIGHT = 0.02
"""weight in a meaning from which on a class of fiction counts"""
LEAST_MEAN = 0.05
"""least share that names are taken to give a class of a place: a class that they hardly see may not be there at all"""
TRUSTED = 1.5
"""times as often as chance that names must be right among labels to count in full"""


@dataclass(frozen=True)
class NamesHead:
    """What the names of a legend say of pixels, from what fiction calls them.

    A class is credited with every class of fiction that it means, whole, even where another class means it too:
    four rules that divide it gave mIoU .384 to .394 against .397 in the mean over 8 tilesets.

    Parameters
    ----------
    membership : Tensor
        (24, K) 1 where a class of fiction counts for a class of the user
    used : Tensor
        (2, K) 1 where a use counts for it; an area of that use is then of no class that is a cover
    named : Tensor
        (K,) bool; classes without a name share what no named class means
    offset : Tensor
        (K,) added to the logarithm: what fiction calls everything in a place tells nothing apart in it
    """

    membership: Tensor
    used: Tensor
    named: Tensor
    offset: Tensor

    @classmethod
    def of(cls, meanings: Meanings) -> NamesHead:
        """From the meanings of a legend; one that names all its classes has a class for all land."""
        counts = (meanings.matrix.T > LEAST_WEIGHT).float()
        cover, use = counts.split((len(TERRAFICTA), len(USES)))
        if all(meanings.named):
            cover = adopted(cover)
        return cls(cover, use, torch.tensor(meanings.named, dtype=torch.bool), torch.zeros(len(meanings.classes)))

    def balanced(self, evidence: Evidence, weight: Tensor) -> NamesHead:
        """The same, in odds against a mean pixel of the place: a legend names what is there to be told apart.

        Parameters
        ----------
        evidence : Evidence
            of P pixels, labelled or not
        weight : Tensor
            (P,) of each in the mean
        """
        said = replace(self, offset=torch.zeros_like(self.offset)).log_probabilities(evidence).exp()
        mean = (weight @ said / weight.sum()).clamp(min=LEAST_MEAN)
        return replace(self, offset=-mean.log())

    def worth(self, evidence: Evidence, mass: Tensor) -> float:
        """How far labels (P, K) bear the names out: 0 where they are right no more often than chance, 1 from 1.5 times.

        Every class counts alike.
        """
        weight = evenly(mass)
        right = weight.gather(1, self.log_probabilities(evidence).argmax(1, keepdim=True)).sum()
        chance = 1 / len(self.named)
        found = float(right) / max(float(weight.sum()), 1e-6)
        return min(1.0, max(0.0, (found / chance - 1) / (TRUSTED - 1)))

    def log_probabilities(self, evidence: Evidence) -> Tensor:
        """(P, K)."""
        assert evidence.fiction is not None
        assert evidence.uses is not None
        claimed = evidence.uses * self.used.amax(1)
        free = (1 - claimed).prod(1, keepdim=True)
        probability = free * evidence.fiction.exp()
        said = probability @ self.membership + claimed @ self.used
        left = free[:, 0] - probability @ self.membership.amax(1)
        said = torch.where(self.named, said, left[:, None]).clamp(min=0) + FLOOR
        return torch.log_softmax(said.log() + self.offset, 1)


def evenly(mass: Tensor) -> Tensor:
    """(P, K) the mass of labels, each class brought to the same sum."""
    return mass / mass.sum(0).clamp(min=1e-6)
