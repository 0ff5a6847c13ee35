"""Potential vegetation: each class keeps to its climate, its side of the treeline and of the river."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from cover_maker import draw_covers, make_landcover
from terrain_maker import make_terrain
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.cover.fire import burn
from terraficta.synth.scene.cover.habitat import Habitat, find_habitat
from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.chance import seeds_of
from terraficta.synth.types.biome import BIOMES, TREELINE_C, can_grow
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe

FORESTS = ("needleleaf_forest", "evergreen_forest", "deciduous_forest")
TALL = TerrainRecipe(relief_m=(500.0, 2500.0))
CELL_M = 60.0
NOBODY: dict[str, Any] = dict.fromkeys(
    ("farmland", "settlement", "plantation", "clearcut", "quarry", "canal", "power_line"), (0.0, 0.0)
)


def _keys(count: int) -> list[SceneKey]:
    return [SceneKey(21, i) for i in range(count)]


@cache
def _wild(climate: str, count: int = 8, tall: bool = True, cell_m: float = CELL_M, size: int = 48) -> tuple[
    Terrain, list[Climate], Habitat, LandCover]:  # fmt: skip
    keys = _keys(count)
    terrain = make_terrain(TALL if tall else TerrainRecipe(), keys, size, size, torch.full((count,), cell_m))
    recipe = CoverRecipe(climates=(climate,), **NOBODY)
    plans = draw_covers(recipe, keys)
    climates = [plan.climate for plan in plans]
    habitat = find_habitat(climates, terrain, seeds_of([p.seeds.cover for p in plans]))
    return terrain, climates, habitat, make_landcover(recipe, terrain, keys)


def _shares(cover: Tensor) -> dict[str, float]:
    counts = torch.bincount(cover.flatten().long(), minlength=len(TERRAFICTA)).double()
    return dict(zip(TERRAFICTA.classes, (counts / counts.sum()).tolist(), strict=True))


def _is(cover: LandCover, *names: str) -> Tensor:
    return torch.isin(cover.cover.long(), torch.tensor([TERRAFICTA.index(name) for name in names]))


@pytest.mark.parametrize("climate", BIOMES)
def test_classes_keep_to_their_climate(climate: str) -> None:
    shares = _shares(_wild(climate)[3].cover)
    assert not [name for name in (*FORESTS, "mangrove", "moss_lichen") if shares[name] and not can_grow(name, climate)]


@pytest.mark.parametrize("climate", BIOMES)
def test_treeline_and_snowline_are_respected(climate: str) -> None:
    _, climates, habitat, cover = _wild(climate)
    forest, snow = _is(cover, *FORESTS), _is(cover, "snow")
    assert not bool((habitat.summer_c[forest] < TREELINE_C - 1.0).any())
    for n, c in enumerate(climates):
        assert not bool((habitat.summer_c[n][snow[n]] > c.snow_c + 2.5).any())
        bare = _is(cover, "grassland", "moss_lichen", "bare_soil", "rock")[n]
        assert not bool((habitat.summer_c[n][bare] < c.snow_c - 3.5).any())


def test_snow_comes_and_goes_and_leaves_the_ground_as_it_was() -> None:
    keys = _keys(8)
    terrain = make_terrain(TerrainRecipe(), keys, 48, 48, torch.full((8,), CELL_M))
    recipe = CoverRecipe(climates=("tundra", "boreal"), season=(0.5, 0.5))
    summer = make_landcover(recipe, terrain, keys)
    winter = make_landcover(recipe.model_copy(update={"season": (0.0, 0.0)}), terrain, keys)
    white = _is(winter, "snow") & ~_is(summer, "snow")
    assert float(white.float().mean()) > 0.1
    kinds = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "water", "building", "road")
    assert torch.equal(_is(winter, *kinds), _is(summer, *kinds))
    assert not bool((_is(summer, "snow") & ~_is(winter, "snow")).any())


def test_forests_have_the_leaves_of_their_climate() -> None:
    shares = {climate: _shares(_wild(climate, 12, False)[3].cover) for climate in BIOMES}
    needle, evergreen, deciduous = ({c: s[name] for c, s in shares.items()} for name in FORESTS)
    assert needle["boreal"] > 0.3
    assert needle["boreal"] > 3 * deciduous["boreal"]
    assert evergreen["rainforest"] > 0.6
    assert deciduous["monsoon"] > evergreen["monsoon"] / 2
    assert max(shares, key=lambda c: shares[c]["shrubland"]) in ("mediterranean", "tundra", "desert")
    assert max(shares, key=lambda c: shares[c]["grassland"]) in ("steppe", "savanna")
    assert max(shares, key=lambda c: shares[c]["moss_lichen"]) == "tundra"
    assert shares["desert"]["bare_soil"] + shares["desert"]["sand"] + shares["desert"]["rock"] > 0.4
    assert sum(shares["tundra"][name] for name in FORESTS) < 0.02


def test_slopes_that_face_the_pole_are_wetter_and_cooler() -> None:
    terrain, climates, _, _ = _wild("mediterranean")
    seed = seeds_of([p.seeds.cover for p in draw_covers(CoverRecipe(), _keys(8))])
    north, south = (
        find_habitat([replace(c, latitude_deg=lat, moisture=0.4) for c in climates], terrain, seed)
        for lat in (40.0, -40.0)
    )
    faces_north = terrain.rise_y > 0.05
    assert bool((north.moisture >= south.moisture)[faces_north].all())
    assert bool((north.summer_c < south.summer_c)[faces_north].all())
    assert float((north.moisture - south.moisture)[faces_north].mean()) > 0.01


def test_woods_follow_rivers_through_dry_land() -> None:
    near, far = [], []
    for climate in ("steppe", "desert"):
        terrain, _, habitat, _ = _wild(climate, tall=False)
        by_river = (terrain.river_m < 30) & (terrain.river_width_m > 10)
        near.append(habitat.moisture[by_river])
        far.append(habitat.moisture[terrain.river_m > 1000])
    assert float(torch.cat(near).mean()) > float(torch.cat(far).mean()) + 0.08


def test_fire_takes_fuel_and_leaves_water() -> None:
    keys = _keys(40)
    terrain = make_terrain(TerrainRecipe(), keys, 48, 48, torch.full((40,), CELL_M))
    recipe = CoverRecipe(climates=("savanna", "desert"), **NOBODY)
    plans = draw_covers(recipe, keys)
    cover = make_landcover(recipe, terrain, keys)
    share = _is(cover, "burnt").float().mean((1, 2))
    savanna = torch.tensor([p.climate.kind == "savanna" for p in plans])
    assert float(share[savanna].mean()) > 5 * float(share[~savanna].mean())
    struck = torch.tensor([p.burnt > 0 for p in plans])
    assert 0.1 < float(struck.float().mean()) < 0.7
    assert float(share[~struck].max()) == 0.0


def test_fire_is_the_same_alone_and_in_a_batch() -> None:
    keys = _keys(12)
    terrain = make_terrain(TerrainRecipe(), keys, 48, 48, torch.full((12,), CELL_M))
    plans = draw_covers(CoverRecipe(climates=("savanna",)), keys)
    shares, seed = [p.burnt for p in plans], seeds_of([p.seeds.cover for p in plans])
    batch = burn(terrain, shares, seed).front
    last = make_terrain(TerrainRecipe(), keys[-1:], 48, 48, torch.tensor([CELL_M]))
    assert torch.equal(burn(last, shares[-1:], seed[-1:]).front, batch[-1:])


def test_shares_do_not_hang_on_the_cell_size() -> None:
    for climate in ("temperate", "savanna"):
        fine, coarse = (
            _shares(_wild(climate, 6, False, cell, size)[3].cover) for cell, size in ((15.0, 128), (60.0, 32))
        )
        assert max(abs(fine[name] - coarse[name]) for name in TERRAFICTA.classes) < 0.04


def test_forests_are_not_confetti() -> None:
    for climate in ("boreal", "temperate", "rainforest"):
        cover = _wild(climate, 6, False, 30.0, 96)[3]
        forest = _is(cover, *FORESTS)
        edges = 0.5 * (
            (forest[:, 1:] != forest[:, :-1]).float().mean() + (forest[..., 1:] != forest[..., :-1]).float().mean()
        )
        assert float(edges) < 0.12
