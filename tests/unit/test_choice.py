"""Choices and comparisons are those of torch, whatever the kinds, shapes and masks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from terraficta.synth.scene.world.choice import FEW, choose, less

SIDE = 160
assert SIDE * SIDE > FEW


def plane(kind: torch.dtype, seed: int) -> Tensor:
    u01 = torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return (u01 > 0.5) if kind == torch.bool else (2e9 * (u01 - 0.5) if kind.is_floating_point else 250 * u01).to(kind)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.uint8, torch.int8, torch.int64, torch.bool])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_as_torch_chooses(kind: torch.dtype, share: float) -> None:
    where, one, two = torch.rand(1, SIDE, SIDE) < share, plane(kind, 1), plane(kind, 2)
    single = one[:, :1, :1]
    pairs: list[tuple[Tensor | float, Tensor | float]] = [(one, two), (single, two), (one, single), (single, single)]
    pairs += [(3, two), (one, 7), (2, 5), (1.5, 2.5)] if kind != torch.bool else []
    pairs += [(-1.5, two), (one, 0.1)] if kind.is_floating_point else [(0.5, two)]
    for this, other in pairs:
        got, expected = choose(where, this, other), torch.where(where, this, other)
        assert got.dtype == expected.dtype
        assert torch.equal(got, expected), (this, other)
    # a mask a scene over planes
    assert torch.equal(choose(where[:, :1, :1], one, two), torch.where(where[:, :1, :1], one, two))


def test_as_torch_compares() -> None:
    for kind in (torch.float32, torch.int64):
        one, two = plane(kind, 1), plane(kind, 2)
        assert torch.equal(less(one, two), one < two)
        assert torch.equal(less(one, two[:, :1, :1]), one < two[:, :1, :1])
        assert torch.equal(less(one[:, :8, :8], two[:, :8, :8]), one[:, :8, :8] < two[:, :8, :8])
