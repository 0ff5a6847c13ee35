"""The loss: what an episode costs a mapper."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from terraficta.pretrain.episode import Episode, Task
from terraficta.pretrain.head import fit_ridge
from terraficta.pretrain.model import Mapper


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


def task_loss(mapper: Mapper, features: Tensor, task: Task) -> Tensor:
    """How badly a ridge head, fitted to the given labels, maps the scored pixels of a task.

    Parameters
    ----------
    features : Tensor
        (P, D) of the episode's pixels
    """
    penalty, sharpness = mapper.log_penalty.exp(), mapper.log_sharpness.exp()
    head = fit_ridge(features[task.support], task.given, penalty, sharpness)
    return soft_cross_entropy(head.log_probabilities(features[task.query]), task.mass, balance(task.mass))


def use_loss(logits: Tensor, uses: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy over the uses (P, U) of pixels.

    Not balanced: a use is as likely as fiction has it. Balanced by the root of its rarity it was overrated on real land
    (names .380 against .388 at half the odds, in the mean of nine tilesets).

    Parameters
    ----------
    known : Tensor
        (P,) 0 where nothing is known of a pixel
    """
    costs = functional.binary_cross_entropy_with_logits(logits, uses, known[:, None].expand_as(uses), reduction="sum")
    return costs / (known.sum().clamp(min=1.0) * uses.shape[1])


def episode_loss(mapper: Mapper, episode: Episode, rehearsal: float, dense: float) -> dict[str, Tensor]:
    """Losses of an episode by name: "episode", "dense" over our own legend, "use", and their weighted "loss"."""
    reading = mapper.read(episode.views, episode.centre_nm, episode.fwhm_nm, episode.pixels)
    features = reading.features
    with torch.autocast(features.device.type, enabled=False):
        losses = [task_loss(mapper, features, task) for task in episode.tasks] if rehearsal > 0 else []
        few = torch.stack(losses).mean() if losses else features.sum() * 0
        logs = torch.log_softmax(reading.logits[: len(episode.mass)], 1)
        whole = soft_cross_entropy(logs, episode.mass, balance(episode.mass))
        use = use_loss(reading.uses[: len(episode.mass)], episode.uses, episode.mass.sum(1))
    return {
        "loss": rehearsal * few + dense * (whole + use),
        "use": use.detach(),
        "episode": few.detach(),
        "dense": whole.detach(),
    }
