"""The plan of a scene's terrain: all that chance decides of it, before anything grows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from terraficta.synth.scene.terrain.coast import Coast, draw_coast
from terraficta.synth.scene.terrain.dune import Dunes, draw_dunes
from terraficta.synth.scene.terrain.given_land import draw_place_tries
from terraficta.synth.scene.terrain.glacier import Glacier, draw_glacier
from terraficta.synth.scene.terrain.karst import Karst, draw_karst
from terraficta.synth.scene.terrain.landform import Landform, draw_landform
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TerrainRecipe

TURN_RAD = 0.25 * math.pi
"""furthest that the world is turned against the lattice of great valleys, to either side [rad]"""


@dataclass(frozen=True)
class TerrainSeeds:
    """31-bit seeds of the fields that the terrain of one scene is made of.

    Parameters
    ----------
    ground : int
        detail of the hillsides
    wander : int
        how the world is bent among the nodes of the drainage
    drainage : int
        the lands between the great valleys
    valleys : int
        the lattice of great valleys
    shore : int
        the line from which on the ground sinks to the sea
    coast : int
        cliffs and bars
    style : int
        what has shaped the ground beside rivers: dunes, ice or solution
    """

    ground: int
    wander: int
    drainage: int
    valleys: int
    shore: int
    coast: int
    style: int


@dataclass(frozen=True)
class TerrainPlan:
    """All that chance decides of the terrain of one scene.

    Every record is drawn in every scene; which of them is used hangs on the form's style.

    Parameters
    ----------
    form : Landform
        the landform
    turn_rad : float
        of the world's axes against the lattice of great valleys [rad]
    coast : Coast
        what the sea, the wind, ice and solution would do
    dunes : Dunes
        what the sea, the wind, ice and solution would do
    glacier : Glacier
        what the sea, the wind, ice and solution would do
    karst : Karst
        what the sea, the wind, ice and solution would do
    place_tries : tuple[tuple[float, float], ...]
        places (y, x) that are tried on given land, see `draw_place_tries`
    seeds : TerrainSeeds
        of the fields
    """

    form: Landform
    turn_rad: float
    coast: Coast
    dunes: Dunes
    glacier: Glacier
    karst: Karst
    place_tries: tuple[tuple[float, float], ...]
    seeds: TerrainSeeds


def draw_terrain_plan(recipe: TerrainRecipe, key: SceneKey) -> TerrainPlan:
    """Draw all that chance decides of the terrain of one scene.

    Examples
    --------
    >>> plan = draw_terrain_plan(TerrainRecipe(styles=("coast",)), SceneKey(7, 42))
    >>> plan == draw_terrain_plan(TerrainRecipe(styles=("coast",)), SceneKey(7, 42))
    True
    >>> plan.form.style
    'coast'
    """

    def seed(name: str) -> int:
        return key.at("terrain", name).field_seed()

    return TerrainPlan(
        form=draw_landform(recipe, key),
        turn_rad=TURN_RAD * (2 * key.at("terrain", "turn").rng().random() - 1),
        coast=draw_coast(key),
        dunes=draw_dunes(key),
        glacier=draw_glacier(key),
        karst=draw_karst(key),
        place_tries=draw_place_tries(key),
        seeds=TerrainSeeds(
            ground=seed("ground"),
            wander=seed("wander"),
            drainage=seed("drainage"),
            valleys=seed("valleys"),
            shore=seed("shore"),
            coast=seed("coast"),
            style=seed("style"),
        ),
    )
