"""The objective: soft cross-entropy over class mass."""

from __future__ import annotations

from torch import Tensor


def soft_cross_entropy(log_probabilities: Tensor, mass: Tensor, weight: Tensor | None = None) -> Tensor:
    """-(p * log q).sum() / p.sum() over class mass; pixels without mass do not count.

    Parameters
    ----------
    log_probabilities, mass : Tensor
        (..., K, *) with classes on axis 1
    weight : Tensor | None
        (K,) of the classes, 1 if None
    """
    if weight is not None:
        mass = mass * weight.view(1, -1, *[1] * (mass.ndim - 2))
    return -(mass * log_probabilities).sum() / mass.sum().clamp(min=1e-6)


def balance(mass: Tensor) -> Tensor:
    """(K,) weights under which a class counts as the square root of its mass (P, K)."""
    return mass.sum(0).clamp(min=1.0).rsqrt()
