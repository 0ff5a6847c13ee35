"""Terrain: valleys are low, relief is what was asked for, one key is one ground."""

import pytest
import torch
from terrain_maker import make_terrain

from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import TerrainRecipe

KEYS = [SceneKey(7, i) for i in range(4)]


def test_alone_and_in_a_batch_bit_equal() -> None:
    cell = torch.tensor([30.0, 10.0, 5.0, 20.0])
    batch = make_terrain(TerrainRecipe(), KEYS, 64, 96, cell)
    alone = make_terrain(TerrainRecipe(), KEYS[2:3], 64, 96, cell[2:3])
    for name in ("elevation_m", "slope", "wetness", "river_m", "river_level_m"):
        assert torch.equal(getattr(batch, name)[2:3], getattr(alone, name)), name


def test_rivers_lie_low_and_carry_their_level() -> None:
    terrain = make_terrain(TerrainRecipe(relief_m=(400, 400)), KEYS, 128, 128, torch.full((4,), 30.0))
    for n in range(4):
        height, river = terrain.elevation_m[n], terrain.river_m[n] <= 0
        assert int(river.sum()) > 20
        assert torch.equal(height[river], terrain.river_level_m[n][river])
        assert float(height[river].mean()) < float(height.mean())
        assert float(terrain.wetness[n][river].mean()) > 1.5 * float(terrain.wetness[n].mean())


def test_windows_of_one_world_overlap_to_the_last_bit() -> None:
    key, cell = KEYS[:1], torch.tensor([20.0])
    one = make_terrain(TerrainRecipe(), key, 64, 64, cell)
    two = make_terrain(TerrainRecipe(), key, 64, 64, cell, origin_cell=torch.tensor([[32, -16]]))
    assert torch.equal(one.elevation_m[:, 32:, :-16], two.elevation_m[:, :-32, 16:])
    assert torch.equal(one.river_m[:, 32:, :-16], two.river_m[:, :-32, 16:])


def test_windows_agree_anywhere_in_the_world() -> None:
    """Across lands and their corners, on both sides of the origin, near it and far."""
    cell = torch.tensor([10.0, 60.0, 5.0, 30.0])
    for middle in ((0, 0), (-700, 450), (2600, -90000), (-41, -333)):
        origin = torch.tensor([middle] * 4)
        one = make_terrain(TerrainRecipe(), KEYS, 96, 96, cell, origin_cell=origin)
        two = make_terrain(TerrainRecipe(), KEYS, 128, 96, cell, origin_cell=origin + torch.tensor([25, -40]))
        for name in ("elevation_m", "slope", "river_m", "river_level_m", "above_river_m", "uplift"):
            first, second = getattr(one, name)[:, 9:, :-40], getattr(two, name)[:, :-41, 40:]
            assert torch.equal(first, second), (name, middle)
        for name in ("elevation_m", "above_river_m"):  # and what shares are taken by is the same everywhere
            assert torch.equal(getattr(one.far, name), getattr(two.far, name))


def test_the_land_meets_itself_across_great_valleys() -> None:
    """No cliff along the lines at which lands are put together: gorges are not much steeper than other hillsides."""
    terrain = make_terrain(TerrainRecipe(relief_m=(400, 400)), KEYS, 384, 384, torch.full((4,), 40.0))
    line = terrain.drainage.valley.gather(1, terrain.node.flatten(1)).reshape(terrain.slope.shape)
    assert float(line.float().mean()) > 0.01
    for n in range(4):
        on, off = (float(terrain.slope[n][part].quantile(0.99)) for part in (line[n], ~line[n]))
        assert on < 3 * off


def test_no_relief_is_flat() -> None:
    terrain = make_terrain(TerrainRecipe(relief_m=(0, 0)), KEYS, 32, 32, torch.full((4,), 10.0))
    assert float(terrain.elevation_m.abs().max()) == 0
    assert float(terrain.slope.max()) == 0


def test_relief_is_about_what_was_asked_for() -> None:
    terrain = make_terrain(TerrainRecipe(relief_m=(500, 500)), KEYS, 256, 256, torch.full((4,), 80.0))
    spread = terrain.elevation_m.amax((1, 2)) - terrain.elevation_m.amin((1, 2))
    assert 300 < float(spread.median()) < 1000


def test_refuses_a_cell_without_size() -> None:
    with pytest.raises(Refusal, match="cell_m"):
        make_terrain(TerrainRecipe(), KEYS[:1], 32, 32, torch.tensor([0.0]))


def test_small_landforms_stay_within_their_relief() -> None:
    """A reach that is no river must not widen a floodplain to less than nothing."""
    recipe = TerrainRecipe(relief_m=(150.0, 400.0), landform_km=(2.0, 3.0))
    keys = [SceneKey(7, index) for index in (11, 18, 21, 23)]
    height = make_terrain(recipe, keys, 64, 64, torch.full((4,), 10.0)).elevation_m
    assert float(height.abs().max()) < 1000
