"""Realisations: the same ground under many suns, airs and cameras, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from terraficta.synth.look import draw_look, frame_of, gsd_of, sensor_of
from terraficta.synth.render import see
from terraficta.synth.scene.ground import grow
from terraficta.synth.scene.land import draw_land
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.device import one_thread
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

QUANTILES = (0.05, 0.5, 0.95)
"""levels of the quantile maps: the median, and the span that holds nine realisations in ten"""
NAMES = ("mean", "deviation", *(f"quantile{round(100 * level):02d}" for level in QUANTILES))
"""images that are made of many realisations"""


@torch.no_grad()
def realizations(
    recipe: SceneRecipe, key: SceneKey, numbers: Sequence[int], sensor: Sensor | None = None, device: str = "cpu",
    given: GivenLand | None = None, date: int = 0,
) -> Iterator[Tile]:  # fmt: skip
    """Realisations of one scene, one in memory at a time; each is the same alone and among others.

    The ground is grown once. Number 0 is the tile that `render` makes; every other one draws palette, sun, air and
    camera noise anew, at nearly the season of the first, by the same bands.

    Parameters
    ----------
    recipe : SceneRecipe
        spans of what is drawn
    key : SceneKey
        which scene
    numbers : Sequence[int]
        which realisations
    sensor : Sensor | None
        None: the scene's own
    device : str
        where to compute
    given : GivenLand | None
        real land to grow on
    date : int
        which date of the scene
    """
    kind = sensor or sensor_of(recipe, key)
    with one_thread():
        land = draw_land(recipe, key)
        gsd_m = gsd_of(recipe, key, kind)
        ground = grow(recipe, [land], frame_of(recipe, kind), [gsd_m], recipe.time.dates, device, given)
        for number in numbers:
            yield see(recipe, ground, [draw_look(recipe, land, key, number, date, kind)])[0]


def realized(
    recipe: SceneRecipe, key: SceneKey, count: int, sensor: Sensor, device: str = "cpu", given: GivenLand | None = None
) -> list[dict[str, Tensor]]:
    """Mean, deviation and quantiles over `count` realisations, one dictionary a date of the scene.

    Returns
    -------
    list[dict[str, Tensor]]
        by the names in `NAMES`: (B, H, W) reflectance [-]; the deviation is that of the population

    Examples
    --------
    >>> from terraficta.synth.types.scene_recipe import read_scene_recipe
    >>> from terraficta.synth.types.sensor import read_sensor
    >>> recipe = read_scene_recipe("tier1", ["size_px=16"])
    >>> maps = realized(recipe, SceneKey(7, 0), 3, read_sensor("landsat8"))[0]
    >>> bool((maps["quantile05"] <= maps["quantile95"]).all())
    True
    """
    found = []
    for date in range(recipe.time.dates):
        seen = torch.stack([t.image for t in realizations(recipe, key, range(count), sensor, device, given, date)])
        levels = torch.tensor(QUANTILES, dtype=seen.dtype, device=seen.device)
        maps = (seen.mean(0), seen.std(0, correction=0), *torch.quantile(seen, levels, dim=0))
        found.append(dict(zip(NAMES, maps, strict=True)))
    return found
