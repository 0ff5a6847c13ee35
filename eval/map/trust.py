"""The trust beside a map: how many classes cannot be ruled out, and how like fiction the ground looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.eval.map.shares import STEPS, share_bytes
from terraficta.finetune.conformal import ConformalSets

BANDS = ("set size", "familiarity")
"""of the file beside a map"""
SUFFIX = ".trust.tif"


def trust_file(map_path: Path) -> Path:
    """The file of trust that lies beside a map."""
    return map_path.with_suffix(SUFFIX)


def encode_trust(probabilities: Tensor, familiarity: Tensor | None = None, sets: ConformalSets | None = None) -> Tensor:
    """Probabilities (K, H, W) and familiarity (H, W) to bytes (2, H, W): see `BANDS`.

    What is not known (no familiarity, or NaN; no sets) is nodata, 0.
    """
    size = torch.zeros_like(probabilities[0]) if sets is None else sets.sizes(probabilities)
    known = torch.zeros_like(size)
    if familiarity is not None:
        known = torch.where(familiarity.isnan(), 0, share_bytes(familiarity.nan_to_num()))
    return torch.stack([size.to(torch.uint8), known.to(torch.uint8)])


def decode_familiarity(stored: NDArray[np.uint8]) -> Tensor:
    """Bytes of that band to 0..1, NaN where nothing is known."""
    known = torch.from_numpy(stored).float()
    return torch.where(known == 0, torch.nan, (known - 1) / STEPS)
