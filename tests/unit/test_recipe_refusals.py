"""Recipes that contradict themselves are refused, with the field, the reason and the mend."""

import re
from pathlib import Path
from typing import Any

import pytest

from terraficta.pretrain.recipe import read_pretrain_recipe
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import NATURAL, SceneRecipe

CASES: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"cover": {"climates": ["rainforest"], "shares": {"snow": 0.2}}},
        "cover.shares.snow", "mountains of at most 900 m", "lies 3012 m above the lowest ground",
    ),
    (
        {"cover": {"climates": ["temperate"], "season": [0.4, 0.6], "shares": {"snow": 0.1}}},
        "cover.shares.snow", "mountains of at most 900 m", "a season nearer winter",
    ),
    (
        {"cover": {"water": [0.5, 0.6], "settlement": [0.3, 0.4], "farmland": [0.4, 0.5]}},
        "cover.water", "= 1.2", "the whole ground",
    ),
    ({"cover": {"shares": {"needleleaf": 0.1}}}, "cover.shares.needleleaf", "no class of the legend",
     "did you mean needleleaf_forest?"),
    ({"cover": {"shares": {"cropland": 0.1}}}, "cover.shares.cropland", "not natural", "set farmland"),
    ({"cover": {"shares": {"paddy": 0.1}, "warmth": [0.0, 0.2]}}, "cover.shares.paddy", "not natural", "set farmland"),
    ({"cover": {"shares": {"building": 0.1}}}, "cover.shares.building", "not natural", "set settlement"),
    ({"cover": {"shares": {"sand": 1.2}}}, "cover.shares.sand", "1.2", "between 0 and 1"),
    ({"cover": {"shares": {"sand": 0.6, "rock": 0.6}}}, "cover.shares", "a sum of 1.2", "at most 1"),
    (
        {"cover": {"water": [0.2, 0.2], "farmland": [0.8, 0.8], "shares": {"sand": 0.6}}},
        "cover.shares", "no natural ground", "lower water, farmland or settlement",
    ),
    ({"cover": {"climates": ["tundra", "boreal"], "shares": {"mangrove": 0.1}}}, "cover.shares.mangrove",
     "tundra, boreal only", "add one of desert, savanna, monsoon, rainforest"),
    ({"cover": {"shares": {"mangrove": 0.05}, "water": [0.0, 0.0]}}, "cover.shares.mangrove", "water (0.0, 0.0)",
     "raise cover.water"),
    ({"cover": {"shares": {"mangrove": 0.05}}, "terrain": {"styles": ["karst"]}}, "cover.shares.mangrove", "karst",
     "add coast to terrain.styles"),
    ({"cover": {"shares": {"mangrove": 0.6}}}, "cover.shares.mangrove", "0.6", "at most 0.4"),
    ({"cover": {"climates": ["rainforest"], "shares": {"needleleaf_forest": 0.2}}}, "cover.shares.needleleaf_forest",
     "rainforest only", "add one of boreal"),
    ({"cover": {"climates": ["rainforest"], "warmth": [0.0, 0.3]}}, "cover.climates", "warmth (0.0, 0.3)",
     "widen them, or add a climate"),
    ({"cover": {"climates": ["savana"]}}, "cover.climates", "savana", "did you mean savanna?"),
    ({"cover": {"climates": []}}, "cover.climates", "an empty list", "at least one climate"),
    ({"cover": {"field_m": [-10, 20]}}, "cover.field_m", "-10", "sizes above zero"),
    ({"cover": {"water": [0.0, 1.5]}}, "cover.water", "1.5", "at most 1"),
    ({"terrain": {"relief_m": [-5, 20]}}, "terrain.relief_m", "-5", "not negative"),
    ({"terrain": {"landform_km": [0, 3]}}, "terrain.landform_km", "(0.0, 3.0)", "sizes above zero"),
    ({"gsd_m": [0, 10]}, "gsd_m", "(0.0, 10.0)", "sizes above zero"),
    ({"light": {"sza_deg": [80, 95]}}, "light.sza_deg", "95", "the sun must be up"),
    ({"cover": {"season": [0.8, 0.2]}}, "cover.season", "0.8", "must not exceed the second"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "field", "found", "says"), CASES)
