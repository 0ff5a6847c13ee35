"""From an image and points to a map: what one command makes is what the long way makes, and nothing is half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from tileset_maker import BANDS, LEGEND, draw_ground, write_raster

import terraficta as tf
from terraficta.commands import app
from terraficta.eval.mapping import map_image
from terraficta.finetune.tileset.draft import Said
from terraficta.synth.types.raster import open_raster
from terraficta.synth.types.refusal import Refusal

pyogrio = pytest.importorskip("pyogrio")

FICTION = [("tier1", 3), ("tier3", 5)]
"""recipe and seed of fictional places that are mapped"""


def write_points(path: Path, image: Path, y: np.ndarray, x: np.ndarray, names: list[str]) -> Path:
    """A GeoPackage of points in the middle of pixels, with a column `cover`."""
    with rasterio.open(image) as file:
        transform, crs = file.transform, file.crs
    points = [transform @ (c + 0.5, r + 0.5) for r, c in zip(y.tolist(), x.tolist(), strict=True)]
    # well-known binary of a point: byte order, kind 1, x, y
    blobs = [b"\x01\x01\x00\x00\x00" + np.array(at, "<f8").tobytes() for at in points]
    pyogrio.raw.write(
        path, np.array(blobs, dtype=object), [np.array(names, dtype=object)], ["cover"], geometry_type="Point",
        crs=crs.to_string(), driver="GPKG",
    )  # fmt: skip
    return path


def drawn(label: np.ndarray, per_class: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of some pixels of every class."""
    rng, found = np.random.default_rng(seed), []
    for k in np.unique(label[label > 0]):
        where = np.argwhere(label == k)
        found.append(rng.permutation(where)[:per_class])
    return tuple(np.concatenate(found).T)  # type: ignore[return-value]


def made_place(folder: Path, seed: int = 0, size: int = 80, east_m: float = 0.0) -> tuple[Path, Path, np.ndarray]:
    """Image, points and true classes of a place of three classes."""
    folder.mkdir(parents=True, exist_ok=True)
    values, label = draw_ground(seed, size)
    stored = np.clip(np.round(values * 1e4), 1, 65535).astype(np.uint16)
    image = write_raster(folder / f"place{seed}.tif", stored, transform=from_origin(500000 + east_m, 5800000, 10, 10))
    with rasterio.open(image, "r+") as file:
        file.descriptions = BANDS
    y, x = drawn(label, 12)
    return image, write_points(folder / f"points{seed}.gpkg", image, y, x, [LEGEND[k - 1] for k in label[y, x]]), label


def fictional_place(folder: Path, recipe: str, seed: int) -> tuple[Path, Path]:
    """A fictional tile as a person would have it: a GeoTIFF of numbers and a GeoPackage of points."""
    tile = tf.render(tf.recipe(recipe, ["size_px=64"]), tf.SceneKey(seed, 0), tf.sensor("sentinel2a"))[0]
    stored = (tile.image * 1e4).round().clamp(1, 6e4).to(torch.int32).numpy().astype(np.uint16)
    image = write_raster(folder / "fiction.tif", stored)
    with rasterio.open(image, "r+") as file:
        file.descriptions = [band.name for band in tile.sensor.bands]
        file.scales = (1e-4,) * len(tile.sensor)
    label = tile.label().numpy()
    often = [k for k in np.unique(label[label > 0]) if (label == k).sum() >= 20]
    y, x = drawn(np.where(np.isin(label, often), label, 0), 10)
    names = [tile.legend.classes[k - 1] for k in label[y, x]]
    return image, write_points(folder / "points.gpkg", image, y, x, names)


def command(line: str) -> None:
    assert app(line.split(), standalone_mode=False) in (None, 0)


def bands_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        found: np.ndarray = file.read()
        return found


