"""Vector labels as people have them: formats, systems, confidences, votes, and what is told of the rest."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rasterio.warp import transform as moved
from tileset_maker import LEGEND, draw_ground, read_manifest_of, write_manifest, write_tileset

from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

ROWS, COLUMNS = np.mgrid[0:48:3, 0:48:3].reshape(2, -1)
X, Y = 500_005 + 10 * COLUMNS.astype(float), 5_799_995 - 10 * ROWS.astype(float)


def truth() -> np.ndarray:
    return draw_ground(0, 48)[1][ROWS, COLUMNS]


def labelled(folder: Path, name: str, **keys: Any) -> Tileset:
    """A tileset of one scene whose labels are a vector file in its folder."""
    content = read_manifest_of(folder) | keys
    content["scenes"][0]["label"] = name
    return read_tileset(write_manifest(folder, content), verify=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tileset(tmp_path / "made", scenes=1)


def write_csv(path: Path, columns: dict[str, Any], sign: str = ",") -> None:
    lines = [sign.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([sign.join(columns), *lines]) + "\n")


def write_features(path: Path, driver: str, points: np.ndarray, crs: str | None, **columns: Any) -> None:
    """Points (N, 2) with columns, as pyogrio writes them."""
    raw = pytest.importorskip("pyogrio.raw")
    shapes = np.array([struct.pack("<BI2d", 1, 1, *point) for point in points], dtype=object)
    data = [np.array(values) for values in columns.values()]
    raw.write(path, shapes, data, np.array(list(columns)), geometry_type="Point", crs=crs, driver=driver)


def at_points(tile: Tile) -> np.ndarray:
    return tile.label().numpy()[ROWS, COLUMNS]


@pytest.mark.parametrize("kind", ["points", "polygons", "degrees", "csv"])
def test_vector_labels_are_drawn_on_the_pixels(kind: str, tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    _, label = draw_ground(0, 48)
    rows, columns = np.mgrid[0:48:3, 0:48:3].reshape(2, -1)
    x, y = 500_005 + 10 * columns.astype(float), 5_799_995 - 10 * rows.astype(float)
    crs: dict[str, Any] = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}}
    if kind in ("degrees", "csv"):
        x, y = (np.array(v) for v in moved("EPSG:32633", "EPSG:4326", x, y))
        crs = {}
    names = [LEGEND[k - 1] for k in label[rows, columns]]
    shapes = [{"type": "Point", "coordinates": [float(a), float(b)]} for a, b in zip(x, y, strict=True)]
    if kind == "polygons":
        corners = np.array([(-15, -15), (15, -15), (15, 15), (-15, 15), (-15, -15)])
        shapes = [{"type": "Polygon", "coordinates": [(corners + (a, b)).tolist()]} for a, b in zip(x, y, strict=True)]
    items = [
        {"type": "Feature", "properties": {"fid": n, "class": name}, "geometry": shape}
        for n, (name, shape) in enumerate(zip(names, shapes, strict=True))
    ]
    name = "labels.csv" if kind == "csv" else "labels.geojson"
    (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": items} | crs))
    if kind == "csv":
        lines = [f"{a},{b},{c}" for a, b, c in zip(x, y, names, strict=True)]
        (folder / name).write_text("\n".join(["lon,lat,label", *lines]) + "\n")
    content = read_manifest_of(folder)
    content["scenes"][0]["label"] = name
    read = read_tileset(write_manifest(folder, content))[0].label().numpy()
    assert np.array_equal(read[rows, columns], label[rows, columns])
    if kind != "polygons":
        assert (read > 0).sum() == len(rows)


def test_vector_classes_that_the_legend_lacks_are_named(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    (folder / "l.csv").write_text("x,y,class\n500005,5799995,forest\n500015,5799995,swamp\n")
    content = read_manifest_of(folder)
    content["scenes"][0]["label"] = "l.csv"
    with pytest.raises(Refusal, match=r"label: found swamp, .*label_column"):
        read_tileset(write_manifest(folder, content))


# formats and systems


@pytest.mark.parametrize(("name", "driver"), [("l.gpkg", "GPKG"), ("l.shp", "ESRI Shapefile"), ("l.fgb", "FlatGeobuf")])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3035"])
def test_geopackage_shapefile_and_flatgeobuf_in_any_system(name: str, driver: str, crs: str, folder: Path) -> None:
    points = np.stack(moved("EPSG:32633", crs, X, Y), 1)
    names = [LEGEND[k - 1] for k in truth()]
    write_features(folder / name, driver, points, crs, plot=np.arange(len(points)), landcover=names)
    assert np.array_equal(at_points(labelled(folder, name)[0]), truth())


def test_several_layers_are_asked_about(folder: Path) -> None:
    raw = pytest.importorskip("pyogrio.raw")
    write_features(folder / "l.gpkg", "GPKG", np.stack([X, Y], 1), "EPSG:32633", label=truth())
    shape = np.array([struct.pack("<BI2d", 1, 1, X[0], Y[0])], dtype=object)
    raw.write(folder / "l.gpkg", shape, [np.array([1])], np.array(["label"]), layer="other", driver="GPKG",
              geometry_type="Point", crs="EPSG:32633")  # fmt: skip
    with pytest.raises(Refusal, match=r"layers l, other.*ogr2ogr"):
        labelled(folder, "l.gpkg")[0]


def test_a_shapefile_without_system_is_told_of_or_stated(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = np.stack(moved("EPSG:32633", "EPSG:3857", X, Y), 1)
    write_features(folder / "l.shp", "ESRI Shapefile", points, "EPSG:3857", label=truth())
    (folder / "l.prj").unlink()
    with pytest.raises(Refusal, match=r"none on the image.*label_crs"):
        labelled(folder, "l.shp")[0]
    assert "names no coordinate system" in caplog.text
    assert np.array_equal(at_points(labelled(folder, "l.shp", label_crs="EPSG:3857")[0]), truth())
    write_features(folder / "m.shp", "ESRI Shapefile", points, "EPSG:3857", label=truth())
    with pytest.raises(Refusal, match=r"label_crs: found EPSG:3857 in the file, expected EPSG:4326"):
        labelled(folder, "m.shp", label_crs="EPSG:4326")[0]


@pytest.mark.parametrize("name", ["l.csv", "l.geojson"])
def test_coordinates_in_a_stated_system(name: str, folder: Path) -> None:
    x, y = moved("EPSG:32633", "EPSG:3035", X, Y)
    if name == "l.csv":
        write_csv(folder / name, {"x": x, "y": y, "class": truth()})
    else:
        items = [
            {"type": "Feature", "properties": {"class": int(k)}, "geometry": {"type": "Point", "coordinates": at}}
            for k, *at in zip(truth(), x, y, strict=True)
        ]
        (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    with pytest.raises(Refusal, match="label_crs"):
        labelled(folder, name)[0]
    assert np.array_equal(at_points(labelled(folder, name, label_crs="EPSG:3035")[0]), truth())


def test_a_table_with_decimal_commas_and_rows_without_a_place(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbers = [f"{v:.1f}".replace(".", ",") for v in X]
    write_csv(folder / "l.csv", {"x": ["", *numbers[1:]], "y": Y, "class": truth()}, ";")
    read = at_points(labelled(folder, "l.csv")[0])
    assert read[0] == 0
    assert np.array_equal(read[1:], truth()[1:])
    assert "1 have no place" in caplog.text


# what is told


def test_conflicts_outsiders_and_gaps_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    x, y = [*X, X[0], X[1], 0.0], [*Y, Y[0], Y[1], 0.0]
    names = [LEGEND[k - 1] for k in truth()] + [LEGEND[truth()[0] % 3], LEGEND[truth()[1] - 1], "water"]
    names[5] = ""
    write_csv(folder / "l.csv", {"x": x, "y": y, "class": names})
    read = at_points(labelled(folder, "l.csv")[0])
    assert read[0] == 0
    assert read[1] == truth()[1]
    for said in ("259 features", "1 lie outside image0.tif", "1 have no class", "1 pixels of two classes are left"):
        assert said in caplog.text


def test_numbers_that_count_features_are_no_classes(folder: Path) -> None:
    columns = {"x": X[:3], "y": Y[:3], "fid": [1, 2, 3], "what": ["soil", "water", "soil"]}
    write_csv(folder / "l.csv", columns)
    assert labelled(folder, "l.csv")[0].label()[ROWS[:3], COLUMNS[:3]].tolist() == [3, 2, 3]
    write_csv(folder / "l.csv", columns | {"was": ["water", "water", "soil"]})
    with pytest.raises(Refusal, match=r"what.*was|was.*what"):
        labelled(folder, "l.csv")[0]
    assert labelled(folder, "l.csv", label_column="was")[0].label()[ROWS[:3], COLUMNS[:3]].tolist() == [2, 2, 3]


# confidences and votes


def test_a_confidence_becomes_the_mass_of_a_class(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    sure = np.linspace(0.5, 1, len(X)).astype(np.float32)
    write_csv(folder / "l.csv", {"x": X, "y": Y, "class": truth(), "confidence": sure})
    mass = labelled(folder, "l.csv")[0].mass[:, ROWS, COLUMNS]
    assert torch.allclose(mass.sum(0), torch.from_numpy(sure), atol=1e-6)
    assert np.array_equal(mass.argmax(0).numpy() + 1, truth())
    assert "confidence in column confidence" in caplog.text
    write_csv(folder / "l.csv", {"x": X, "y": Y, "class": truth(), "how_sure": 100 * sure})
    assert labelled(folder, "l.csv")[0].mass.max() == 1
    with pytest.raises(Refusal, match=r"confidence_column.*divide the column by 100"):
        labelled(folder, "l.csv", confidence_column="how_sure")[0]


@pytest.mark.parametrize("stated", [False, True])
def test_votes_become_shares_of_classes(stated: bool, folder: Path) -> None:
    votes = np.random.default_rng(0).integers(0, 5, (len(X), 3))
    votes[:, 0] += 1
    names = ["v1", "v2", "v3"] if stated else ["Forest", "water", "soil"]
    write_csv(folder / "l.csv", {"id": range(len(X)), "x": X, "y": Y} | dict(zip(names, votes.T, strict=True)))
    more = {"votes_columns": dict(zip(LEGEND, names, strict=True))} if stated else {}
    tile = labelled(folder, "l.csv", **more)[0]
    wanted = votes / votes.sum(1, keepdims=True)
    assert np.allclose(tile.mass[:, ROWS, COLUMNS].numpy().T, wanted, atol=1e-6)
    assert int((tile.mass.sum(0) > 0).sum()) == len(X)


def test_polygons_with_votes_are_averaged_where_they_meet(folder: Path) -> None:
    def square(x0: int, x1: int) -> dict[str, Any]:
        ring = [[500_000 + 10 * x, 5_800_000 - 10 * y] for x, y in ((x0, 0), (x1, 0), (x1, 4), (x0, 4), (x0, 0))]
        return {"type": "Polygon", "coordinates": [ring]}

    items = [
        {"type": "Feature", "properties": {"forest": a, "water": b, "soil": 0}, "geometry": shape}
        for a, b, shape in ((3, 1, square(0, 4)), (4, 0, square(2, 6)))
    ]
    crs = {"crs": {"type": "name", "properties": {"name": "EPSG:32633"}}}
    (folder / "l.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": items} | crs))
    mass = labelled(folder, "l.geojson")[0].mass
    assert mass[:, 0, 0].tolist() == [0.75, 0.25, 0]
    assert mass[:, 3, 3].tolist() == [0.875, 0.125, 0]
    assert mass[:, 0, 5].tolist() == [1, 0, 0]
    assert int((mass.sum(0) > 0).sum()) == 24


def test_votes_of_strange_classes_and_columns_are_refused(folder: Path) -> None:
    write_csv(folder / "l.csv", {"x": X, "y": Y, "v": truth()})
    with pytest.raises(Refusal, match=r"votes_columns: found swamp"):
        labelled(folder, "l.csv", votes_columns={"swamp": "v"})
    with pytest.raises(Refusal, match=r"votes_columns: found w, expected one of"):
        labelled(folder, "l.csv", votes_columns={"water": "w"})[0]
