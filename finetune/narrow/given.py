"""What the manifest of tiles decides of a recipe before any figure is fitted: camera, distance, air, season, sun."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import transform as moved

from terraficta.finetune.tileset.tileset import Tileset
from terraficta.synth.physics.sun import OVERPASS_H, When, sun_position
from terraficta.synth.types.crop import MIDWINTER_DAY, YEAR_DAYS
from terraficta.synth.types.grid import GEOGRAPHIC, NO_WAY
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import read_sensor, sensor_names
from terraficta.synth.types.tile import Tile

AERIAL = "aerial"
"""how the names of cameras begin that fly at any hour"""
DAYS_OFF = 10
"""that seasons of two years lie apart at one date, either way [d]"""
MOST_TILES = 64
"""tiles whose date and place are read, evenly spread"""


def as_the_tiles(recipe: SceneRecipe, tileset: Tileset) -> tuple[SceneRecipe, dict[str, str]]:
    """The recipe with what the manifest of the tiles decides, and in words what that is, by field."""
    content, told = recipe.model_dump(mode="json"), {}
    content["gsd_m"] = [tileset.gsd_m, tileset.gsd_m]
    told["gsd_m"] = f"{tileset.gsd_m:g}, of the tiles"
    known = [n for n in sensor_names() if set(tileset.sensor.bands) <= set(read_sensor(n).bands)]
    own = tileset.sensor.name if tileset.sensor.name in known else next(iter(known), None)
    if own is not None:
        content["instrument"]["sensors"] = [own]
        more = len(read_sensor(own)) - len(tileset.sensor)
        told["instrument.sensors"] = own + (f", which has {more} bands more than the tiles" if more else "")
    else:
        told["instrument.sensors"] = "left as it was: the tiles' camera is not in the catalogue; its bands were fitted"
    if tileset.level == "TOA" and recipe.air.correction != "none":
        content["air"]["correction"] = "none"
        told["air.correction"] = "none: the tiles are at the top of the atmosphere"
    if tileset.level == "BOA" and recipe.air.correction == "none":
        content["air"]["correction"] = "imperfect"
        told["air.correction"] = "imperfect: the tiles are corrected"
    if tileset.level in ("DN", "RADIANCE"):
        told["level"] = f"{tileset.level}: only relative figures were compared, so that sun and air are hardly told"
    taken = overpasses(tileset)
    if taken:
        _dated(content, told, taken, own is not None and not own.startswith(AERIAL))
    return SceneRecipe.from_dict(content, where=recipe.name), told


def overpasses(tileset: Tileset) -> list[When]:
    """Latitude and day of some of the tiles; empty where one of them does not say where or when it was taken."""
    some = np.unique(np.linspace(0, len(tileset) - 1, MOST_TILES).round().astype(int))
    found = [_when(tileset[int(number)]) for number in some]
    return [when for when in found if when is not None] if None not in found else []


def _when(tile: Tile) -> When | None:
    day = re.search(r"(\d{4})-?(\d{2})-?(\d{2})", tile.date or "")
    grid = tile.grid
    if day is None or grid.crs is None or grid.transform is None:
        return None
    try:
        when = date(*(int(part) for part in day.groups()))
        x, y = grid.transform * (grid.width_px / 2, grid.height_px / 2)
        _, latitude = moved(CRS.from_string(grid.crs), CRS.from_string(GEOGRAPHIC), [x], [y])
    except NO_WAY:
        return None
    return (float(latitude[0]), when.timetuple().tm_yday) if np.isfinite(latitude[0]) else None


def _dated(content: dict[str, Any], told: dict[str, str], taken: Sequence[When], by_satellite: bool) -> None:
    """Season, and the sun of a satellite's hour, from latitudes and days."""
    latitude, day = (np.array(part, dtype=float) for part in zip(*taken, strict=True))
    where = f"{len(taken)} tiles between {latitude.min():.0f} and {latitude.max():.0f} degrees of latitude"
    share = (day - MIDWINTER_DAY - np.where(latitude < 0, YEAR_DAYS / 2, 0)) / YEAR_DAYS % 1
    early, late = share.min() - DAYS_OFF / YEAR_DAYS, share.max() + DAYS_OFF / YEAR_DAYS
    if early >= 0 and late <= 1:  # a span does not go round midwinter
        content["cover"]["season"] = [round(float(early), 3), round(float(late), 3)]
        told["cover.season"] = f"{early:.2f} to {late:.2f} of the year from midwinter, by the dates of {where}"
    if by_satellite and content["light"]["sza_deg"][1] > 0:
        zenith = np.stack([sun_position(latitude, day, np.full(len(day), hour))[0] for hour in OVERPASS_H])
        low, high = float(zenith.min()), min(float(zenith.max()), 89.0)
        if low < high:
            content["light"]["sza_deg"] = [round(low, 1), round(high, 1)]
            told["light.sza_deg"] = (
                f"{low:.0f} to {high:.0f}, where the sun stood at that hour of a land mission's orbit"
            )
