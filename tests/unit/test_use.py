"""Uses of the land beside farming: each has a dial, 0 is none, and more of it only adds ground."""

import pytest
import torch
from cover_maker import make_landcover
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, UPLAND_FORESTS
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe

DIALS = ("plantation", "clearcut", "quarry", "canal", "power_line")
NONE = dict.fromkeys(DIALS, (0.0, 0.0))
KEYS = [SceneKey(29, i) for i in range(16)]


@pytest.fixture(scope="module")
def terrain() -> Terrain:
    return make_terrain(TerrainRecipe(relief_m=(20.0, 300.0)), KEYS, 80, 80, torch.full((len(KEYS),), 25.0))


def _land(terrain: Terrain, farmland: float = 0.4, **dials: float) -> LandCover:
    spans = NONE | {"farmland": (farmland, farmland), "settlement": (0.02, 0.02), "water": (0.1, 0.1)}
    return make_landcover(CoverRecipe(**spans | {k: (v, v) for k, v in dials.items()}), terrain, KEYS)


def _is(land: LandCover, *names: str) -> torch.Tensor:
    return torch.isin(land.cover, torch.tensor([TERRAFICTA.index(name) for name in names], dtype=torch.uint8))


@pytest.fixture(scope="module")
def bare(terrain: Terrain) -> LandCover:
    return _land(terrain)


def test_off_is_none(bare: LandCover) -> None:
    assert not bool(_is(bare, "plantation", "quarry").any())


@pytest.mark.slow
@pytest.mark.parametrize("dial", DIALS)
def test_a_dial_changes_its_own_ground_only_and_more_of_it_only_adds(
    terrain: Terrain, bare: LandCover, dial: str
) -> None:
    least, most = (0.03, 0.09) if dial == "quarry" else (0.4, 0.9)
    less, more = _land(terrain, **{dial: least}), _land(terrain, **{dial: most})
    changed_less, changed_more = less.cover != bare.cover, more.cover != bare.cover
    assert bool(changed_less.any())
    assert int(changed_more.sum()) > int(changed_less.sum())
    assert bool((changed_more | ~changed_less).all())
    made = {"plantation": ("plantation",), "quarry": ("quarry", "water"), "canal": ("water",)}.get(dial, ())
    assert bool((_is(more, *made) | ~_is(less, *made)).all())


def test_the_shares_asked_for_are_there(terrain: Terrain, bare: LandCover) -> None:
    forest = _is(bare, *UPLAND_FORESTS)
    felled = _land(terrain, clearcut=0.5)
    assert 0.25 < float((felled.cover != bare.cover)[forest].float().mean()) < 0.65
    planted = _land(terrain, plantation=0.6)
    assert float(_is(planted, "plantation").sum() / forest.sum()) > 0.3


def test_quarries_take_the_share_asked_for() -> None:
    asked = 0.05
    wide = make_terrain(TerrainRecipe(relief_m=(20.0, 300.0)), KEYS, 64, 64, torch.full((len(KEYS),), 60.0))
    recipe = CoverRecipe(**NONE | {"quarry": (asked, asked), "water": (0, 0), "farmland": (0, 0), "settlement": (0, 0)})
    pit = make_landcover(recipe, wide, KEYS).cover == TERRAFICTA.index("quarry")
    assert 0.5 * asked < float(pit.float().mean()) < 1.6 * asked


def test_canals_are_level_ground_and_carry_no_parcel(terrain: Terrain, bare: LandCover) -> None:
    land = _land(terrain, canal=1.0)
    new = _is(land, "water") & ~_is(bare, "water")
    assert bool(new.any())
    assert float(terrain.slope[new].max()) < 0.05
    assert bool((land.parcel[new] == 0).all())
    dry = make_landcover(CoverRecipe(**NONE | {"water": (0.0, 0.0), "canal": (1.0, 1.0)}), terrain, KEYS)
    assert not bool(_is(dry, "water").any())


def test_power_lines_cross_forests_only(terrain: Terrain, bare: LandCover) -> None:
    land = _land(terrain, power_line=1.0)
    swath = land.cover != bare.cover
    assert bool(_is(bare, *UPLAND_FORESTS, "plantation")[swath].all())
    assert bool(_is(land, "shrubland", "grassland", "snow")[swath].all())


def test_settlers_clear_from_their_roads_and_foresters_by_the_stand(terrain: Terrain) -> None:
    half = CoverRecipe(**NONE | {"climates": ("rainforest",), "farmland": (0, 0), "clearcut": (0.5, 0.5)})
    none = half.model_copy(update={"clearcut": (0.0, 0.0)})
    before, after = (make_landcover(recipe, terrain, KEYS) for recipe in (none, half))
    cleared = (before.cover != after.cover) & _is(before, *UPLAND_FORESTS)
    pasture = _is(after, "pasture") & cleared
    kinds = [bool(p.any()) for p, c in zip(pasture, cleared, strict=True) if bool(c.any())]
    assert any(kinds)
    assert not all(kinds)


def test_uses_have_the_same_bits_alone_and_in_a_batch() -> None:
    recipe = CoverRecipe(quarry=(0.08, 0.08), plantation=(0.5, 0.5), clearcut=(0.5, 0.5), canal=(1, 1))
    cell = torch.full((6,), 12.0)
    batch = make_landcover(recipe, make_terrain(TerrainRecipe(), KEYS[:6], 64, 64, cell), KEYS[:6])
    alone = make_landcover(recipe, make_terrain(TerrainRecipe(), KEYS[4:5], 64, 64, cell[:1]), KEYS[4:5])
    for name in ("cover", "parcel", "row"):
        assert torch.equal(getattr(batch, name)[4:5], getattr(alone, name)), name
