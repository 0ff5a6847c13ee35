"""From an image to a map: windows, bytes on disk, georeference, refusals."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from network_maker import SMALL
from rasterio.transform import from_origin
from tileset_maker import BANDS, draw_ground, write_raster, write_tileset

from terraficta.eval.map.predict import predict_image, scene_images
from terraficta.eval.map.product import decode, encode
from terraficta.eval.map.source import open_source
from terraficta.eval.map.trust import encode_trust, trust_file
from terraficta.eval.map.unfinished import unfinished
from terraficta.eval.map.windows import Windows
from terraficta.eval.score import score_map, score_run
from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.map_model import read_map_model, write_map_model
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.familiarity import Familiarity
from terraficta.pretrain.precision import fast_precision
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.stored import Stored

SENSOR = read_sensor("sentinel2a").pick(BANDS)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tileset, and the folder of a ridge head on random features that maps it."""
    folder = tmp_path_factory.mktemp("predict")
    tileset = read_tileset(write_tileset(folder / "made", size=80))
    tiles = list(tileset.tiles("train"))
    recipe = read_finetune_recipe("quick").model_copy(update={"model": SMALL})
    mapper = fresh_mapper(recipe, 0)
    mapper.familiarity = Familiarity(torch.zeros(48), torch.eye(48), torch.linspace(0, 200, 129))
    model = adapt(tiles, draw_labels(tiles, 20, 0), mapper, recipe)
    run = folder / "run"
    write_map_model(run, model)
    about = {"scale": 0.0001, "offset": 0.0, "nodata": 0}
    Run("finetune", {"name": "test"}, seed=0).write(run, tileset=about, digest="abc")
    return folder / "made", run


# windows


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 50), (33, 16), (70, 41)])
def test_windows_cover_every_pixel_once_and_blend_to_one(height: int, width: int) -> None:
    windows = Windows(size_px=16, overlap_px=6, batch=3)
    high, wide = min(16, height), min(16, width)
    seen = torch.zeros(height, width)
    for y, x, piece in windows.strips(height, width, lambda corners: torch.ones(len(corners), 2, high, wide)):
        seen[y : y + piece.shape[1], x : x + piece.shape[2]] += 1
        assert torch.allclose(piece, torch.ones_like(piece))
    assert torch.equal(seen, torch.ones(height, width))


def test_windows_give_back_a_field_that_depends_on_place_alone() -> None:
    field = torch.rand(3, 61, 47)
    found = torch.zeros_like(field)

    def predict(corners):
        return torch.stack([field[:, y : y + 16, x : x + 16] for y, x in corners])

    for y, x, piece in Windows(16, 6).strips(61, 47, predict):
        found[:, y : y + piece.shape[1], x : x + piece.shape[2]] = piece
    assert torch.allclose(found, field, atol=1e-6)


def test_panels_change_no_number() -> None:
    def predict(corners):
        return torch.stack([torch.full((2, 16, 16), float(y * 100 + x)) for y, x in corners])

    def mosaic(windows: Windows) -> torch.Tensor:
        found = torch.zeros(2, 40, 90)
        for y, x, piece in windows.strips(40, 90, predict):
            found[:, y : y + piece.shape[1], x : x + piece.shape[2]] = piece
        return found

    assert torch.equal(mosaic(Windows(16, 6, panel_px=23)), mosaic(Windows(16, 6)))


def test_memory_does_not_grow_with_the_height_of_the_raster() -> None:
    def peak(height: int) -> int:
        biggest = 0
        for _, _, piece in Windows(32, 8).strips(height, 64, lambda corners: torch.ones(len(corners), 2, 32, 32)):
            biggest = max(biggest, piece.numel())
        return biggest

    assert peak(4000) == peak(200)


@pytest.mark.parametrize("height", [70, 61, 16, 33, 50])
def test_pieces_that_are_there_are_left_out_and_the_rest_stays_the_same(height: int) -> None:
    mapped: list[tuple[int, int]] = []

    def predict(corners):
        mapped.extend(corners)
        chance = [torch.Generator().manual_seed(y * 1000 + x) for y, x in corners]
        return torch.stack([torch.rand(2, min(16, height), 16, generator=g) for g in chance])

    windows = Windows(16, 6, batch=3, panel_px=23)
    whole = list(windows.strips(height, 60, predict))
    costs = [len(mapped)]
    for done in range(len(whole) + 1):
        mapped.clear()
        rest = list(windows.strips(height, 60, predict, done=done))
        assert [piece[:2] for piece in rest] == [piece[:2] for piece in whole[done:]]
        assert all(torch.equal(a[2], b[2]) for a, b in zip(rest, whole[done:], strict=True))
        costs.append(len(mapped))
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 0


