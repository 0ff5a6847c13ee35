"""Render: from a recipe and keys to tiles. This page is the physics, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from synth.instrument.detector import draw_detector, record
from synth.instrument.invented import draw_sensor
from synth.instrument.optics import draw_optics, margin_cells, observe
from synth.instrument.product import from_dn, to_dn
from synth.physics.atmosphere import boa_correction, draw_atmosphere, toa_reflectance
from synth.physics.brdf import directional_reflectance
from synth.physics.sun import draw_sun
from synth.physics.terrain_light import terrain_light
from synth.scene.landcover import grow_landcover
from synth.scene.material import boa_reflectance, draw_palette, material_code
from synth.scene.terrain import grow_terrain
from synth.spec.grid import Grid
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA
from synth.spec.recipe import SceneRecipe
from synth.spec.sensor import Sensor
from synth.spec.tile import Tile

CELLS_AT_ONCE = 2_000_000
"""fine cells x bands that are rendered together; more would leave the cache and fill the memory"""
SIDE_MULTIPLE = 32
"""planes of whole SIMD lanes: the last bit of a scene does not depend on its neighbours in the batch"""
CLOUD_OPACITY = 0.5
"""from which on a pixel is cloud and not land: it has no valid label"""


def render(
    recipe: SceneRecipe, keys: Sequence[SceneKey], sensor: Sensor | None = None, device: str = "cpu"
) -> list[Tile]:
    """Render tiles, one a key.

    A scene is the same alone or in a batch, in any order and any process. On another device its integers are the
    same and its stored DN within 1.

    Parameters
    ----------
    recipe : what the land is like and how it is seen
    keys : which scenes
    sensor : one for all; None draws each scene's own from the recipe
    device : where to compute; tiles stay there
    """
    sensors = [sensor or draw_sensor(recipe.instrument, key.at("sensor")) for key in keys]
    tiles: dict[int, Tile] = {}
    with _one_thread():
        for kind in dict.fromkeys(sensors):
            mine = [i for i, s in enumerate(sensors) if s == kind]
            for part in _portions(mine, recipe, kind):
                tiles |= zip(part, _render_alike(recipe, [keys[i] for i in part], kind, device), strict=True)
    return [tiles[i] for i in range(len(keys))]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Render on one CPU thread: where threads share a plane, the last bit hangs on how many there are.

    Many cores are for many processes; planes of this size gain little from more threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _portions(scenes: list[int], recipe: SceneRecipe, sensor: Sensor) -> Iterator[list[int]]:
    cells = (recipe.size_px * recipe.oversampling) ** 2 * len(sensor)
    step = max(1, CELLS_AT_ONCE // cells)
    for first in range(0, len(scenes), step):
        yield scenes[first : first + step]


@torch.inference_mode()
def _render_alike(recipe: SceneRecipe, keys: list[SceneKey], sensor: Sensor, device: str) -> list[Tile]:
    factor, size = recipe.oversampling, recipe.size_px
    margin = margin_cells(sensor, recipe.instrument, factor)
    margin += -(size * factor + 2 * margin) % SIDE_MULTIPLE // 2
    side = size * factor + 2 * margin
    gsd_m = torch.tensor([_draw_gsd(recipe, sensor, key) for key in keys], device=device)
    cell_m = gsd_m / factor

    # what is there
    terrain = grow_terrain(recipe.terrain, keys, side, side, cell_m, device)
    cover = grow_landcover(recipe.cover, terrain, keys)
    # what it reflects
    palette = draw_palette(recipe.material, keys, cover.facts, device)
    bands = palette.seen_by(sensor)
    boa = boa_reflectance(cover, bands)
    sun = draw_sun(recipe.light, keys).to(device)
    boa = directional_reflectance(boa, cover.cover, sun, sensor, recipe.light.brdf)
    # what reaches the aperture
    air = draw_atmosphere(recipe.air, keys).to(device)
    light = terrain_light(cover.surface_m, cell_m, sun, recipe.light.relief)
    sky = toa_reflectance(boa, terrain.elevation_m, cell_m, sun, air, sensor, light)
    # what is recorded
    optics = draw_optics(recipe.instrument, sensor, keys)
    detector = draw_detector(recipe.instrument, optics, keys)
    signal = record(observe(sky.toa_reflectance, optics, factor, margin), detector, sun.sza_deg)
    # what a user downloads
    core = slice(margin, margin + size * factor)

    def on_pixels(fine: Tensor) -> Tensor:
        return functional.avg_pool2d(fine[..., core, core].float(), factor)

    elevation_m = on_pixels(terrain.elevation_m)
    product = boa_correction(signal, sun, air, sensor, recipe.air, gsd_m, elevation_m, on_pixels(sky.aot550))
    if recipe.instrument.quantise:
        product = from_dn(to_dn(product, sensor), sensor)
    cloud = on_pixels(sky.cloud_opacity)
    seen_cover = cover.cropped(core)
    mass = seen_cover.abundance(factor) * (cloud < CLOUD_OPACITY)[:, None]
    centre = slice(factor // 2, None, factor)
    material = material_code(seen_cover, bands)[..., centre, centre]
    shared = {"sensor": sensor.name, "recipe": recipe.name, "recipe_digest": recipe.digest()}
    records = (terrain.facts, cover.facts, sun.facts, air.facts)
    facts = [{name: fact for record in records for name, fact in record[i].items()} for i in range(len(keys))]
    return [
        Tile(
            id=f"{key.seed}-{key.index:06d}",
            image=product[i],
            valid=torch.ones(size, size, dtype=torch.bool, device=device),
            mass=mass[i],
            sensor=sensor,
            legend=TERRAFICTA,
            grid=Grid(size, size, float(gsd_m[i])),
            level="TOA" if recipe.air.correction == "none" else "BOA",
            facts=shared | {"seed": key.seed, "index": key.index} | facts[i] | optics.facts(i) | detector.facts(),
            layers={"elevation_m": elevation_m[i], "cloud": cloud[i], "material": material[i]},
        )
        for i, key in enumerate(keys)
    ]


def _draw_gsd(recipe: SceneRecipe, sensor: Sensor, key: SceneKey) -> float:
    """Ground sampling distance [m]: the sensor's own, or drawn log-uniformly."""
    if recipe.gsd_m is None:
        return sensor.gsd_m
    low, high = recipe.gsd_m
    return float(low * (high / low) ** key.at("gsd").rng().random())
