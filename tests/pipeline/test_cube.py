"""Series: all dates of a scene as a Zarr cube."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS

from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.corpus.cube import WEATHER, cube_of, write_cubes
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe

xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")
DATES = 5


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("series") / "corpus"
    changes = [
        "size_px=32", f"time.dates={DATES}", "time.years=1.5", "time.rain=[0,1]", "instrument.sensors=[landsat8]",
        "air.clouds=[0.2,0.4]", "truth.layers=[elevation_m,cloud,ndvi]",
    ]  # fmt: skip
    write_corpus(read_scene_recipe("tier2", changes), 3, 2, folder)
    return folder


@pytest.fixture(scope="module")
def cubes(corpus: Path) -> list[Path]:
    return write_cubes(corpus, corpus.parent / "cubes")


def test_cubes_open_with_the_times_bands_and_pixels_of_the_tiles(corpus: Path, cubes: list[Path]) -> None:
    tiles = list(read_corpus(corpus))
    assert [path.name for path in cubes] == ["3-000000.zarr", "3-000001.zarr"]
    for number, path in enumerate(cubes):
        own = tiles[number * DATES : (number + 1) * DATES]
        with xarray.open_zarr(path, consolidated=True) as cube:
            assert dict(cube.sizes) == {"time": DATES, "band": len(own[0].sensor), "y": 32, "x": 32}
            assert [str(t)[:10] for t in cube["time"].values] == [tile.date for tile in own]
            assert cube["time"].to_index().is_monotonic_increasing
            assert date.fromisoformat(own[-1].date or "") > date.fromisoformat(own[0].date or "")
            assert list(cube["band"].values) == [band.name for band in own[0].sensor.bands]
            for when, tile in enumerate(own):
                assert np.array_equal(cube["image"][when].values, tile.image.numpy())
                assert np.array_equal(cube["cover"][when].values, tile.label().numpy())
                assert np.array_equal(cube["ndvi"][when].values, tile.layers["ndvi"].numpy())
                assert np.array_equal(cube["clear"][when].values, (tile.valid & (tile.mass.sum(0) > 0)).numpy())
                for name in WEATHER:
                    assert float(cube[name][when]) == pytest.approx(float(tile.facts[name]), rel=1e-6)
            assert 0 < float(cube["clear"].mean()) < 1, "some is under cloud"
            assert float(np.ptp(cube["rain"].values)) > 0
            assert cube["cover"].attrs["flag_meanings"].split() == list(own[0].legend.classes)


def test_cubes_lie_where_the_tiles_lie(corpus: Path, cubes: list[Path]) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    assert rioxarray
    tile = next(read_corpus(corpus))
    with xarray.open_zarr(cubes[0], consolidated=True, decode_coords="all") as cube:
        assert cube.rio.crs == CRS.from_string(tile.grid.crs or "")
        assert cube.rio.transform() == tile.grid.transform
        assert cube["image"].rio.crs == cube.rio.crs
    assert tile.grid.transform is not None
    with xarray.open_zarr(cubes[0]) as cube:
        assert float(cube["x"][0]) == tile.grid.transform.c + tile.grid.gsd_m / 2
        assert float(cube["y"][0]) == tile.grid.transform.f - tile.grid.gsd_m / 2


def test_series_that_are_none_are_refused(corpus: Path, tmp_path: Path) -> None:
    tiles = list(read_corpus(corpus))[:DATES]
    with pytest.raises(Refusal, match="put the tiles in order"):
        cube_of(tiles[::-1])
    with pytest.raises(Refusal, match="another grid"):
        cube_of([tiles[0], tiles[1].crop(0, 0, 8, 8)])
    write_corpus(read_scene_recipe("tier0", ["size_px=16"]), 3, 1, tmp_path / "single")
    with pytest.raises(Refusal, match="--dates 2"):
        write_cubes(tmp_path / "single", tmp_path / "cubes")
    assert not (tmp_path / "cubes").exists()
