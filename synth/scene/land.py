"""The land: all that chance decides of a scene's matter, drawn once, before there is a tensor."""

from __future__ import annotations

from dataclasses import dataclass

from terraficta.synth.scene.cover.event import Event, draw_events, grown
from terraficta.synth.scene.cover.plan import CoverPlan, draw_cover_plan
from terraficta.synth.scene.cover.season import Moment, draw_moments
from terraficta.synth.scene.terrain.plan import TerrainPlan, draw_terrain_plan
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe


@dataclass(frozen=True)
class Land:
    """One scene as it was drawn: small records and named seeds.

    Parameters
    ----------
    seed, index : int
        of the scene: its address
    terrain : TerrainPlan
        the shape of the ground
    cover : CoverPlan
        what grows, stands and lies on it
    moments : tuple[Moment, ...]
        the dates on which it can be seen; the first has the season of the climate
    events : tuple[Event, ...]
        what happens to it between them
    """

    seed: int
    index: int
    terrain: TerrainPlan
    cover: CoverPlan
    moments: tuple[Moment, ...]
    events: tuple[Event, ...]

    def moment(self, date: int) -> Moment:
        """A date, with the use of land that events have brought by then."""
        return grown(self.moments[date], self.events)


def draw_land(recipe: SceneRecipe, key: SceneKey) -> Land:
    """Draw the land of one scene. Nothing after it asks the key again, but `draw_look`."""
    cover = draw_cover_plan(recipe.cover, key)
    return Land(
        seed=key.seed,
        index=key.index,
        terrain=draw_terrain_plan(recipe.terrain, key),
        cover=cover,
        moments=tuple(draw_moments(recipe.time, cover.climate, key)),
        events=tuple(draw_events(recipe.events, key)),
    )
