"""Styles of landform: drawn at an address of their own, level with each other, the same in every window and batch."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from cover_maker import draw_covers
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.water import fill_water
from terraficta.synth.scene.terrain.drainage import Drainage
from terraficta.synth.scene.terrain.ground import feeds_channel
from terraficta.synth.scene.terrain.landform import draw_landform
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import STYLES, CoverRecipe, TerrainRecipe

KEYS = [SceneKey(31, i) for i in range(6)]


def _grown(style: str, size: int = 48, cell_m: float = 15.0, keys: list[SceneKey] = KEYS, **more: object) -> Terrain:
    recipe = TerrainRecipe(styles=(style,), relief_m=(150.0, 600.0))
    return make_terrain(recipe, keys, size, size, torch.full((len(keys),), cell_m), **more)  # type: ignore[arg-type]


def _rises(drainage: Drainage) -> torch.Tensor:
    """Nodes of rivers that lie below the node that they lead to."""
    top = drainage.elevation_m.flatten(1)
    return feeds_channel(drainage, [1.0] * len(top)) & (top.gather(1, drainage.receiver) > top)


def test_styles_are_drawn_by_weight_and_move_nothing_else() -> None:
    keys = [SceneKey(1, i) for i in range(400)]
    few = TerrainRecipe(styles=("fluvial", "fluvial", "fluvial", "karst"))
    drawn = Counter(draw_landform(few, key).style for key in keys)
    assert 60 < drawn["karst"] < 140
    only = TerrainRecipe(styles=("fluvial",))
    for key in keys[:50]:
        assert replace(draw_landform(few, key), style="fluvial") == draw_landform(only, key)


@pytest.mark.parametrize("styles", [(), ("volcanic",), ("fluvial", "lunar")])
def test_unknown_styles_are_refused(styles: tuple[str, ...]) -> None:
    with pytest.raises(Refusal, match="fluvial, coast"):
        TerrainRecipe.from_dict({"styles": styles}, "test")


@pytest.mark.parametrize("style", STYLES)
def test_alone_in_a_batch_and_in_every_window_bit_equal(style: str) -> None:
    batch = _grown(style)
    alone = _grown(style, keys=KEYS[3:4])
    moved = _grown(style, origin_cell=torch.tensor([[16, -8]] * len(KEYS)))
    for name in ("elevation_m", "slope", "river_m", "river_level_m"):
        whole = getattr(batch, name)
        assert torch.equal(whole[3:4], getattr(alone, name)), name
        assert torch.equal(whole[:, 16:, :-8], getattr(moved, name)[:, :-16, 8:]), name
    plans = draw_covers(CoverRecipe(water=(0.1, 0.25)), KEYS)
    u01 = torch.full_like(batch.slope, 0.5)
    wet, shifted = (fill_water(plans, ground, u01) for ground in (batch, moved))
    for name in ("open_water", "sea", "tidal", "shore", "surface_m", "above_m"):
        assert torch.equal(getattr(wet, name)[:, 16:, :-8], getattr(shifted, name)[:, :-16, 8:]), name


@pytest.mark.parametrize("style", STYLES)
def test_mixed_with_other_styles_bit_equal(style: str) -> None:
    mixed = make_terrain(TerrainRecipe(), KEYS, 32, 32, torch.full((6,), 10.0))
    for n, fact in enumerate(mixed.facts):
        if fact["style"] == style:
            alone = make_terrain(TerrainRecipe(), KEYS[n : n + 1], 32, 32, torch.full((1,), 10.0))
            assert torch.equal(mixed.elevation_m[n : n + 1], alone.elevation_m)


@pytest.mark.parametrize("style", STYLES)
def test_rivers_of_every_style_run_down_and_lie_at_their_level(style: str) -> None:
    terrain, plain = _grown(style, 64, 20.0), _grown("fluvial", 64, 20.0).drainage
    rises = [_rises(drainage) for drainage in (terrain.drainage, plain)]
    assert style == "dunes" or not bool((rises[0] & ~rises[1]).any())  # dunes have a lower relief to begin with
    assert float(rises[0].float().mean()) <= 1.1 * float(rises[1].float().mean())
    inside = terrain.river_m <= 0
    assert bool(inside.any()) or style in ("dunes", "karst")  # which swallow brooks
    assert torch.equal(terrain.elevation_m[inside], terrain.river_level_m[inside])


@pytest.mark.parametrize("style", STYLES)
def test_every_style_stands_on_possible_slopes(style: str) -> None:
    """Cliffs and cones aside, ground at 20 m cells is hardly ever steeper than 60 degrees."""
    slope = _grown(style, 64, 20.0).slope
    assert float((slope > 1.75).float().mean()) < 0.02
    assert float(slope.max()) < 12


def test_no_relief_is_flat_in_every_style() -> None:
    recipe = TerrainRecipe(relief_m=(0.0, 0.0), styles=STYLES[1:])
    assert float(make_terrain(recipe, KEYS, 32, 32, torch.full((6,), 10.0)).elevation_m.abs().max()) == 0
