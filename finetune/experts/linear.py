"""The linear expert: logistic regression on context, which says less the farther a pixel lies from all labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from terraficta.finetune.experts.names import evenly

VARIANCE = 3.0
"""of a weight before a label is seen, in inverse deviations of its column: the inverse penalty of the regression"""
DOUBT = 16.0
"""times the variance that labels leave by Laplace's rule: neighbours count for less than as many strangers, and the
land to be mapped is not drawn like the labels"""
FLOOR = 0.05
"""share of its probability that it deals out evenly"""
FARTHEST = 8.0
"""deviations from the mean label beyond which a column counts as so far"""
DIRECTIONS = 128
"""in which labels may narrow the variance, the best known ones; spectra of hundreds of bands have few more"""
LEAST_SPREAD = 1e-6
"""deviation of a column among labels, in its own units, below which it tells nothing"""
CHUNK = 8192
"""pixels that are standardised together: what a cache holds, in half the time of eight times as many"""


@dataclass(frozen=True)
class Linear:
    """A linear classifier with the variance of its scores.

    Trees say nothing beyond the outermost label and a line says more and more; dividing its scores by what is not
    known of them keeps it to where labels speak for it.

    Parameters
    ----------
    middle, scale : Tensor
        (F,) mean, and inverse deviation, of the labels' context; 0 where a column tells nothing
    weight, bias : Tensor
        (F, K) and (K,) of standardised context
    known : Tensor
        (F + 1, R) directions in which labels narrow the variance; the last row is of the bias
    labelled : Tensor
        (K,) bool; other classes get their share of `FLOOR`

    Source
    ------
    MacKay 1992, The evidence framework applied to classification networks, eq. (8) and (9),
    doi 10.1162/neco.1992.4.5.720
    """

    middle: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    known: Tensor
    labelled: Tensor

    def log_probabilities(self, context: Tensor) -> Tensor:
        """Context (P, F) to (P, K)."""
        return torch.cat([self._of_chunk(chunk) for chunk in context.split(CHUNK)])

    def _of_chunk(self, context: Tensor) -> Tensor:
        z = ((context - self.middle) * self.scale).clamp_(-FARTHEST, FARTHEST)
        narrowed = torch.addmm(self.known[-1], z, self.known[:-1]).square_().sum(1)
        variance = (VARIANCE * (1 + z.square().sum(1)) - narrowed).clamp(min=0)
        score = torch.addmm(self.bias, z, self.weight) / (1 + DOUBT * pi / 8 * variance).sqrt()[:, None]
        said = torch.softmax(score.masked_fill(~self.labelled, -torch.inf), 1)
        return ((1 - FLOOR) * said + FLOOR / said.shape[1]).log()

    def tensors(self) -> dict[str, Tensor]:
        """For a file."""
        return dict(vars(self))

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Linear:
        """From what `tensors` gave."""
        return cls(**tensors)


def fit_linear(context: Tensor, mass: Tensor) -> Linear:
    """Fit logistic regression, every class with the same weight, and what labels leave unknown of it.

    Parameters
    ----------
    context : Tensor
        (P, F) of labels
    mass : Tensor
        (P, K) class mass, of two classes or more
    """
    middle, spread = context.mean(0), context.std(0, correction=0)
    scale = torch.where(spread > LEAST_SPREAD, 1 / spread, 0.0)
    z = ((context - middle) * scale).clamp(-FARTHEST, FARTHEST)
    labelled = mass.sum(0) > 0
    weight, bias = fit_logistic(z, evenly(mass) * len(mass) / labelled.sum(), VARIANCE, most=300, tolerance=1e-2)
    probability = torch.softmax(torch.addmm(bias[labelled], z, weight[:, labelled]), 1)
    told = (probability * (1 - probability)).mean(1).sqrt()[:, None]
    known = _narrowed(told * torch.cat([z, torch.ones(len(z), 1)], 1))
    return Linear(middle, scale, weight, bias, known, labelled)


def fit_logistic(x: Tensor, mass: Tensor, variance: float, most: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Weights (D, K) and biases (K,) of logistic regression (scikit-learn); 0 where a class has no mass, or has it all.

    Parameters
    ----------
    x : Tensor
        (P, D) standardised
    mass : Tensor
        (P, K) by which labels count; a soft label is several weighted rows
    variance : float
        of a weight: the inverse penalty
    most, tolerance : float
        steps at most, and at which gradient they end
    """
    weight, bias = torch.zeros(x.shape[1], mass.shape[1]), torch.zeros(mass.shape[1])
    row, target = torch.nonzero(mass, as_tuple=True)
    present = torch.unique(target)
    if len(present) > 1:
        from sklearn.linear_model import LogisticRegression  # loaded to fit, not to map: 0.1 GB

        model = LogisticRegression(C=variance, max_iter=most, tol=tolerance)
        model.fit(x[row].numpy(), target.numpy(), sample_weight=mass[row, target].numpy())
        slope, start = torch.from_numpy(model.coef_).float().T, torch.from_numpy(model.intercept_).float()
        if len(present) == 2:  # scikit-learn keeps one column for two classes
            slope, start = torch.cat([-slope, slope], 1) / 2, torch.cat([-start, start]) / 2
        weight[:, present], bias[present] = slope, start
    return weight, bias


def _narrowed(told: Tensor) -> Tensor:
    """(F + 1, R) by what labels (P, F + 1) narrow the variance: of 1 / `VARIANCE` + told' told, inverted."""
    _, size, direction = torch.linalg.svd(told.double(), full_matrices=False)
    share = VARIANCE * size.square()
    length = (VARIANCE * share / (1 + share)).sqrt()
    return (direction * length[:, None])[:DIRECTIONS].T.float().contiguous()
