"""The precision of arithmetic: bfloat16 where the machine has it in hardware, float32 elsewhere."""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch

Precision = Literal["bf16-mixed", "32-true"]
"""as Lightning names them"""


@cache
def fast_precision(device: str) -> Precision:
    """The faster precision of a device, "cpu" or "cuda", that is exact enough for a mapper.

    A CPU without AVX-512 bfloat16 emulates it, one number at a time: a training step then takes ten times as long.
    """
    if device == "cuda":
        return "bf16-mixed"
    hardware = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if hardware else "32-true"


def autocast(device: str) -> torch.autocast:
    """Context under which a mapper reads images in the faster precision of a device."""
    return torch.autocast(device, torch.bfloat16, enabled=fast_precision(device) == "bf16-mixed")
