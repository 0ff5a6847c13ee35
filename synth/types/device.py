"""Devices and threads: on what to compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def one_thread() -> Iterator[None]:
    """Render on one CPU thread: where threads share a plane, the last bit hangs on how many there are.

    Many cores are for many processes; planes of this size gain little from more threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
