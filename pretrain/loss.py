"""Rehearsal: what an episode costs a mapper."""

from __future__ import annotations

import torch
from torch import Tensor

from terraficta.pretrain.episode import Episode, Task
from terraficta.pretrain.head import fit_ridge
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.objective import balance, soft_cross_entropy

QUERY_PX = 8192
"""pixels of a task that are scored, evenly spaced; more cost time and change little"""


def task_loss(mapper: Mapper, features: Tensor, task: Task) -> Tensor:
    """How badly a ridge head, fitted to the given labels, maps the rest of the task's scenes.

    Parameters
    ----------
    features : (N, D, H, W) of the episode's scenes
    """
    mine = features[task.scenes].permute(0, 2, 3, 1).flatten(0, 2)
    head = fit_ridge(mine[task.support], task.given, mapper.log_penalty.exp(), mapper.log_sharpness.exp())
    mass = task.mass.permute(0, 2, 3, 1).flatten(0, 2)
    step = max(1, len(mine) // QUERY_PX)
    return soft_cross_entropy(head.log_probabilities(mine[::step]), mass[::step], mass.sum(0).clamp(min=1.0).rsqrt())


def episode_loss(mapper: Mapper, episode: Episode, rehearsal: float, dense: float) -> dict[str, Tensor]:
    """Losses of an episode by name: "episode", "dense" over our own legend, and their weighted "loss"."""
    features = mapper.features(episode.views, episode.centre_nm, episode.fwhm_nm)
    with torch.autocast(features.device.type, enabled=False):
        losses = [task_loss(mapper, features, task) for task in episode.tasks] if rehearsal > 0 else []
        few = torch.stack(losses).mean() if losses else features.sum() * 0
        mass = episode.mass * episode.valid[:, None]
        whole = soft_cross_entropy(torch.log_softmax(mapper.dense(features), 1), mass, balance(mass))
    return {"loss": rehearsal * few + dense * whole, "episode": few.detach(), "dense": whole.detach()}
