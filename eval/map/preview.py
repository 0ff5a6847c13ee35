"""Pictures of land: an image as the eye would see it, and a map with its legend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.synth.types.legend import Legend
from terraficta.synth.types.run import whole_file

matplotlib.use("Agg")

LARGEST_PX = 1200
"""longest side of a picture [px]"""
INK, FAINT = "#1f2937", "#6b7280"


def thin(length_px: int, most_px: int = LARGEST_PX) -> int:
    """Take every n-th pixel so that a side is no longer than `most_px`."""
    return max(1, -(-length_px // most_px))


def natural_colour(image: Tensor, valid: Tensor, bands: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(H, W, 4) picture of an image (B, H, W): from the 2nd percentile of each band up, invalid clear.

    The dark end is each band's own, which takes haze away; the span is one for all three, which keeps sand yellow,
    unless a band spans far more than another (DN).
    """
    rgb = image[list(bands)].float()
    inside = rgb[:, valid]
    picture = np.zeros((*valid.shape, 4), dtype=np.uint8)
    if inside.shape[1] == 0:
        return picture
    sample = inside[:, :: max(1, inside.shape[1] // 100_000)]
    low, high = (torch.quantile(sample, q, dim=1) for q in (0.02, 0.98))
    span = (high - low).clamp(min=1e-9)
    if float(span.max() / span.min()) < 3:
        span = span.mean().expand(3)
    bright = ((rgb - low[:, None, None]) / span[:, None, None]).clamp(0, 1).pow(0.8)
    picture[..., :3] = (bright * 255).byte().permute(1, 2, 0).numpy()
    picture[..., 3] = valid.numpy() * 255
    return picture


def class_colours(label: NDArray[Any], legend: Legend) -> NDArray[np.uint8]:
    """(H, W, 4) picture of classes 1..K; 0 is clear."""
    table = np.zeros((256, 4), dtype=np.uint8)
    if len(legend):
        table[1 : len(legend) + 1, :3] = legend.rgb()
        table[1 : len(legend) + 1, 3] = 255
    return table[label.astype(np.uint8)]


def write_preview(
    path: Path, label: NDArray[Any], legend: Legend, title: str, image: NDArray[np.uint8] | None = None
) -> None:
    """Write a PNG of a map (H, W) with legend and area shares, the image (H, W, 4) beside it where given."""
    height, width = label.shape
    panels = 1 if image is None else 2
    side = 6.0
    tall = side * height / max(height, width)
    wide = side * width / max(height, width)
    figure = Figure(figsize=(panels * wide + 3.0, max(tall, 0.32 * len(legend) + 1) + 0.6), dpi=150, facecolor="white")
    grid = figure.add_gridspec(
        1, panels + 1, width_ratios=[wide] * panels + [2.6], left=0.01, right=0.99, bottom=0.02, top=0.9, wspace=0.03
    )
    pictures = [class_colours(label, legend)] if image is None else [image, class_colours(label, legend)]
    for number, picture in enumerate(pictures):
        axes = figure.add_subplot(grid[0, number])
        axes.imshow(picture, interpolation="nearest")
        axes.set_axis_off()
    counts = np.bincount(label.reshape(-1), minlength=len(legend) + 1)[1 : len(legend) + 1]
    share = counts / max(counts.sum(), 1)
    handles = [
        Patch(facecolor=colour, edgecolor="#00000022", label=f"{name.replace('_', ' ')}   {100 * part:.1f} %")
        for name, colour, part in zip(legend.classes, legend.colours, share, strict=True)
    ]
    axes = figure.add_subplot(grid[0, panels])
    axes.set_axis_off()
    axes.legend(handles=handles, loc="upper left", frameon=False, labelcolor=INK, fontsize=10, borderaxespad=0)
    figure.suptitle(title, x=0.01, ha="left", color=FAINT, fontsize=10)
    with whole_file(path) as partial:
        figure.savefig(partial)
