"""The look: all that chance decides of how a scene is seen once: season, palette, sun, air, camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.instrument.detector import Detector, draw_detector
from terraficta.synth.instrument.invented import draw_sensor
from terraficta.synth.instrument.optics import Optics, draw_optics, margin_cells
from terraficta.synth.physics.atmosphere import Atmosphere, draw_atmosphere
from terraficta.synth.physics.sun import Sun, draw_sun
from terraficta.synth.scene.ground import Ground
from terraficta.synth.scene.land import Land
from terraficta.synth.scene.material.plan import MaterialPlan, draw_material_plan
from terraficta.synth.scene.truth import PixelTruth, boxes_of
from terraficta.synth.types.frame import Frame
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

SEASON_STRAY = 0.04
"""how far the season of a later look may lie from that of the ground's date, as a share of the growing cycle: two
weeks; what grows is a little earlier or later, what was sown and cut is not"""

CELLS_AT_ONCE = 2_000_000
"""fine cells x bands that are seen together; more would leave the cache"""
GROWN_AT_ONCE = 1 << 22
"""fine cells that are grown together, about 60 bytes each: scenes share the calls of what is small in each"""


@dataclass(frozen=True)
class Look:
    """One look at one scene: small records, and no tensor of the ground.

    Parameters
    ----------
    number : int
        0 the first look; later ones have another palette, sun, air and camera
    date : int
        which date of the ground is seen
    sensor : Sensor
        the camera's bands
    materials : MaterialPlan
        what the classes are made of, at the season of this look
    sun : Sun
        and the direction of view
    air : Atmosphere
        with its haze and clouds, and what a product believes of it
    optics : Optics
        point spread and misregistration
    detector : Detector
        noise, striping, quantisation
    """

    number: int
    date: int
    sensor: Sensor
    materials: MaterialPlan
    sun: Sun
    air: Atmosphere
    optics: Optics
    detector: Detector


def draw_look(
    recipe: SceneRecipe, land: Land, key: SceneKey, number: int = 0, date: int = 0, sensor: Sensor | None = None
) -> Look:
    """Draw one look at a land.

    The first looks at all dates of a scene share their palette: soils and roofs stay as they are. Every later number
    is another draw of all that can be otherwise over the same ground.

    Parameters
    ----------
    recipe : SceneRecipe
        spans of light, air and instrument
    land : Land
        of the same key
    key : SceneKey
        of the scene
    number : int
        0 the first look
    date : int
        which of the land's dates
    sensor : Sensor | None
        None draws one
    """
    own = key if number == 0 else key.at("look", number)
    view = own if date == 0 else own.at("date", date)
    sensor = sensor or sensor_of(recipe, key, number)
    moment = land.moment(date)
    facts = moment.facts()
    if number:
        stray = SEASON_STRAY * (2 * float(own.at("season").rng().random()) - 1)
        facts = facts | {"season": (facts["season"] + stray) % 1.0}
    dated = len(land.moments) > 1
    optics = draw_optics(recipe.instrument, sensor, [view])
    return Look(
        number=number,
        date=date,
        sensor=sensor,
        materials=draw_material_plan(own, facts, land.cover.crops, recipe.material.variability > 0),
        sun=draw_sun(recipe.light, [view], [(moment.climate.latitude_deg, moment.day_of_year)] if dated else None),
        air=draw_atmosphere(recipe.air, [view]),
        optics=optics,
        detector=draw_detector(recipe.instrument, optics, [view]),
    )


def sensor_of(recipe: SceneRecipe, key: SceneKey, number: int = 0) -> Sensor:
    """The sensor that a look is drawn with: one of the recipe's, or an invented one."""
    return draw_sensor(recipe.instrument, (key if number == 0 else key.at("look", number)).at("sensor"))


def gsd_of(recipe: SceneRecipe, key: SceneKey, sensor: Sensor) -> float:
    """Ground sampling distance of a scene [m]: the sensor's own, or drawn log-uniformly.

    It belongs to the ground: a later look has its camera's bands and optics at the sampling distance of the first.
    """
    if recipe.gsd_m is None:
        return sensor.gsd_m
    low, high = recipe.gsd_m
    return float(low * (high / low) ** key.at("gsd").rng().random())


def frame_of(recipe: SceneRecipe, sensor: Sensor) -> Frame:
    """The image of a recipe, with a margin for what the camera sees beside it."""
    return Frame.around(
        recipe.size_px, recipe.oversampling, margin_cells(sensor, recipe.instrument, recipe.oversampling)
    )


def portions(recipe: SceneRecipe, sensors: Sequence[Sensor]) -> Iterator[list[int]]:
    """Which scenes are grown together: of one sensor, and no more than the memory holds with ease."""
    for kind in dict.fromkeys(sensors):
        mine = [i for i, own in enumerate(sensors) if own == kind]
        step = max(1, GROWN_AT_ONCE // (recipe.size_px * recipe.oversampling) ** 2)
        yield from (mine[first : first + step] for first in range(0, len(mine), step))


def glances(ground: Ground, sensor: Sensor) -> Iterator[slice]:
    """Which of the scenes of a ground are seen together: no more than the cache holds."""
    step = max(1, CELLS_AT_ONCE // ((ground.frame.size * ground.frame.factor) ** 2 * len(sensor)))
    yield from (slice(first, min(first + step, len(ground))) for first in range(0, len(ground), step))


def together(records: Sequence[Any]) -> Any:
    """Records of single scenes as the record of a batch: their tensors, arrays and tuples one after the other."""
    first = records[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(list(records))
    if isinstance(first, np.ndarray):
        return np.concatenate(list(records))
    if isinstance(first, tuple):
        return tuple(part for record in records for part in record)
    if is_dataclass(first) and not isinstance(first, Sensor | type):
        names = [field.name for field in fields(first)]
        return type(first)(**{name: together([getattr(record, name) for record in records]) for name in names})
    return first


def tiles_of(
    recipe: SceneRecipe, ground: Ground, looks: Sequence[Look], product: Tensor, truth: PixelTruth
) -> list[Tile]:
    """What a user downloads, one tile a look: the product (N, B, H, W), class mass, layers, and all that was drawn."""
    day = ground.days[looks[0].date]
    shared = {"sensor": looks[0].sensor.name, "recipe": recipe.name, "recipe_digest": recipe.digest()}
    tiles = []
    for i, (land, look) in enumerate(zip(ground.lands, looks, strict=True)):
        layers = {name: layer[i] for name, layer in truth.layers.items()}
        drawn = ground.facts[i] | day.facts[i] | look.sun.facts[0] | look.air.facts[0]
        boxes = {"boxes": boxes_of(layers["building"])} if "building" in layers else {}
        facts = shared | {"seed": land.seed, "index": land.index} | drawn | boxes
        last = (f"-{look.date}" if look.date else "") + (f"-look{look.number}" if look.number else "")
        tiles.append(
            Tile(
                id=f"{land.seed}-{land.index:06d}{last}",
                image=product[i],
                valid=torch.ones(ground.frame.size, ground.frame.size, dtype=torch.bool, device=product.device),
                mass=truth.mass[i],
                sensor=look.sensor,
                legend=TERRAFICTA,
                grid=ground.grids[i],
                level="TOA" if recipe.air.correction == "none" else "BOA",
                date=day.moments[i].date.isoformat() if len(land.moments) > 1 else None,
                facts=facts | look.optics.facts(0) | look.detector.facts(),
                layers=layers,
            )
        )
    return tiles
