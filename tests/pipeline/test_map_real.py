"""Real places as a person has them, an image and a GeoPackage of points: `map` makes what the long way makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from test_map import bands_of, command, drawn, pyogrio, write_points

from terraficta.eval.mapping import map_image
from terraficta.finetune.tileset.draft import Said
from terraficta.finetune.tileset.tileset import Tileset, read_tileset

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "tilesets"
NAMES = (
    "aberystwyth", "amazon-landsat", "brandenburg", "chiapas", "fields-a", "potsdam-enmap", "slovenia", "worldcover-a",
)  # fmt: skip
SIDE_PX, POINTS = 96, 10
"""of the part of each place that is mapped, and points a class"""


def busiest(label: np.ndarray) -> tuple[int, int]:
    """Corner of the part with the most classes, and of those with as many the most labels."""
    corners = [
        (y, x)
        for y in range(0, max(1, label.shape[0] - SIDE_PX + 1), SIDE_PX // 2)
        for x in range(0, max(1, label.shape[1] - SIDE_PX + 1), SIDE_PX // 2)
    ]

    def worth(corner: tuple[int, int]) -> tuple[int, int]:
        part = label[corner[0] : corner[0] + SIDE_PX, corner[1] : corner[1] + SIDE_PX]
        return len(np.unique(part[part > 0])), int((part > 0).sum())

    return max(corners, key=worth)


def as_files(land: Tileset, folder: Path) -> tuple[Path, Path, Said]:
    """A part of the tile with the most classes as image and points, and what its user knows of it."""
    best = max(land.tiles(), key=lambda tile: len(torch.unique(tile.label())))
    tile = best.crop(*busiest(best.label().numpy()), SIDE_PX, SIDE_PX)
    image, (bands, height, width) = folder / "place.tif", tile.image.shape
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": bands, "dtype": "float32", "nodata": np.nan,
        "crs": "EPSG:32633", "transform": from_origin(500_000, 5_800_000, land.gsd_m, land.gsd_m),
    }  # fmt: skip
    with rasterio.open(image, "w", **profile) as file:
        file.write(torch.where(tile.valid, tile.image, torch.nan).numpy())
    label = (tile.label() * tile.valid).numpy()
    y, x = drawn(label, POINTS)
    points = write_points(folder / "points.gpkg", image, y, x, [land.legend.classes[k - 1] for k in label[y, x]])
    scale = 1.0 if land.level in ("BOA", "TOA") else None
    widths = tuple(f"{band.centre_nm:g}/{band.fwhm_nm:g}" for band in land.sensor.bands)
    return image, points, Said(column="cover", bands=widths, scale=scale, level=land.level)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_map_of_a_real_place_is_what_finetune_and_predict_make(name: str, tmp_path: Path) -> None:
    if not (SHARED / name / "tileset.yaml").is_file():
        pytest.skip("no real tilesets beside the checkout")
    image, points, said = as_files(read_tileset(SHARED / name, verify=False), tmp_path)
    made = map_image(image, points, tmp_path / "short.tif", said, seed=1)
    folder = tmp_path / "short"
    command(f"finetune run --tileset {folder} --labels-per-class all --seed 1 --out {tmp_path / 'model'}")
    command(f"eval predict --run {tmp_path / 'model'} --tileset {folder} --out {tmp_path / 'long.tif'}")
    assert np.array_equal(bands_of(tmp_path / "short.tif"), bands_of(tmp_path / "long.tif"))
    assert (folder / "model" / "model.pt").read_bytes() == (tmp_path / "model" / "model.pt").read_bytes()
    assert made.expectation is not None
    assert sum(made.expectation.labels) == pyogrio.read_info(points)["features"]
