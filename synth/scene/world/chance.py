"""Chance: a counter hash, evaluated on the device, the same in any batch and in any process."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MASK = 0xFFFFFFFF
TURN = torch.tensor([(math.sin(2 * math.pi * (k + 0.5) / 256), math.cos(2 * math.pi * (k + 0.5) / 256))
                      for k in range(256)])  # fmt: skip
"""(256, 2) unit vectors (y, x): a table, so that CPU and GPU agree to the last bit"""


def mix(h: Tensor) -> Tensor:
    """Scramble 32-bit integers held in int64.

    Source
    ------
    C. Wellons, hash-prospector, "lowbias32" (public domain).
    """
    h = h & MASK
    h ^= h >> 16
    h *= 0x7FEB352D
    h &= MASK
    h ^= h >> 15
    h *= 0x846CA68B
    h &= MASK
    h ^= h >> 16
    return h


def hashed(seed: Tensor, *counters: Tensor | int) -> Tensor:
    """32-bit hash (int64) of a seed, salts (`salt.py`) and integer counters, broadcast together."""
    h: Tensor = seed
    for number, counter in enumerate(counters):
        h = mix(h * 0x9E3779B1 + counter + (0x51ED270B * (number + 1)))
    return h


def fraction(h: Tensor) -> Tensor:
    """A hash itself as a number in [0, 1), float32."""
    return (h >> 8).to(torch.float32) * (1.0 / (1 << 24))


def uniform(h: Tensor, draw: int = 0) -> Tensor:
    """Numbers in [0, 1), float32, from hashes; `draw` names independent numbers of one hash."""
    return fraction(mix(h + 0x632BE5AB * (draw + 1)))


def turn(h: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
    """(sin, cos) of a random direction, from hashes."""
    table = TURN.to(h.device)
    step = mix(h + 0x2C1B3C6D * (draw + 1)) & 255
    return table[:, 0][step], table[:, 1][step]


def heading(h: Tensor, draw: int = 0) -> Tensor:
    """The direction of `turn` as an angle [rad], float32."""
    step = mix(h + 0x2C1B3C6D * (draw + 1)) & 255
    return (step.to(torch.float32) + 0.5) * (2 * math.pi / 256)


def per_scene(values: Sequence[float], device: torch.device | str = "cpu") -> Tensor:
    """(N,) float64 from one number a scene."""
    return torch.tensor(list(values), dtype=torch.float64, device=device)


def planes(values: Sequence[float], device: torch.device | str = "cpu") -> Tensor:
    """(N, 1, 1) float32 from one number a scene: it multiplies fields."""
    return torch.tensor(list(values), dtype=torch.float64, device=device).to(torch.float32)[:, None, None]


def seeds_of(values: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """(N,) int64 from one seed a scene."""
    return torch.tensor(list(values), dtype=torch.int64, device=device)
