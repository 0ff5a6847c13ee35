"""Render: from a recipe and keys to tiles. This page is the physics, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from rasterio.transform import Affine
from torch import Tensor
from torch.nn import functional

from terraficta.synth.instrument.detector import draw_detector, record
from terraficta.synth.instrument.invented import draw_sensor
from terraficta.synth.instrument.optics import draw_optics, margin_cells, observe
from terraficta.synth.instrument.product import from_dn, to_dn
from terraficta.synth.physics.atmosphere import boa_correction, draw_atmosphere, toa_reflectance
from terraficta.synth.physics.brdf import directional_reflectance
from terraficta.synth.physics.sun import draw_sun
from terraficta.synth.physics.terrain_light import terrain_light
from terraficta.synth.scene.cover.event import land_on
from terraficta.synth.scene.material.palette import boa_reflectance, material_code, palette_of
from terraficta.synth.scene.material.plan import draw_material_plan
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.scene.terrain.given_terrain import survey_terrain
from terraficta.synth.scene.terrain.terrain import Terrain, grow_terrain
from terraficta.synth.scene.truth import boxes_of, ground_truth, numbered
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

CELLS_AT_ONCE = 2_000_000
"""fine cells x bands that are rendered together; more would leave the cache and fill the memory"""
LOWEST_HIGHEST_M = (-300.0, 8000.0)
"""between these heights the air is known; what lies beyond is lit as if it lay there"""
SIDE_MULTIPLE = 32
"""planes of whole SIMD lanes: the last bit of a scene does not depend on its neighbours in the batch"""
CLOUD_OPACITY = 0.5
"""from which on a pixel is cloud and not land: it has no valid label"""


def render(
    recipe: SceneRecipe, keys: Sequence[SceneKey], sensor: Sensor | None = None, device: str = "cpu",
    given: GivenLand | None = None,
) -> list[Tile]:  # fmt: skip
    """Render tiles, one a key: the first date of each scene.

    A scene is the same alone or in a batch, in any order and any process. On another device its integers are the
    same and its stored DN within 1.

    Parameters
    ----------
    recipe : what the land is like and how it is seen
    keys : which scenes
    sensor : one for all; None draws each scene's own from the recipe
    device : where to compute; tiles stay there
    given : real heights, real classes, or both, to grow on; tiles then lie where they lie
    """
    return [tiles[0] for tiles in _render(recipe, keys, sensor, device, given, dates=1)]


def render_dates(
    recipe: SceneRecipe, keys: Sequence[SceneKey], sensor: Sensor | None = None, device: str = "cpu",
    given: GivenLand | None = None,
) -> list[list[Tile]]:  # fmt: skip
    """Render every date of each scene: the same ground under another season, sun, weather and camera noise.

    The first is what `render` makes. Where the recipe has events, later tiles carry `change` (0, or 1 + the place in
    EVENTS of what happened) and `changed` (1 unchanged, 2 changed).
    """
    return _render(recipe, keys, sensor, device, given, recipe.time.dates)


def _render(
    recipe: SceneRecipe,
    keys: Sequence[SceneKey],
    sensor: Sensor | None,
    device: str,
    given: GivenLand | None,
    dates: int,
) -> list[list[Tile]]:
    sensors = [sensor or draw_sensor(recipe.instrument, key.at("sensor")) for key in keys]
    tiles: dict[int, list[Tile]] = {}
    with _one_thread():
        for kind in dict.fromkeys(sensors):
            mine = [i for i, s in enumerate(sensors) if s == kind]
            for part in _portions(mine, recipe, kind):
                made = _render_alike(recipe, [keys[i] for i in part], kind, device, given, dates)
                tiles |= zip(part, made, strict=True)
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


@dataclass(frozen=True)
class Frame:
    """What the scenes of a batch share: pixels along a side, fine cells a pixel, fine cells of margin."""

    size: int
    factor: int
    margin: int

    @classmethod
    def of(cls, recipe: SceneRecipe, sensor: Sensor) -> Frame:
        """With a margin for what the camera sees beside the image, rounded up to whole SIMD lanes."""
        cells, margin = (
            recipe.size_px * recipe.oversampling,
            margin_cells(sensor, recipe.instrument, recipe.oversampling),
        )
        return cls(recipe.size_px, recipe.oversampling, margin + -(cells + 2 * margin) % SIDE_MULTIPLE // 2)

    @property
    def side(self) -> int:
        """Fine cells along a side, margins included."""
        return self.size * self.factor + 2 * self.margin

    @property
    def core(self) -> slice:
        """The fine cells that are in the image."""
        return slice(self.margin, self.margin + self.size * self.factor)

    def on_pixels(self, fine: Tensor) -> Tensor:
        """Mean over the fine cells of each pixel."""
        return functional.avg_pool2d(fine[..., self.core, self.core].float(), self.factor)

    def grid(self, terrain: Terrain, scene: int, gsd_m: float, given: GivenLand | None) -> Grid:
        """Where a scene lies: nowhere, or on given land."""
        if given is None:
            return Grid(self.size, self.size, gsd_m)
        cell = float(terrain.cell_m[scene])
        row, column = (
            round(float(m[scene, self.margin]) / cell - 0.5) for m in (terrain.window.y_m, terrain.window.x_m)
        )
        x, y = given.corner(row, column, cell)
        return Grid(self.size, self.size, gsd_m, given.crs, Affine(gsd_m, 0.0, x, 0.0, -gsd_m, y))

    def in_the_middle(self, fine: Tensor) -> Tensor:
        """The fine cell in the middle of each pixel."""
        centre = slice(self.margin + self.factor // 2, self.core.stop, self.factor)
        return fine[..., centre, centre]


@torch.inference_mode()
def _render_alike(
    recipe: SceneRecipe, keys: list[SceneKey], sensor: Sensor, device: str, given: GivenLand | None, dates: int
) -> list[list[Tile]]:
    """All dates of scenes that one sensor sees."""
    frame = Frame.of(recipe, sensor)
    gsd_m = torch.tensor([_draw_gsd(recipe, sensor, key) for key in keys], device=device)
    size = (frame.side, frame.side, gsd_m / frame.factor, device)
    terrain = survey_terrain(given, recipe.terrain, keys, *size) if given else grow_terrain(recipe.terrain, keys, *size)
    grids = [frame.grid(terrain, n, gsd, given) for n, gsd in enumerate(gsd_m.tolist())]
    series = [_see(recipe, keys, sensor, frame, terrain, number, grids, device, given) for number in range(dates)]
    return [list(tiles) for tiles in zip(*series, strict=True)]


def _see(
    recipe: SceneRecipe, keys: list[SceneKey], sensor: Sensor, frame: Frame, terrain: Terrain, number: int,
    grids: list[Grid], device: str, given: GivenLand | None,
) -> list[Tile]:  # fmt: skip
    """See the ground of every scene on its date `number`."""
    views = keys if number == 0 else [key.at("date", number) for key in keys]
    cell_m, time = terrain.cell_m, recipe.time
    gsd_m = torch.tensor([grid.gsd_m for grid in grids], device=device)
    # what is there
    day = land_on(recipe, terrain, keys, number, given)
    cover = day.cover
    # what it reflects
    plans = [draw_material_plan(key, fact) for key, fact in zip(keys, day.facts, strict=True)]
    palette = palette_of(recipe.material, plans, device)
    bands = palette.seen_by(sensor)
    boa = boa_reflectance(cover, bands)
    when = [(m.climate.latitude_deg, m.day_of_year) for m in day.moments] if time.dates > 1 else None
    sun = draw_sun(recipe.light, views, when).to(device)
    boa = directional_reflectance(boa, cover.cover, sun, sensor, recipe.light.brdf)
    # what reaches the aperture
    air = draw_atmosphere(recipe.air, views).to(device)
    light = terrain_light(cover.surface_m, cell_m, sun, recipe.light.relief, cover.standing())
    surface_m = cover.surface_m.clamp(*LOWEST_HIGHEST_M)
    sky = toa_reflectance(boa, surface_m, cell_m, sun, air, sensor, light)
    # what is recorded
    optics = draw_optics(recipe.instrument, sensor, views)
    detector = draw_detector(recipe.instrument, optics, views)
    signal = record(observe(sky.toa_reflectance, optics, frame.factor, frame.margin), detector, sun.sza_deg)
    # what a user downloads
    height_m, aot550 = frame.on_pixels(surface_m), frame.on_pixels(sky.aot550)
    product = boa_correction(signal, sun, air, sensor, recipe.air, gsd_m, height_m, aot550)
    if recipe.instrument.quantise:
        product = from_dn(to_dn(product, sensor), sensor)
    cloud = frame.on_pixels(sky.cloud_opacity)
    mass = cover.cropped(frame.core).abundance(frame.factor) * (cloud < CLOUD_OPACITY)[:, None]
    layers = {"elevation_m": frame.on_pixels(terrain.elevation_m), "cloud": cloud}
    layers["material"] = frame.in_the_middle(material_code(cover, bands))
    for name, plane in ground_truth(recipe.truth.layers, terrain, cover, palette).items():
        layers[name] = frame.on_pixels(plane) if plane.is_floating_point() else numbered(frame.in_the_middle(plane))
    layers = {name: layers[name] for name in recipe.truth.layers}
    if day.change is not None and number > 0:
        layers["change"] = frame.in_the_middle(day.change)
        layers["changed"] = 1 + (layers["change"] > 0).to(torch.uint8)
    shared = {"sensor": sensor.name, "recipe": recipe.name, "recipe_digest": recipe.digest()}
    records = (terrain.facts, day.facts, sun.facts, air.facts)
    facts = [{name: fact for record in records for name, fact in record[i].items()} for i in range(len(keys))]
    if "building" in layers:
        facts = [fact | {"boxes": boxes_of(layer)} for fact, layer in zip(facts, layers["building"], strict=True)]
    size, last = frame.size, "" if number == 0 else f"-{number}"
    return [
        Tile(
            id=f"{key.seed}-{key.index:06d}{last}",
            image=product[i],
            valid=torch.ones(size, size, dtype=torch.bool, device=device),
            mass=mass[i],
            sensor=sensor,
            legend=TERRAFICTA,
            grid=grids[i],
            level="TOA" if recipe.air.correction == "none" else "BOA",
            date=day.moments[i].date.isoformat() if time.dates > 1 else None,
            facts=shared | {"seed": key.seed, "index": key.index} | facts[i] | optics.facts(i) | detector.facts(),
            layers={name: layer[i] for name, layer in layers.items()},
        )
        for i, key in enumerate(keys)
    ]


def _draw_gsd(recipe: SceneRecipe, sensor: Sensor, key: SceneKey) -> float:
    """Ground sampling distance [m]: the sensor's own, or drawn log-uniformly."""
    if recipe.gsd_m is None:
        return sensor.gsd_m
    low, high = recipe.gsd_m
    return float(low * (high / low) ** key.at("gsd").rng().random())
