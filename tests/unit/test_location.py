"""Location alone: what coordinates explain, and splits that let them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from terraficta.eval.location.places import (
    BASELINES,
    Points,
    chess_board,
    explain_by_location,
    read_points,
)
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe


def field(kind: str, count: int = 600) -> Points:
    """Known fields over 10 km: chance alone, waves of 2 km, a slope over all of it."""
    rng = np.random.default_rng(1)
    xy = rng.random((count, 2)) * 10_000
    value = {
        "chance": rng.standard_normal(count),
        "local": np.sin(2 * np.pi * xy[:, 0] / 2000) * np.cos(2 * np.pi * xy[:, 1] / 2000),
        "slope": xy[:, 0] / 1000 + 0.1 * rng.standard_normal(count),
    }[kind]
    return Points(xy, value)


def test_fields_that_are_known() -> None:
    chance, local, slope = (
        {row.by: row for row in explain_by_location(field(k))} for k in ("chance", "local", "slope")
    )
    assert max(row.random for row in chance.values()) < 0.1
    assert local["siren"].random > 0.3
    assert local["nearest"].random > 0.4
    assert local["nearest"].blocked < 0.1, "what lies near says nothing of blocks held out"
    assert slope["nearest"].random > 0.95
    assert slope["nearest"].blocked > 0.9, "a slope goes on"


def test_a_split_leaks_where_test_points_lie_among_training_points() -> None:
    local = field("local")
    among = np.random.default_rng(2).random(len(local)) < 0.3
    leaking = {row.by: row.leaks for row in explain_by_location(Points(local.xy, local.value, test=among))}
    apart = {row.by: row.leaks for row in explain_by_location(Points(local.xy, local.value, test=chess_board(local)))}
    assert leaking["nearest"] is True
    assert apart == dict.fromkeys(BASELINES, False)


def test_fields_of_the_sphere() -> None:
    """A field of low degree is known everywhere from places everywhere, over the date line as well."""
    rng = np.random.default_rng(3)
    place = np.stack([rng.uniform(-180, 180, 400), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 400)))], 1)
    longitude, latitude = np.deg2rad(place).T
    value = np.cos(latitude) * np.cos(longitude - 3.0) + np.sin(latitude) ** 2
    found = {row.by: row for row in explain_by_location(Points(place, value, geographic=True))}
    assert found["smooth"].random > 0.99
    assert found["siren"].random > 0.9
    assert found["nearest"].random > 0.9


def test_people_of_fiction_are_explained_nearby_and_not_far_away() -> None:
    """Built volume, as a stand-in for people, in parts of one land: coordinates tell it of neighbours alone."""
    recipe = read_scene_recipe(
        "tier0", ["size_px=192", "gsd_m=[30,30]", "oversampling=1", "cover.settlement=[0.3,0.3]",
                  "truth.layers=[building_height_m]", "instrument.sensors=[landsat5]"],
    )  # fmt: skip
    tile = render(recipe, SceneKey(7, 2))[0]
    roofs = tile.mass[TERRAFICTA.index("building")] * tile.layers["building_height_m"] * 30.0**2
    people = torch.nn.functional.avg_pool2d(roofs[None], 6)[0].numpy()
    y, x = np.meshgrid(*(np.arange(side) * 180.0 for side in people.shape), indexing="ij")
    points = Points(np.stack([x.ravel(), y.ravel()], 1), people.ravel().astype(float))
    nearest = explain_by_location(points)[0]
    assert nearest.random > nearest.blocked + 0.1


def test_tables_are_read_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("x,y,value,split\n1,2,3,train\n4,5,6,test\n")
    read = read_points(path)
    assert read.test is not None
    assert read.test.tolist() == [False, True]
    for text, match in (
        ("x,y\n1,2\n", "a column value"),
        ("x,y,value\n1,2,\n", "value: found a cell"),
        ("x,y,value,split\n1,2,3,val\n", "train and test"),
    ):
        path.write_text(text)
        with pytest.raises(Refusal, match=match):
            read_points(path)
    with pytest.raises(Refusal, match="40 or more"):
        explain_by_location(read)
    assert set(BASELINES) == {"nearest", "smooth", "siren"}
