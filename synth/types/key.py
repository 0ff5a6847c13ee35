"""The key of a scene: an address from which all its chance is derived."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SceneKey:
    """Address of a scene, and of any thing in it.

    Randomness is addressed, never counted: the same address gives the same numbers in any process, in any
    order, alone or in a batch. The recipe is not in the key, so scene 42 keeps its ground in every tier.

    Parameters
    ----------
    seed : int
        of the world
    index : int
        of the scene in it
    path : tuple[str | int, ...]
        the address within the scene, e.g. ("cover", "parcel", 3)

    Examples
    --------
    >>> a = SceneKey(7, 42).at("sun").rng().random()
    >>> a == SceneKey(7, 42).at("sun").rng().random()
    True
    """

    seed: int
    index: int
    path: tuple[str | int, ...] = ()

    def at(self, *address: str | int) -> SceneKey:
        """The key of something within: `key.at("cover", "parcel", 3)`."""
        return SceneKey(self.seed, self.index, self.path + address)

    def digest(self) -> bytes:
        """16 bytes that stand for this address."""
        text = repr((int(self.seed), int(self.index), self.path)).encode()
        return hashlib.blake2b(text, digest_size=16, person=b"terraficta").digest()

    def rng(self) -> np.random.Generator:
        """A generator for the few numbers that belong to this address (Philox, keyed by the digest)."""
        return np.random.Generator(np.random.Philox(key=int.from_bytes(self.digest(), "little")))

    def field_seed(self) -> int:
        """A 31-bit integer for this address: the seed of a random field that is hashed on the device."""
        return int.from_bytes(self.digest()[:4], "little") & 0x7FFFFFFF
