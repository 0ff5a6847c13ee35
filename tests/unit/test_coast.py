"""Coasts: a level sea that hangs together, mud between the tides, heights measured from it."""

import torch
from cover_maker import draw_covers
from scipy import ndimage
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.water import FLAT, Water, fill_water
from terraficta.synth.scene.terrain.coast import worn
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe

KEYS = [SceneKey(12, i) for i in range(12)]


def _coast(water: float = 0.4, cell_m: float = 40.0) -> tuple[Terrain, Water]:
    recipe = TerrainRecipe(styles=("coast",), relief_m=(60.0, 600.0))
    terrain = make_terrain(recipe, KEYS, 96, 96, torch.full((len(KEYS),), cell_m))
    plans = draw_covers(CoverRecipe(water=(water, water)), KEYS)
    return terrain, fill_water(plans, terrain, torch.full_like(terrain.slope, 0.5))


def test_flattening_keeps_who_stands_above_whom() -> None:
    height = torch.linspace(-50.0, 50.0, 4001)
    after = worn(height)
    assert bool((after.diff() >= 0).all())
    assert torch.equal(after.sign(), height.sign())
    assert float((after - height).abs().max()) < 1.2


def test_the_sea_is_level_and_lies_below_the_tides() -> None:
    terrain, water = _coast()
    seen = full = 0
    for n, plan in enumerate(terrain.plans):
        low = float(torch.tensor(-0.5 * plan.coast.tide_m))
        sea = water.sea[n]
        if bool(sea.any()):
            seen += 1
            level = water.surface_m[n][sea]
            full += bool((level == low).all())
            assert bool((level == level[0]).all())
            assert float(level[0]) <= low
            assert bool((terrain.elevation_m[n][sea] < level[0]).all())
    assert seen > 6
    assert full > seen // 3  # others have drawn back
    assert bool((water.open_water | ~water.sea).all())


def test_mud_lies_between_the_tides_and_is_flat() -> None:
    terrain, water = _coast()
    assert bool(water.tidal.any())
    height, mud = terrain.elevation_m, water.tidal
    for n, plan in enumerate(terrain.plans):
        if bool(mud[n].any()) and bool(water.sea[n].any()):
            low = float(water.surface_m[n][water.sea[n]].amax())
            assert low <= float(height[n][mud[n]].amin())
            assert float(height[n][mud[n]].amax()) < low + plan.coast.tide_m + 1e-4
    assert bool((terrain.slope[mud] < FLAT).all())
    assert not bool((mud & (water.open_water | water.shore)).any())


def test_the_sea_hangs_together() -> None:
    """What does not leave the window is a lagoon or a salt lake; there is little of it."""
    _, water = _coast()
    inside = whole = 0
    for sea in (water.sea | water.tidal).numpy():
        pieces, count = ndimage.label(sea, ndimage.generate_binary_structure(2, 2))
        rim = set(pieces[[0, -1]].flatten()) | set(pieces[:, [0, -1]].flatten())
        inside += ndimage.sum_labels(sea, pieces, [p for p in range(1, count + 1) if p not in rim]).sum()
        whole += sea.sum()
    assert inside < 0.1 * whole


def test_without_water_no_sea_and_inland_no_sea() -> None:
    _, dry = _coast(0.0)
    assert not bool(dry.sea.any() | dry.tidal.any() | dry.open_water.any())
    terrain = make_terrain(TerrainRecipe(styles=("fluvial",)), KEYS, 48, 48, torch.full((12,), 20.0))
    plans = draw_covers(CoverRecipe(water=(0.3, 0.3)), KEYS)
    water = fill_water(plans, terrain, torch.full_like(terrain.slope, 0.5))
    assert bool(water.open_water.any())
    assert not bool(water.sea.any() | water.tidal.any())
