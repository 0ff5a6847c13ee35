"""What a file says of itself: used rightly, or contradicted by name, as users of other tools have met it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.rpc import RPC
from rasterio.transform import from_origin
from rasterio.warp import transform as moved
from tileset_maker import BANDS, LEGEND, draw_ground, read_manifest_of, write_manifest, write_raster, write_tileset

from terraficta.commands import in_one_line
from terraficta.eval.map.predict import require_free
from terraficta.eval.map.product import open_map
from terraficta.eval.map.source import open_source
from terraficta.eval.map.unfinished import unfinished
from terraficta.finetune.tileset.tileset import open_tileset, read_tileset
from terraficta.synth.scene.terrain.given_land import read_given
from terraficta.synth.types.band_order import stated_order
from terraficta.synth.types.colours import distinct_colours
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.raster import open_raster
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import (
    Run,
    require_new_file,
    require_new_folder,
    require_no_input,
    require_own_record,
    whole_folder,
)
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.stored import Stored, number_text

SENSOR = read_sensor("sentinel2a").pick(BANDS)
USUAL = Stored(1e-4, 0.0, None)


def image_file(path: Path, order: list[int] | None = None, add: int = 0, **more: Any) -> Path:
    """The ground of a seed as stored numbers, its bands in some order."""
    stored = np.round(draw_ground(3)[0] * 1e4).clip(1, 6e4).astype(np.uint16) + np.uint16(add)
    return write_raster(path, stored[order or list(range(len(BANDS)))], **more)


def read_whole(path: Path | str, stored: Stored = USUAL, stated: bool = False) -> torch.Tensor:
    with open_source([path], stored, SENSOR, 1, stated) as source:
        return source.read(0, 0, *source.shape)[0]


def test_a_map_reads_an_image_as_it_declares_itself(tmp_path: Path) -> None:
    plain = read_whole(image_file(tmp_path / "plain.tif"))
    late = image_file(tmp_path / "late.tif", add=1000)
    with rasterio.open(late, "r+") as file:
        file.scales, file.offsets = (1e-4,) * 5, (-0.1,) * 5
    assert torch.allclose(read_whole(late), plain, atol=1e-6)
    with pytest.raises(Refusal, match="offset: found -0.1 in the file, expected 0 as stated"):
        read_whole(late, stated=True)


def test_a_map_takes_bands_by_name_and_refuses_other_ones(tmp_path: Path) -> None:
    plain = read_whole(image_file(tmp_path / "plain.tif"))
    turned = image_file(tmp_path / "turned.tif", [4, 3, 2, 1, 0])
    with rasterio.open(turned, "r+") as file:
        file.descriptions = BANDS[::-1]
    assert torch.equal(read_whole(turned), plain)
    with rasterio.open(turned, "r+") as file:
        file.descriptions = ("B02", "B03", "B04", "B05", "B11")
    with pytest.raises(Refusal, match="bands named B02, B03, B04, B05, B11"):
        read_whole(turned)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["B2", "B3", "B4", "B8", "B11"], [0, 1, 2, 3, 4]),
        (["red", "green", "blue", "nir", None], [2, 1, 0, 3, 4]),
        (["Band 1", "Band 2", "Band 3", "Band 4", "Band 5"], None),
        ([None] * 5, None),
        (["B08", "ndvi", "B04", "B03", "B02"], [3, None, 2, 1, 0]),
    ],
)
def test_names_of_bands_are_compared_in_the_spellings_of_files(
    names: list[str | None], found: list[int | None] | None
) -> None:
    assert stated_order(names, [None] * 5, SENSOR.bands) == found


def test_wavelengths_order_bands_that_have_no_names(tmp_path: Path) -> None:
    plain = read_whole(image_file(tmp_path / "plain.tif"))
    order = [3, 0, 1, 2, 4]
    path = image_file(tmp_path / "waves.tif", order)
    with rasterio.open(path, "r+") as file:
        for n, k in enumerate(order, 1):
            file.update_tags(n, wavelength=str(SENSOR.bands[k].centre_nm / 1000), wavelength_units="Micrometers")
    assert torch.equal(read_whole(path), plain)


def test_pixels_are_measured_on_the_ground(tmp_path: Path) -> None:
    def size_m(name: str, **place: Any) -> float:
        found = open_raster(image_file(tmp_path / name, **place)).gsd_m
        assert found is not None
        return found

    assert size_m("utm.tif") == pytest.approx(10, rel=1e-3)
    assert size_m("feet.tif", crs="EPSG:2225", transform=from_origin(6e6, 2e6, 10, 10)) == pytest.approx(3.05, rel=0.01)
    degrees = from_origin(15, 60, 1e-4, 1e-4)
    assert size_m("degrees.tif", crs="EPSG:4326", transform=degrees) == pytest.approx(11.13 * 0.5**0.5, rel=0.01)
    (x,), (y,) = moved("EPSG:4326", "EPSG:3857", [15], [60])
    assert size_m("web.tif", crs="EPSG:3857", transform=from_origin(x, y, 20, 20)) == pytest.approx(10, rel=0.01)
    with pytest.raises(Refusal, match=r"pixel size: found 0.5 m on the ground, expected gsd_m 10"):
        read_whole(image_file(tmp_path / "half.tif", transform=from_origin(5e5, 5.8e6, 0.5, 0.5)))


def test_complex_numbers_and_alpha_in_the_place_of_a_band_are_refused(tmp_path: Path) -> None:
    slc = write_raster(tmp_path / "slc.tif", draw_ground(0)[0].astype(np.complex64))
    with pytest.raises(Refusal, match="complex"):
        read_whole(slc)
    stored = (draw_ground(0)[0] * 255).astype(np.uint8)
    stored[4] = 255
    path = write_raster(tmp_path / "rgba.tif", stored, alpha=True)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [*file.colorinterp[:4], rasterio.enums.ColorInterp.alpha]
    with pytest.raises(Refusal, match="an alpha band"):
        read_whole(path)


def test_a_name_of_gdal_is_taken_as_it_is(tmp_path: Path) -> None:
    import zipfile

    path = image_file(tmp_path / "image.tif")
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as file:
        file.write(path, "a.tif")
    for name in (f"/vsizip/{tmp_path}/s.zip/a.tif", f"zip://{tmp_path}/s.zip!/a.tif"):
        assert torch.equal(read_whole(name), read_whole(path))
        with pytest.raises(Refusal, match="never written over"):
            require_no_input([tmp_path / "s.zip"], [name])
    for name in (f"GPKG:{path}:a", f'NETCDF:"{path}":red', f"HDF4_EOS:EOS_GRID:{path}:grid:band", f"/vsigzip/{path}"):
        with pytest.raises(Refusal, match="never written over"):
            require_no_input([path], [name])


def test_a_virtual_raster_may_join_several_types(tmp_path: Path) -> None:
    path = image_file(tmp_path / "image.tif")
    with rasterio.open(path) as file:
        stored = file.read()
    write_raster(tmp_path / "a.tif", stored[:2].astype(np.int16))
    write_raster(tmp_path / "b.tif", stored[2:])
    source = (
        '<VRTRasterBand dataType="{}" band="{}"><SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename>'
        "<SourceBand>{}</SourceBand></SimpleSource></VRTRasterBand>"
    )
    bands = [("Int16", 1, "a.tif", 1), ("Int16", 2, "a.tif", 2), *[("UInt16", n, "b.tif", n - 2) for n in (3, 4, 5)]]
    place = "<SRS>EPSG:32633</SRS><GeoTransform>500000,10,0,5800000,0,-10</GeoTransform>"
    text = (
        f'<VRTDataset rasterXSize="48" rasterYSize="48">{place}{"".join(source.format(*b) for b in bands)}</VRTDataset>'
    )
    (tmp_path / "joined.vrt").write_text(text)
    assert torch.equal(read_whole(tmp_path / "joined.vrt"), read_whole(path))
    (tmp_path / "b.tif").unlink()
    with pytest.raises(Refusal, match=r"joined.vrt: pixels: .*b.tif"):
        read_whole(tmp_path / "joined.vrt")


def test_a_container_of_rasters_is_asked_about(tmp_path: Path) -> None:
    path, shape = tmp_path / "two.gpkg", (1, 48, 48)
    for name, values in (("a", hills()[:48, :48]), ("b", hills()[:48, :48] + 1)):
        with rasterio.open(
            path, "w", "GPKG", 48, 48, 1, dtype="float32", crs="EPSG:32633", raster_table=name,
            transform=from_origin(500_000, 5_800_000, 10, 10), append_subdataset="YES" if path.exists() else "NO",
        ) as file:  # fmt: skip
            file.write(values.astype(np.float32).reshape(shape))
    with pytest.raises(Refusal, match=r"two.gpkg: file: found no bands, but 2 rasters.*name one of them: GPKG:"):
        read_given(path, None)
    land = read_given(f"GPKG:{path}:b", None)
    assert land is not None
    assert land.elevation_m is not None
    assert np.allclose(land.elevation_m.numpy(), hills()[:48, :48] + 1, atol=0.01)


def test_a_plan_of_ones_own_is_a_place_of_unknown_scale(tmp_path: Path) -> None:
    raster = open_raster(image_file(tmp_path / "plan.tif", crs='LOCAL_CS["plan",UNIT["metre",1]]'))
    assert raster.size_m is None
    other = open_raster(image_file(tmp_path / "other.tif"))
    with pytest.raises(Refusal, match="corners inf px away"):
        raster.require_same_ground(other, "label")


@pytest.mark.parametrize("name", ["IMG:1.tif", "a#b.tif", "ä ö.tif", "per%20cent.tif", "q?x.tif", "[x].tif", "a,b.tif"])
def test_any_name_that_a_file_system_knows(name: str, tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    before = read_tileset(folder)[0].image
    (folder / "image0.tif").rename(folder / name)
    content = read_manifest_of(folder)
    content["scenes"][0]["image"] = name
    assert torch.equal(read_tileset(write_manifest(folder, content))[0].image, before)


def test_a_file_that_ends_too_early_is_named(tmp_path: Path) -> None:
    whole = image_file(tmp_path / "whole.tif", compress="deflate").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: int(0.8 * len(whole))])
    with pytest.raises(Refusal, match=r"cut.tif: .*copy or download it again"):
        read_whole(tmp_path / "cut.tif")


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    path = image_file(tmp_path / "image.tif")
    (tmp_path / "link.tif").symlink_to(path)
    os.link(path, tmp_path / "hard.tif")
    (tmp_path / "map.png").write_bytes(b"a picture of mine")
    for out in ("image.tif", "link.tif", "hard.tif"):
        with pytest.raises(Refusal, match="never written over"):
            require_free(tmp_path / out, [path], "abc", overwrite=True)
    with pytest.raises(Refusal, match="never written over"):
        require_free(tmp_path / "image.xyz", [tmp_path / "image.png", path.rename(tmp_path / "image.png")], "abc", True)
    with pytest.raises(Refusal, match=r"map.png.*--overwrite"):
        require_free(tmp_path / "map.tif", [], "abc", overwrite=False)
    require_free(tmp_path / "map.tif", [], "abc", overwrite=True)


def test_rational_polynomials_stay_with_the_map(tmp_path: Path) -> None:
    numbers = [1.0, *[0.0] * 19]
    rpcs = RPC(
        height_off=300, height_scale=500, lat_off=46, lat_scale=0.01, line_den_coeff=numbers, line_num_coeff=numbers,
        line_off=8, line_scale=8, long_off=15, long_scale=0.01, samp_den_coeff=numbers, samp_num_coeff=numbers,
        samp_off=8, samp_scale=8, err_bias=0, err_rand=0,
    )  # fmt: skip
    with rasterio.open(tmp_path / "raw.tif", "w", "GTiff", 16, 16, 1, dtype="uint8") as file:
        file.rpcs = rpcs
    legend = Legend("made", ("a", "b"), ("#000000", "#ffffff"))
    with (
        rasterio.open(tmp_path / "raw.tif") as raw,
        unfinished(tmp_path / "map.tif", "abc") as kept,
        open_map(tmp_path / "map.tif", raw, legend, {}, kept) as target,
    ):
        target.write(0, 0, torch.full((2, 16, 16), 0.5), torch.ones(16, 16, dtype=torch.bool))
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.rpcs is not None
        assert file.rpcs.lat_off == 46


@pytest.mark.parametrize("stage", ["corpus", "finetune"])
def test_finished_work_is_replaced_only_where_it_is_meant(stage: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with whole_folder(out) as partial:
        Run(stage, {}, 0).write(partial)
        (partial / "old").touch()
    with pytest.raises(Refusal, match=r"--out: found a folder with what a run has made .*--overwrite"):
        require_new_folder(out)
    with pytest.raises(Refusal, match="name another"):
        require_new_folder(out, "pretrain")
    with pytest.raises(KeyboardInterrupt), whole_folder(out, stage) as partial:
        raise KeyboardInterrupt
    assert (out / "old").exists()
    with whole_folder(out, stage) as partial:
        Run(stage, {}, 1).write(partial)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["run.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(Refusal, match="a folder with content"):
        require_new_folder(tmp_path / "mine", stage)


def test_a_folder_that_holds_what_is_read_is_not_replaced(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "out" / "tiles")
    with pytest.raises(Refusal, match="never written over"):
        require_no_input([tmp_path / "out"], read_tileset(folder).files)


def test_records_and_files_of_others_stay(tmp_path: Path) -> None:
    Run("finetune", {}, 0).write(tmp_path)
    with pytest.raises(Refusal, match=r"record of another run \(finetune\)"):
        require_own_record(tmp_path, "report")
    require_own_record(tmp_path / "new", "report")
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(Refusal, match="--overwrite"):
        require_new_file(tmp_path / "scores.json", overwrite=False)
    require_new_file(tmp_path / "scores.json", overwrite=True)
    with pytest.raises(Refusal, match="a folder"):
        require_new_file(tmp_path, overwrite=True)


# labels and the manifest


def change(folder: Path, **keys: Any) -> Path:
    return write_manifest(folder, read_manifest_of(folder) | keys)


def test_labels_from_zero_are_asked_about_and_never_shifted_in_silence(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    _, label = draw_ground(0, 48)
    write_raster(folder / "label0.tif", label - 1)
    with pytest.raises(Refusal, match=r"label: .*soil \(3\) never occurs.*labels_from: 0.*labels_from: 1"):
        read_tileset(folder)
    with pytest.raises(Refusal, match="labels_from: 0"):
        open_tileset(folder)  # as prediction and scoring do
    assert np.array_equal(read_tileset(change(folder, labels_from=0))[0].label().numpy(), label)
    read = read_tileset(change(folder, labels_from=1))[0].label().numpy()
    assert np.array_equal(read, label - 1)


def test_255_is_unlabelled_where_the_file_says_so_and_else_asked_about(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    _, label = draw_ground(0, 48)
    label[:, :5] = 255
    write_raster(folder / "label0.tif", label)
    with pytest.raises(Refusal, match=r"255.*-a_nodata 255.*or set these pixels to 0"):
        read_tileset(folder)
    write_raster(folder / "label0.tif", label, nodata=255)
    assert not read_tileset(folder)[0].label()[:, :5].any()


def test_words_stay_as_they_are_written(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    text = (folder / "tileset.yaml").read_text()
    text = (
        text.replace("- forest", "- 003")
        .replace("- water", "- NO")
        .replace("- soil", "- 1e3")
        .replace("0.0001", "1e-4")
    )
    (folder / "tileset.yaml").write_text(text.replace("id: s0", "id: 2018-07-05"))
    tileset = read_tileset(folder)
    assert tileset.legend.classes == ("003", "NO", "1e3")
    assert tileset[0].id == "made/2018-07-05"
    assert tileset.scale == 1e-4


@pytest.mark.parametrize("value", [0.0, -9999.0, 1e20, -0.1, float(np.finfo("float32").min), 65535.0, 1.5e-7])
def test_a_printed_number_is_read_back_whole(value: float) -> None:
    import yaml

    assert yaml.safe_load(number_text(value)) == value


def test_a_scene_may_be_stored_in_its_own_way(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=2)
    before = read_tileset(folder)[1].image
    with rasterio.open(folder / "image1.tif") as file:
        stored, where = file.read(), {"transform": file.transform}
    write_raster(folder / "image1.tif", stored + np.uint16(1000), **where)
    content = read_manifest_of(folder)
    content["scenes"][1]["offset"] = -0.1
    assert torch.allclose(read_tileset(write_manifest(folder, content))[1].image, before, atol=1e-6)


def test_marks_that_nobody_declared_are_no_reflectance(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1, scale=1.0, nodata=None)
    image = draw_ground(0, 48)[0].astype(np.float32)
    image[:, :, :4] = np.finfo("float32").min
    write_raster(folder / "image0.tif", image)
    with pytest.raises(Refusal, match="state that stored value as nodata"):
        read_tileset(folder)


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


# given land


def heights(path: Path, values: np.ndarray, unit: str | None = None, **more: Any) -> Path:
    write_raster(path, values.astype(np.float32), **more)
    if unit:
        with rasterio.open(path, "r+") as file:
            file.units = [unit]
    return path


def hills() -> np.ndarray:
    y, x = np.mgrid[0:60, 0:60]
    return 300 + 80 * np.sin(x / 9) * np.cos(y / 8)


@pytest.mark.parametrize("mark", [-9999, -32768, 32767, 0])
def test_voids_without_a_tag_are_voids(mark: int, tmp_path: Path) -> None:
    values = hills()
    values[10:14, 20:30] = mark
    land = read_given(heights(tmp_path / "dem.tif", values), None)
    assert land is not None
    assert land.elevation_m is not None
    assert land.elevation_m[11:13, 22:28].isnan().all()
    assert int(land.elevation_m.isnan().sum()) == 40


def test_a_sea_is_no_void(tmp_path: Path) -> None:
    values = np.maximum(hills() - 300, 0)
    land = read_given(heights(tmp_path / "dem.tif", values), None)
    assert land is not None
    assert land.elevation_m is not None
    assert not land.elevation_m.isnan().any()


@pytest.mark.parametrize(("unit", "metres"), [("ft", 0.3048), ("dm", 0.1), ("m", 1.0)])
def test_heights_are_metres_whatever_the_unit(unit: str, metres: float, tmp_path: Path) -> None:
    land = read_given(heights(tmp_path / "dem.tif", hills() / metres, unit), None)
    assert land is not None
    assert land.elevation_m is not None
    assert np.allclose(land.elevation_m.numpy(), hills(), atol=0.01)
    with pytest.raises(Refusal, match="unit: found fathom"):
        read_given(heights(tmp_path / "dem.tif", hills(), "fathom"), None)


@pytest.mark.parametrize(("times", "unit", "told"), [(1, None, False), (10, None, True), (10, "dm", False)])
def test_heights_that_are_hardly_metres_are_told_of(
    times: int, unit: str | None, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_given(heights(tmp_path / "dem.tif", hills() * times, unit), None)
    assert ("no unit is declared" in caplog.text) == told


def test_a_slope_in_web_mercator_is_that_of_the_ground(tmp_path: Path) -> None:
    (x,), (y,) = moved("EPSG:32633", "EPSG:3857", [500_000], [6_655_000])
    plane = np.mgrid[0:60, 0:60][1] * 3.0  # 10 % to the east: 30 m of ground are 60 m of web Mercator at 60 degrees
    land = read_given(heights(tmp_path / "d.tif", plane, crs="EPSG:3857", transform=from_origin(x, y, 60, 60)), None)
    assert land is not None
    assert land.elevation_m is not None
    middle = land.elevation_m[15:45, 15:45].numpy()
    assert np.gradient(middle, land.gsd_m)[1].mean() == pytest.approx(0.1, rel=0.02)


# the door


def test_files_and_disks_become_one_line(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EACCES, errno.EISDIR):
        line = in_one_line(OSError(number, os.strerror(number), str(tmp_path)))
        assert line is not None
        assert line.startswith(f"{tmp_path}: {os.strerror(number)}. Mend: ")
    assert "gdalinfo" in str(in_one_line(rasterio.errors.RasterioIOError("Read failed")))
    assert in_one_line(KeyError("a fault of ours")) is None


@pytest.mark.parametrize("count", [1, 3, 7, 20, 40, 120])
def test_every_class_has_a_colour_of_its_own(count: int) -> None:
    colours = distinct_colours(count)
    assert len(set(colours)) == count
    rgb = np.array([[int(c[n : n + 2], 16) for n in (1, 3, 5)] for c in colours], float)
    apart = np.abs(rgb[:, None] - rgb[None]).sum(-1) + 1e3 * np.eye(count)
    assert apart.min() >= 20
