"""Phenology: plants green, fade and lose their leaves when their climate says so."""

from collections.abc import Mapping, Sequence
from functools import cache

import pytest
import torch
from torch import Tensor

from terraficta.synth.scene.material.palette import Palette, palette_of
from terraficta.synth.scene.material.plan import draw_material_plan
from terraficta.synth.scene.material.trait import draw_kinds, draw_setting, nearest_climate
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import MaterialRecipe

KEYS = [SceneKey(8, index) for index in range(6)]


def draw_palette(recipe: MaterialRecipe, keys: list[SceneKey], facts: Sequence[Mapping[str, object]]) -> Palette:
    return palette_of(recipe, [draw_material_plan(*each) for each in zip(keys, facts, strict=True)])


@cache
def palette(kind: str, season: float) -> Palette:
    biome = BIOMES[kind]
    facts: Mapping[str, object] = {
        "kind": kind, "season": season, "warmth": sum(biome.warmth) / 2, "moisture": sum(biome.moisture) / 2,
        "drought": sum(biome.drought) / 2,
    }  # fmt: skip
    return draw_palette(MaterialRecipe(), KEYS, [facts] * len(KEYS))


def at(drawn: Palette, name: str, nm: float) -> Tensor:
    return drawn.spectra[:, TERRAFICTA.index(name), :, int((drawn.wavelength_nm - nm).abs().argmin())]


def index(drawn: Palette, name: str, one_nm: float = 840.0, other_nm: float = 660.0) -> Tensor:
    one, other = at(drawn, name, one_nm), at(drawn, name, other_nm)
    return (one - other) / (one + other)


def ndvi(kind: str, name: str, season: float) -> float:
    return float(index(palette(kind, season), name)[:, 4:].mean())


@pytest.mark.parametrize("kind", ["boreal", "temperate"])
def test_leaves_fall_in_winter_where_winters_are_cold(kind: str) -> None:
    assert ndvi(kind, "deciduous_forest", 0.5) > ndvi(kind, "deciduous_forest", 0.02) + 0.3
    assert ndvi(kind, "grassland", 0.5) > ndvi(kind, "grassland", 0.02) + 0.1


@pytest.mark.parametrize("kind", ["savanna", "monsoon"])
def test_leaves_fall_in_the_dry_season_of_the_tropics(kind: str) -> None:
    wet, dry = 0.5, BIOMES[kind].driest
    assert ndvi(kind, "deciduous_forest", wet) > ndvi(kind, "deciduous_forest", dry) + 0.15
    assert ndvi(kind, "grassland", wet) > ndvi(kind, "grassland", dry) + 0.2


def test_mediterranean_grass_is_green_in_winter_and_straw_in_summer() -> None:
    assert ndvi("mediterranean", "grassland", 0.15) > ndvi("mediterranean", "grassland", 0.6) + 0.2
    assert ndvi("mediterranean", "grassland", 0.6) < 0.4
    # trees follow the cold, as in all the north
    assert ndvi("mediterranean", "deciduous_forest", 0.5) > ndvi("mediterranean", "deciduous_forest", 0.02) + 0.1


def test_a_rainforest_hardly_has_a_year() -> None:
    for name in ("evergreen_forest", "deciduous_forest", "mangrove"):
        year = [ndvi("rainforest", name, season) for season in (0.0, 0.25, 0.5, 0.75)]
        assert max(year) - min(year) < 0.08, name


@pytest.mark.parametrize("kind", ["boreal", "temperate", "mediterranean", "savanna"])
def test_evergreens_stay_green(kind: str) -> None:
    for name in ("evergreen_forest",) if kind == "savanna" else ("evergreen_forest", "mangrove"):
        assert ndvi(kind, name, 0.0) == pytest.approx(ndvi(kind, name, 0.5), abs=0.12)


def test_larch_sheds_its_needles_and_spruce_does_not() -> None:
    facts = [{"kind": "boreal", "season": s, "warmth": 0.25, "moisture": 0.6} for s in (0.5, 0.02)]
    keys = [SceneKey(9, i) for i in range(16)]
    larch = [draw_kinds("needleleaf_forest", k.at("material", "needleleaf_forest"), draw_setting(facts[0], k), 1)
             == ["larch"] for k in keys]  # fmt: skip
    summer, winter = (index(draw_palette(MaterialRecipe(), keys, [f] * 16), "needleleaf_forest") for f in facts)
    lost = (summer - winter)[:, 6:].mean(1)
    assert 2 <= sum(larch) <= 14
    assert lost[torch.tensor(larch)].min() > 0.15
    assert lost[~torch.tensor(larch)].max() < 0.1


