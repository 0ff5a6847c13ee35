"""Class mass (..., K, H, W) in and out: what can be done to labels, as plain functions."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

PURE = 0.5
"""a pixel has a class to speak of where that class fills more than this"""


def shift(mass: Tensor, down_px: float, right_px: float) -> Tensor:
    """Move class mass, by fractions of a pixel too; what comes in over the border is unlabelled."""
    y, x = math.floor(down_px), math.floor(right_px)
    fy, fx = down_px - y, right_px - x
    moved = torch.zeros_like(mass)
    for j, i, share in ((0, 0, (1 - fy) * (1 - fx)), (0, 1, (1 - fy) * fx), (1, 0, fy * (1 - fx)), (1, 1, fy * fx)):
        if share > 0:
            moved += share * _moved(mass, y + j, x + i)
    return moved


def _moved(mass: Tensor, down: int, right: int) -> Tensor:
    height, width = mass.shape[-2:]
    moved = torch.zeros_like(mass)
    if abs(down) < height and abs(right) < width:
        rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        back = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
        moved[..., rows, columns] = mass[..., back[0], back[1]]
    return moved


def generalise(mass: Tensor, side_px: int) -> Tensor:
    """Class mass (N, K, H, W) or (K, H, W): the heaviest class of the neighbourhood, wherever there was a label."""
    whole = mass if mass.dim() == 4 else mass[None]
    around = functional.avg_pool2d(whole, side_px, 1, side_px // 2, count_include_pad=False)
    hard = functional.one_hot(around.argmax(1), whole.shape[1]).permute(0, 3, 1, 2).to(mass.dtype)
    hard = hard * (whole.sum(1, keepdim=True) > PURE)
    return hard if mass.dim() == 4 else hard[0]


def blocks(mass: Tensor, side_px: int) -> Tensor:
    """Class mass (K, H, W), each pixel with the mean of its block of side_px x side_px."""
    mean = functional.avg_pool2d(mass[None], side_px, ceil_mode=True, count_include_pad=False)
    spread = mean.repeat_interleave(side_px, 2).repeat_interleave(side_px, 3)
    return spread[0, :, : mass.shape[1], : mass.shape[2]]


def confuse(mass: Tensor, chances: Tensor, dice: Tensor) -> Tensor:
    """Hard labels (K, H, W) as a confusion matrix (K, K), true class by row, turns them out; dice (H, W) in [0, 1)."""
    true = mass.argmax(0)
    ladder = chances.to(mass).cumsum(1)[true]
    given = (dice[..., None].to(mass) >= ladder[..., :-1]).sum(-1)
    hard = functional.one_hot(given, mass.shape[0]).permute(2, 0, 1).to(mass.dtype)
    return hard * (mass.sum(0) > 0)


def footprints(
    mass: Tensor, gsd_m: float, diameter_m: float, along_m: float, across_m: float, rng: np.random.Generator
) -> Tensor:
    """Class mass (K, H, W) within the discs of straight tracks, each disc with its mean; elsewhere none."""
    classes, height, width = mass.shape
    angle, start_u, start_v = rng.uniform(0, math.pi), rng.uniform(0, along_m), rng.uniform(0, across_m)
    y = torch.arange(height, device=mass.device, dtype=torch.float64)[:, None] * gsd_m
    x = torch.arange(width, device=mass.device, dtype=torch.float64)[None] * gsd_m
    u = (x * math.cos(angle) + y * math.sin(angle) - start_u) / along_m
    v = (y * math.cos(angle) - x * math.sin(angle) - start_v) / across_m
    shot, track = u.round(), v.round()
    away = torch.hypot((u - shot) * along_m, (v - track) * across_m)
    # a disc smaller than a pixel is seen by the pixel that holds its middle
    inside = away <= max(0.5 * diameter_m, 0.5 * gsd_m)
    span = int(track.max() - track.min()) + 1
    name = ((shot - shot.min()) * span + (track - track.min())).long()[inside]
    _, disc = name.unique(return_inverse=True)
    found = mass[:, inside]
    total = torch.zeros(classes, int(disc.max()) + 1 if len(disc) else 0, device=mass.device, dtype=mass.dtype)
    total.index_add_(1, disc, found)
    mean = total / torch.bincount(disc, minlength=total.shape[1])
    sampled = torch.zeros_like(mass)
    sampled[:, inside] = mean[:, disc]
    return sampled


def others(habits: np.ndarray) -> np.ndarray:
    """What is given instead of the truth: rows (K, K) without their diagonal, summing to 1."""
    apart = habits * (1 - np.eye(len(habits))) + 1e-9 * (len(habits) > 1)
    np.fill_diagonal(apart, 0.0 if len(habits) > 1 else 1.0)
    rows: np.ndarray = apart / apart.sum(1, keepdims=True)
    return rows


def patchy(shape: torch.Size, patch_px: float, rng: np.random.Generator) -> Tensor:
    """(H, W) uniform dice, the same within squares of patch_px."""
    side = max(1, round(patch_px))
    rows, columns = -(-shape[0] // side) + 1, -(-shape[1] // side) + 1
    dice = torch.as_tensor(rng.random((rows, columns)), dtype=torch.float32)
    y, x = (int(v) for v in rng.integers(0, side, 2))
    return dice.repeat_interleave(side, 0).repeat_interleave(side, 1)[y : y + shape[0], x : x + shape[1]]


def chosen(mass: Tensor, per_class: int, rng: np.random.Generator) -> Tensor:
    """(H, W) bool: up to per_class pixels of every class, where it is pure enough."""
    weight, label = mass.max(0)
    rank = torch.as_tensor(rng.random(label.shape), device=mass.device)
    chosen = torch.zeros_like(label, dtype=torch.bool).flatten()
    for k in range(mass.shape[0]):
        mine = ((label == k) & (weight > PURE)).flatten().nonzero()[:, 0]
        chosen[mine[rank.flatten()[mine].argsort()[:per_class]]] = True
    return chosen.reshape(label.shape)


def strokes(mass: Tensor, per_class: int, length_px: tuple[float, float], rng: np.random.Generator) -> Tensor:
    """(H, W) bool: bent strokes that begin in a pure pixel of their class and end where it does."""
    weight, label = mass.max(0)
    height, width = label.shape
    begin = chosen(mass, per_class, rng).nonzero()
    count, steps = len(begin), max(2, 2 * math.ceil(length_px[1]))
    drawn = torch.as_tensor(rng.random((count, 3)), device=mass.device)
    length = length_px[0] + (length_px[1] - length_px[0]) * drawn[:, :1]
    way = torch.arange(steps, device=mass.device) * 0.5  # half a pixel a step, so that no pixel is jumped over
    heading = 2 * math.pi * drawn[:, 1:2] + (drawn[:, 2:] - 0.5) * 2.5 * way / length.clamp(min=1.0)
    y = (begin[:, :1] + (0.5 * heading.sin()).cumsum(1)).round().long()
    x = (begin[:, 1:] + (0.5 * heading.cos()).cumsum(1)).round().long()
    on = (y >= 0) & (y < height) & (x >= 0) & (x < width) & (way <= length)
    at = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten()
    own = label[begin[:, 0], begin[:, 1]][:, None]
    on = on & (label.flatten()[at].view(count, steps) == own) & (weight.flatten()[at].view(count, steps) > PURE)
    on = on.long().cumprod(1).bool()  # the first step out of the class ends the stroke
    drawn_on = torch.zeros(height * width, dtype=torch.bool, device=mass.device)
    drawn_on[at[on.flatten()]] = True
    drawn_on[begin[:, 0] * width + begin[:, 1]] = True
    return drawn_on.reshape(height, width)