@pytest.mark.parametrize(("recipe", "seed"), FICTION)
def test_map_is_what_finetune_and_predict_make(recipe: str, seed: int, tmp_path: Path) -> None:
    image, points = fictional_place(tmp_path, recipe, seed)
    made = map_image(image, points, tmp_path / "short.tif", seed=3)
    folder = tmp_path / "short"
    command(f"finetune run --tileset {folder} --labels-per-class all --seed 3 --out {tmp_path / 'model'}")
    command(f"eval predict --run {tmp_path / 'model'} --tileset {folder} --out {tmp_path / 'long.tif'}")
    assert np.array_equal(bands_of(tmp_path / "short.tif"), bands_of(tmp_path / "long.tif"))
    assert made.expectation is not None
    assert sum(made.expectation.labels) == pyogrio.read_info(points)["features"]


def test_command_makes_a_map_a_page_and_three_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, points, label = made_place(tmp_path)
    out = tmp_path / "new" / "map.tif"
    command(f"map {image} --labels {points} --scale 0.0001 --out {out}")
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[:2] == [str(out), str(tmp_path / "new" / "map" / "report.html")]
    assert [line.partition(":")[0] for line in lines[2:]] == ["accuracy expected", "what it confuses", "next"]
    assert "classes: forest, soil, water (column cover, guessed)" in said.err
    with rasterio.open(out) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        classes = json.loads(file.tags()["legend"])
        mapped = np.array([0, *(LEGEND.index(name) + 1 for name in classes)])[file.read(1)]
    assert (mapped == label).mean() > 0.9
    expected = json.loads((tmp_path / "new" / "map" / "expected.json").read_text())
    picked = lines[-1][lines[-1].index("terraficta suggest") : lines[-1].index(" picks points")]
    command(picked.removeprefix("terraficta ").replace("next.gpkg", str(tmp_path / "next.gpkg")) + " --count 5")
    assert pyogrio.read_info(tmp_path / "next.gpkg")["features"] == 5
    assert abs(expected["accuracy"] - (mapped == label).mean()) < 2 * expected["accuracy_se"]
    names = {path.name for path in (tmp_path / "new").rglob("*")}
    assert {"map.png", "map.qml", "tileset.yaml", "model.pt", "report.html", "run.json"} <= names
    page = (tmp_path / "new" / "map" / "report.html").read_text()
    assert lines[2].partition(": ")[2] in page.replace("&#39;", "'")
    assert "http" not in page.replace("http://www.w3.org", "")


def test_an_image_beyond_memory_gives_the_same_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, points, _ = made_place(tmp_path)
    here = map_image(image, points, tmp_path / "here.tif", Said(scale=1e-4))
    monkeypatch.setattr("terraficta.finetune.tileset.tileset.MOST_NUMBERS", 1)
    monkeypatch.setattr("terraficta.finetune.tileset.unread.ROWS", 16)
    far = map_image(image, points, tmp_path / "far.tif", Said(scale=1e-4))
    assert np.array_equal(bands_of(tmp_path / "here.tif"), bands_of(tmp_path / "far.tif"))
    assert far.lines[:2] == here.lines[:2]
    assert far.report.read_text().count("data:image/png") == here.report.read_text().count("data:image/png") > 3


def test_names_alone_make_a_map(tmp_path: Path) -> None:
    image, _, label = made_place(tmp_path)
    made = tf.map_image(image, None, tmp_path / "map.tif", Said(legend=("forest", "water", "soil"), scale=1e-4))
    assert made.expectation is None
    assert made.lines[0] == "accuracy expected: not known, as names alone made this map"
    assert (bands_of(tmp_path / "map.tif")[0] == label).mean() > 0.5


def test_a_tileset_of_start_is_mapped_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, points, _ = made_place(tmp_path)
    command(f"start {image} {points} --scale 0.0001 --out {tmp_path / 'mine'}")
    assert capsys.readouterr().out.strip() == str(tmp_path / "mine" / "tileset.yaml")
    map_image(tmp_path / "mine", out=tmp_path / "one.tif")
    map_image(image, points, tmp_path / "two.tif", Said(scale=1e-4))
    assert np.array_equal(bands_of(tmp_path / "one.tif"), bands_of(tmp_path / "two.tif"))
    with pytest.raises(Refusal, match="say it in its tileset.yaml"):
        map_image(tmp_path / "mine", out=tmp_path / "three.tif", said=Said(scale=1e-4))
    with pytest.raises(Refusal, match="a folder with content"):
        command(f"start {image} {points} --out {tmp_path / 'mine'}")


