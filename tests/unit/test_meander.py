"""Meanders: rivers wind the more the flatter their valleys are, in waves of eleven widths, and still meet."""

from functools import cache

import torch
from terrain_maker import make_terrain

from terraficta.synth.scene.terrain.ground import MEANDER, SINUOUS, meanders, sinuosity
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TerrainRecipe

SCENES, CELL_M = 8, 8.0


@cache
def _grown(relief_m: float, size: int = 384, origin: int = 0) -> Terrain:
    keys = [SceneKey(33, i) for i in range(SCENES)]
    recipe = TerrainRecipe(relief_m=(relief_m, relief_m), styles=("fluvial",))
    start = torch.full((SCENES, 2), origin)
    return make_terrain(recipe, keys, size, size, torch.full((SCENES,), CELL_M), origin_cell=start)


def _length_m(terrain: Terrain) -> float:
    """Length of the rivers that are two cells wide or more: their area over their width."""
    river = (terrain.river_m <= 0) & (terrain.river_width_m > 2 * CELL_M)
    return float((CELL_M**2 / terrain.river_width_m[river]).sum())


def test_sinuosity_falls_with_the_slope_and_sooner_for_wide_rivers() -> None:
    slope = torch.tensor([0.0, 1e-4, 1e-3, 1e-2, 1e-1])
    for width_m in (3.0, 30.0, 200.0):
        wound = sinuosity(torch.full_like(slope, width_m), slope)
        assert float(wound[0]) == torch.tensor(SINUOUS)
        assert float(wound[-1]) == 1.0
        assert bool((wound.diff() <= 0).all())
    wide, narrow = (sinuosity(torch.tensor(width_m), torch.tensor(5e-4)) for width_m in (200.0, 10.0))
    assert float(wide) < float(narrow)


def test_waves_are_eleven_widths_long_and_as_sinuous_as_they_shall_be() -> None:
    along = torch.linspace(0, 1, 4001, dtype=torch.float64)
    for width_m in (6.0, 9.0, 20.0, 35.0):
        for slope in (0.0, 5e-4, 2e-3):
            width, steep, reach = (torch.tensor(v, dtype=torch.float64) for v in (width_m, slope, 150.0))
            amplitude, waves = meanders(width, steep, reach)
            assert 0.65 < float(reach / waves) / (MEANDER * width_m) < 1.5
            aside = amplitude * torch.sin(2 * torch.pi * waves * along)
            assert abs(float(aside[-1])) < 1e-9 * 150
            length = torch.sqrt(aside.diff() ** 2 + (150 * along.diff()) ** 2).sum() / 150
            assert abs(float(length) / float(sinuosity(width, steep)) - 1) < 0.1


def test_rivers_of_flat_land_are_longer_than_those_of_steep_land() -> None:
    flat, steep = _length_m(_grown(25.0)), _length_m(_grown(900.0))
    assert flat > 1.15 * steep, (flat, steep)


def test_a_river_lies_at_its_level_and_windows_agree_on_it() -> None:
    one, two = _grown(25.0, 128), _grown(25.0, 128, 40)
    river = one.river_m <= 0
    assert bool(river[:, 40:, 40:].any())
    assert torch.equal(one.elevation_m[river], one.river_level_m[river])
    for name in ("river_m", "elevation_m", "valley_foot_m"):
        first, second = getattr(one, name)[:, 40:, 40:], getattr(two, name)[:, :-40, :-40]
        torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-5)