def test_refused_with_field_reason_and_mend(content: dict[str, Any], field: str, found: str, says: str) -> None:
    with pytest.raises(Refusal) as caught:
        SceneRecipe.from_dict({"name": "x", "about": "y", **content}, "x.yaml")
    refusal = caught.value
    assert refusal.where == "x.yaml"
    assert refusal.field == field
    assert found in str(refusal.found)
    assert says in str(refusal)
    assert refusal.mend


def test_the_same_wishes_where_land_can_follow_them() -> None:
    high = {"relief_m": [1500, 3500]}
    for content in (
        {"cover": {"climates": ["temperate"], "season": [0.4, 0.6], "shares": {"snow": 0.1}}, "terrain": high},
        {"cover": {"climates": ["rainforest", "savanna"], "shares": {"mangrove": 0.1}}},
        {"cover": {"water": [0.3, 0.3], "settlement": [0.3, 0.4], "farmland": [0.4, 0.5]}},
        {"cover": {"shares": {"sand": 0.1, "rock": 0.1, "burnt": 0.05}}},
        {"cover": {"warmth": [0.9, 1.0]}},
    ):
        SceneRecipe.from_dict({"name": "x", "about": "y", **content}, "x.yaml")


def test_natural_classes_are_of_the_legend() -> None:
    assert set(NATURAL) <= set(TERRAFICTA.classes)
    assert not set(NATURAL) & {"cropland", "paddy", "building", "road", "park", "water", "quarry"}


# words


def test_words_of_a_recipe_stay_words_and_numbers_are_what_is_declared(tmp_path: Path) -> None:
    (tmp_path / "003.yaml").write_text("name: 003\nabout: NO\nsize_px: 128\nlight: {relief: 1e-1, brdf: 1}\n")
    recipe = SceneRecipe.read(
        tmp_path / "003.yaml", tmp_path, ["material.variability=5e-1", "instrument.quantise=false"]
    )
    assert (recipe.name, recipe.about, recipe.size_px) == ("003", "NO", 128)
    assert (recipe.light.relief, recipe.light.brdf, recipe.material.variability) == (0.1, 1.0, 0.5)
    assert recipe.instrument.quantise is False
    assert SceneRecipe.read("003", tmp_path, ["about=1e3", "name=2018-07-05"]).about == "1e3"
    assert SceneRecipe.read("003", tmp_path, ["name=2018-07-05"]).name == "2018-07-05"


def test_what_has_no_declared_type_is_read_by_the_core_schema() -> None:
    recipe = read_pretrain_recipe("standard", ["model.encoder_args={dims: [8, 16], drop: 1e-2, act: NO}"])
    assert recipe.model.encoder_args == {"dims": [8, 16], "drop": 0.01, "act": "NO"}
    assert read_pretrain_recipe("standard", ["model.pretrained=true"]).model.pretrained is True
    assert read_pretrain_recipe("standard", ["model.pretrained=on.pth"]).model.pretrained == "on.pth"


@pytest.mark.parametrize(
    ("text", "change", "says"),
    [
        ("name: a\nabout: b\nname: c\n", None, "the key name stands twice"),
        ("- a\n- b\n", None, "expected keys and values"),
        ("name: a\nabout: b\n", "light.sza_deg=[30,30", "--set light.sza_deg="),
        ("name: a\nabout: b\n", "name.x=1", "name without fields"),
        ("name: a\nabout: b\n", "size_px=NO", "size_px: found NO"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(tmp_path: Path, text: str, change: str | None, says: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(Refusal, match=re.escape(says)):
        SceneRecipe.read(tmp_path / "a.yaml", tmp_path, [change] if change else None)
