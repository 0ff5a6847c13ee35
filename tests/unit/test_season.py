"""Dates: the same ground under another season, sun and weather; the first date is what it was."""

from datetime import date

import pytest
import torch

from terraficta.synth.render import render, render_dates
from terraficta.synth.scene.cover.climate import draw_climate
from terraficta.synth.scene.cover.season import Moment, draw_moments
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe, SceneRecipe, TimeRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

KEYS = [SceneKey(5, i) for i in range(4)]
SENSOR = read_sensor("sentinel2a")


def asked(name: str = "tier1", cover: CoverRecipe | None = None, **time: object) -> SceneRecipe:
    recipe = read_scene_recipe(name)
    changes = {"size_px": 32, "time": TimeRecipe(**time), "cover": cover or recipe.cover}  # type: ignore[arg-type]
    return recipe.model_copy(update=changes)


def test_the_first_date_is_what_it_was() -> None:
    plain = render(asked("tier3"), KEYS, SENSOR)
    for one, dates in zip(plain, render_dates(asked("tier3"), KEYS, SENSOR), strict=True):
        assert len(dates) == 1
        assert torch.equal(one.image, dates[0].image)
    for one, dates in zip(plain, render_dates(asked("tier0", dates=3), KEYS, SENSOR), strict=True):
        assert torch.equal(one.layers["elevation_m"], dates[0].layers["elevation_m"])
        clear = one.mass.sum(0) > 0
        assert torch.equal(one.mass[:, clear], dates[0].mass[:, clear])


def test_a_date_is_the_same_alone_and_in_a_batch() -> None:
    recipe = asked("tier3", dates=2, flood_m=(0, 3), rain=(0, 1), tide=(0, 1))
    batch = render_dates(recipe, KEYS, SENSOR)
    (alone,) = render_dates(recipe, KEYS[2:3], SENSOR)
    for one, two in zip(batch[2], alone, strict=True):
        assert torch.equal(one.image, two.image)
        assert torch.equal(one.mass, two.mass)


def test_the_ground_stays_and_its_look_goes() -> None:
    recipe = asked(dates=2, cover=CoverRecipe(climates=("temperate",), season=(0.1, 0.1)), seasons=(0.5,))
    for winter, summer in render_dates(recipe, KEYS, SENSOR):
        assert torch.equal(winter.layers["elevation_m"], summer.layers["elevation_m"])
        same = (winter.layers["material"] == summer.layers["material"]).float().mean()
        assert float(same) > 0.6, "parcels and roofs stay what they are; crops and snow go"
        assert float((winter.image - summer.image).abs().mean()) > 0.003
        assert (winter.id, winter.date) < (summer.id, summer.date)
        assert summer.facts["season"] == 0.5


def test_leaves_come_and_go() -> None:
    cover = CoverRecipe(climates=("temperate",), season=(0.05, 0.05), farmland=(0, 0), water=(0, 0), settlement=(0, 0))
    recipe = asked("tier1", cover, dates=3, seasons=(0.5, 0.95))
    red, nir = (int((SENSOR.centre_nm - nm).abs().argmin()) for nm in (665.0, 842.0))
    grown = []
    for tiles in render_dates(recipe, KEYS, SENSOR):
        ndvi = [
            float(((t.image[nir] - t.image[red]) / (t.image[nir] + t.image[red]).clamp(min=1e-3)).mean()) for t in tiles
        ]
        grown.append((ndvi[1] - ndvi[0], ndvi[1] - ndvi[2]))
    assert min(sum(spring) for spring in zip(*grown, strict=True)) > 0.05 * len(KEYS)


def test_dates_go_forward_and_are_spread() -> None:
    for key in KEYS:
        climate = draw_climate(CoverRecipe(), key)
        moments = draw_moments(TimeRecipe(dates=9, years=2.0), climate, key)
        times = [m.years for m in moments]
        assert times == sorted(times)
        assert abs(times[-1] - times[0] - 2.0) < 0.06
        assert all(0 <= m.climate.season < 1 for m in moments)
        named = draw_moments(TimeRecipe(dates=5, seasons=(0.3, 0.6)), climate, key)
        assert [m.climate.season for m in named[1:]] == pytest.approx([0.3, 0.6, 0.3, 0.6])
        assert [m.years for m in named] == sorted(m.years for m in named)


def test_midsummer_is_in_june_in_the_north_and_in_december_in_the_south() -> None:
    for key in KEYS:
        climate = draw_climate(CoverRecipe(season=(0.5, 0.5)), key)
        moment = Moment(0, 0, climate)
        assert moment.date.month == (6 if climate.latitude_deg > 0 else 12)
        assert date(2001, 1, 1).toordinal() + moment.day_of_year - 1 == moment.date.toordinal()


def test_the_sun_is_that_of_the_date() -> None:
    recipe = asked(dates=2, cover=CoverRecipe(climates=("boreal",), season=(0.05, 0.05)), seasons=(0.5,))
    for winter, summer in render_dates(recipe, KEYS, SENSOR):
        assert winter.facts["sza_deg"] > summer.facts["sza_deg"] + 15
        assert winter.facts["latitude_deg"] == summer.facts["latitude_deg"]


def test_a_flood_covers_what_lies_low_and_spares_the_hills() -> None:
    dry, wet = (
        render_dates(asked("tier0", dates=1, flood_m=(rise, rise)), [SceneKey(6, i) for i in range(8)], SENSOR)
        for rise in (0.0, 4.0)
    )
    water = dry[0][0].legend.index("water")
    gained = 0.0
    for (before,), (after,) in zip(dry, wet, strict=True):
        assert bool((after.mass[water] >= before.mass[water] - 1e-6).all())
        gained += float((after.mass[water] - before.mass[water]).mean())
        flooded = (after.mass[water] - before.mass[water]) > 0.5
        if flooded.any() and before.facts["relief_m"] > 300:
            assert float(before.layers["elevation_m"][flooded].median()) <= float(before.layers["elevation_m"].median())
    assert gained > 0.02