# bytes


def test_bytes_keep_probabilities_to_half_a_step() -> None:
    probabilities = torch.softmax(3 * torch.randn(5, 30, 30, generator=torch.Generator().manual_seed(0)), 0)
    stored = encode(probabilities)
    assert stored.dtype == torch.uint8
    assert stored.shape == (8, 30, 30)
    assert torch.equal(stored[0].long(), probabilities.argmax(0) + 1)
    assert stored[[1, 2]].min() >= 1
    assert stored[3:].min() >= 1
    assert encode_trust(probabilities).max() == 0, "neither sets nor familiarity are known"
    assert (decode(stored) - probabilities).abs().max() < 0.006
    assert ((stored[1].float() - 1) / 250 - probabilities.max(0).values).abs().max() <= 0.0021


def test_entropy_is_0_where_certain_and_1_where_all_are_equal() -> None:
    certain = encode(torch.tensor([1.0, 0.0, 0.0])[:, None, None])
    equal = encode(torch.full((3, 1, 1), 1 / 3))
    assert certain[2].item() == 1
    assert equal[2].item() == 251


# the map


def test_map_is_a_cog_on_the_grid_of_the_image(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    out = tmp_path / "map.tif"
    made = predict_image(run, [folder / "image0.tif"], out, windows=Windows(32, 8))
    with rasterio.open(folder / "image0.tif") as image, rasterio.open(out) as file:
        assert (file.crs, file.transform, file.shape) == (image.crs, image.transform, image.shape)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.descriptions == (
            "class", "probability", "entropy",
            "probability: forest", "probability: water", "probability: soil",
        )  # fmt: skip
        assert file.nodata == 0
        assert set(file.dtypes) == {"uint8"}
        assert file.scales == (1.0, *(0.004,) * 5)
        assert file.offsets[0] == 0
        tileset = read_tileset(folder)
        colours = file.colormap(1)
        assert [colours[k][:3] for k in (1, 2, 3)] == tileset.legend.rgb()
        label = file.read(1)
        assert set(np.unique(label)) == {1, 2, 3}
    assert made.mapped_px == 6400
    assert sum(made.shares.values()) == pytest.approx(1)
    record = json.loads(made.record.read_text())
    assert record["stage"] == "predict"
    assert record["parent_record"]["digest"] == "abc"
    assert made.preview.read_bytes().startswith(b"\x89PNG")
    assert 'label="water"' in (tmp_path / "map.qml").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "map.png", "map.qml", "map.run.json", "map.tif", "map.tif.aux.xml", "map.trust.tif",
    ]  # fmt: skip


