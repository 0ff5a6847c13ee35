"""Settlements: roofs have names and stand on dry, gentle ground; roads are over rivers only as bridges."""

from dataclasses import dataclass, replace
from functools import cache

import torch
from cover_maker import draw_covers, make_landcover
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.building import BARE
from terraficta.synth.scene.cover.climate import draw_climate
from terraficta.synth.scene.cover.field import lay_blocks
from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.scene.cover.parcel import SYSTEMS
from terraficta.synth.scene.cover.road import lay_roads
from terraficta.synth.scene.cover.settlement import settle
from terraficta.synth.scene.cover.water import fill_water
from terraficta.synth.scene.terrain.ground import FAR_M
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.chance import hashed, seeds_of, uniform
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe
from terraficta.synth.types.within import POOLS, pool_of

BUILT = CoverRecipe(settlement=(0.15, 0.15))
SCENES = 12
STEEPEST = 0.3
"""slope above which no house stands"""


@cache
def _grown(cell_m: float, size: int) -> tuple[Terrain, LandCover]:
    keys = [SceneKey(7, i) for i in range(SCENES)]
    terrain = make_terrain(TerrainRecipe(), keys, size, size, torch.full((SCENES,), cell_m))
    return terrain, make_landcover(BUILT, terrain, keys)


@dataclass(frozen=True)
class Before:
    """What stood: cells that are built on, and the land."""

    now: torch.Tensor
    cover: LandCover


def _is(cover: LandCover, name: str) -> torch.Tensor:
    return cover.cover == TERRAFICTA.index(name)


def test_a_road_on_water_is_a_bridge_over_a_river() -> None:
    terrain, cover = _grown(5.0, 128)
    keys = [SceneKey(7, i) for i in range(SCENES)]
    plans = draw_covers(BUILT, keys)
    u01 = uniform(hashed(seeds_of([p.seeds.cover for p in plans])[:, None, None], terrain.window.cells()))
    water = fill_water(plans, terrain, u01)
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
    terrain = make_terrain(TerrainRecipe(), keys, 64, 64, torch.full((4,), 10.0))
    cover = make_landcover(CoverRecipe(settlement=(0.0, 0.0)), terrain, keys)
    assert not bool(cover.building.any())


def test_shares_do_not_depend_on_the_cell_size() -> None:
    """The same ground, 1.3 km wide, in cells of 5, 15 and 30 m."""
    for name in ("building", "road"):
        fine, *coarse = (float(_is(_grown(cell, size)[1], name).float().mean()) for cell, size in
                         ((5.0, 256), (15.0, 86), (30.0, 43)))  # fmt: skip
        assert all(abs(share - fine) < 0.15 * fine for share in coarse), (name, fine, coarse)


def test_a_wide_cell_holds_what_fine_cells_show() -> None:
    """Shares of the same ground by what lies within cells of 30 m, and by single cells of 5 m."""
    wide = _grown(30.0, 43)[1]
    held = wide.abundance(1).mean((0, 2, 3))
    fine = _grown(5.0, 256)[1].cover
    assert bool((wide.within != 0).any())
    for name in ("building", "road", "park"):
        at = TERRAFICTA.index(name)
        share = float((fine == at).float().mean())
        assert abs(float(held[at]) - share) < 0.15 * share, (name, float(held[at]), share)
    single = (wide.cover == TERRAFICTA.index("building")).float()
    mixed = wide.abundance(1)[:, TERRAFICTA.index("building")]
    town = wide.within != 0
    assert float(mixed[town].std()) < 0.7 * float(single[town].std())


def test_vehicles_stand_on_the_road_and_nowhere_else() -> None:
    keys = [SceneKey(79, i) for i in range(4)]
    terrain = make_terrain(TerrainRecipe(), keys, 256, 256, torch.full((4,), 0.5))
    cover = make_landcover(CoverRecipe(settlement=(0.9, 0.9)), terrain, keys)
    road = _is(cover, "road")
    vehicle = road & (pool_of(cover.parcel) == POOLS["road"].index("vehicle"))
    assert 0.01 < float(vehicle.sum() / road.sum()) < 0.3
    assert torch.equal(road & (cover.height_m > 0), vehicle)
    assert not bool((cover.within != 0).any())


