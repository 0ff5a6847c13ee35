"""From a run and an image to points in a file, and back as labels."""

import json
from pathlib import Path

import pyogrio
import pytest
import rasterio
import torch
from network_maker import SMALL
from rasterio.warp import transform
from tileset_maker import write_tileset

from terraficta.commands import app, spread
from terraficta.eval.map.points import Place, suggest_points
from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.map_model import read_map_model, write_map_model
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("suggest")
    tileset = read_tileset(write_tileset(folder / "made", size=80))
    tiles = list(tileset.tiles("train"))
    recipe = read_finetune_recipe("quick").model_copy(update={"model": SMALL})
    model = adapt(tiles, draw_labels(tiles, 8, 0), fresh_mapper(recipe, 0), recipe)
    write_map_model(folder / "run", model)
    Run("finetune", {"name": "test"}, seed=0).write(
        folder / "run", tileset={"scale": 0.0001, "offset": 0.0, "nodata": 0}, digest="abc"
    )
    return folder / "made", folder / "run"


def test_points_lie_on_their_pixels_and_name_two_classes(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    points = suggest_points(run, [Place((str(folder / "image0.tif"),))], tmp_path / "next.gpkg", 12)
    table = pyogrio.raw.read(tmp_path / "next.gpkg")
    names, columns = list(table[0]["fields"]), dict(zip(table[0]["fields"], table[3], strict=True))
    assert names[:3] == ["order", "reason", "first"]
    assert columns["order"].tolist() == list(range(1, 13))
    assert set(columns["first"]) <= {"forest", "water", "soil"}
    assert all(a >= b for a, b in zip(columns["first_probability"], columns["second_probability"], strict=True))
    assert all(value is None for value in columns["class"])
    assert "32633" in table[0]["crs"]
    with rasterio.open(folder / "image0.tif") as image:
        assert [image.index(p.x, p.y) for p in points] == [(p.row, p.column) for p in points]
    assert len({(p.row, p.column) for p in points}) == 12


def test_labelled_pixels_are_not_asked_for_again(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    model = read_map_model(run)
    assert model.labelled is not None
    scene = "made/s0"
    labelled = set(model.labelled.places(scene))
    assert len(labelled) > 5
    found = suggest_points(run, [Place((str(folder / "image0.tif"),), scene)], tmp_path / "all.geojson", 5000)
    asked = {(p.row, p.column) for p in found}
    assert len(asked) == 5000
    assert not labelled & asked
    assert torch.equal(model.labelled.counts, torch.tensor([8, 8, 8]))


def test_geojson_is_in_degrees(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    (point,) = suggest_points(run, [Place((str(folder / "image1.tif"),))], tmp_path / "one.geojson", 1)
    (feature,) = json.loads((tmp_path / "one.geojson").read_text())["features"]
    (x,), (y,) = transform("OGC:CRS84", "EPSG:32633", *([v] for v in feature["geometry"]["coordinates"]))
    assert (x, y) == pytest.approx((point.x, point.y), abs=0.01)


def test_command_asks_of_a_tileset_and_its_points_label_when_filled_in(
    fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, run = fitted
    out = tmp_path / "next.geojson"
    words = f"suggest --run {run} --tileset {folder} --count 20 --out {out}"
    assert app(spread(words.split()), standalone_mode=False) in (None, 0)
    content = json.loads(out.read_text())
    for feature in content["features"]:
        feature["properties"]["class"] = "water"
    named = [f["properties"]["image"] for f in content["features"]]
    assert {Path(name).name for name in named} == {"image0.tif", "image1.tif"}
    (folder / "next.geojson").write_text(json.dumps(content))
    manifest = (folder / "tileset.yaml").read_text().replace("label: label0.tif", "label: next.geojson")
    (folder / "tileset.yaml").write_text(manifest.replace("  fold: fold0.tif\n", ""))
    first = read_tileset(folder)[0]
    assert int((first.mass[1] > 0).sum()) == sum(Path(name).name == "image0.tif" for name in named)


def test_another_suffix_and_no_place_are_refused(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    with pytest.raises(Refusal, match="gpkg"):
        suggest_points(run, [Place((str(folder / "image0.tif"),))], tmp_path / "next.csv", 3)
    with pytest.raises(Refusal, match="--image"):
        app(spread(f"suggest --run {run} --out {tmp_path / 'x.gpkg'}".split()), standalone_mode=False)
