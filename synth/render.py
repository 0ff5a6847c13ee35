"""Render: draw the land, grow its ground, draw a look, see. This page is the physics, in order."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from terraficta.synth.instrument.detector import record
from terraficta.synth.instrument.optics import observe
from terraficta.synth.instrument.product import from_dn, to_dn
from terraficta.synth.look import (
    Look,
    draw_look,
    frame_of,
    glances,
    gsd_of,
    portions,
    sensor_of,
    tiles_of,
    together,
)
from terraficta.synth.physics.brdf import directional_reflectance
from terraficta.synth.physics.correction import boa_correction
from terraficta.synth.physics.terrain_light import terrain_light
from terraficta.synth.physics.toa import LOWEST_HIGHEST_M, toa_reflectance
from terraficta.synth.scene.ground import Ground, grow
from terraficta.synth.scene.land import draw_land
from terraficta.synth.scene.material.palette import boa_reflectance, palette_of
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.scene.truth import pixel_truth
from terraficta.synth.types.device import one_thread
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile


def render(
    recipe: SceneRecipe, keys: Sequence[SceneKey] | SceneKey, sensor: Sensor | None = None, device: str = "cpu",
    given: GivenLand | None = None,
) -> list[Tile]:  # fmt: skip
    """Render tiles, one a key: the first date of each scene; the same alone, in a batch, in any order and process.

    Parameters
    ----------
    recipe : SceneRecipe
        what the land is like and how it is seen
    keys : Sequence[SceneKey] | SceneKey
        which scenes
    sensor : Sensor | None
        one for all; None draws each scene's own from the recipe
    device : str
        where to compute; tiles stay there
    given : GivenLand | None
        real heights, real classes, or both, to grow on; tiles then lie where they lie
    """
    return [tiles[0] for tiles in render_dates(recipe, keys, sensor, device, given, dates=1)]


@torch.no_grad()
def render_dates(
    recipe: SceneRecipe, keys: Sequence[SceneKey] | SceneKey, sensor: Sensor | None = None, device: str = "cpu",
    given: GivenLand | None = None, dates: int | None = None,
) -> list[list[Tile]]:  # fmt: skip
    """Render every date of each scene: the same ground under another season, sun, weather and camera noise.

    The first is what `render` makes. Where the recipe has events, later tiles carry `change` (0, or 1 + the place in
    EVENTS of what happened) and `changed` (1 unchanged, 2 changed). `dates`: only so many; None: all.
    """
    keys = [keys] if isinstance(keys, SceneKey) else list(keys)
    kinds = [sensor or sensor_of(recipe, key) for key in keys]
    tiles: dict[int, list[Tile]] = {}
    with one_thread():
        for part in portions(recipe, kinds):
            kind, mine = kinds[part[0]], [keys[i] for i in part]
            lands = [draw_land(recipe, key) for key in mine]
            sizes = [gsd_of(recipe, key, kind) for key in mine]
            ground = grow(recipe, lands, frame_of(recipe, kind), sizes, dates or recipe.time.dates, device, given)
            for some in glances(ground, kind):
                own, series = ground.scenes(some), []
                for date in range(len(ground.days)):
                    pairs = zip(lands[some], mine[some], strict=True)
                    series.append(
                        see(recipe, own, [draw_look(recipe, *pair, date=date, sensor=kind) for pair in pairs])
                    )
                tiles |= {i: list(dates) for i, dates in zip(part[some], zip(*series, strict=True), strict=True)}
    return [tiles[i] for i in range(len(keys))]


def see(recipe: SceneRecipe, ground: Ground, looks: Sequence[Look]) -> list[Tile]:
    """See the ground of N scenes, one look at each: all of one date and one sensor."""
    sensor, day, frame, device = looks[0].sensor, ground.days[looks[0].date], ground.frame, ground.slope.device
    cover, gsd_m = day.cover, torch.tensor([grid.gsd_m for grid in ground.grids], device=device)
    # what it reflects
    palette = palette_of(recipe.material, [look.materials for look in looks], device)
    bands = palette.seen_by(sensor)
    sun = together([look.sun for look in looks]).to(device)
    boa = directional_reflectance(boa_reflectance(cover, bands), cover.cover, sun, sensor, recipe.light.brdf)
    # what reaches the aperture
    air = together([look.air for look in looks]).to(device)
    light = terrain_light(cover.surface_m, ground.cell_m, sun, recipe.light.relief, cover.standing())
    surface_m = cover.surface_m.clamp(*LOWEST_HIGHEST_M)
    sky = toa_reflectance(boa, surface_m, ground.cell_m, sun, air, sensor, light)
    # what is recorded
    optics, detector = (together([getattr(look, part) for look in looks]) for part in ("optics", "detector"))
    signal = record(observe(sky.toa_reflectance, optics, frame.factor, frame.margin), detector, sun.sza_deg)
    # what a user downloads
    height_m, aot550 = frame.on_pixels(surface_m), frame.on_pixels(sky.aot550)
    product = boa_correction(signal, sun, air, sensor, recipe.air, gsd_m, height_m, aot550)
    if recipe.instrument.quantise:
        product = from_dn(to_dn(product, sensor), sensor)
    truth = pixel_truth(recipe.truth.layers, ground, day, palette, bands, frame.on_pixels(sky.cloud_opacity))
    return tiles_of(recipe, ground, looks, product, truth)
