"""Shares of 1 as the bytes of a map."""

from __future__ import annotations

from torch import Tensor

STEPS = 250
"""a share is stored as 1 + round(250 v): steps of 0.004, and 0 stays free for nodata"""


def share_bytes(share: Tensor) -> Tensor:
    """0..1 to 1..251."""
    return (1 + (share.clamp(0, 1) * STEPS).round()).long()
