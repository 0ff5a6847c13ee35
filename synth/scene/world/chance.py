"""Chance: a counter hash, evaluated on the device, the same in any batch and in any process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MASK = 0xFFFFFFFF
FIRST, SECOND = 0x7FEB352D, 0x846CA68B
"""factors of `mix`"""
ROUNDS = tuple((np.uint32(shift), np.uint32(factor)) for shift, factor in ((16, FIRST), (15, SECOND)))
"""shift, and factor, of the rounds of `mix`; a last shift has none"""
SPREAD, STEP, DRAW = 0x9E3779B1, 0x51ED270B, 0x632BE5AB
"""what sets seeds, counters and draws apart"""
AT_ONCE = 1 << 16
"""hashes that are scrambled in one go: 256 kB of them stay in the cache of a core, and calls are few"""
TURN = torch.tensor([(math.sin(2 * math.pi * (k + 0.5) / 256), math.cos(2 * math.pi * (k + 0.5) / 256))
                      for k in range(256)])  # fmt: skip
"""(256, 2) unit vectors (y, x): a table, so that CPU and GPU agree to the last bit"""


def mix(h: Tensor) -> Tensor:
    """Scramble 32-bit integers held in int64.

    Source
    ------
    C. Wellons, hash-prospector, "lowbias32" (public domain).
    """
    return _held(_scramble(_words(h))).reshape(h.shape) if h.device.type == "cpu" else mix_there(h)


def mix_there(h: Tensor) -> Tensor:
    """The same on any device, by torch alone."""
    h = h & MASK
    h ^= h >> 16
    h *= FIRST
    h &= MASK
    h ^= h >> 15
    h *= SECOND
    h &= MASK
    h ^= h >> 16
    return h


def hashed(seed: Tensor, *counters: Tensor | int) -> Tensor:
    """32-bit hash (int64) of a seed, salts (`salt.py`) and integer counters, broadcast together."""
    steps = [(counter, STEP * (number + 1)) for number, counter in enumerate(counters)]
    if seed.device.type == "cpu":
        words = _words(seed)
        for counter, step in steps:
            more = _words(counter) + _word(step) if isinstance(counter, Tensor) else _word(int(counter) + step)
            words = _scramble(np.add(words * _word(SPREAD), more, order="C"))
        alone = not any(v.dim() for v in (seed, *counters) if isinstance(v, Tensor))
        return _held(words).reshape(()) if alone else _held(words)
    h: Tensor = seed
    for counter, step in steps:
        h = mix_there(h * SPREAD + counter + step)
    return h


def fraction(h: Tensor) -> Tensor:
    """A hash itself as a number in [0, 1), float32."""
    return (h >> 8).to(torch.float32) * (1.0 / (1 << 24))


def uniform(h: Tensor, draw: int = 0) -> Tensor:
    """Numbers in [0, 1), float32, from hashes; `draw` names independent numbers of one hash."""
    if h.device.type == "cpu":
        words = _scramble(np.add(_words(h), _word(DRAW * (draw + 1))))
        return (
            torch.from_numpy((words >> _word(8)).view(np.int32).astype(np.float32))
            .mul_(1.0 / (1 << 24))
            .reshape(h.shape)
        )
    return fraction(mix_there(h + DRAW * (draw + 1)))


@cache
def _word(value: int) -> np.uint32:
    return np.uint32(value & MASK)


def _words(h: Tensor) -> NDArray[np.uint32]:
    """Integers modulo 2^32, as a processor multiplies them eight at a time: torch has shifts for no unsigned ones."""
    return np.array(h.numpy(), np.uint32, order="C", ndmin=1)


def _held(words: NDArray[np.uint32]) -> Tensor:
    return torch.from_numpy(words.astype(np.int64))


def _scramble(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """`mix` of an array that nobody else holds, by pieces that the cache holds."""
    flat = words.reshape(-1)
    spare = np.empty(min(len(flat), AT_ONCE), np.uint32)
    for first in range(0, len(flat), AT_ONCE):
        part = flat[first : first + AT_ONCE]
        high = spare[: len(part)]
        for shift, factor in ROUNDS:
            np.right_shift(part, shift, out=high)
            np.bitwise_xor(part, high, out=part)
            np.multiply(part, factor, out=part)
        np.right_shift(part, ROUNDS[0][0], out=high)
        np.bitwise_xor(part, high, out=part)
    return words


def turn(h: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
    """(sin, cos) of a random direction, from hashes."""
    return turned_by(mix(h + 0x2C1B3C6D * (draw + 1)))


def turned_by(h: Tensor) -> tuple[Tensor, Tensor]:
    """(sin, cos) of the direction that the last eight bits of a hash name."""
    step = (h & 255).flatten()
    sine, cosine = (axis.index_select(0, step).reshape(h.shape) for axis in TURN.to(h.device).unbind(1))
    return sine, cosine


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
