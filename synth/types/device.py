"""Which device to compute on."""

from __future__ import annotations

import torch

from terraficta.synth.types.refusal import Refusal


def pick_device(name: str) -> str:
    """ "auto" takes CUDA where there is one; "cpu" and "cuda" are taken at their word."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in {"cpu", "cuda"}:
        raise Refusal("--device", "device", name, "auto, cpu or cuda", "use one of them")
    if name == "cuda" and not torch.cuda.is_available():
        raise Refusal("--device", "device", name, "a CUDA device, and this machine shows none", "use --device cpu")
    return name