def test_towns_of_dry_land_leave_much_ground_as_it_was() -> None:
    """Beside temperate towns: bare yards and lots, and of these most are of no object, as the land around is."""
    bare, left = {}, {}
    for climate in ("desert", "temperate"):
        keys = [SceneKey(11, i) for i in range(6)]
        recipe = CoverRecipe(settlement=(0.9, 0.9), climates=(climate,), farmland=(0.0, 0.0), water=(0.0, 0.0))
        terrain = make_terrain(TerrainRecipe(relief_m=(10, 30)), keys, 96, 96, torch.full((6,), 2.0))
        plans = draw_covers(recipe, keys)
        u01 = uniform(hashed(seeds_of([p.seeds.cover for p in plans])[:, None, None], terrain.window.cells()))
        points = terrain.window.points()
        town = settle(plans, terrain, points, lay_blocks(plans, points), torch.ones_like(u01, dtype=torch.bool), u01)
        earth = town.inside & (town.what == BARE) & ~town.road
        bare[climate] = float(earth.sum() / town.inside.sum())
        left[climate] = float((earth & (town.lot == 0)).sum() / earth.sum())
        assert bool((town.lot[town.roof] != 0).all())
        assert bool((town.lot[town.road] != 0).all())
    assert bare["desert"] > 3 * bare["temperate"], bare
    assert 0.6 < left["desert"] < 1.0, left


def test_climates_build_as_they_do() -> None:
    towns = {
        climate: [p.town for p in draw_covers(CoverRecipe(climates=(climate,)), [SceneKey(12, i) for i in range(60)])]
        for climate in ("desert", "temperate", "savanna")
    }
    assert 0.4 < sum(t.planned for t in towns["desert"]) / 60 < 0.8
    assert not any(t.planned for climate in ("temperate", "savanna") for t in towns[climate])
    assert all(t.pitched == 1.0 and t.walled == 0.0 for t in towns["temperate"])
    young = [t for t in towns["desert"] if t.planned]
    assert max(t.pitched for t in towns["desert"]) < 0.1
    assert sum(t.main_m for t in young) / len(young) > 2 * sum(t.main_m for t in towns["temperate"]) / 60


def test_bridges_and_buildings_are_the_same_in_every_window() -> None:
    keys, cell = [SceneKey(7, i) for i in range(SCENES)], torch.full((SCENES,), 5.0)
    seen = []
    for origin in ([0, 0], [32, -32]):
        terrain = make_terrain(TerrainRecipe(), keys, 96, 96, cell, origin_cell=torch.tensor([origin] * SCENES))
        seen.append(make_landcover(BUILT, terrain, keys))
    assert all(bool((getattr(seen[0], name)[:, 32:, :-32] != 0).any()) for name in ("building", "within"))
    for name in ("building", "bridge", "within"):
        one, two = (getattr(cover, name) for cover in seen)
        assert torch.equal(one[:, 32:, :-32], two[:, :-32, 32:]), name


def test_settled_shares_are_spread_evenly_by_their_logarithm() -> None:
    """As many scenes between 0.2 % and 2 % as between 2 % and 20 %; and no scene beyond what is asked for."""
    shares = torch.tensor([draw_climate(CoverRecipe(), SceneKey(5, i)).settlement for i in range(4000)])
    low, high = (float(((shares >= first) & (shares < 10 * first)).float().mean()) for first in (0.004, 0.04))
    assert abs(low / high - 1) < 0.12, (low, high)
    assert float(shares.max()) <= CoverRecipe().settlement[1]


def test_farmsteads_take_a_share_of_the_farmed_land_whatever_the_size_of_fields() -> None:
    """Land without towns, all farmed, in small fields and in large ones: 3 %, and not more where fields are small."""
    shares = {}
    for field_m in (60.0, 420.0):
        keys = [SceneKey(13, i) for i in range(6)]
        flat, window = torch.zeros(6, 256, 256), Window.over(256, 256, torch.full((6,), 20.0))
        grown = make_terrain(TerrainRecipe(relief_m=(0, 0)), keys, 8, 8, torch.full((6,), 20.0))
        terrain = replace(
            grown, window=window, slope=flat, river_m=flat + FAR_M, river_width_m=flat, valley_foot_m=flat + FAR_M
        )
        recipe = CoverRecipe(
            settlement=(1e-9, 1e-9), farmland=(0.99, 0.99), climates=("temperate",), field_m=(field_m, field_m)
        )
        plans = [replace(plan, system=SYSTEMS["patchwork"]) for plan in draw_covers(recipe, keys)]
        points = window.points()
        town = settle(plans, terrain, points, lay_blocks(plans, points), flat == 0, torch.full_like(flat, 0.5))
        shares[field_m] = float(town.inside.float().mean())
    assert all(0.015 < share < 0.045 for share in shares.values()), shares
    assert max(shares.values()) < 1.6 * min(shares.values()), shares


