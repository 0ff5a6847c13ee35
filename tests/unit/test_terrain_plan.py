"""The plan of the terrain: all chance is drawn before anything grows, the same under any recipe."""

import ast
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from terrain_maker import draw_plans

from terraficta.synth.scene.terrain.plan import TURN_RAD, draw_terrain_plan
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import STYLES, TerrainRecipe

ROOMS = Path(__file__).resolve().parents[2] / "synth" / "scene"
KEYS = [SceneKey(3, i) for i in range(40)]


def test_one_key_one_plan_and_others_differ() -> None:
    plans = draw_plans(TerrainRecipe(), KEYS)
    assert plans == draw_plans(TerrainRecipe(), KEYS)
    assert len(set(plans)) == len(KEYS)


@pytest.mark.parametrize("style", STYLES)
def test_only_the_form_hangs_on_the_recipe(style: str) -> None:
    """Scene 42 keeps its sea and its ice in every tier, so that comparisons are paired."""
    for plain, other in zip(
        draw_plans(TerrainRecipe(), KEYS),
        draw_plans(TerrainRecipe(styles=(style,), relief_m=(5.0, 9.0)), KEYS),
        strict=True,
    ):
        assert other.form.style == style
        assert replace(other, form=plain.form) == plain


def test_seeds_are_31_bits_and_all_different() -> None:
    seeds = [seed for plan in draw_plans(TerrainRecipe(), KEYS) for seed in astuple(plan.seeds)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_turns_and_places_lie_in_their_spans() -> None:
    plans = draw_plans(TerrainRecipe(), KEYS)
    turns = [plan.turn_rad for plan in plans]
    assert -TURN_RAD <= min(turns) < -0.7 * TURN_RAD
    assert 0.7 * TURN_RAD < max(turns) <= TURN_RAD
    assert all(0 <= along < 1 for plan in plans for place in plan.place_tries for along in place)
    assert draw_terrain_plan(TerrainRecipe(), KEYS[0]).place_tries != plans[1].place_tries


@pytest.mark.parametrize("room", ["world", "terrain", "cover"])
def test_keys_reach_only_what_draws(room: str) -> None:
    """Growers take records, never keys."""
    for path in (ROOMS / room).rglob("*.py"):
        tree = ast.parse(path.read_text())
        drawing = [
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("draw_")
        ]
        within = {id(name) for function in drawing for name in ast.walk(function)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "SceneKey":
                assert id(node) in within, f"{path.name}:{node.lineno} takes a key and does not draw"
