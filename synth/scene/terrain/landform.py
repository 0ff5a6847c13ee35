"""The landform: the few numbers of a scene that decide the shape of its ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TerrainRecipe

SURVEYED = "surveyed"
"""style of given ground: nobody knows where its lakes stand, so only its rivers carry water"""


@dataclass(frozen=True)
class Landform:
    """What was drawn for the ground of one scene.

    Parameters
    ----------
    relief_m : float
        height between low and high ground [m]
    landform_m : float
        size of the largest landforms [m]
    hurst : float
        roughness exponent of the detail
    contrast : float
        0 evenly dissected .. 1 mountains beside plains
    side : int
        of the world that rivers leave by: 0 south, 1 east, 2 north, 3 west
    inflow_km2 : float
        catchment that the greatest rivers bring from afar [km2]
    tableland : float
        share of the relief above which the ground is a plateau; 9 where it has none
    style : str
        what shaped it beside rivers, one of `terraficta.synth.types.scene_recipe.STYLES`, or `SURVEYED`
    """

    relief_m: float
    landform_m: float
    hurst: float
    contrast: float
    side: int
    inflow_km2: float
    tableland: float
    style: str = "fluvial"

    @property
    def thirst(self) -> float:
        """How many times larger a catchment must be to feed a channel: limestone and sand swallow brooks."""
        return {"karst": 60.0, "dunes": 60.0}.get(self.style, 1.0)


def draw_landform(recipe: TerrainRecipe, key: SceneKey) -> Landform:
    """Draw the shape of one scene's ground."""
    rng = key.at("terrain", "landform").rng()

    def log_uniform(span: tuple[float, float]) -> float:
        low, high = (math.log(max(v, 1e-6)) for v in span)
        return math.exp(low + (high - low) * rng.random())

    relief = log_uniform(recipe.relief_m) if recipe.relief_m[1] > 0 else 0.0
    landform = 1000.0 * log_uniform(recipe.landform_km)
    hurst = recipe.hurst[0] + (recipe.hurst[1] - recipe.hurst[0]) * rng.random()
    contrast, side = rng.random(), int(4 * rng.random())
    far = rng.random()
    inflow = 10.0 ** (1.0 + 6.0 * (far - 0.5)) if far > 0.5 else 0.0
    table = float(rng.random(2)[1])
    tableland = 0.15 + 1.6 * table if table < 0.3 else 9.0
    styles = recipe.styles
    style = styles[int(len(styles) * key.at("terrain", "style").rng().random())] if relief > 0 else "fluvial"
    if style == "dunes":  # sand comes to rest on plains
        relief, contrast, tableland = 0.25 * relief, max(contrast, 0.75), 9.0
    return Landform(relief, landform, hurst, contrast, side, inflow, tableland, style)
