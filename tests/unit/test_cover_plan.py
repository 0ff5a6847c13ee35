"""The plan of a cover: all chance is drawn before anything grows, and what is drawn keeps its place."""

from dataclasses import astuple, replace

import torch
from cover_maker import draw_covers
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.landcover import grow_landcover
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe

KEYS = [SceneKey(3, i) for i in range(40)]


def test_one_key_one_plan_and_others_differ() -> None:
    plans = draw_covers(CoverRecipe(), KEYS)
    assert plans == draw_covers(CoverRecipe(), KEYS)
    assert len(set(plans)) == len(KEYS)


def test_seeds_are_31_bits_and_all_different() -> None:
    seeds = [seed for plan in draw_covers(CoverRecipe(), KEYS) for seed in astuple(plan.seeds)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_what_does_not_hang_on_the_climate_is_the_same_under_any_recipe() -> None:
    """Scene 42 keeps its coasts, roads and parcels in every tier, so that comparisons are paired."""
    for kind in BIOMES:
        for plain, other in zip(
            draw_covers(CoverRecipe(), KEYS),
            draw_covers(CoverRecipe(climates=(kind,), water=(0, 0)), KEYS),
            strict=True,
        ):
            assert other.climate.kind == kind
            assert (other.seeds, other.shore) == (plain.seeds, plain.shore)
            if plain.climate.kind == kind:
                same = replace(other, climate=plain.climate)
                assert replace(same, crops=plain.crops) == plain, "all but the spans of the recipe is the climate's"


def test_another_date_moves_nothing_but_the_climate() -> None:
    for plan in draw_covers(CoverRecipe(), KEYS):
        later = plan.on(replace(plan.climate, season=0.9, settlement=0.5))
        assert later.climate.season == 0.9
        assert replace(later, climate=plan.climate) == plan


def test_a_record_is_obeyed() -> None:
    """What grows takes its numbers from the plan: no sea where the sea is ranked last, no scar where none burnt."""
    terrain = make_terrain(TerrainRecipe(styles=("coast",)), KEYS[:6], 48, 48, torch.full((6,), 40.0))
    recipe = CoverRecipe(climates=("savanna",), water=(0.3, 0.3))
    plans = draw_covers(recipe, KEYS[:6])
    shares = {}
    for rank in (0.0, 1.0):
        own = [replace(plan, shore=replace(plan.shore, sea_rank=rank), burnt=0.3 * rank) for plan in plans]
        cover = grow_landcover(recipe, terrain, own).cover
        shares[rank] = [float((cover == k).float().mean()) for k in map(TERRAFICTA.index, ("water", "burnt"))]
    assert shares[0.0][0] > shares[1.0][0]
    assert shares[0.0][1] == 0
    assert shares[1.0][1] > 0.05
