"""Karst: dolines are closed, clustered, heavy-tailed; cones stand apart; brooks sink."""

import torch
from scipy import ndimage
from terrain_maker import make_terrain

from terraficta.synth.scene.terrain.drainage import fill_depressions
from terraficta.synth.scene.terrain.karst import DEEP, SIZES, Karst, raise_cones, sink_dolines
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TerrainRecipe

KEYS = [SceneKey(8, i) for i in range(8)]
DOLINES = [Karst(False, 0.7, 250.0, 0.5)]


def _sunk(size: int = 256, room_m: float = 1e6) -> torch.Tensor:
    at = Window.over(size, size, torch.tensor([5.0])).points()
    return sink_dolines(at, DOLINES, torch.tensor([99]), torch.full((1, size, size), room_m))


def test_dolines_are_closed_and_as_deep_as_they_look() -> None:
    """On a plain, filling every hollow until it spills raises the ground by the depth of the dolines."""
    depth = _sunk()
    rim = torch.zeros_like(depth, dtype=torch.bool)
    rim[:, [0, -1]] = rim[:, :, [0, -1]] = True
    filled = fill_depressions(torch.where(rim, 0.0, -depth), rim, step=1e-5)
    assert float(depth.max()) > 5.0
    assert torch.allclose(filled + depth, depth, atol=0.02)


def test_dolines_are_bowls_and_few_are_large() -> None:
    depth = _sunk(512)[0].numpy()
    pieces, count = ndimage.label(depth > 0.1)
    area = ndimage.sum_labels(depth > 0.1, pieces, range(1, count + 1)) * 25.0
    deepest = ndimage.maximum(depth, pieces, range(1, count + 1))
    assert count > 60
    assert area.max() > 20 * sorted(area)[count // 2]
    assert (deepest <= 1.01 * 2 * sum(most for _, _, most in SIZES) * DEEP[1]).all()


def test_dolines_stay_above_the_water_of_the_valley() -> None:
    assert bool((_sunk(128, 4.0) < 4.0).all())
    assert float(_sunk(128, 0.0).max()) == 0


def test_cones_stand_on_a_plain_and_are_steep_but_no_walls() -> None:
    at = Window.over(256, 256, torch.tensor([4.0])).points()
    tall = raise_cones(at, [Karst(True, 0.6, 250.0, 0.0)], torch.tensor([7]))[0]
    rise = torch.stack(torch.gradient(tall, spacing=4.0)).square().sum(0).sqrt()
    assert 0.05 < float((tall > 0).float().mean()) < 0.9
    assert 20 < float(tall.max()) < 130
    assert float(rise.max()) < 2.2


def test_limestone_swallows_brooks() -> None:
    wet = {}
    for style in ("fluvial", "karst"):
        recipe = TerrainRecipe(styles=(style,), relief_m=(200.0, 200.0))
        terrain = make_terrain(recipe, KEYS, 64, 64, torch.full((8,), 40.0))
        wet[style] = float((terrain.river_m < 100.0).float().mean())
    assert wet["karst"] < 0.75 * wet["fluvial"]
