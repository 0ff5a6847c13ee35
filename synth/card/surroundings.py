"""Surroundings: a text of what lies around a tile, by which a place is known without coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from terraficta.synth.card.compass import bearing_deg, wind
from terraficta.synth.card.settlement import settlements
from terraficta.synth.card.sheet import Sheet, sheet_of_tile
from terraficta.synth.card.water import waters
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor

TIMES = 3
"""side of the land that is looked at, over that of the tile: as far again to every side"""
MOST = 6
"""settlements, and waters, that are told at most: the nearest"""
STEP_M = 50.0
"""to which distances are rounded [m]"""


@dataclass(frozen=True)
class Neighbour:
    """Something that lies around a tile.

    Parameters
    ----------
    name, kind : str
        of the place, and what it is
    area_ha : float
        [ha]
    distance_m : float
        from the middle of the tile to its middle [m]
    bearing_deg : float
        clockwise from north [deg]
    flows : str | None
        of a river
    inside : bool
        whether its middle lies in the tile itself
    """

    name: str
    kind: str
    area_ha: float
    distance_m: float
    bearing_deg: float
    flows: str | None
    inside: bool


def surroundings_of(
    recipe: SceneRecipe, keys: Sequence[SceneKey], sensor: Sensor | None = None
) -> list[dict[str, Any]]:
    """What lies around scenes: one record a key, with `id`, `text` and `neighbours`.

    The land around a scene is the same land, seen further: windows of one world agree.

    Parameters
    ----------
    recipe : SceneRecipe
        of the scenes
    keys : Sequence[SceneKey]
        which scenes
    sensor : Sensor | None
        as of `render`, which sets the pixel size
    """
    wide = wider(recipe)
    records = []
    for key in keys:
        sheet = sheet_of_tile(render(wide, key, sensor)[0])
        found = neighbours(sheet, recipe.size_px)
        told = {"id": sheet.name, "text": context_text(sheet, found), "neighbours": [asdict(one) for one in found]}
        records.append(told)
    return records


def wider(recipe: SceneRecipe) -> SceneRecipe:
    """The same land over `TIMES` the side, without light and air: only its classes are asked for."""
    content = recipe.model_dump(mode="json")
    content |= {"size_px": min(TIMES * recipe.size_px, 4096), "oversampling": 1, "light": {}, "air": {}}
    content["instrument"] = {"sensors": content["instrument"]["sensors"]}
    content["truth"] = {"layers": ["elevation_m", "surface_m"]}
    return SceneRecipe.from_dict(content, where=recipe.name)


def neighbours(sheet: Sheet, tile_px: int) -> list[Neighbour]:
    """Settlements and waters of a sheet by their distance from its middle, of which a tile takes `tile_px` a side."""
    middle = (sheet.shape[0] / 2 - 0.5, sheet.shape[1] / 2 - 0.5)

    def place(name: str, kind: str, area_ha: float, at: tuple[int, int], flows: str | None) -> Neighbour:
        off = (at[0] - middle[0], at[1] - middle[1])
        far_m = math.hypot(*off) * sheet.grid.gsd_m
        inside = max(abs(off[0]), abs(off[1])) < tile_px / 2
        return Neighbour(name, kind, area_ha, far_m, bearing_deg(middle, at), flows, inside)

    towns = [place(s.name, s.size, s.area_ha, (s.y_px, s.x_px), None) for s in settlements(sheet)]
    wet = [place(w.name, w.kind, w.area_ha, (w.y_px, w.x_px), w.flows) for w in waters(sheet)[0]]
    return [one for part in (towns, wet) for one in sorted(part, key=lambda n: n.distance_m)[:MOST]]


def context_text(sheet: Sheet, found: Sequence[Neighbour]) -> str:
    """Neighbours as a paragraph."""
    y, x = sheet.shape[0] // 2, sheet.shape[1] // 2
    here = (sheet.class_at(y, x) or "unknown ground").replace("_", " ")
    high = "" if sheet.elevation_m is None else f", {float(sheet.elevation_m[y, x]):.0f} m high"
    climate = sheet.facts.get("kind")
    said = [f"The middle of the tile is {here}{high}" + (f", in a {climate} climate." if climate else ".")]
    for one in found:
        way = f"{distance_text(one.distance_m)} to the {wind(one.bearing_deg)}"
        flow = f", which flows to the {one.flows}" if one.flows else ""
        inside = ", within the tile" if one.inside else ""
        said.append(f"{one.name}, {article(one.kind)} {one.kind} of {one.area_ha:.1f} ha{flow}, lies {way}{inside}.")
    return " ".join(said)


def distance_text(distance_m: float) -> str:
    """A distance as people tell it.

    Examples
    --------
    >>> distance_text(1234.0), distance_text(333.0)
    ('1.2 km', '350 m')
    """
    rounded = STEP_M * round(distance_m / STEP_M)
    return f"{distance_m / 1000:.1f} km" if rounded >= 1000 else f"{rounded:.0f} m"


def article(noun: str) -> str:
    """A or an."""
    return "an" if noun[0] in "aeiou" else "a"
