"""Terrain for tests: what a recipe and keys draw, and what grows from it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from terraficta.synth.scene.terrain.plan import TerrainPlan, draw_terrain_plan
from terraficta.synth.scene.terrain.terrain import Terrain, grow_terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TerrainRecipe


def draw_plans(recipe: TerrainRecipe, keys: Sequence[SceneKey]) -> list[TerrainPlan]:
    """One plan a key."""
    return [draw_terrain_plan(recipe, key) for key in keys]


def make_terrain(
    recipe: TerrainRecipe,
    keys: Sequence[SceneKey],
    height: int,
    width: int,
    cell_m: Tensor,
    origin_cell: Tensor | None = None,
) -> Terrain:
    """The terrain of what is drawn from a recipe, one scene a key."""
    return grow_terrain(draw_plans(recipe, keys), height, width, cell_m, origin_cell=origin_cell)
