"""Terrain: valleys are low, relief is what was asked for, one key is one ground."""

import pytest
import torch

from synth.scene.terrain import grow_terrain
from synth.spec.key import SceneKey
from synth.spec.recipe import TerrainRecipe
from synth.spec.refusal import Refusal

KEYS = [SceneKey(7, i) for i in range(4)]


def test_alone_and_in_a_batch_bit_equal() -> None:
    cell = torch.tensor([30.0, 10.0, 5.0, 20.0])
    batch = grow_terrain(TerrainRecipe(), KEYS, 64, 96, cell)
    alone = grow_terrain(TerrainRecipe(), KEYS[2:3], 64, 96, cell[2:3])
    for name in ("elevation_m", "slope", "wetness", "channel_m"):
        assert torch.equal(getattr(batch, name)[2:3], getattr(alone, name)), name


def test_main_valleys_lie_low() -> None:
    terrain = grow_terrain(TerrainRecipe(relief_m=(400, 400)), KEYS, 128, 128, torch.full((4,), 60.0))
    for n in range(4):
        height = terrain.elevation_m[n] - terrain.elevation_m[n].mean()
        assert float(height[terrain.channel_m[n] < 120].mean()) < 0


def test_no_relief_is_flat() -> None:
    terrain = grow_terrain(TerrainRecipe(relief_m=(0, 0)), KEYS, 32, 32, torch.full((4,), 10.0))
    assert float(terrain.elevation_m.abs().max()) == 0
    assert float(terrain.slope.max()) == 0


def test_relief_is_about_what_was_asked_for() -> None:
    terrain = grow_terrain(TerrainRecipe(relief_m=(500, 500)), KEYS, 256, 256, torch.full((4,), 80.0))
    spread = terrain.elevation_m.amax((1, 2)) - terrain.elevation_m.amin((1, 2))
    assert bool((spread > 250).all())
    assert bool((spread < 1600).all())


def test_refuses_a_cell_without_size() -> None:
    with pytest.raises(Refusal, match="cell_m"):
        grow_terrain(TerrainRecipe(), KEYS[:1], 32, 32, torch.tensor([0.0]))
