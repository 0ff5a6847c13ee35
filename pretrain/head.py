"""The episodic head: a ridge classifier in closed form, differentiable through and through."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Head:
    """A linear classifier over features.

    Parameters
    ----------
    weight, bias : Tensor
        (D, K) and (K,)
    sharpness : Tensor
        what the scores are multiplied by before the softmax; an inverse temperature
    """

    weight: Tensor
    bias: Tensor
    sharpness: Tensor

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Features (N, D, H, W) to log class probabilities (N, K, H, W), or (P, D) to (P, K)."""
        if features.ndim == 2:
            return torch.log_softmax(self.sharpness * (features @ self.weight + self.bias), 1)
        scores = torch.einsum("ndhw,dk->nkhw", features, self.weight) + self.bias[:, None, None]
        return torch.log_softmax(self.sharpness * scores, 1)


def fit_ridge(features: Tensor, mass: Tensor, penalty: Tensor, sharpness: Tensor) -> Head:
    """Ridge regression of centred class mass on centred features.

    Minimises sum_p s_p |y_p - W^T x_p - b|^2 + penalty |W|^2, with s_p so that a class weighs as the square root of
    its labels and all weights sum to 1 (after Bertinetto et al. 2019, "Meta-learning with differentiable closed-form
    solvers", arXiv 1805.08136; class weights are ours).

    Parameters
    ----------
    features : Tensor
        (P, D)
    mass : Tensor
        (P, K) class mass of each labelled pixel
    penalty : Tensor
        > 0
    sharpness : Tensor
        of the head that comes back

    Raises
    ------
    torch.linalg.LinAlgError : where penalty is 0 and features are dependent
    """
    per_class = mass.sum(0).clamp(min=1e-6)
    weight = (mass / per_class.sqrt()).sum(1)
    weight = weight / weight.sum()
    x_mean, y_mean = weight @ features, weight @ mass
    x, y = features - x_mean, mass - y_mean
    root = weight.sqrt()[:, None]
    x, y = x * root, y * root
    few = len(x) < x.shape[1]  # few labels, long features: the same solution from the smaller system
    solution = x.t() @ _solve(x @ x.t(), y, penalty) if few else _solve(x.t() @ x, x.t() @ y, penalty)
    return Head(solution, y_mean - x_mean @ solution, sharpness)


def _solve(gram: Tensor, right: Tensor, penalty: Tensor) -> Tensor:
    """(gram + penalty I)^-1 right."""
    whole = gram + penalty * torch.eye(len(gram), device=gram.device, dtype=gram.dtype)
    return torch.cholesky_solve(right, torch.linalg.cholesky(whole))
