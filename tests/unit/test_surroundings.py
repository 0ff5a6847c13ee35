"""Surroundings: the same land, seen further, in words."""

import json
import math
import re

import numpy as np
import torch

from terraficta.synth.card.sheet import Sheet
from terraficta.synth.card.surroundings import TIMES, context_text, neighbours, surroundings_of, wider
from terraficta.synth.render import render
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import read_scene_recipe

RECIPE = read_scene_recipe("tier1", ["size_px=32", "oversampling=1", "instrument.sensors=[landsat5]"])


def test_the_land_around_is_the_land_of_the_tile() -> None:
    key = SceneKey(7, 4)
    tile, wide = render(RECIPE, key)[0], render(wider(RECIPE), key)[0]
    inside = slice(32, 64)
    assert wide.grid.shape == (TIMES * 32, TIMES * 32)
    assert torch.equal(wide.label()[inside, inside], tile.label())
    assert torch.allclose(wide.layers["elevation_m"][inside, inside], tile.layers["elevation_m"])


def test_distances_and_bearings_of_known_places() -> None:
    label = np.full((90, 90), TERRAFICTA.index("grassland") + 1, np.uint8)
    settled = np.zeros((90, 90), bool)
    settled[2:9, 41:48] = True  # straight north of the middle, 39.5 px
    label[44:47, 83:86] = TERRAFICTA.index("water") + 1  # straight east, 39.5 px
    share = np.bincount(label.reshape(-1), minlength=len(TERRAFICTA) + 1)[1:] / label.size
    water = label == TERRAFICTA.index("water") + 1
    sheet = Sheet(
        "a", label, TERRAFICTA, Grid(90, 90, 10.0), share, water, settled, key=SceneKey(1, 1), facts={"kind": "boreal"}
    )
    town, lake = neighbours(sheet, tile_px=30)
    assert (round(town.distance_m), round(town.bearing_deg), town.inside) == (395, 359, False)
    assert (round(lake.distance_m), round(lake.bearing_deg), lake.inside) == (395, 91, False)
    text = context_text(sheet, [town, lake])
    assert text.startswith("The middle of the tile is grassland, in a boreal climate.")
    assert f"{town.name}, a farmstead of 0.5 ha, lies 400 m to the north." in text
    assert f"{lake.name}, a lake of 0.1 ha, lies 400 m to the east." in text
    assert math.isclose(neighbours(sheet, tile_px=90)[0].distance_m, town.distance_m)
    assert neighbours(sheet, tile_px=90)[0].inside


def test_records_hang_on_the_address_and_name_no_coordinates() -> None:
    keys = [SceneKey(7, 0), SceneKey(7, 1)]
    first, second = surroundings_of(RECIPE, keys), surroundings_of(RECIPE, keys[1:])
    assert first[1] == second[0]
    assert first[0]["text"] != first[1]["text"]
    assert [record["id"] for record in first] == [tile.id for tile in render(RECIPE, keys)]
    for record in first:
        assert json.loads(json.dumps(record)) == record
        assert not re.search(r"latitude|longitude|°", record["text"])
        for one in record["neighbours"]:
            assert one["name"] in record["text"]
