"""Water: as much as was asked for, level where it stands, nowhere where there is none."""

import torch
from cover_maker import draw_covers
from terrain_maker import make_terrain

from terraficta.synth.scene.cover.water import Water, fill_water
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import STYLES, CoverRecipe, TerrainRecipe

KEYS = [SceneKey(9, i) for i in range(60)]


def _filled(water: tuple[float, float], cell_m: float = 40.0, size: int = 64) -> tuple[Terrain, Water, float]:
    terrain = make_terrain(TerrainRecipe(styles=STYLES), KEYS, size, size, torch.full((len(KEYS),), cell_m))
    plans = draw_covers(CoverRecipe(water=water), KEYS)
    u01 = torch.rand(terrain.slope.shape, generator=torch.Generator().manual_seed(3))
    asked = sum(p.climate.water for p in plans) / len(plans)
    return terrain, fill_water(plans, terrain, u01), asked


def test_the_mean_share_is_what_was_asked_for() -> None:
    for span in ((0.0, 0.25), (0.3, 0.3)):
        _, water, asked = _filled(span)
        got = float((water.open_water | water.tidal).float().mean())
        assert 0.6 * asked < got < 1.4 * asked


def test_no_water_asked_for_no_water() -> None:
    terrain, water, _ = _filled((0.0, 0.0), size=32)
    assert not bool(water.open_water.any())
    assert torch.equal(water.surface_m, terrain.elevation_m)


def test_lakes_are_level_and_cover_their_ground() -> None:
    terrain, water, _ = _filled((0.05, 0.25))
    lake = water.open_water & ~water.river
    assert bool((water.surface_m[lake] > terrain.elevation_m[lake]).all())
    dry = ~lake
    assert torch.equal(water.surface_m[dry], terrain.elevation_m[dry])
    side = lake[:, :, 1:] & lake[:, :, :-1]
    level = (water.surface_m[:, :, 1:] == water.surface_m[:, :, :-1])[side]
    assert float(level.float().mean()) > 0.99


def test_layers_do_not_overlap() -> None:
    _, water, _ = _filled((0.1, 0.25))
    assert not bool((water.shore & water.open_water).any())
    assert not bool((water.tidal & water.open_water).any())
    assert bool((water.open_water | ~water.river).all())


def test_water_does_not_depend_on_the_cells() -> None:
    shares = []
    for cell, size in ((15.0, 128), (60.0, 32)):
        _, water, _ = _filled((0.1, 0.2), cell, size)
        shares.append(water.open_water.float().mean((1, 2)))
    assert abs(float(shares[0].mean() - shares[1].mean())) < 0.15 * float(shares[0].mean())