def test_map_says_how_many_classes_are_left_and_how_familiar_the_ground_is(
    fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, run = fitted
    made = predict_image(run, [folder / "image0.tif"], tmp_path / "map.tif")
    model, (tile, *_) = read_map_model(run), list(read_tileset(folder).tiles())
    assert model.sets is not None
    probabilities, familiarity = model.with_familiarity(tile.image[None], tile.valid[None], [tile.id])
    with rasterio.open(trust_file(made.map)) as file, rasterio.open(made.map) as beside:
        size, familiar = torch.from_numpy(file.read()).float()
        tags = file.tags(1)
        assert (file.crs, file.transform, file.shape) == (beside.crs, beside.transform, beside.shape)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (file.descriptions, file.scales, file.nodata) == (("set size", "familiarity"), (1.0, 0.004), 0)
    assert torch.equal(size.long(), model.sets.sizes(probabilities[0]))
    assert (0.004 * (familiar - 1) - familiarity[0]).abs().max() < 0.003
    assert made.familiarity == pytest.approx(float(familiarity.mean()), abs=1e-4)
    assert json.loads(tags["limits"]) == pytest.approx(model.sets.limits.tolist())
    inside = model.sets.members(probabilities[0]).float() * tile.mass
    assert float(inside.sum() / tile.mass.sum()) > model.sets.stated - 0.03


def test_map_is_right_and_scores_the_same_from_disk_and_from_the_model(
    fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, run = fitted
    tileset = read_tileset(folder)
    predict_image(run, [folder / "image1.tif"], tmp_path / "map.tif")
    from_disk = score_map(tmp_path / "map.tif", tileset, "s1").scores()
    assert from_disk.accuracy > 0.9
    assert from_disk.weight == 38 * 80
    whole = score_run(run, tileset)
    assert whole.scores().accuracy > 0.9
    assert whole.scores().weight == 2 * 38 * 80
    assert from_disk.ece < 0.2


def test_nodata_stays_nodata(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    with rasterio.open(folder / "image0.tif") as file:
        stored, profile = file.read(), file.profile
    stored[:, 10:30, 5:9] = 0
    stored[2, 40, 40] = 0  # one dark band is no missing pixel
    with rasterio.open(tmp_path / "holes.tif", "w", **profile) as file:
        file.write(stored)
    predict_image(run, [tmp_path / "holes.tif"], tmp_path / "map.tif", windows=Windows(32, 8))
    with rasterio.open(tmp_path / "map.tif") as file:
        bytes_there = file.read()
    hole = np.zeros((80, 80), bool)
    hole[10:30, 5:9] = True
    assert (bytes_there[:, hole] == 0).all()
    assert (bytes_there[:, ~hole] > 0).all()


def test_an_image_without_georeference_is_mapped_without_one(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    with rasterio.open(folder / "image0.tif") as file:
        stored = file.read()
    with rasterio.open(tmp_path / "bare.tif", "w", "GTiff", 80, 80, len(BANDS), dtype="uint16") as file:
        file.write(stored)
    predict_image(run, [tmp_path / "bare.tif"], tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.crs is None
        assert file.transform.is_identity


def test_ground_control_points_are_kept(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    with rasterio.open(folder / "image0.tif") as file:
        stored = file.read()
    points = [
        rasterio.control.GroundControlPoint(row, column, 14 + column / 1e4, 46 - row / 1e4)
        for row, column in ((0, 0), (0, 80), (80, 0), (80, 80))
    ]
    with rasterio.open(
        tmp_path / "raw.tif", "w", "GTiff", 80, 80, len(BANDS), dtype="uint16", crs="EPSG:4326", gcps=points
    ) as file:
        file.write(stored)
    predict_image(run, [tmp_path / "raw.tif"], tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as file:
        found, crs = file.gcps
    assert crs.to_epsg() == 4326
    assert [(p.row, p.col, p.x, p.y) for p in found] == [(p.row, p.col, p.x, p.y) for p in points]


# precision


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_a_map_is_computed_in_the_fast_precision_of_the_machine(
    precision: str, fitted: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_map_model(fitted[1])
    tile = read_tileset(fitted[0])[0]
    with torch.inference_mode():
        views = model.encoder.views(tile.image[None], tile.valid[None], [tile.id])
        bands = model.sensor.centre_nm, model.sensor.fwhm_nm
        exact = model.encoder.mapper.read(views.flatten(0, 1), *bands).features
        monkeypatch.setattr("terraficta.pretrain.precision.fast_precision", lambda device: precision)
        found = model.encoder.read(tile.image[None], tile.valid[None], [tile.id]).features
        fast = model(tile.image[None], valid=tile.valid[None], scenes=[tile.id])
    assert found.dtype == fast.dtype == torch.float32  # what heads and files get
    assert torch.equal(found, exact) == (precision == "32-true")
    assert (found - exact).abs().mean() < 0.02 * exact.abs().mean()
    monkeypatch.undo()
    plain = model(tile.image[None], valid=tile.valid[None], scenes=[tile.id])
    assert (fast.argmax(1) == plain.argmax(1)).float().mean() > 0.98
    made = predict_image(fitted[1], [fitted[0] / "image0.tif"], tmp_path / "map.tif", windows=Windows(32, 8))
    assert json.loads(made.record.read_text())["recipe"]["precision"] == fast_precision("cpu")


# interruptions

KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from terraficta.eval.map.predict import predict_image
from terraficta.eval.map.windows import Windows
torch.set_num_threads(1)
die = lambda share: os.kill(os.getpid(), signal.SIGKILL) if share > 0.5 else None
predict_image(Path(sys.argv[1]), [sys.argv[2]], Path(sys.argv[3]), windows=Windows(32, 8), tell=die)
"""


def everything(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "map.run.json"}


def test_a_killed_prediction_goes_on_to_the_same_bytes(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    image, out = folder / "image0.tif", tmp_path / "new" / "map.tif"
    words = [sys.executable, "-c", KILLED, str(run), str(image), str(out)]
    done = subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not out.exists()
    (left,) = out.parent.iterdir()
    assert left.name.startswith(".map.")
    assert left.is_dir()
    shares: list[float] = []
    predict_image(run, [image], out, windows=Windows(32, 8), tell=shares.append)
    assert shares[0] > 0.5
    whole: list[float] = []
    again = tmp_path / "again" / "map.tif"
    made = predict_image(run, [image], again, windows=Windows(32, 8), tell=whole.append)
    assert len(shares) < len(whole)
    assert everything(out.parent) == everything(again.parent)
    assert json.loads(out.with_suffix(".run.json").read_text())["metrics"]["shares"] == made.shares
    assert not list(out.parent.glob(".*"))


def interrupted(run: Path, image: Path, out: Path, error: type[BaseException] = KeyboardInterrupt) -> None:
    def stop(share: float) -> None:
        raise error

    with pytest.raises(error):
        predict_image(run, [image], out, windows=Windows(32, 8), tell=stop)


def test_what_is_kept_hangs_on_the_content_of_image_and_model(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    image, out = tmp_path / "image.tif", tmp_path / "map.tif"
    shutil.copy(folder / "image0.tif", image)
    interrupted(run, image, out)
    (first,) = tmp_path.glob(".map.*.unfinished")
    shutil.copy(folder / "image1.tif", image)  # another image of the same name and size
    interrupted(run, image, out, OSError)
    (second,) = tmp_path.glob(".map.*.unfinished")
    assert first != second
    predict_image(run, [image], out, windows=Windows(32, 8))
    predict_image(run, [folder / "image1.tif"], tmp_path / "plain" / "map.tif", windows=Windows(32, 8))
    assert out.read_bytes() == (tmp_path / "plain" / "map.tif").read_bytes()
    assert not list(tmp_path.glob(".map.*"))


def test_a_full_disk_is_named_and_what_is_done_is_kept(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    def full(share: float) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "map.tif"
    with pytest.raises(OSError, match="map.tif"):
        predict_image(fitted[1], [fitted[0] / "image0.tif"], out, windows=Windows(32, 8), tell=full)
    assert list(tmp_path.glob(".map.*.unfinished"))
    assert not out.exists()


def test_one_map_is_made_by_one_process(tmp_path: Path) -> None:
    with unfinished(tmp_path / "map.tif", "abc") as kept:
        with pytest.raises(Refusal, match="another process"), unfinished(tmp_path / "map.tif", "abc"):
            pass
        assert kept.folder.is_dir()


# refusals


def test_another_number_of_bands_is_refused_and_nothing_is_left(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    image, _ = draw_ground(0, 48)
    write_raster(tmp_path / "four.tif", (image[:4] * 1e4).astype(np.uint16))
    with pytest.raises(Refusal, match=r"four.tif: bands: found 4 bands, expected 5: B02, B03"):
        predict_image(fitted[1], [tmp_path / "four.tif"], tmp_path / "out" / "map.tif")
    assert not (tmp_path / "out").exists()


def test_a_reflectance_image_in_another_scale_is_refused(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    image, _ = draw_ground(0, 48)
    write_raster(tmp_path / "unit.tif", image.astype(np.float32))
    with pytest.raises(Refusal, match="scale"):
        predict_image(fitted[1], [tmp_path / "unit.tif"], tmp_path / "map.tif")
    assert not list(tmp_path.glob("map*"))
    predict_image(fitted[1], [tmp_path / "unit.tif"], tmp_path / "map.tif", stored=Stored(1.0, 0.0, None))


def test_two_images_for_a_model_of_one_date_are_refused(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    images = [fitted[0] / "image0.tif"] * 2
    with pytest.raises(Refusal, match="one image"):
        predict_image(fitted[1], images, tmp_path / "map.tif")


def test_before_and_after_on_different_grids_are_refused(tmp_path: Path) -> None:
    image, _ = draw_ground(0, 48)
    before = write_raster(tmp_path / "before.tif", image.astype(np.float32))
    after = write_raster(tmp_path / "after.tif", image.astype(np.float32), transform=from_origin(0, 0, 10, 10))
    with pytest.raises(Refusal, match="gdalwarp"), open_source([before, after], Stored(1, 0, None), SENSOR, 2):
        pass


def test_a_missing_image_and_an_unknown_scene_are_refused(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="check the path"):
        predict_image(fitted[1], [tmp_path / "none.tif"], tmp_path / "map.tif")
    with pytest.raises(Refusal, match="one of s0, s1"):
        scene_images(read_tileset(fitted[0]), "s7", read_map_model(fitted[1]).encoder)


def test_a_map_is_scored_on_its_own_grid_and_legend_only(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = fitted
    predict_image(run, [folder / "image0.tif"], tmp_path / "map.tif")
    with pytest.raises(Refusal, match="--scene"):
        score_map(tmp_path / "map.tif", read_tileset(folder), "s1")
    other = read_tileset(write_tileset(tmp_path / "other", legend=["a", "b", "c"]))
    with pytest.raises(Refusal, match="legend"):
        score_map(tmp_path / "map.tif", other)
    with pytest.raises(Refusal, match="map the image with it first"):
        score_map(folder / "label0.tif", read_tileset(folder))
