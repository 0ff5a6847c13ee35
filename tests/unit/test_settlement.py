"""Settlements: roofs have names and stand on dry, gentle ground; roads are over rivers only as bridges."""

from functools import cache

import torch

from synth.scene.climate import draw_climate
from synth.scene.fractal import hashed, uniform, words
from synth.scene.landcover import LandCover, grow_landcover
from synth.scene.terrain import Terrain, grow_terrain
from synth.scene.water import fill_water
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA
from synth.spec.recipe import CoverRecipe, TerrainRecipe

BUILT = CoverRecipe(settlement=(0.15, 0.15))
SCENES = 12
STEEPEST = 0.3
"""slope above which no house stands"""


@cache
def _grown(cell_m: float, size: int) -> tuple[Terrain, LandCover]:
    keys = [SceneKey(7, i) for i in range(SCENES)]
    terrain = grow_terrain(TerrainRecipe(), keys, size, size, torch.full((SCENES,), cell_m))
    return terrain, grow_landcover(BUILT, terrain, keys)


def _is(cover: LandCover, name: str) -> torch.Tensor:
    return cover.cover == TERRAFICTA.index(name)


def test_a_road_on_water_is_a_bridge_over_a_river() -> None:
    terrain, cover = _grown(5.0, 128)
    keys = [SceneKey(7, i) for i in range(SCENES)]
    dice = uniform(hashed(words([k.at("cover").word() for k in keys])[:, None, None], terrain.window.cells()))
    water = fill_water([draw_climate(BUILT, k) for k in keys], terrain, keys, dice)
    assert bool(cover.bridge.any())
    assert torch.equal(_is(cover, "road") & water.open_water, cover.bridge)
    assert not bool((cover.bridge & (water.sea | ~water.river)).any())


def test_every_roof_and_nothing_else_has_a_building() -> None:
    terrain, cover = _grown(5.0, 128)
    assert bool(_is(cover, "building").any())
    assert torch.equal(cover.building != 0, _is(cover, "building"))
    assert float(terrain.slope[cover.building != 0].max()) < STEEPEST
    assert float(cover.height_m[cover.building != 0].min()) > 2.0


def test_nobody_builds_where_nobody_lives() -> None:
    keys = [SceneKey(7, i) for i in range(4)]
    terrain = grow_terrain(TerrainRecipe(), keys, 64, 64, torch.full((4,), 10.0))
    cover = grow_landcover(CoverRecipe(settlement=(0.0, 0.0)), terrain, keys)
    assert not bool(cover.building.any())


def test_shares_do_not_depend_on_the_cell_size() -> None:
    """The same ground, 1.3 km wide, in cells of 5, 15 and 30 m."""
    for name in ("building", "road"):
        fine, *coarse = (float(_is(_grown(cell, size)[1], name).float().mean()) for cell, size in
                         ((5.0, 256), (15.0, 86), (30.0, 43)))  # fmt: skip
        assert all(abs(share - fine) < 0.15 * fine for share in coarse), (name, fine, coarse)


def test_bridges_and_buildings_are_the_same_in_every_window() -> None:
    key, cell = [SceneKey(7, 3)], torch.tensor([5.0])
    seen = []
    for origin in ([0, 0], [32, -32]):
        terrain = grow_terrain(TerrainRecipe(), key, 96, 96, cell, origin_cell=torch.tensor([origin]))
        seen.append(grow_landcover(BUILT, terrain, key))
    for name in ("building", "bridge"):
        one, two = (getattr(cover, name) for cover in seen)
        assert torch.equal(one[:, 32:, :-32], two[:, :-32, 32:]), name
