"""The catalogue: valid STAC, and tiles that other people's tools find and load."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from terraficta.synth.corpus.catalogue import band_assets, common_name
from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

pystac = pytest.importorskip("pystac")
COUNT, SIZE = 3, 32


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one sensor, on Sentinel-2's bands."""
    folder = tmp_path_factory.mktemp("stac") / "corpus"
    recipe = read_scene_recipe("tier0")
    recipe = SceneRecipe.from_dict(
        recipe.model_dump(mode="json") | {"truth": {"layers": ["elevation_m", "ndvi"]}}, where="t"
    )
    write_corpus(recipe, 7, COUNT, folder, sensor="sentinel2a", size_px=SIZE, device="cpu")
    return folder


def pages(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = [folder / "catalog.json", folder / "collection.json", *folder.glob("stac/*/catalog.json")]
    return [(path, json.loads(path.read_text())) for path in [*found, *folder.glob("tiles/*/*.json")]]


def test_all_pages_are_valid_by_the_schemas_that_pystac_ships(corpus: Path) -> None:
    """The core of STAC, offline; schemas of extensions lie on the web and are asked in the next test."""
    pytest.importorskip("jsonschema")
    for path, page in pages(corpus):
        pystac.validation.validate_dict(page, extensions=[], href=str(path))
    page["properties"]["datetime"] = "yesterday"
    with pytest.raises(pystac.STACValidationError):  # so it would be seen
        pystac.validation.validate_dict(page, extensions=[])


def test_extensions_are_valid(corpus: Path) -> None:
    """By pystac's validator with the schemas of the extensions, where the web can be reached."""
    catalogue = pystac.Catalog.from_file(str(corpus / "catalog.json"))
    try:
        assert catalogue.validate_all() >= COUNT
    except (OSError, pystac.validation.GetSchemaError) as error:
        pytest.skip(f"schemas of extensions cannot be fetched: {error}")


def test_links_lead_to_every_tile_and_back(corpus: Path) -> None:
    catalogue = pystac.Catalog.from_file(str(corpus / "catalog.json"))
    (collection,) = catalogue.get_children()
    items = sorted(collection.get_items(recursive=True), key=lambda item: item.id)
    assert [item.id for item in items] == [tile.id for tile in read_corpus(corpus)]
    for item in items:
        assert item.get_collection().id == collection.id
        assert item.get_root().id == catalogue.id
        assert Path(item.get_parent().get_self_href()).is_file()
        assert collection.extent.spatial.bboxes[0][0] <= item.bbox[0]
        for asset in item.assets.values():
            assert Path(asset.get_absolute_href()).is_file()
    assert len({item.datetime for item in items}) == COUNT


def test_an_item_says_what_the_file_says(corpus: Path) -> None:
    """Bands, wavelengths, scale, offset, place and classes; nothing is said twice and differently."""
    from pystac.extensions.classification import ClassificationExtension
    from pystac.extensions.eo import EOExtension
    from pystac.extensions.projection import ProjectionExtension
    from pystac.extensions.raster import RasterExtension

    sensor = read_sensor("sentinel2a")
    for tile in read_corpus(corpus):
        item = pystac.Item.from_file(str(corpus / f"tiles/{tile.id}/{tile.id}.json"))
        asset = item.assets["image"]
        with rasterio.open(asset.get_absolute_href()) as file:
            raster, projection = RasterExtension.ext(asset).bands, ProjectionExtension.ext(item)
            assert [band.scale for band in raster] == pytest.approx(list(file.scales))
            assert [band.offset for band in raster] == pytest.approx(list(file.offsets))
            assert {band.nodata for band in raster} == {file.nodata}
            assert projection.shape == list(file.shape)
            assert projection.transform == list(file.transform)[:6]
            assert projection.code == f"EPSG:{file.crs.to_epsg()}"
            for number, (band, own) in enumerate(zip(EOExtension.ext(asset).bands, sensor.bands, strict=True), start=1):
                assert band.name == own.name == file.descriptions[number - 1].split()[0]
                assert band.center_wavelength * 1000 == pytest.approx(own.centre_nm)
                assert float(file.tags(number, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) == pytest.approx(
                    band.center_wavelength, abs=1e-5
                )
        classes = ClassificationExtension.ext(item.assets["label"]).classes
        assert [one.name for one in classes[1:]] == list(tile.legend.classes)
        assert [one.value for one in classes] == list(range(len(tile.legend) + 1))
        assert item.properties["synthetic"] is True


def test_common_names_are_those_of_sentinel_2() -> None:
    names = [
        common_name(band) for band in read_sensor("sentinel2a").pick(["B01", "B02", "B03", "B04", "B05", "B08"]).bands
    ]
    assert names == ["coastal", "blue", "green", "red", "rededge", "nir"]
    landsat = [common_name(band) for band in read_sensor("landsat8").bands]
    assert landsat[4:9] == ["nir08", "swir16", "swir22", "pan", "cirrus"]


def test_files_are_cloud_optimised(corpus: Path, tmp_path: Path) -> None:
    validate = pytest.importorskip("rio_cogeo").cog_validate
    large = read_scene_recipe("tier0", ["size_px=576", "oversampling=1", "truth.layers=[elevation_m]"])
    write_corpus(large, 7, 1, tmp_path / "large", sensor="landsat8", device="cpu")
    files = [*corpus.glob("tiles/*/*.tif"), *(tmp_path / "large").glob("tiles/*/*.tif")]
    assert len(files) == COUNT * 5 + 4
    for path in files:
        whole, errors, warnings = validate(str(path), strict=True)
        assert whole, (path, errors, warnings)
    with rasterio.open(next((tmp_path / "large").glob("tiles/*/image.tif"))) as file:  # what overviews bring with them
        assert file.overviews(1)
        assert file.scales[0] == pytest.approx(read_sensor("landsat8").dn_scale)
        assert file.descriptions[0].startswith("B1 (")
        assert "CENTRAL_WAVELENGTH_UM" in file.tags(1, ns="IMAGERY")
        assert file.nodata == 0
    with rasterio.open(next((tmp_path / "large").glob("tiles/*/label.tif"))) as file:
        assert file.colormap(1)[1][:3] != (0, 0, 0)


def test_gdalinfo_opens_what_qgis_opens(corpus: Path) -> None:
    """GDAL, which QGIS reads with: `rio info` of the same library says driver, bands and system."""
    path = next(corpus.glob("tiles/*/image.tif"))
    done = subprocess.run(
        [sys.executable, "-c", "from rasterio.rio.main import main_group; main_group()", "info", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["driver"] == "GTiff"
    assert said["crs"] == "EPSG:32710"
    assert said["count"] == len(read_sensor("sentinel2a"))


def test_odc_stac_loads_reflectance_and_labels(corpus: Path) -> None:
    load = pytest.importorskip("odc.stac").load
    items = list(pystac.Catalog.from_file(str(corpus / "catalog.json")).get_items(recursive=True))
    tiles = {tile.id: tile for tile in read_corpus(corpus)}
    for item in items:
        found = load([item], bands=["B04", "nir", "label"])
        tile = tiles[item.id]
        assert found.sizes["x"] == found.sizes["y"] == SIZE
        scale, offset = tile.sensor.dn_scale, tile.sensor.dn_offset
        red = found["B04"].isel(time=0).values * scale + offset
        names = [band.name for band in tile.sensor.bands]
        assert np.allclose(red, tile.image[names.index("B04")].numpy(), atol=1e-6)
        assert np.array_equal(found["label"].isel(time=0).values, tile.label().numpy())


def test_stackstac_loads_bands(corpus: Path) -> None:
    stack = pytest.importorskip("stackstac").stack
    item = next(pystac.Catalog.from_file(str(corpus / "catalog.json")).get_items(recursive=True))
    tile = next(tile for tile in read_corpus(corpus) if tile.id == item.id)
    found = stack(
        [band_assets(item)], assets=["B04", "B08"], rescale=True, dtype="float64", fill_value=np.nan
    ).compute()
    names = [band.name for band in tile.sensor.bands]
    for name in ("B04", "B08"):
        values = found.sel(band=name).isel(time=0).values
        assert values.shape == (SIZE, SIZE)
        assert np.allclose(values, tile.image[names.index(name)].numpy(), atol=1e-6)


def test_torchgeo_reads_it_as_a_raster_dataset(corpus: Path) -> None:
    datasets = pytest.importorskip("torchgeo.datasets")

    class Images(datasets.RasterDataset):
        filename_glob = "image.tif"

    class Labels(datasets.RasterDataset):
        filename_glob = "label.tif"
        is_image = False

    images, labels = (kind(str(corpus / "tiles")) for kind in (Images, Labels))
    assert len(images) == len(labels) == COUNT
    tile = next(iter(read_corpus(corpus)))
    both = images & labels
    left, bottom, right, top = images.index.total_bounds if hasattr(images.index, "total_bounds") else images.bounds[:4]
    with rasterio.open(corpus / f"tiles/{tile.id}/image.tif") as file:
        west, south, east, north = file.bounds
    assert left <= west < right
    assert bottom <= south < top
    sample = both[slice(west, east), slice(south, north)]
    dn = sample["image"].numpy()
    read = dn * tile.sensor.dn_scale + tile.sensor.dn_offset
    assert read.shape == (len(tile.sensor), SIZE, SIZE)
    assert np.allclose(read, tile.image.numpy(), atol=1e-5)
    assert np.array_equal(sample["mask"].numpy().squeeze(), tile.label().numpy())
