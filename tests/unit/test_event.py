"""Events: nothing at dose 0, more at a larger dose, and only where they can happen."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from cover_maker import draw_covers
from scipy.ndimage import label
from terrain_maker import make_terrain

from terraficta.synth.render import render_dates
from terraficta.synth.scene.cover.event import STRIKES, Event, land_on, slides, strike
from terraficta.synth.scene.cover.landcover import LandCover, grow_landcover
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.cover.season import Moment
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, TIMBER
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
WOODED = CoverRecipe(climates=("temperate",), season=(0.5, 0.5), farmland=(0.2, 0.2), settlement=(0.05, 0.05))


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


@cache
def _wooded() -> tuple[Terrain, tuple[CoverPlan, ...]]:
    """Some hills, and what was drawn for their cover: woods and some farms."""
    recipe = TerrainRecipe(relief_m=(300.0, 900.0), styles=("fluvial",))
    terrain = make_terrain(recipe, KEYS[:3], 48, 48, torch.full((3,), 20.0))
    return terrain, tuple(draw_covers(WOODED, KEYS[:3]))


def _after(kind: str, dose: float, ages: tuple[float, ...]) -> tuple[LandCover, list[LandCover]]:
    """The land before an event, and so many years after it."""
    terrain, plans = _wooded()
    before = grow_landcover(WOODED, terrain, plans)
    times = [0.5, 0.5, *(0.5 + age for age in ages)]  # before it, on its day, and later
    dates = [[Moment(n, int(t), replace(plan.climate, season=t % 1.0)) for n, t in enumerate(times)] for plan in plans]
    events = [[Event(kind, dose, 1, 4711 + n)] for n in range(len(plans))]
    return before, [strike(before, terrain, [own[2 + k] for own in dates], events, dates) for k in range(len(ages))]


@pytest.mark.parametrize("kind", EVENTS)
def test_dose_0_is_the_identity(kind: str) -> None:
    """Bit for bit, whether it is drawn with the land or strikes it."""
    terrain, plans = _wooded()
    dates = [[Moment(0, 0, plan.climate), Moment(1, 1, plan.climate)] for plan in plans]
    recipe = SceneRecipe(name="events", about="a test", cover=WOODED, events=(EventRecipe(kind=kind),))  # type: ignore[arg-type]
    without, with_it = (
        land_on(recipe, terrain, plans, dates, [events] * len(plans), 1) for events in ([], [Event(kind, 0.0, 1, 4711)])
    )
    for one, two in zip(without.cover.planes(), with_it.cover.planes(), strict=True):
        assert torch.equal(one, two)
    assert with_it.moments == without.moments
    assert with_it.change is not None
    assert not bool(with_it.change.any())
    if kind in STRIKES:
        alone = without.cover.mapped(lambda plane: plane[:1])
        struck = STRIKES[kind](alone, terrain, 0, Event(kind, 0.0, 1, 4711), 0.1)
        for one, two in zip(alone.planes(), struck.planes(), strict=True):
            assert torch.equal(one, two)


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


def test_scars_green_again_with_age() -> None:
    """Char, then grass, then shrubs, then young forest; in the end what grew there before, to the last bit."""
    ages = (0.1, 1.6, 5.0, 16.0, 60.0)
    before, after = _after("burn", 1.0, ages)
    scar, at = after[0].cover == TERRAFICTA.index("burnt"), TERRAFICTA.index
    forest = scar & TERRAFICTA.among(before.cover, TIMBER)
    assert float(scar.float().mean()) > 0.2
    assert float(forest.float().mean()) > 0.1
    part = [[float((now.cover == at(name))[forest].float().mean()) for name in ("burnt", "grassland", "shrubland")]
            for now in after]  # fmt: skip
    assert [max(range(3), key=shares.__getitem__) for shares in part[:3]] == [0, 1, 2]
    assert part[0][0] == 1.0
    assert [shares[0] for shares in part[2:]] == [0.0, 0.0, 0.0]
    assert torch.equal(after[3].cover, before.cover), "the forest is back"
    height = [float(now.height_m[forest].mean()) for now in (*after, before)]
    assert height[0] == 0.0
    assert 0.3 * height[-1] < height[3] < 0.9 * height[-1], "but young"
    for one, two in zip(after[4].planes(), before.planes(), strict=True):
        assert torch.equal(one, two)


def test_tongues_lie_below_their_scars_and_green_first() -> None:
    recipe = TerrainRecipe(relief_m=(1200.0, 1600.0), styles=("fluvial",))
    terrain = make_terrain(recipe, KEYS[:3], 200, 200, torch.full((3,), 6.0))
    lower = []
    for n in range(3):
        scar, tongue = (plane[0].numpy() for plane in slides(terrain, n, Event("landslide", 0.9, 1, 4711 + n)))
        height, (pieces, count) = terrain.elevation_m[n].numpy(), label(scar | tongue)
        assert not (scar & tongue).any()
        for piece in range(1, count + 1):
            above, below = scar & (pieces == piece), tongue & (pieces == piece)
            if above.sum() > 8 and below.sum() > 8:
                lower.append(height[below].mean() < height[above].mean())
    assert len(lower) > 20
    assert np.mean(lower) > 0.9
    before, (fresh, some, old) = _after("landslide", 0.9, (1.0, 5.0, 10.0))
    bare = TERRAFICTA.index("bare_soil")
    share = [float(((cover.cover == bare) & (before.cover != bare)).float().mean()) for cover in (fresh, some, old)]
    assert share[0] > share[1] > share[2] == 0


def test_sizes_of_landslides_follow_the_power_law() -> None:
    """Of a level slope, on which nothing cuts them short: how many are larger than an area falls with its power."""
    side, cell_m = 1500, 8.0
    recipe = TerrainRecipe(relief_m=(300.0, 300.0), styles=("fluvial",))
    terrain = make_terrain(recipe, KEYS[:1], 8, 8, torch.full((1,), 8.0))
    plane = torch.full((1, side, side), 0.6)
    window = Window.over(side, side, torch.full((1,), cell_m))
    far = terrain.far
    assert far is not None
    steep = replace(far, rise_y=torch.full_like(far.rise_y, 0.6), rise_x=torch.zeros_like(far.rise_x))
    slope = replace(terrain, slope=plane, rise_y=plane, rise_x=torch.zeros_like(plane), window=window, far=steep)
    scar, tongue = slides(slope, 0, Event("landslide", 0.3, 1, 99))
    pieces, count = label((scar | tongue)[0].numpy())
    area_m2 = np.bincount(pieces.ravel())[1:] * cell_m**2
    small, large = ((area_m2 > least).sum() for least in (3_000, 30_000))
    assert count > 500
    assert np.log10(small / large) == pytest.approx(1.4, abs=0.3)
