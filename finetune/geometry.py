"""Geometry of crops in training: free turns, stretches and shears of real tiles, by albumentations."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

SHEAR_DEG = 40.0
"""shear at a stretch of 1 [deg]"""


def bent(
    image: Tensor, valid: Tensor, y: Tensor, x: Tensor, stretch: float, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A crop turned by any angle, stretched and sheared a little; radiometry is never touched.

    Labels are moved as points, not resampled as a mask: single labelled pixels neither vanish nor double.

    Parameters
    ----------
    image : Tensor
        (B, H, W) in product units; bilinear between pixels
    valid : Tensor
        (H, W) bool; nearest, and False beyond the crop
    y, x : Tensor
        (P,) int64 labelled pixels [px]
    stretch : float
        sides are scaled by up to 1 / (1 + stretch) .. 1 + stretch
    seed : int
        of the draw

    Returns
    -------
    tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
        image, valid, y, x, and which of the P labels are still within the crop
    """
    transform = _transform(stretch)
    transform.set_random_seed(seed)
    out = transform(
        image=np.ascontiguousarray(image.permute(1, 2, 0).numpy()),
        mask=valid.numpy().astype(np.uint8),
        keypoints=torch.stack([x, y], 1).double().numpy(),
    )
    column, row = torch.as_tensor(np.asarray(out["keypoints"], dtype=np.float64)).reshape(-1, 2).unbind(1)
    row, column = row.round().long(), column.round().long()
    inside = (row >= 0) & (row < image.shape[1]) & (column >= 0) & (column < image.shape[2])
    turned = torch.from_numpy(np.ascontiguousarray(out["image"])).permute(2, 0, 1)
    return turned, torch.from_numpy(out["mask"]) > 0, row[inside], column[inside], inside


@lru_cache
def _transform(stretch: float) -> Any:
    """The transform of albumentations, which takes a second to import."""
    import albumentations

    sides = (1 / (1 + stretch), 1 + stretch)
    affine = albumentations.Affine(
        scale=sides, rotate=(-180, 180), shear=(-SHEAR_DEG * stretch, SHEAR_DEG * stretch), keep_ratio=False,
        fill=0, fill_mask=0, p=1.0,
    )  # fmt: skip
    points = albumentations.KeypointParams(format="xy", remove_invisible=False)
    return albumentations.Compose([affine], keypoint_params=points)
