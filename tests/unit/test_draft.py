"""What files tell of themselves, what is guessed and said, and what is refused because nobody tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from rasterio.warp import transform as moved
from tileset_maker import BANDS, draw_ground, write_raster

from terraficta.finetune.tileset.draft import Said, draft_tileset, legend_colours, write_draft
from terraficta.finetune.tileset.recognition import recognise_numbers, recognise_sensor
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.raster import open_raster
from terraficta.synth.types.refusal import Refusal

S2 = Said(like="sentinel2a", bands=tuple(BANDS))


def image_file(path: Path, names: list[str] | None = None, bands: int = 5, **more: Any) -> Path:
    """Ground of three classes as stored numbers, 48 x 48 px of 10 m."""
    stored = np.round(draw_ground(3)[0] * 1e4).clip(1, 6e4).astype(np.uint16)
    stored = np.concatenate([stored, stored, stored])[:bands]
    write_raster(path, stored, **more)
    if names:
        with rasterio.open(path, "r+") as file:
            file.descriptions = names
    return path


def points_file(path: Path, columns: list[dict[str, Any]], at: list[tuple[int, int]] | None = None) -> Path:
    """GeoJSON points at pixels (row, column) of that image, in longitude and latitude."""
    at = at or [(3 + 7 * (n // 6), 3 + 7 * (n % 6)) for n in range(len(columns))]
    x = [500000 + 10 * (c + 0.5) for _, c in at]
    y = [5800000 - 10 * (r + 0.5) for r, _ in at]
    degrees = zip(*moved("EPSG:32633", "EPSG:4326", x, y), strict=True)
    features = [
        {"type": "Feature", "properties": row, "geometry": {"type": "Point", "coordinates": list(place)}}
        for row, place in zip(columns, degrees, strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def rows_of(classes: str, **more: Any) -> list[dict[str, Any]]:
    return [{"fid": n, "class": name, **more} for n, name in enumerate(classes.split())]


# sensors


def test_sensor_is_told_by_names_pixels_wavelengths_product_or_colours(tmp_path: Path) -> None:
    named = recognise_sensor(open_raster(image_file(tmp_path / "a.tif", ["B2", "B3", "B4", "B8", "B11"])))
    assert named.entry == {"like": "sentinel2a", "bands": BANDS}
    coarse = {"transform": from_origin(500000, 5800000, 30, 30)}
    landsat = recognise_sensor(open_raster(image_file(tmp_path / "b.tif", ["B2", "B3", "B4", "B5", "B6"], **coarse)))
    assert landsat.entry["like"] == "landsat8"
    ten = recognise_sensor(open_raster(image_file(tmp_path / "T33_S2B_MSIL2A_2020.tif", bands=10)))
    assert ten.entry["like"] == "sentinel2b"
    assert ten.entry["bands"][-1] == "B12"
    colours = recognise_sensor(open_raster(image_file(tmp_path / "c.tif", ["nir", "red", "green"], bands=3)))
    assert [band["centre_nm"] for band in colours.entry["bands"]] == [860, 635, 560]
    assert "nominal" in colours.because


def test_wavelengths_in_a_file_come_with_widths(tmp_path: Path) -> None:
    path = image_file(tmp_path / "a.tif", bands=3)
    with rasterio.open(path, "r+") as file:
        for n, um in enumerate((0.48, 0.56, 0.65), 1):
            file.update_tags(
                n, wavelength=str(um), wavelength_units="Micrometers", **({"fwhm": "0.06"} if n == 1 else {})
            )
    found = recognise_sensor(open_raster(path)).entry["bands"]
    assert [(b["centre_nm"], b["fwhm_nm"]) for b in found] == [(480, 60), (560, 80), (650, 90)]


def test_rgb_and_alpha_are_aerial_colours(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "rgba.tif", np.full((4, 20, 20), 99, np.uint8), photometric="RGB", alpha="YES")
    with rasterio.open(path) as file:
        assert file.colorinterp[3] == ColorInterp.alpha
    found = recognise_sensor(open_raster(path)).entry["bands"]
    assert [band["name"] for band in found] == ["red", "green", "blue"]


def test_sensor_that_nothing_tells_is_refused_with_what_fits(tmp_path: Path) -> None:
    raster = open_raster(image_file(tmp_path / "a.tif"))
    with pytest.raises(Refusal, match=r"5 bands that nothing names.*--like"):
        recognise_sensor(raster)
    with pytest.raises(Refusal, match="name its bands in file order: --bands B01,B02"):
        recognise_sensor(raster, "sentinel2a")
    with pytest.raises(Refusal, match="expected bands of landsat8"):
        recognise_sensor(raster, "landsat8", ["B2", "B99"])
    stated = recognise_sensor(raster, None, ["482/60", "560", "655/40", "860", "1610"]).entry["bands"]
    assert [band["fwhm_nm"] for band in stated] == [60, 78, 40, 100, 100]


def test_numbers_are_as_stated_as_declared_or_uncalibrated(tmp_path: Path) -> None:
    raster = open_raster(image_file(tmp_path / "a.tif"))
    assert vars(recognise_numbers(raster)) | {"because": ""} == {
        "level": "DN", "scale": 1.0, "offset": 0.0, "because": "",
    }  # fmt: skip
    assert recognise_numbers(raster).because.endswith("say so, e.g. --scale 0.0001")
    assert recognise_numbers(raster, scale=1e-4).level == "BOA"
    with pytest.raises(Refusal, match="--scale"):
        recognise_numbers(raster, level="TOA")
    path = image_file(tmp_path / "LC08_L1TP_x.tif")
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (2e-5,) * 5, (-0.1,) * 5
    declared = recognise_numbers(open_raster(path))
    assert (declared.level, declared.scale, declared.offset) == ("TOA", None, None)


# labels


def test_a_draft_is_a_tileset_that_says_what_was_guessed(tmp_path: Path) -> None:
    image = image_file(tmp_path / "image.tif", BANDS)
    rows = rows_of("forest Forest water soil soil water forest")
    rows[1]["class"] = " FOREST "
    draft = draft_tileset([image], points_file(tmp_path / "p.geojson", rows), Said(scale=1e-4))
    assert draft.manifest["legend"] == ["forest", "soil", "water"]
    assert draft.manifest["label_column"] == "class"
    assert any("column class, guessed" in note for note in draft.notes)
    written = write_draft(tmp_path / "drafted", draft)
    assert "image: ../image.tif" in written.read_text()
    (tile,) = read_tileset(tmp_path / "drafted").tiles("train")
    assert tile.mass.sum((1, 2)).tolist() == [3, 2, 2]
    assert tile.fold is not None
    assert set(tile.fold.unique().tolist()) == {1}


def test_the_column_is_guessed_named_or_asked(tmp_path: Path) -> None:
    image = image_file(tmp_path / "image.tif", BANDS)
    rows = [{"id": n, "who": "ab"[n % 2], "cover": ["wood", "sea"][n % 2]} for n in range(8)]
    path = points_file(tmp_path / "p.geojson", rows)
    with pytest.raises(Refusal, match="--column who"):
        draft_tileset([image], path, Said())
    asked: list[Any] = []

    def ask(question: str, answers: Any) -> str:
        asked.append((question, list(answers)))
        return "cover"

    assert draft_tileset([image], path, Said(), ask).manifest["legend"] == ["sea", "wood"]
    assert asked == [("Which column of p.geojson holds the class?", ["id", "who", "cover"])]
    assert draft_tileset([image], path, Said(column="cover")).manifest["label_column"] == "cover"
    assert draft_tileset([image], path, Said(legend=("wood", "sea"))).manifest["label_column"] == "cover"
    with pytest.raises(Refusal, match="expected one of id, who, cover"):
        draft_tileset([image], path, Said(column="klass"))


def test_class_numbers_keep_their_order(tmp_path: Path) -> None:
    image = image_file(tmp_path / "image.tif", BANDS)
    rows = [{"lc": code} for code in (10, 2, 10, 2, 40)]
    draft = draft_tileset([image], points_file(tmp_path / "p.geojson", rows), Said())
    assert draft.manifest["legend"] == ["2", "10", "40"]
    write_draft(tmp_path / "d", draft)
    (tile,) = read_tileset(tmp_path / "d").tiles("train")
    assert tile.mass.sum((1, 2)).tolist() == [2, 2, 1]


def test_bad_labels_are_one_line_or_told(tmp_path: Path) -> None:
    image = image_file(tmp_path / "image.tif", BANDS)
    one = points_file(tmp_path / "one.geojson", rows_of("wood wood wood"))
    with pytest.raises(Refusal, match=r"one class \(wood\), expected at least two"):
        draft_tileset([image], one, Said())
    with pytest.raises(Refusal, match="one class"):
        draft_tileset([image], one, Said(column="class"))
    far = points_file(tmp_path / "far.geojson", rows_of("wood sea"), [(900, 900), (905, 905)])
    with pytest.raises(Refusal, match="2 features, none on image.tif"):
        draft_tileset([image], far, Said())
    some = points_file(tmp_path / "some.geojson", rows_of("wood sea bog"), [(5, 5), (9, 9), (900, 900)])
    notes = draft_tileset([image], some, Said()).notes
    assert any("1 of 3 labels lie outside the image" in note for note in notes)
    assert any("bog: no label on the image" in note for note in notes)
    bare = image_file(tmp_path / "bare.tif", BANDS, crs=None, transform=None)
    with pytest.raises(Refusal, match="georeference the image"):
        draft_tileset([bare], some, Said(gsd_m=10))
    with pytest.raises(Refusal, match="no such file"):
        draft_tileset([image], tmp_path / "none.gpkg", Said())
    with pytest.raises(Refusal, match="--labels POINTS"):
        draft_tileset([image], None, Said())
    label = write_raster(tmp_path / "label.tif", draw_ground(3)[1])
    with pytest.raises(Refusal, match="--legend forest,water,urban"):
        draft_tileset([image], label, Said())
    drawn = draft_tileset([image], label, Said(legend=("forest", "water", "soil"), labels_from=1))
    assert drawn.manifest["labels_from"] == 1
    counted = write_raster(tmp_path / "counted.tif", (draw_ground(3)[1] - 1).astype(np.uint8))
    write_draft(tmp_path / "d", draft_tileset([image], counted, Said(legend=("forest", "water", "soil"))))
    with pytest.raises(Refusal, match="--labels-from 0"):
        read_tileset(tmp_path / "d")


def test_zeros_in_every_band_are_missing_and_told(tmp_path: Path) -> None:
    image = image_file(tmp_path / "image.tif", BANDS)
    with rasterio.open(image, "r+") as file:
        stored = file.read()
        stored[:, :10] = 0
        file.write(stored)
    draft = draft_tileset([image], None, Said(legend=("forest", "water")))
    assert draft.manifest["nodata"] == 0
    assert any("are 0 in every band" in note for note in draft.notes)


def test_places_of_a_session_get_the_labels_that_lie_on_them(tmp_path: Path) -> None:
    here = image_file(tmp_path / "here.tif", BANDS)
    there = image_file(tmp_path / "there.tif", BANDS, transform=from_origin(600000, 5800000, 10, 10))
    draft = draft_tileset([here, there], points_file(tmp_path / "p.geojson", rows_of("wood sea")), Said())
    assert [("label" in scene, scene["id"]) for scene in draft.manifest["scenes"]] == [(True, "here"), (False, "there")]


def test_colours_are_those_of_what_classes_mean(tmp_path: Path) -> None:
    found = legend_colours(["water", "lake", "clouds", "forest"], {"forest": None})
    assert len(set(found)) == 4


def test_a_person_is_asked_for_the_sensor_and_the_scale(tmp_path: Path) -> None:
    image = image_file(tmp_path / "image.tif")
    answers = iter(["sentinel2a", "B02, B03,B04,B08,B11", "0.0001"])
    draft = draft_tileset([image], None, Said(legend=("a", "b")), lambda question, can: next(answers), thorough=True)
    assert draft.manifest["sensor"] == {"like": "sentinel2a", "bands": BANDS}
    assert (draft.manifest["level"], draft.manifest["scale"]) == ("BOA", 0.0001)
