"""What an image says of itself: used rightly, or contradicted by name, as users of other tools have met it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.warp import transform as moved
from test_given_heights import hills
from tileset_maker import BANDS, draw_ground, read_manifest_of, write_manifest, write_raster, write_tileset

from terraficta.eval.map.source import open_source
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.scene.terrain.given_land import read_given
from terraficta.synth.types.band_order import stated_order
from terraficta.synth.types.raster import open_raster
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import (
    require_no_input,
)
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.stored import Stored

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
