"""Given land: read where it lies, in metres, and refused where it cannot be used."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine, from_origin

from terraficta.synth.render import render
from terraficta.synth.scene.terrain.given_land import GivenLand, draw_place_tries, lay_out, read_given
from terraficta.synth.types.crosswalk import crosswalk_to
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe

UTM = from_origin(600_000, 4_000_000, 30.0, 30.0)


def write(
    path: Path, values: np.ndarray, crs: str | None = "EPSG:32633", transform: Affine = UTM, nodata: float | None = None
) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype, crs=crs,
        transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(values, 1)
    return path


def plane(rows: int = 120, columns: int = 150) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return (500 + 0.3 * y * 30 - 0.1 * x * 30).astype(np.float32)


def given(tmp_path: Path, **changes: object) -> GivenLand:
    land = read_given(write(tmp_path / "dem.tif", plane(), **changes), None)  # type: ignore[arg-type]
    assert land is not None
    return land


def test_nothing_given_is_none() -> None:
    assert read_given(None, None) is None


def test_a_plane_is_a_plane_at_any_cell(tmp_path: Path) -> None:
    land = given(tmp_path)
    y, x = torch.arange(100.0, 3000.0, 7.0), torch.arange(90.0, 4000.0, 7.0)
    expected = 500 + 0.3 * (y[:, None] - 15) - 0.1 * (x[None] - 15)
    torch.testing.assert_close(land.elevation_at(y, x), expected, atol=2e-3, rtol=0)


def test_posts_are_met(tmp_path: Path) -> None:
    rough = np.random.default_rng(1).normal(300, 50, (60, 60)).astype(np.float32)
    land = read_given(write(tmp_path / "dem.tif", rough), None)
    assert land is not None
    middle = (torch.arange(60) + 0.5) * 30.0
    torch.testing.assert_close(land.elevation_at(middle, middle), torch.from_numpy(rough), atol=1e-3, rtol=0)


def test_a_scene_lies_inside_and_its_corner_on_the_map(tmp_path: Path) -> None:
    land = given(tmp_path)
    tries = [draw_place_tries(SceneKey(3, i)) for i in range(20)]
    places = lay_out(land, tries, 128, torch.full((20,), 10.0))
    assert torch.equal(places[5:6], lay_out(land, tries[5:6], 128, torch.full((1,), 10.0)))
    assert int(places.min()) >= 64
    assert int(places[:, 0].max()) <= 360 - 64
    assert int(places[:, 1].max()) <= 450 - 64
    assert len(places.unique(dim=0)) == 20
    assert land.corner(0, 0, 10.0) == (600_000, 4_000_000)
    assert land.corner(3, 6, 10.0) == (600_060, 3_999_970)


def test_degrees_become_metres(tmp_path: Path) -> None:
    land = given(tmp_path, crs="EPSG:4326", transform=from_origin(15.0, 45.0, 1 / 3600, 1 / 3600))
    assert "UTM zone 33N" in land.crs
    assert 20 < land.gsd_m < 32
    assert land.elevation_m is not None
    assert land.elevation_m.isnan().any(), "the turned corners are unknown"
    lay_out(land, [draw_place_tries(SceneKey(1, 0))], 64, torch.full((1,), 10.0))


def test_a_class_map_in_codes_and_in_order(tmp_path: Path) -> None:
    codes = np.full((120, 150), 10, np.uint8)
    codes[:, 75:] = 80
    dem = write(tmp_path / "dem.tif", plane())
    for number, values in enumerate((codes, np.where(codes == 10, 1, 8).astype(np.uint8))):
        land = read_given(dem, write(tmp_path / f"{number}.tif", values), "worldcover")
        assert land is not None and land.legend is not None  # noqa: PT018
        middle = (torch.arange(150) + 0.5) * 30.0
        names = [land.legend.classes[k] for k in land.cover_at(middle[:2], middle)[0].tolist()]
        assert names == ["tree_cover"] * 75 + ["water"] * 75


def test_a_coarser_map_elsewhere_is_brought_to_the_model(tmp_path: Path) -> None:
    dem = write(tmp_path / "dem.tif", plane())
    shifted = from_origin(600_000 + 1500, 4_000_000, 90.0, 90.0)
    cover = write(tmp_path / "cover.tif", np.full((60, 60), 4, np.uint8), transform=shifted, nodata=0)
    land = read_given(dem, cover, "worldcover")
    assert land is not None
    assert land.cover is not None
    assert land.cover.shape == (120, 150)
    assert bool((land.cover[:, :49] == -1).all())
    assert bool((land.cover[:, 51:] == 3).all())


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (plane(), {"crs": None}, "CRS"),
        (plane() * 100, {}, "heights in metres"),
        (plane(20, 20), {}, "at least the 1280 m of a tile"),
        (np.where(np.mgrid[:120, :150][0] % 8 == 0, -9999, plane()).astype(np.float32), {"nodata": -9999}, "holes"),
    ],
)
def test_bad_models_are_refused(tmp_path: Path, values: np.ndarray, changes: dict[str, object], message: str) -> None:
    path = write(tmp_path / "dem.tif", values, **changes)  # type: ignore[arg-type]

    def used() -> None:
        land = read_given(path, None)
        assert land is not None
        lay_out(land, [draw_place_tries(SceneKey(1, 0))], 128, torch.full((1,), 10.0))

    with pytest.raises(Refusal, match=message):
        used()


def test_strange_classes_are_refused(tmp_path: Path) -> None:
    cover = write(tmp_path / "cover.tif", np.full((120, 150), 77, np.uint8))
    with pytest.raises(Refusal, match=r"values \[77\].*codes of worldcover"):
        read_given(None, cover, "worldcover")
    with pytest.raises(Refusal, match="check the path"):
        read_given(tmp_path / "nowhere.tif", None)


# --- scenes on given land ---------------------------------------------------------------------------------------------


def recipe(**changes: object) -> SceneRecipe:
    base = {"size_px": 32, "gsd_m": (20.0, 20.0)}
    return read_scene_recipe("tier0").model_copy(update=base | changes)


def test_a_class_map_without_classes_is_named_as_such(tmp_path: Path) -> None:
    empty = write(tmp_path / "cover.tif", np.full((50, 50), 255, np.uint8), nodata=255)
    with pytest.raises(Refusal, match="classes: found no pixel with a class"):
        read_given(None, empty)


def test_a_scene_keeps_the_heights_it_is_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rough = np.kron(rng.normal(0, 60, (15, 19)), np.ones((8, 8)))[:120, :150]
    land = read_given(write(tmp_path / "dem.tif", (plane() + rough).astype(np.float32)), None)
    assert land is not None
    assert land.elevation_m is not None
    keys = [SceneKey(2, i) for i in range(4)]
    tiles = render(recipe(), keys, given=land)
    for key, tile in zip(keys, tiles, strict=True):
        assert tile.grid.crs == land.crs
        assert tile.grid.transform is not None
        x, y = tile.grid.transform * (16, 16)
        row, column = (4_000_000 - y) / 30, (x - 600_000) / 30
        near = land.elevation_m[int(row) - 2 : int(row) + 3, int(column) - 2 : int(column) + 3]
        found = float(tile.layers["elevation_m"][16, 16])
        assert float(near.min()) - 20 < found < float(near.max()) + 20
        (alone,) = render(recipe(), [key], given=land)
        assert torch.equal(alone.image, tile.image)
        assert torch.equal(alone.mass, tile.mass)


@pytest.mark.parametrize("heights", [True, False])
def test_a_scene_keeps_to_the_class_map(tmp_path: Path, heights: bool) -> None:
    codes = np.full((120, 150), 10, np.uint8)
    codes[:, 50:100], codes[60:, 100:], codes[:60, 100:] = 40, 50, 80
    dem = write(tmp_path / "dem.tif", plane()) if heights else None
    land = read_given(dem, write(tmp_path / "cover.tif", codes), "worldcover")
    assert land is not None
    walk = crosswalk_to("worldcover")
    theirs = walk.target
    for tile in render(recipe(), [SceneKey(4, i) for i in range(5)], given=land):
        assert tile.grid.transform is not None
        x, y = tile.grid.transform * (0.5, 0.5)
        middle = torch.arange(32) * 20.0
        asked = land.cover_at(4_000_000 - y + middle, x - 600_000 + middle)
        may = (walk.matrix() > 0).float()[asked].permute(2, 0, 1)
        inside = (may * tile.mass).sum(0)  # pixels on a border hold two classes
        town = asked == theirs.index("built_up")  # whose cells hold gardens and trees too, as real ones do
        assert bool(town.all()) or float((inside > 0.99)[~town].float().mean()) > 0.9
        assert not bool(town.any()) or float(inside[town].mean()) > 0.4
        assert set(asked.unique().tolist()) <= {
            theirs.index(n) for n in ("tree_cover", "cropland", "built_up", "water")
        }