def test_watered_lawns_outlive_the_dry_season() -> None:
    assert ndvi("mediterranean", "park", 0.6) > ndvi("mediterranean", "grassland", 0.6) + 0.25


def test_paddies_stand_under_water_when_planted_green_later_and_dry_at_harvest() -> None:
    seasons = [step / 20 for step in range(20)]
    drawn = [palette("mediterranean", season) for season in seasons]
    wetness = torch.stack([index(d, "paddy", 840, 1610) for d in drawn])  # land surface water index
    green = torch.stack([index(d, "paddy") for d in drawn])
    # flooded and just planted: LSWI + 0.05 >= NDVI, which no dry field does (Xiao 2005, doi:10.1016/j.rse.2004.12.009)
    flooded = wetness + 0.05 >= green
    field = torch.stack([index(d, "cropland", 840, 1610) + 0.05 >= index(d, "cropland") for d in drawn])
    assert 0.05 < float(flooded.float().mean()) < 0.45
    assert float(field.float().mean()) < 0.02
    planted, best = int(flooded.float().mean((1, 2)).argmax()), int(green.mean((1, 2)).argmax())
    assert seasons[planted] < seasons[best] <= 0.8
    assert green[best].mean() > 0.7
    assert at(drawn[planted], "paddy", 1610).mean() < 0.6 * at(drawn[0], "paddy", 1610).mean()


def test_the_tide_comes_in_under_mangroves() -> None:
    facts = {"kind": "rainforest", "season": 0.5, "warmth": 0.9, "moisture": 0.9}
    low, high = (draw_palette(MaterialRecipe(), KEYS, [facts | {"tide": tide}] * 6) for tide in (-1.0, 1.0))
    assert (at(high, "mangrove", 1610) <= at(low, "mangrove", 1610)).all()
    assert at(high, "mangrove", 1610).mean() < 0.95 * at(low, "mangrove", 1610).mean()
    assert torch.equal(*(p.spectra[:, TERRAFICTA.index("evergreen_forest")] for p in (low, high)))


def test_the_drought_of_a_scene_is_that_of_its_climate() -> None:
    for kind, biome in BIOMES.items():
        facts = {"kind": kind, "drought": 0.8, "season": biome.driest, "warmth": 0.5, "moisture": 0.5}
        assert draw_setting(facts, KEYS[0]).dryness == pytest.approx(0.8)
        away = draw_setting(facts | {"season": (biome.driest + 0.5) % 1}, KEYS[0])
        assert away.dryness == 0


def test_what_facts_do_not_say_follows_from_warmth_and_moisture() -> None:
    assert nearest_climate(0.95, 0.95) == "rainforest"
    assert nearest_climate(0.05, 0.5) == "tundra"
    assert nearest_climate(0.7, 0.05) == "desert"
    assert draw_setting({"warmth": 0.25, "moisture": 0.7}, KEYS[0]).kind == "boreal"


@pytest.mark.parametrize("kind", BIOMES)
def test_mixture_is_sound_in_every_climate_at_every_season(kind: str) -> None:
    biome = BIOMES[kind]
    for season in (0.0, 0.3, 0.6, 0.9):
        facts = [
            {"kind": kind, "season": season, "warmth": biome.warmth[i % 2], "moisture": biome.moisture[i // 2 % 2],
             "drought": biome.drought[i % 2], "rain": i / 5, "tide": 1 - i / 2.5}
            for i in range(len(KEYS))
        ]  # fmt: skip
        drawn = draw_palette(MaterialRecipe(), KEYS, facts)
        assert drawn.spectra.isfinite().all()
        assert drawn.spectra.min() >= 0
        assert drawn.spectra.max() <= 1
        assert drawn.lai.min() >= 0
        assert drawn.lai.max() < 9
        assert ((drawn.mixture.closure > 0) & (drawn.mixture.closure < 1)).all()
        assert (drawn.mixture.runs[..., 0] <= drawn.mixture.runs[..., 1]).all()
