"""Familiarity: how like the land that a network was pretrained on a pixel is, as the network sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from terraficta.pretrain.scaling import task_views
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal

if TYPE_CHECKING:
    from terraficta.pretrain.stream import Batch

Read = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""views (N, V, B, H, W), centre and width of the bands, flat positions (P,) -> features (P, D)"""

GROUPS = 96
"""groups of scenes that are looked at"""
PIXELS = 400
"""of each group"""
DIRECTIONS = 64
"""in which the features of fiction vary most; they hold 99.6 % of the variance of the shipped network's 192"""
LEVELS = 129
"""quantiles of the distance that are kept"""
PREFIX = "familiarity."
"""of its tensors in a weights file"""


@dataclass(frozen=True)
class Familiarity:
    """The spread of fiction's features: a mean, directions, and how far fiction's own pixels lie.

    Parameters
    ----------
    mean : Tensor
        (D,) of the features
    whitening : Tensor
        (D, P) to P numbers of variance 1 that do not vary together
    distances : Tensor
        (Q,) quantiles of the squared distance, evenly spaced from the least to the largest

    Error
    -----
    On nine tilesets the mean of a scene's familiarity is .44 to .80, least where the default head loses most to the
    forest (autumn woods in aerial colours). Within a scene the map is righter where familiarity is higher, but so is
    the forest's: taking the forest where familiarity is low gains nothing. Other groups of the same fiction move a
    scene's mean by up to .09.

    Source
    ------
    Mahalanobis distance to the features of training: Lee et al. 2018, arXiv 1807.03888, with one class for all, since
    distances to the nearest of 24 class means told no more
    """

    mean: Tensor
    whitening: Tensor
    distances: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Features (P, D) to the share of fiction's pixels that lie farther out (P,): fiction's own mean is 0.5."""
        squared = _distance(self.mean, self.whitening, features.float())
        levels = np.linspace(1.0, 0.0, len(self.distances))
        found = np.interp(squared.cpu().numpy(), self.distances.numpy(), levels)
        return torch.from_numpy(found).float()

    def tensors(self) -> dict[str, Tensor]:
        """For a file, by name."""
        halves = {"mean": self.mean.half(), "whitening": self.whitening.half(), "distances": self.distances}
        return {PREFIX + name: value for name, value in halves.items()}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> Familiarity | None:
        """From what `tensors` gave, among others; None where it is not there."""
        mine = {name.removeprefix(PREFIX): value.float() for name, value in tensors.items() if name.startswith(PREFIX)}
        return cls(**mine) if mine else None


def fit_familiarity(read: Read, groups: Iterable[Batch]) -> Familiarity:
    """Look at groups of fictional scenes, every second pair as if it were uncalibrated.

    Distances are those of each half of the groups to the spread of the other: to ground that it was not fitted to.

    Raises
    ------
    Refusal
        no group
    """
    found = [_features(read, batch, number) for number, batch in enumerate(groups)]
    if not found:
        raise Refusal("familiarity", "groups", 0, "at least one group of scenes", "give some")
    halves = [torch.cat(found[n::2] or found) for n in range(2)]
    squared = torch.cat([_distance(*_spread(a), b) for a, b in (halves, halves[::-1])])
    return Familiarity(*_spread(torch.cat(found)), torch.quantile(squared, torch.linspace(0, 1, LEVELS)))


def _spread(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,), and whitening (D, P) in the directions that vary most."""
    x = features.double()
    variance, axes = torch.linalg.eigh(torch.cov(x.T))
    variance, axes = variance[-DIRECTIONS:], axes[:, -DIRECTIONS:]
    least = 1e-6 * float(variance[-1])
    return x.mean(0).float(), (axes / variance.clamp(min=least).sqrt()).float()


def _distance(mean: Tensor, whitening: Tensor, features: Tensor) -> Tensor:
    """(...,) squared, of features (..., D)."""
    return ((features - mean) @ whitening).square().sum(-1)


def _features(read: Read, batch: Batch, number: int) -> Tensor:
    """(P, D) of valid pixels of a group, taken by address."""
    chance = SceneKey(0, number).at("familiarity").rng()
    usable = torch.nonzero(batch.valid.flatten())[:, 0].cpu().numpy()
    at = torch.from_numpy(chance.choice(usable, min(PIXELS, len(usable)), replace=False)).to(batch.image.device)
    level = batch.level if number // 2 % 2 else "DN"
    together = number // 4 % 2 == 0
    views = [task_views(part, len(part), level) for part in ([batch.image] if together else batch.image.split(1))]
    bands = (batch.sensor.centre_nm.to(at.device), batch.sensor.fwhm_nm.to(at.device))
    return read(torch.cat(views), *bands, at).cpu()
