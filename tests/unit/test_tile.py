"""Tiles behave like values: printed, compared, moved, handed to numpy and xarray, trained on."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from rasterio.transform import Affine

from terraficta.synth.render import render
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

TWO = Legend("two", ("land", "sea"), ("#00ff00", "#0000ff"))


def a_tile(**fields: object) -> Tile:
    chance = torch.Generator().manual_seed(3)
    image, heavy = torch.rand(3, 4, 5, generator=chance), torch.rand(4, 5, generator=chance)
    made = Tile(
        id="a", image=image, valid=torch.ones(4, 5, dtype=torch.bool), mass=torch.stack([heavy, 1 - heavy]),
        sensor=read_sensor("sentinel2a").pick(["B02", "B03", "B04"]), legend=TWO,
        grid=Grid(4, 5, 10.0, "EPSG:32633", Affine(10.0, 0.0, 400000.0, 0.0, -10.0, 5800000.0)), level="BOA",
        fold=torch.ones(4, 5, dtype=torch.uint8), date="2020-06-01", facts={"recipe_digest": "ab", "sza_deg": 30.0},
        layers={"elevation_m": torch.zeros(4, 5)},
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rendered() -> Tile:
    return render(read_scene_recipe("tier1", ["size_px=32"]), [SceneKey(7, 0)], read_sensor("sentinel2a"))[0]


def test_repr_is_one_line() -> None:
    assert repr(a_tile()) == "Tile(a, sentinel2a, 3 x 4 x 5, 10 m, BOA)"


def test_equal_where_content_is() -> None:
    assert a_tile() == a_tile()
    assert hash(a_tile()) == hash(a_tile())
    assert len({a_tile(), a_tile(), a_tile(id="b")}) == 2
    assert a_tile() in [a_tile(id="b"), a_tile()]
    assert a_tile() != "a"


@pytest.mark.parametrize(
    "other",
    [
        {"image": a_tile().image + 1e-6},
        {"image": a_tile().image.double()},
        {"layers": {}},
        {"layers": {"elevation_m": torch.ones(4, 5)}},
        {"facts": {"recipe_digest": "ab", "sza_deg": 31.0}},
        {"fold": None},
        {"date": None},
        {"level": "TOA"},
    ],
    ids=["image", "dtype", "no layer", "layer", "facts", "fold", "date", "level"],
)
def test_differs_where_anything_does(other: dict[str, object]) -> None:
    assert a_tile() != a_tile(**other)


def test_moves_whole() -> None:
    there = a_tile().to("meta")
    assert {t.device.type for t in (there.image, there.valid, there.mass, there.fold, *there.layers.values())
            if t is not None} == {"meta"}  # fmt: skip
    assert a_tile().to("cpu") == a_tile()


def test_numpy_holds_the_numbers() -> None:
    tile = a_tile()
    arrays = tile.numpy()
    assert set(arrays) == {"image", "valid", "mass", "label", "fold", "elevation_m"}
    assert np.array_equal(arrays["image"], tile.image.numpy())
    assert np.array_equal(arrays["label"], 1 + np.argmax(arrays["mass"], 0))
    assert "fold" not in a_tile(fold=None).numpy()


def test_xarray_knows_where_and_at_which_wavelength() -> None:
    pytest.importorskip("xarray")
    tile = a_tile()
    data = tile.to_xarray()
    assert data.image.dims == ("band", "y", "x")
    assert data.mass.dims == ("class", "y", "x")
    assert float(data.x[0]) == 400005.0
    assert float(data.y[-1]) == 5800000.0 - 35.0
    assert float(data.image.sel(band="B03")[2, 1]) == float(tile.image[1, 2, 1])
    assert data.centre_nm.values.tolist() == tile.sensor.centre_nm.tolist()
    assert float(data.mass.sel({"class": "sea"}).sum()) == pytest.approx(float(tile.mass[1].sum()))
    assert data.attrs["crs"] == "EPSG:32633"
    nowhere = a_tile(grid=Grid(4, 5, 10.0)).to_xarray()
    assert "crs" not in nowhere.attrs
    assert nowhere.y.values.tolist() == [-5.0, -15.0, -25.0, -35.0]


def test_without_xarray_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(Refusal, match="pip install xarray"):
        a_tile().to_xarray()


def test_rendered_tiles_can_be_trained_on(rendered: Tile) -> None:
    planes = {"image": rendered.image, "mass": rendered.mass, "valid": rendered.valid, **rendered.layers}
    assert not [name for name, plane in planes.items() if plane.is_inference()]
    layer = torch.nn.Conv2d(len(rendered.sensor), len(rendered.legend), 1)
    guess = layer(rendered.image[None]).log_softmax(1)
    (-(rendered.mass[None] * guess).sum() / rendered.mass.sum()).backward()
    assert layer.weight.grad is not None
    assert float(layer.weight.grad.abs().sum()) > 0


def test_rendered_twice_is_equal(rendered: Tile) -> None:
    again = render(read_scene_recipe("tier1", ["size_px=32"]), [SceneKey(7, 0)], read_sensor("sentinel2a"))[0]
    assert again == rendered


def test_rendered_tile_goes_to_a_netcdf_ready_data_set(rendered: Tile) -> None:
    pytest.importorskip("xarray")
    data = rendered.to_xarray()
    assert json.loads(data.attrs["facts"])["recipe"] == "tier1"
    assert all(isinstance(value, str | float | int) for value in data.attrs.values())