def test_towns_grow_and_change_nothing_that_stands() -> None:
    keys = [SceneKey(8, i) for i in range(12)]
    terrain = make_terrain(TerrainRecipe(), keys, 128, 128, torch.full((12,), 8.0))
    built, before = [TERRAFICTA.index(name) for name in ("building", "road")], None
    shares = []
    for share in (0.02, 0.08, 0.2, 0.4):
        cover = make_landcover(CoverRecipe(settlement=(share, share)), terrain, keys)
        now = torch.isin(cover.cover.long(), torch.tensor(built))
        shares.append(float(now.float().mean()))
        if before is not None:
            gone = before.now & ~now
            assert float(gone.float().mean()) < 3e-3 * float(
                now.float().mean()
            )  # tracks of fields that were built over
            kept = (before.cover.building != 0) & (cover.building != 0)
            assert torch.equal(before.cover.building[kept], cover.building[kept])
        before = Before(now, cover)
    assert shares == sorted(shares)
    assert shares[-1] > 2 * shares[0]


def test_towns_take_at_least_half_of_the_ground_asked_for() -> None:
    keys = [SceneKey(9, i) for i in range(96)]
    settled, asked = [], []
    for part in range(0, len(keys), 24):
        own = keys[part : part + 24]
        terrain = make_terrain(
            TerrainRecipe(relief_m=(50, 200), styles=("fluvial",)), own, 64, 64, torch.full((24,), 60.0)
        )
        recipe = CoverRecipe(settlement=(0.2, 0.2), water=(0, 0), farmland=(0, 0), climates=("temperate",))
        cover = make_landcover(recipe, terrain, own)
        parcel = cover.parcel >> 34 == 1
        settled.append(float(parcel.float().mean()))
        asked.append(0.2)
    assert sum(settled) > 0.5 * sum(asked)
    assert sum(settled) < 1.5 * sum(asked)


def _areas(scenes: int, highway_m: float, cell_m: float, size: int) -> torch.Tensor:
    """Cells of every whole town of some worlds of flat dry land without fields, largest first."""
    keys = [SceneKey(11, i) for i in range(scenes)]
    grown = make_terrain(TerrainRecipe(relief_m=(0, 0)), keys, 8, 8, torch.full((scenes,), cell_m))
    flat, window = torch.zeros(scenes, size, size), Window.over(size, size, grown.cell_m)
    terrain = replace(
        grown, window=window, slope=flat, river_m=flat + FAR_M, river_width_m=flat, valley_foot_m=flat + FAR_M
    )
    plans = draw_covers(CoverRecipe(settlement=(0.05, 0.05), farmland=(0.0, 0.0)), keys)
    plans = [replace(plan, town=replace(plan.town, highway_m=highway_m)) for plan in plans]
    points, u01 = window.points(), torch.full_like(flat, 0.5)
    town = settle(plans, terrain, points, lay_blocks(plans, points), flat == 0, u01)
    seed = seeds_of([plan.seeds.settlement for plan in plans])
    meeting = lay_roads(terrain, points, [highway_m] * scenes, [0.0] * scenes, seed, u01).cells.junction
    rim = torch.ones(size, size, dtype=torch.bool)
    rim[1:-1, 1:-1] = False
    areas = []
    for inside, name in zip(town.inside, meeting, strict=True):
        whole = inside & ~torch.isin(name, name[inside & rim])
        areas.append(name[whole].unique(return_counts=True)[1])
    return torch.cat(areas).float().sort(descending=True).values


def test_areas_of_towns_go_with_their_rank_as_zipf_says() -> None:
    """Among the larger towns of many worlds the rank falls as 1 / area, less the cut-off at 20 times the least."""
    area = _areas(scenes=4, highway_m=800.0, cell_m=12.0, size=448)
    assert len(area) > 300
    rank = (torch.arange(len(area)) + 0.5) / len(area)
    large = (rank > 0.03) & (rank < 0.3)
    x, y = area[large].log(), (rank[large] + 0.05).log()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    assert abs(slope + 1.0) < 0.2
