"""Crops: calendars in order, shares that sum to one, rotation that moves on, stages that follow the year."""

import numpy as np
import pytest
import torch

from terraficta.synth.scene.cover.climate import draw_climate
from terraficta.synth.scene.cover.field import rotate
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.crop import CALENDARS, LEY_YEARS, PLANTS, Crop, draw_crops, stage
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe

YEAR = np.linspace(0.0, 1.0, 366)


def _crops(kind: str, index: int = 0) -> tuple[Crop, ...]:
    key = SceneKey(5, index)
    return draw_crops(draw_climate(CoverRecipe(climates=(kind,)), key), key)


def _rotated(crops: tuple[Crop, ...], parcel: torch.Tensor, year: int, paddy: bool = False) -> torch.Tensor:
    return rotate([crops], torch.zeros_like(parcel), parcel, torch.full_like(parcel, paddy, dtype=torch.bool), [year])


def test_every_climate_has_crops() -> None:
    assert set(CALENDARS) == set(BIOMES)
    assert {name for grown in CALENDARS.values() for name in grown} == set(PLANTS)


@pytest.mark.parametrize("kind", BIOMES)
def test_calendars_are_in_order_and_shares_whole(kind: str) -> None:
    for index in range(8):
        crops = _crops(kind, index)
        for crop in crops:
            for g in crop.grows:
                assert g.sowing < g.emergence < g.peak < g.ripening < g.harvest < g.sowing + 1.05
        for cover in {crop.cover for crop in crops}:
            assert sum(crop.share for crop in crops if crop.cover == cover) == pytest.approx(1)


def test_two_crops_a_year_where_it_is_warm_and_wet() -> None:
    rice = next(crop for crop in _crops("monsoon") if crop.name == "rice")
    assert rice.cover == "paddy"
    assert len(rice.grows) == 2
    green = stage(rice, YEAR).green
    peaks = (green[1:-1] >= 0.999) & (green[:-2] < 0.999)
    assert int(peaks.sum()) == 2


@pytest.mark.parametrize("kind", BIOMES)
def test_a_field_is_bare_grows_ripens_and_is_cut(kind: str) -> None:
    for crop in _crops(kind):
        state = stage(crop, YEAR)
        for value in (state.green, state.ripe, state.stubble, state.flooded):
            assert value.min() >= 0
            assert value.max() <= 1
        assert state.green.max() == 1.0
        assert not bool(((state.stubble > 0) & (state.green > 0)).any())
        assert bool((state.green[state.ripe > 0] == 1).all())
        assert (state.flooded.max() > 0) == (crop.cover == "paddy")


def test_winter_cereal_is_green_in_spring_and_maize_in_late_summer() -> None:
    crops = {c.name: c for i in range(8) for c in _crops("temperate", i)}
    may, august = 0.4, 0.63
    assert stage(crops["winter_cereal"], may).green > 0.8 > stage(crops["maize"], may).green
    assert stage(crops["maize"], august).green > 0.8 > stage(crops["winter_cereal"], august).green


def test_parcels_carry_their_shares() -> None:
    crops = _crops("temperate")
    number = _rotated(crops, torch.arange(40_000) * 7919, 3)
    assert int(number.min()) >= 1
    for n, crop in enumerate(crops):
        if crop.cover == "cropland" and not crop.perennial:
            assert float((number == n + 1).float().mean()) == pytest.approx(crop.share, abs=0.02)


def test_next_year_another_crop_but_perennials_stay() -> None:
    crops = _crops("temperate", 2)
    parcel = torch.arange(20_000) * 7919
    years = torch.stack([_rotated(crops, parcel, year) for year in range(2 * LEY_YEARS)])
    assert float((years[0] != years[1]).float().mean()) > 0.4
    lasting = torch.tensor([n + 1 for n, c in enumerate(crops) if c.perennial])
    again = [float(torch.isin(b[torch.isin(a, lasting)], lasting).float().mean()) for a, b in zip(years, years[1:])]  # noqa: B905
    assert min(again) > (LEY_YEARS - 1) / LEY_YEARS - 0.05


def test_rice_on_paddies_only_and_none_where_none_grows() -> None:
    parcel = torch.arange(1000) * 31
    wet, cool = _crops("monsoon"), _crops("boreal")
    assert {wet[n - 1].name for n in _rotated(wet, parcel, 0, paddy=True).unique().tolist()} == {"rice"}
    assert "rice" not in {wet[n - 1].name for n in _rotated(wet, parcel, 0).unique().tolist()}
    assert int(_rotated(cool, parcel, 0, paddy=True).max()) == 0


def test_a_scene_has_its_crops_alone_and_in_a_batch() -> None:
    lists = [_crops("monsoon"), _crops("temperate"), _crops("desert")]
    parcel, scene = torch.arange(3000) * 13, torch.arange(3000) // 1000
    dry = torch.zeros(3000, dtype=torch.bool)
    batch = rotate(lists, scene, parcel, dry, [1, 2, 3])
    alone = rotate(lists[1:2], torch.zeros(1000, dtype=torch.int64), parcel[1000:2000], dry[:1000], [2])
    assert torch.equal(batch[1000:2000], alone)
