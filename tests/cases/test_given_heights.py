"""Elevation models as they come: voids without a tag, other units, stretched projections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform as moved
from tileset_maker import write_raster

from terraficta.synth.scene.terrain.given_land import read_given
from terraficta.synth.types.refusal import Refusal


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
