"""The land stays where it is: stored numbers, classes and truth are those that were recorded.

Digests hold to the last bit on the kind of machine that recorded them (see `scenes.machine`); the twin holds on any
machine, with stored numbers that may be off by one.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from scenes import CASES, DIGESTS, TWIN, digest, machine

from terraficta.synth.instrument.product import to_dn
from terraficta.synth.types.tile import Tile

RECORDED = json.loads(DIGESTS.read_text())
MADE: dict[str, list[Tile]] = {}
"""each case is rendered once for both tests"""


def made(name: str) -> list[Tile]:
    if name not in MADE:
        MADE[name] = CASES[name]()
    return MADE[name]


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_last_bit(name: str) -> None:
    if machine() != RECORDED["machine"]:
        pytest.skip(f"recorded on {RECORDED['machine']}, this is {machine()}: the twin is checked")
    assert {tile.id: digest(tile) for tile in made(name)} == RECORDED["digests"][name]


@pytest.mark.parametrize("name", CASES)
def test_twin_equal_within_one(name: str) -> None:
    tile = made(name)[0]
    with np.load(TWIN) as twin:
        stored, classes = twin[name].astype(int), twin[f"{name}/class"]
    off = np.abs(to_dn(tile.image, tile.sensor).numpy().astype(int) - stored)
    assert (off <= 1).mean() > 0.999, f"{(off > 1).sum()} stored numbers differ by up to {off.max()}"
    assert (tile.mass.argmax(0).numpy() == classes).mean() > 0.999


def test_every_recipe_is_held() -> None:
    assert set(RECORDED["digests"]) == set(CASES)
