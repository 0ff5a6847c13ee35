"""The loss: what an episode costs a mapper."""

from __future__ import annotations

import torch
from torch import Tensor

from terraficta.pretrain.episode import Episode, Task
from terraficta.pretrain.head import fit_ridge
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.objective import balance, soft_cross_entropy


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


def episode_loss(mapper: Mapper, episode: Episode, rehearsal: float, dense: float) -> dict[str, Tensor]:
    """Losses of an episode by name: "episode", "dense" over our own legend, and their weighted "loss"."""
    reading = mapper.read(episode.views, episode.centre_nm, episode.fwhm_nm, episode.pixels)
    features = reading.features
    with torch.autocast(features.device.type, enabled=False):
        losses = [task_loss(mapper, features, task) for task in episode.tasks] if rehearsal > 0 else []
        few = torch.stack(losses).mean() if losses else features.sum() * 0
        logs = torch.log_softmax(reading.logits[: len(episode.mass)], 1)
        whole = soft_cross_entropy(logs, episode.mass, balance(episode.mass))
    return {"loss": rehearsal * few + dense * whole, "episode": few.detach(), "dense": whole.detach()}
