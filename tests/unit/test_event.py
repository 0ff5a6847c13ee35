"""Events: nothing at dose 0, more at a larger dose, and only where they can happen."""

import pytest
import torch

from terraficta.synth.render import render_dates
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import (
    EVENTS,
    CoverRecipe,
    EventRecipe,
    SceneRecipe,
    TerrainRecipe,
    TimeRecipe,
    read_scene_recipe,
)
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

KEYS = [SceneKey(9, i) for i in range(6)]
SENSOR = read_sensor("sentinel2a")
CLIMATE = {"deforestation": "rainforest"}


def series(kind: str, dose: float, dates: int = 2, years: float = 0.2) -> list[list[Tile]]:
    relief = (900.0, 1500.0) if kind == "landslide" else (60.0, 300.0)
    cover = CoverRecipe(climates=(CLIMATE.get(kind, "temperate"),), season=(0.4, 0.6), settlement=(0.05, 0.2))
    recipe = SceneRecipe(
        name="events", about="a test", size_px=48, gsd_m=(20.0, 20.0), cover=cover,
        terrain=TerrainRecipe(relief_m=relief, styles=("fluvial",)), time=TimeRecipe(dates=dates, years=years),
        events=(EventRecipe(kind=kind, dose=(dose, dose)),),  # type: ignore[arg-type]
    )  # fmt: skip
    return render_dates(recipe, KEYS, SENSOR)


def share(tiles: list[list[Tile]], date: int = 1) -> list[float]:
    return [float((dates[date].layers["changed"] == 2).float().mean()) for dates in tiles]


@pytest.mark.parametrize("kind", EVENTS)
def test_a_larger_dose_changes_more_and_none_changes_nothing(kind: str) -> None:
    none, some, much = (series(kind, dose) for dose in (0.0, 0.4, 0.9))
    quiet = read_scene_recipe("tier0")
    assert quiet.events == ()
    assert max(share(none)) == 0
    assert sum(share(much)) > 0.02
    for less, more in zip(some, much, strict=True):
        small, large = (tiles[1].layers["change"] > 0 for tiles in (less, more))
        assert float((small & ~large).float().sum()) <= 0.12 * max(float(large.float().sum()), 20.0)
        assert set(more[1].layers["change"].unique().tolist()) <= {0, 1 + EVENTS.index(kind)}
        assert torch.equal(less[0].image, more[0].image), "before, nothing has happened"
        assert torch.equal(less[1].layers["elevation_m"], more[1].layers["elevation_m"])


def test_dose_0_is_the_identity() -> None:
    plain = [dates[1] for dates in series("burn", 0.0)]
    for kind in ("flood", "landslide"):
        for one, two in zip(plain, [dates[1] for dates in series(kind, 0.0)], strict=True):
            if kind != "landslide":  # another ground
                assert torch.equal(one.mass, two.mass)


def test_events_happen_where_they_can() -> None:
    at = TERRAFICTA.index
    for before, after in series("burn", 0.8):
        burnt = after.mass[at("burnt")] > 0.5
        assert not bool((before.mass[at("water")][burnt] > 0.5).any())
        assert not bool((before.mass[at("building")][burnt] > 0.5).any())
    for before, after in series("flood", 0.8):
        assert bool((after.mass[at("water")] >= before.mass[at("water")] - 1e-6).all())
    for before, after in series("urban_growth", 0.8):
        assert float(after.mass[at("building")].mean()) >= float(before.mass[at("building")].mean())
    forests = [at(f"{kind}_forest") for kind in ("needleleaf", "evergreen", "deciduous")]
    for before, after in series("deforestation", 0.8):
        assert float(after.mass[forests].sum(0).mean()) <= float(before.mass[forests].sum(0).mean())


def test_scars_green_again() -> None:
    burnt, grass = TERRAFICTA.index("burnt"), TERRAFICTA.index("grassland")
    tiles = series("burn", 0.8, dates=5, years=12.0)
    share_of = [sum(float(dates[d].mass[burnt].mean()) for dates in tiles) for d in range(5)]
    assert share_of[1] > 0.1
    assert share_of[2] < 0.2 * share_of[1]
    changed = [sum(share(tiles, d)) for d in range(1, 5)]
    assert changed[-1] < changed[0]
    assert grass >= 0
