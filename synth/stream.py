"""The stream: endless tiles that never touch the disk."""

from __future__ import annotations

from collections.abc import Iterator

from terraficta.synth.render import render
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile


def stream_tiles(
    recipe: SceneRecipe, seed: int, start: int = 0, batch: int = 8, device: str = "cpu", sensor: Sensor | None = None,
    given: GivenLand | None = None,
) -> Iterator[Tile]:  # fmt: skip
    """Scenes `start`, `start` + 1, ... of a world, for ever.

    Parameters
    ----------
    recipe : SceneRecipe
        of the world
    seed : int
        of the world
    start : int
        index of the first scene; a stream that was broken off goes on where it stopped
    batch : int
        scenes that are rendered together; it changes nothing but the speed
    device : str
        where the tiles are made and stay
    sensor : Sensor | None
        one for all; None draws each scene's own
    given : GivenLand | None
        real land to grow on
    """
    while True:
        yield from render(recipe, [SceneKey(seed, start + i) for i in range(batch)], sensor, device, given)
        start += batch
