"""Ice: troughs have the exponent that was asked for, water still runs down, cirques and drumlins have their shapes."""

import pytest
import torch
from terrain_maker import make_terrain

from terraficta.synth.scene.terrain.glacier import (
    NO_LEVEL_M,
    Glacier,
    dig_kettles,
    draw_glacier,
    gouge_cirques,
    mould_drumlins,
    trough,
)
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TerrainRecipe

KEYS = [SceneKey(8, i) for i in range(6)]


@pytest.mark.parametrize("exponent", [1.5, 2.0, 2.5])
def test_a_straight_valley_side_becomes_a_power_of_the_distance(exponent: float) -> None:
    """V-shaped valley, slope 0.5: y = a x^b after the ice, with the b that was asked for."""
    x = torch.linspace(5.0, 390.0, 200)
    y = trough(0.5 * x, torch.tensor(200.0), torch.tensor(exponent))
    steps = torch.log(y[1:] / y[:-1]) / torch.log(x[1:] / x[:-1])
    assert torch.allclose(steps, torch.full_like(steps, exponent), atol=2e-3)


def test_the_trough_ends_where_the_ice_did_and_never_turns_water_round() -> None:
    above = torch.linspace(0.0, 500.0, 2001)
    after = trough(above, torch.tensor(200.0), torch.tensor(2.0))
    assert bool((after.diff() >= 0).all())
    assert torch.equal(after[above >= 200], above[above >= 200])
    assert bool((after <= above + 1e-4).all())
    assert float((above - after).max()) == pytest.approx(50.0, rel=1e-3)  # a quarter of the depth for b = 2


def test_troughs_are_broader_at_the_bottom_than_the_valleys_that_they_were() -> None:
    """The share of ground within a tenth of the relief above its river grows."""
    low = {}
    for style in ("fluvial", "glacial"):
        recipe = TerrainRecipe(styles=(style,), relief_m=(600.0, 600.0))
        terrain = make_terrain(recipe, KEYS, 96, 96, torch.full((6,), 40.0))
        floor = torch.nn.functional.max_pool2d(-terrain.elevation_m, 25, 1, 12)
        low[style] = float(((terrain.elevation_m + floor) < 30.0).float().mean())
    assert low["glacial"] > 1.15 * low["fluvial"]


def test_kettles_are_closed_and_hold_their_lake() -> None:
    along = torch.linspace(-0.5, 0.5, 101)
    ty, tx = (v.flatten()[None] for v in torch.meshgrid(along, along, indexing="ij"))
    ground = 10.0 + 3.0 * ty
    half, step = torch.full_like(ty, 0.5), torch.tensor([[200.0]])
    dug = dig_kettles(ground, torch.full_like(ty, 9.5), ty, tx, half, step)
    away = torch.sqrt(ty * ty + tx * tx)
    assert bool((dug[away < 0.23] < 9.5).all())
    assert bool((dug[(away > 0.25) & (ground > 9.5)] > 9.5).all())
    assert float((9.5 - dug).max()) == pytest.approx(0.12 * 0.24 * 200.0, rel=0.01)
    assert torch.equal(dug[away > 0.36], ground[away > 0.36])
    assert torch.equal(dig_kettles(ground, torch.full_like(ty, NO_LEVEL_M), ty, tx, half, step), ground)


def test_cirques_have_flat_floors_and_steep_headwalls() -> None:
    depth = gouge_cirques(Window.over(300, 300, torch.tensor([10.0])), torch.tensor([5]))[0]
    rise = torch.stack(torch.gradient(depth, spacing=10.0)).square().sum(0).sqrt()
    assert float(depth.max()) <= 0.32 * 460
    assert float(rise[depth > 0.9 * depth.max()].max()) < 0.5
    assert 0.9 < float(rise.quantile(0.995)) < 1.6


def test_drumlins_are_three_times_as_long_as_wide_along_the_ice() -> None:
    at = Window.over(800, 800, torch.tensor([10.0]))
    mould = mould_drumlins(at, [Glacier(2.0, 0.3, 0.0, 20.0, 0.0)], torch.tensor([5]))[0]
    along, across = (torch.gradient(mould, spacing=10.0)[k].square().mean().sqrt() for k in (0, 1))
    assert 2.0 < float(across / along) < 4.5
    assert 0.1 < float((mould > 0).float().mean()) < 0.9


def test_exponents_are_those_of_real_troughs() -> None:
    assert all(1.5 <= draw_glacier(SceneKey(1, i)).exponent <= 2.5 for i in range(100))
