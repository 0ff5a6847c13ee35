"""Land cover for tests: what a recipe and keys draw, and what grows from it."""

from __future__ import annotations

from collections.abc import Sequence

from terraficta.synth.scene.cover.landcover import LandCover, grow_landcover
from terraficta.synth.scene.cover.plan import CoverPlan, draw_cover_plan
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe


def draw_covers(recipe: CoverRecipe, keys: Sequence[SceneKey]) -> list[CoverPlan]:
    """One plan a key."""
    return [draw_cover_plan(recipe, key) for key in keys]


def make_landcover(recipe: CoverRecipe, terrain: Terrain, keys: Sequence[SceneKey]) -> LandCover:
    """The cover of what is drawn from a recipe, one scene a key, on the terrain of the same keys."""
    return grow_landcover(recipe, terrain, draw_covers(recipe, keys))
