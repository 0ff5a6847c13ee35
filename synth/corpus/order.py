"""The order: what is asked of the generator, as data, and the work of making some of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from terraficta.synth.corpus.geotiff import NOWHERE, place
from terraficta.synth.corpus.realization import realized
from terraficta.synth.instrument.invented import INVENTED
from terraficta.synth.labels.degrade import degrade
from terraficta.synth.labels.recipe import LabelRecipe
from terraficta.synth.render import render_dates
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

MadeTile = tuple[Tile, dict[str, Tensor]]
"""a tile, and further images of it by name"""
TILES_A_TASK = 8
"""scenes that a process makes together"""


@dataclass(frozen=True)
class Order:
    """What is asked of the generator.

    Parameters
    ----------
    recipe : SceneRecipe
        which scenes
    seed : int
        of the world
    labels : LabelRecipe | None
        what happens to the labels; None: they are perfect
    given : GivenLand | None
        real land to grow on
    realizations : int
        looks at each ground that its mean, deviation and quantiles are taken of; 0: none
    """

    recipe: SceneRecipe
    seed: int
    labels: LabelRecipe | None = None
    given: GivenLand | None = None
    realizations: int = 0

    def as_data(self) -> dict[str, Any]:
        """The recipe as plain data, with labels, given land and realisations where there are any."""
        data = self.recipe.model_dump(mode="json")
        data |= {} if self.labels is None else {"labels": self.labels.model_dump(mode="json")}
        data |= {} if self.given is None else {"given": given_as_data(self.given)}
        return data | ({"realizations": self.realizations} if self.realizations else {})

    def make(self, indices: Sequence[int], device: str) -> list[list[MadeTile]]:
        """All dates of some scenes, with the labels and the realisations that were asked for."""
        keys = [SceneKey(self.seed, i) for i in indices]
        scenes = render_dates(self.recipe, keys, device=device, given=self.given)
        made: list[list[MadeTile]] = []
        for tiles, key in zip(scenes, keys, strict=True):
            more: list[dict[str, Tensor]] = [{} for _ in tiles]
            if self.realizations:
                more = realized(self.recipe, key, self.realizations, tiles[0].sensor, device, self.given)
            if self.labels is not None:
                tiles = [degrade(tile, self.labels, key.at("date", n)) for n, tile in enumerate(tiles)]
            made.append(list(zip(tiles, more, strict=True)))
        return made


def given_as_data(given: GivenLand) -> dict[str, Any]:
    """What is recorded of real land: no path, which may tell of its owner, but a digest of what was read."""
    sha = hashlib.sha256()
    for part in (given.elevation_m, given.cover):
        sha.update(b"none" if part is None else part.cpu().contiguous().numpy().tobytes())
    sha.update(repr((tuple(given.transform)[:6], given.gsd_m, given.legend and given.legend.classes)).encode())
    return {
        "name": given.name,
        "dem": given.elevation_m is not None,
        "cover": None if given.legend is None else given.legend.name,
        "digest": sha.hexdigest()[:16],
    }


def asked_recipe(recipe: SceneRecipe, sensor: str | None, size_px: int | None) -> SceneRecipe:
    """The recipe with the amounts of the command line, validated again: what was made is what is recorded."""
    content = recipe.model_dump(mode="json")
    if sensor is not None:
        if sensor != INVENTED:
            read_sensor(sensor)
        content["instrument"]["sensors"] = [sensor]
    if size_px is not None:
        content["size_px"] = size_px
    return SceneRecipe.from_dict(content, where=recipe.name)


def placed(tile: Tile, index: int) -> Tile:
    """The tile with a place on earth: its own where it lies on given land, else one at sea."""
    grid = tile.grid
    if grid.crs is None:
        grid = replace(grid, crs=NOWHERE, transform=place(index, grid.width_px, grid.gsd_m))
    return replace(tile, grid=grid)