def test_dates_of_one_place_become_one_map_and_places_each_their_own(tmp_path: Path) -> None:
    image, points, label = made_place(tmp_path)
    again = tmp_path / "later.tif"
    shutil.copy(image, again)
    with rasterio.open(again, "r+") as file:
        stored = file.read()
        stored[:, :20] = 0  # a cloud that is cut out
        file.write(stored)
        file.nodata = 0
    with rasterio.open(image, "r+") as file:
        file.nodata = 0
    elsewhere, _, _ = made_place(tmp_path, seed=1, east_m=90000)
    with rasterio.open(elsewhere, "r+") as file:
        file.nodata = 0
    both = map_image([image, again], points, tmp_path / "dates.tif")
    assert [path.name for path in both.maps] == ["dates.tif", "dates_place0.tif", "dates_later.tif"]
    joined = bands_of(both.maps[0])
    assert (joined[0] > 0).all()
    assert np.array_equal(joined[0, :20], bands_of(both.maps[1])[0, :20])
    assert {"forest", "soil", "water"} == set(both.expectation.classes if both.expectation else ())
    two = map_image([image, elsewhere], points, tmp_path / "places.tif")
    assert [path.name for path in two.maps] == ["places_place0.tif", "places_place1.tif"]


def test_pixels_of_two_classes_and_single_labels_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image, _, label = made_place(tmp_path)
    y, x = drawn(label, 8)
    names = [LEGEND[k - 1] for k in label[y, x]]
    y, x, names = np.append(y, [y[0], 70]), np.append(x, [x[0], 70]), [*names, "rare", "rare"]
    points = write_points(tmp_path / "odd.gpkg", image, y, x, names)
    made = map_image(image, points, tmp_path / "map.tif")
    assert any("1 pixels of two classes are left unlabelled" in record.message for record in caplog.records)
    assert made.expectation is not None
    assert made.expectation.labels[made.expectation.classes.index("rare")] == 1
    assert any(warning.startswith("rare: labels in one block") for warning in made.expectation.warnings)
    assert "rare (1)" in made.lines[2]


def test_random_split_is_marked_on_the_page(tmp_path: Path) -> None:
    image, points, _ = made_place(tmp_path)
    made = map_image(image, points, tmp_path / "map.tif", random_split=True)
    assert "RANDOM SPLIT" in made.lines[0]
    page = made.report.read_text()
    assert "RANDOM SPLIT" in page
    assert "Random split." in page


@pytest.mark.parametrize("broken", ["weights", "one class", "out", "taken", "report"])
def test_nothing_is_half_written(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, points, label = made_place(tmp_path)
    out, more = tmp_path / "a" / "b" / "map.tif", {}
    if broken == "weights":
        more["weights"] = str(tmp_path / "nowhere.safetensors")
    if broken == "one class":
        y, x = np.argwhere(label == 1)[:5].T
        points = write_points(tmp_path / "one.gpkg", image, y, x, ["forest"] * 5)
    if broken == "out":
        out = tmp_path / "a" / "map.png"
    if broken == "taken":
        out = tmp_path / "map.tif"
        (tmp_path / "map").mkdir()
        (tmp_path / "map" / "mine.txt").write_text("mine")
    if broken == "report":
        monkeypatch.setattr("terraficta.eval.mapping.write_place_report", _fail)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises((Refusal, OSError)):
        map_image(image, points, out, overwrite=True, **more)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "a").exists()


def _fail(*words: Any) -> None:
    raise OSError(28, "No space left on device")


def test_an_earlier_map_is_replaced_only_when_told(tmp_path: Path) -> None:
    image, points, _ = made_place(tmp_path)
    map_image(image, points, tmp_path / "map.tif")
    with pytest.raises(Refusal, match="--overwrite"):
        map_image(image, points, tmp_path / "map.tif")
    first = (tmp_path / "map" / "run.json").read_text()
    map_image(image, points, tmp_path / "map.tif", overwrite=True)
    assert (tmp_path / "map" / "run.json").read_text() != first
    assert open_raster(tmp_path / "map.tif").count == 6
