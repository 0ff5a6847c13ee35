"""Shares of natural classes: a corpus has what is asked for, and windows still agree."""

from functools import cache

import pytest
import torch
from cover_maker import draw_covers, make_landcover
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.scene.cover.share import favour_classes
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.chance import seeds_of
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import NATURAL, CoverRecipe, TerrainRecipe

SCENES = 24


@cache
def _terrain() -> tuple[Terrain, list[SceneKey]]:
    keys = [SceneKey(9, i) for i in range(SCENES)]
    return make_terrain(TerrainRecipe(), keys, 64, 64, torch.full((SCENES,), 45.0)), keys


def _shares(cover: LandCover) -> dict[str, float]:
    counts = torch.bincount(cover.cover.flatten().long(), minlength=len(TERRAFICTA)).double()
    natural = counts[[TERRAFICTA.index(name) for name in NATURAL]].sum()
    return dict(zip(TERRAFICTA.classes, (counts / natural).tolist(), strict=True))


@pytest.mark.parametrize(
    "asked",
    [
        {"snow": 0.1},
        {"wetland": 0.15, "rock": 0.1},
        {"sand": 0.2},
        {"burnt": 0.1},
        {"needleleaf_forest": 0.3, "moss_lichen": 0.05},
        {"shrubland": 0.4},
    ],
)
def test_a_corpus_has_the_share_that_is_asked_for(asked: dict[str, float]) -> None:
    terrain, keys = _terrain()
    found = _shares(make_landcover(CoverRecipe(shares=asked), terrain, keys))
    for name, share in asked.items():
        assert share / 2 < found[name] < 2 * share, (name, found[name])


def test_a_class_can_be_left_out() -> None:
    terrain, keys = _terrain()
    cover = make_landcover(
        CoverRecipe(farmland=(0, 0), settlement=(0, 0), shares={"burnt": 0, "wetland": 0}), terrain, keys
    )
    assert not bool(torch.isin(cover.cover, torch.tensor([TERRAFICTA.index(n) for n in ("burnt", "wetland")])).any())


def test_no_shares_favour_nothing() -> None:
    terrain, keys = _terrain()
    plans = draw_covers(CoverRecipe(), keys)
    favour = favour_classes(CoverRecipe(), plans, terrain, seeds_of([p.seeds.cover for p in plans]))
    assert all(bool(((value == 0) | (value < -50)).all()) for value in favour.values())


def test_windows_agree_where_shares_are_asked_for() -> None:
    key, cell, recipe = [SceneKey(9, 5)], torch.tensor([30.0]), CoverRecipe(shares={"wetland": 0.2, "sand": 0.1})
    one, two = (
        make_landcover(recipe, make_terrain(TerrainRecipe(), key, 64, 64, cell, origin_cell=torch.tensor([o])), key)
        for o in ([0, 0], [16, -16])
    )
    assert torch.equal(one.cover[:, 16:, :-16], two.cover[:, :-16, 16:])
