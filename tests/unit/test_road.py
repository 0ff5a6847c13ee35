"""Roads: in hilly land they climb less than straight ones, follow valleys, and are the same in every window."""

from dataclasses import replace
from functools import cache

import torch
from cover_maker import draw_covers
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.road import GRADE, Roads, lay_roads
from terraficta.synth.scene.terrain.overlook import Overlook
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.chance import seeds_of
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe

SCENES, CELL_M, HALF_M = 12, 12.0, 8.0
HILLS = TerrainRecipe(relief_m=(150.0, 700.0), styles=("fluvial",))


def _laid(terrain: Terrain, spacing_m: float = 2200.0) -> Roads:
    keys = [SceneKey(31, i) for i in range(SCENES)]
    seed = seeds_of([plan.seeds.settlement for plan in draw_covers(CoverRecipe(), keys)])
    points, half = terrain.window.points(), torch.full(terrain.slope.shape, 0.5)
    return lay_roads(terrain, points, [spacing_m] * SCENES, [HALF_M] * SCENES, seed, half)


@cache
def _hills(relief: TerrainRecipe = HILLS, size: int = 256, origin: int = 0) -> Terrain:
    keys = [SceneKey(31, i) for i in range(SCENES)]
    start = torch.full((SCENES, 2), origin)
    return make_terrain(relief, keys, size, size, torch.full((SCENES,), CELL_M), origin_cell=start)


def _grades(terrain: Terrain, away_m: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Rise over run along the roads, beside their middles: where the way to a road is, and what is square to it."""
    south, east = torch.gradient(away_m, spacing=CELL_M, dim=(1, 2))
    length = torch.sqrt(south * south + east * east)
    beside = kept & (away_m > 0.6 * CELL_M) & (away_m < 2 * CELL_M) & (length > 0.8) & (length < 1.2)
    return ((terrain.rise_y * east - terrain.rise_x * south).abs() / length.clamp(min=0.1))[beside]


def _around(surface: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.max_pool2d(surface[:, None].float(), 5, 1, 2)[:, 0] > 0


def test_roads_in_hills_climb_less_than_straight_ones() -> None:
    terrain = _hills()
    straight, laid = _laid(replace(terrain, far=None)), _laid(terrain)
    by_valley = _around(laid.surface) & (terrain.valley_foot_m < laid.cells.edge_m)
    before = _grades(terrain, straight.cells.edge_m, _around(straight.surface))
    after = torch.cat(
        [
            _grades(terrain, laid.cells.edge_m, _around(laid.surface) & ~by_valley),
            _grades(terrain, terrain.valley_foot_m, by_valley),
        ]
    )
    assert min(len(before), len(after)) > 500
    for share in (0.5, 0.75, 0.9):
        assert float(after.quantile(share)) < 0.75 * float(before.quantile(share)), share
    assert float((after < GRADE).float().mean()) > 0.7


def test_roads_run_along_the_rivers_of_hilly_land_and_not_of_plains() -> None:
    for recipe, some in ((HILLS, True), (TerrainRecipe(relief_m=(5.0, 15.0), styles=("fluvial",)), False)):
        terrain = _hills(recipe)
        laid = _laid(terrain)
        along = laid.surface & (terrain.valley_foot_m < HALF_M) & (laid.cells.edge_m > 4 * CELL_M)
        assert bool(along.any()) == some
        if some:
            assert float((terrain.river_m[along] > 0).float().mean()) > 0.75  # the rest are bridges over brooks
            assert float(terrain.river_m[along].quantile(0.9)) < 120.0


def test_on_even_ground_roads_are_straight() -> None:
    terrain = _hills(TerrainRecipe(relief_m=(0.0, 0.0)))
    assert torch.equal(_laid(replace(terrain, far=None)).surface, _laid(terrain).surface)


def test_windows_of_one_world_agree() -> None:
    one, two = _hills(size=96), _hills(size=96, origin=32)
    first, second = _laid(one), _laid(two)
    assert bool(first.surface[:, 32:, 32:].any())
    assert torch.equal(first.surface[:, 32:, 32:], second.surface[:, :-32, :-32])
    assert torch.equal(first.identity[:, 32:, 32:], second.identity[:, :-32, :-32])


def test_the_overlook_gives_back_its_own_places_and_what_lies_between() -> None:
    far = _hills().far
    assert far is not None
    look, scene = Overlook.of(far), torch.arange(SCENES).repeat_interleave(63)
    y, x = (axis.float() for axis in (far.window.y_m, far.window.x_m))
    line = torch.arange(63).repeat(SCENES)
    exact = look.height_at(y[scene, line], x[scene, line], scene)
    torch.testing.assert_close(exact, far.elevation_m[scene, line, line], atol=0.02, rtol=1e-4)
    middle = 0.5 * (y[:, :-1] + y[:, 1:]).flatten()
    between = look.height_at(middle, x[scene, line], scene)
    mean = 0.5 * (far.elevation_m[scene, line, line] + far.elevation_m[scene, line + 1, line])
    torch.testing.assert_close(between, mean, atol=0.5, rtol=1e-3)
    whole = look.over(far.window, far.elevation_m[None])[0]
    torch.testing.assert_close(whole, far.elevation_m, atol=0.05, rtol=1e-4)
