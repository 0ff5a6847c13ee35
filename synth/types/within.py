"""Within: what else lies in a cell that is larger than a house, and the pool of materials that a built object is of."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

POOLS: dict[str, tuple[str, ...]] = {
    "building": ("house", "large"),
    "road": ("carriageway", "yard", "vehicle", "marking"),
}
"""of built classes: roofs of houses, and large flat ones; streets, what is paved beside them, vehicles on them, and
lines"""
MORE = 3
"""places within a mixed cell that are looked at beside its own. By five, the share of roofs in a pixel of two cells
along a side would be off by 0.071 instead of 0.080 (root of the mean square, against eight cells), for half as much
work again"""
POOL_BIT = 32
"""identities are hashes of 32 bits; the pool of an object stands above them, in two bits"""
_PART = 12  # bits of a place: 5 of its class, 2 of its pool, 5 of its variant
_MIXED = 1 << 60  # the mark of a mixture


def pool_of(parcel: Tensor) -> Tensor:
    """Place in `POOLS[class]` of what built objects (...) are made of, by their identity."""
    return (parcel >> POOL_BIT) & 3


def packed(kind: Tensor, identity: Tensor) -> Tensor:
    """What lies at `MORE` places of each of M cells as one number; never 0.

    Parameters
    ----------
    kind : Tensor
        (MORE, M) position in the legend
    identity : Tensor
        (MORE, M) int64 of the object, with its pool

    Examples
    --------
    >>> kind, identity = torch.tensor([[22], [23], [2]]), torch.full((MORE, 1), 1 << 32)
    >>> [int(kind) for kind, _, _ in unpacked(packed(kind, identity))]
    [22, 23, 2]
    """
    part = kind.to(torch.int64) << 7 | pool_of(identity) << 5 | (identity >> 20) & 31
    code = torch.full_like(part[0], _MIXED)
    for place in range(MORE):
        code |= part[place] << _PART * place
    return code


def unpacked(code: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Class, pool (M,) int64 and a number in [0, 1) that picks the variant, at each of `MORE` places of mixed cells."""
    for place in range(MORE):
        part = code >> _PART * place
        yield (part >> 7) & 31, (part >> 5) & 3, (part & 31).to(torch.float32) / 32
