"""The tileset reader: sound folders are read, broken ones are refused with file, field and mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from tileset_maker import BANDS, LEGEND, read_manifest_of, write_manifest, write_raster, write_tileset

from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "tilesets"
REAL = sorted(path.parent for path in SHARED.glob("*/tileset.yaml"))

Break = Callable[[Path], None]


def key(name: str, value: object) -> Break:
    """Set a key of the manifest; "a.b" goes into a section."""

    def change(folder: Path) -> None:
        manifest = section = read_manifest_of(folder)
        *parents, last = name.split(".")
        for parent in parents:
            section = section[parent]
        section[last] = value
        write_manifest(folder, manifest)

    return change


def without(name: str) -> Break:
    def change(folder: Path) -> None:
        manifest = read_manifest_of(folder)
        del manifest[name]
        write_manifest(folder, manifest)

    return change


def scene(name: str, value: object) -> Break:
    """Set a key of the first scene."""

    def change(folder: Path) -> None:
        manifest = read_manifest_of(folder)
        manifest["scenes"][0][name] = value
        write_manifest(folder, manifest)

    return change


def pixels(name: str, change: Callable[[np.ndarray], np.ndarray], **profile: object) -> Break:
    """Rewrite a raster with changed pixels and, optionally, another profile."""

    def rewrite(folder: Path) -> None:
        with rasterio.open(folder / name) as file:
            values, transform = file.read(), file.transform
        write_raster(folder / name, change(values), **({"transform": transform} | profile))

    return rewrite


def cut(name: str, share: float) -> Break:
    def truncate(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return truncate


def bands(first: dict[str, object]) -> Break:
    """Describe the bands one by one, the first as given."""
    rest = [
        {"name": n, "centre_nm": nm, "fwhm_nm": 30.0} for n, nm in zip(BANDS[1:], (560, 665, 835, 1610), strict=True)
    ]
    return key("sensor", {"bands": [first, *rest]})


def with_value(values: np.ndarray, value: float) -> np.ndarray:
    changed = values.copy()
    changed[..., 5, 5] = value
    return changed


BROKEN: dict[str, tuple[Break, str, str]] = {
    # name: (what breaks it, field of the refusal, words of the message)
    "no manifest": (lambda folder: (folder / "tileset.yaml").unlink(), "tileset.yaml", "no such file"),
    "band without wavelength": (bands({"name": "blue"}), "sensor.bands[0] (blue).centre_nm", "centre wavelength in nm"),
    "band name only": (key("sensor", {"bands": BANDS}), "sensor.bands[0]", "centre_nm and fwhm_nm"),
    "micrometres": (
        bands({"name": "blue", "centre_nm": 0.49, "fwhm_nm": 0.065}),
        "sensor.bands[0] (blue).centre_nm", "write centre_nm: 490",
    ),
    "thermal band": (
        bands({"name": "t", "centre_nm": 10800.0, "fwhm_nm": 900.0}), "sensor.bands[0] (t).centre_nm", "2500",
    ),
    "unknown sensor": (key("sensor.like", "sentinel9"), "sensor.like", "sentinel2a"),
    "unknown band": (key("sensor.bands", [*BANDS[:4], "B99"]), "sensor.bands[4]", "B99"),
    "band twice": (key("sensor.bands", [*BANDS[:4], "B02"]), "sensor.bands[4]", "second time"),
    "band missing in the list": (key("sensor.bands", BANDS[:4]), "bands", "found 5 bands, expected 4"),
    "scale ten times too large": (key("scale", 0.001), "scale", "reflectance above"),
    "scale ten times too small": (key("scale", 0.00001), "scale", "over vegetation"),
    "no scale": (without("scale"), "scale", "reflectance = stored * scale + offset"),
    "scale zero": (key("scale", 0), "scale", "a positive number"),
    "offset that makes land negative": (key("offset", -0.1), "scale", "median reflectance of -0.0"),
    "unknown level": (key("level", "SR"), "level", "'BOA', 'TOA', 'RADIANCE' or 'DN'"),
    "unknown key": (key("lisence", "MIT"), "lisence", "did you mean licence?"),
    "misspelt scene key": (scene("lable", "label0.tif"), "scenes[0].lable", "did you mean label?"),
    "legend twice": (key("legend", ["forest", "water", "water"]), "legend", "water more than once"),
    "too few colours": (key("colours", ["#000000"]), "colours", "3, one a class"),
    "class outside the legend": (key("legend", ["forest", "water"]), "label", "found value 3"),
    "label 255": (pixels("label0.tif", lambda v: with_value(v, 255)), "label", "set these pixels to 0"),
    "label of another size": (pixels("label1.tif", lambda v: v[:, :-3]), "label", "45 x 48 px"),
    "label elsewhere": (
        pixels("label0.tif", lambda v: v, transform=from_origin(500020, 5800000, 10, 10)), "label", "2.0 px away",
    ),
    "label in another system": (pixels("label0.tif", lambda v: v, crs="EPSG:32632"), "label", "EPSG:32633"),
    "fold of another size": (pixels("fold0.tif", lambda v: v[:, :, 1:]), "fold", "48 x 47 px"),
    "fold 7": (pixels("fold0.tif", lambda v: with_value(v, 7)), "fold", "0, 1 or 2"),
    "no test": (lambda f: [pixels(f"fold{n}.tif", lambda v: v % 2)(f) for n in (0, 1)][0], "fold", "in the test fold"),
    "no train": (lambda f: [pixels(f"fold{n}.tif", lambda v: v // 2 * 2)(f) for n in (0, 1)][0], "fold", "train fold"),
    "NaN without nodata": (
        lambda f: [
            key("nodata", None)(f), key("scale", 1.0)(f),
            *(pixels(f"image{n}.tif", lambda v: with_value(v.astype(np.float32) / 1e4, np.nan))(f) for n in (0, 1)),
        ][0], "image", "nodata: .nan",
    ),
    "nodata that the file contradicts": (pixels("image0.tif", lambda v: v, nodata=65535), "nodata", "65535 in"),
    "truncated pixels": (cut("image1.tif", 0.6), "pixels", "truncated"),
    "truncated head": (cut("label1.tif", 0.01), "scenes[1] (s1).label", "copy or export it again"),
    "missing file": (scene("image", "nowhere.tif"), "scenes[0] (s0).image", "no file"),
    "pixel size that contradicts": (key("gsd_m", 30.0), "pixel size", "gsd_m: 10"),
    "id twice": (scene("id", "s1"), "scenes[0] (s1)", "every id once"),
    "change without its dates": (key("task", "change"), "scenes[0] (s0)", "before and after"),
    "a crosswalk, as it was": (key("crosswalk", {"forest": "water"}), "crosswalk", "rename crosswalk: to means:"),
    "unknown meaning": (key("means", {"forest": "evergren_forest"}), "means.forest", "did you mean evergreen_forest?"),
    "meaning of an unknown class": (key("means", {"jungle": "water"}), "means.jungle", "not in the legend"),
    "meaning that is no weight": (key("means", {"forest": {"park": "much"}}), "means.forest.park", "one name, or null"),
    "weights that do not sum": (key("means", {"forest": {"park": 0.5, "road": 0.2}}), "means.forest", "sum to 0.7"),
    "negative weight": (key("means", {"forest": {"park": 1.5, "road": -0.5}}), "means.forest.park", "from 0 to 1"),
    "one meaning for all": (key("means", dict.fromkeys(LEGEND, "water")), "means", "one meaning for all classes"),
    "share above one": (key("shares", {"forest": 1.2}), "shares.forest", "at most 1"),
    "negative share": (key("shares", {"forest": -0.1}), "shares.forest", "share above 0"),
    "shares above one": (key("shares", {"forest": 0.6, "water": 0.6}), "shares", "sum to 1.2"),
    "share of an unknown class": (key("shares", {"wood": 0.6}), "shares.wood", "not in the legend"),
    "mass of too few classes": (
        lambda f: [
            write_raster(f / "mass.tif", np.zeros((2, 48, 48), np.float32)),
            scene("label", None)(f), scene("mass", "mass.tif")(f),
        ][0], "mass", "2 bands",
    ),
    "not yaml": (lambda f: (f / "tileset.yaml").write_text("name: [made") and None, "yaml", "valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tilesets_are_refused_with_field_and_mend(name: str, tmp_path: Path) -> None:
    break_it, field, words = BROKEN[name]
    folder = write_tileset(tmp_path / "made")
    break_it(folder)
    with pytest.raises(Refusal) as caught:
        read_tileset(folder)
    refusal = caught.value
    assert refusal.field == field
    assert words in str(refusal)
    assert str(tmp_path) in refusal.where, "names the file"
    assert len(refusal.mend) > 8


def test_a_sound_tileset_is_read(tmp_path: Path) -> None:
    tileset = read_tileset(write_tileset(tmp_path / "made"))
    tile = tileset[1]
    assert (len(tileset), tile.id, tile.level, tile.image.shape) == (2, "made/s1", "BOA", (5, 48, 48))
    assert [band.name for band in tile.sensor.bands] == BANDS
    with rasterio.open(tmp_path / "made" / "image1.tif") as file:
        assert torch.allclose(tile.image, torch.from_numpy(file.read().astype(np.float32)) * 1e-4)
        assert tile.grid.transform == file.transform
    with rasterio.open(tmp_path / "made" / "label1.tif") as file:
        assert torch.equal(tile.label(), torch.from_numpy(file.read(1)))
    assert tile.in_fold(1).sum() == tile.in_fold(2).sum() == 48 * 22
    assert len(tileset.legend.colours) == 3


def test_nodata_and_cloud_are_not_valid(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    with rasterio.open(folder / "image0.tif") as file:
        values = file.read()
    values[:, 0, :4] = 0
    values[2, 1, 1] = 0  # one dark band is a measurement
    write_raster(folder / "image0.tif", values, nodata=0)
    cloud = np.zeros((48, 48), np.uint8)
    cloud[10:12] = 1
    write_raster(folder / "clm.tif", cloud)
    scene("clm", "clm.tif")(folder)
    tile = read_tileset(folder)[0]
    assert not tile.valid[0, :4].any()
    assert not tile.valid[10:12].any()
    assert tile.valid.sum() == 48 * 46 - 4
    assert tile.mass.sum() == tile.valid.sum()
    assert (tile.image[:, ~tile.valid] == 0).all()


def test_nan_is_nodata_where_nodata_is_nan(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1, nodata=float("nan"), scale=1.0)
    pixels("image0.tif", lambda v: with_value(v.astype(np.float32) / 1e4, np.nan), nodata=np.nan)(folder)
    tile = read_tileset(folder)[0]
    assert not tile.valid[5, 5]
    assert tile.valid.sum() == 48 * 48 - 1
    assert tile.image.isfinite().all()


def test_change_is_a_stack_of_both_dates(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=2)
    one = {"id": "s0", "before": "image0.tif", "after": "after.tif", "label": "label0.tif", "fold": "fold0.tif"}
    with rasterio.open(folder / "image1.tif") as file:
        write_raster(folder / "after.tif", file.read())
    manifest = read_manifest_of(folder) | {"task": "change", "scenes": [one]}
    tileset = read_tileset(write_manifest(folder, manifest))
    tile = tileset[0]
    assert tile.facts["dates"] == tileset.dates == 2
    assert tile.image.shape[0] == 2 * len(tileset.sensor) == 10
    assert [band.name for band in tile.sensor.bands][4:6] == ["before/B11", "after/B02"]
    assert tile.sensor.bands[5].centre_nm == tile.sensor.bands[0].centre_nm


def test_mass_keeps_its_weights(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    mass = np.zeros((3, 48, 48), np.float32)
    mass[0], mass[1] = 0.5, 0.25
    write_raster(folder / "mass.tif", mass)
    scene("label", None)(folder)
    scene("mass", "mass.tif")(folder)
    assert torch.equal(read_tileset(folder)[0].mass, torch.from_numpy(mass))


def test_relative_levels_are_never_judged_as_reflectance(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", level="DN", scale=1.0)
    assert read_tileset(folder)[0].image.max() > 100


def test_meanings_are_stated_or_proposed(tmp_path: Path) -> None:
    means = {"forest": {"evergreen_forest": 0.5, "deciduous_forest": 0.5}, "soil": None}
    meanings = read_tileset(write_tileset(tmp_path / "made", means=means, shares={"water": 0.2})).meanings
    assert meanings.named == (True, True, False)
    assert torch.allclose(meanings.matrix.sum(1), torch.tensor([1.0, 1.0, 0.0]))
    assert meanings.lines() == [
        "forest: evergreen_forest 0.50, deciduous_forest 0.50 (stated)", "water: water 1.00 (from 'water')",
        "soil: no meaning, as stated",
    ]  # fmt: skip
    assert meanings.shares is not None
    assert torch.allclose(meanings.shares, torch.tensor([0.4, 0.2, 0.4]))


def test_images_may_lie_in_a_sibling_folder(tmp_path: Path) -> None:
    write_tileset(tmp_path / "one", scenes=1)
    folder = write_tileset(tmp_path / "two", scenes=1)
    (folder / "image0.tif").unlink()
    scene("image", "../one/image0.tif")(folder)
    assert read_tileset(folder)[0].image.shape == (5, 48, 48)


def test_folds_are_words_or_images_or_blocks(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "words")
    manifest = read_manifest_of(folder)
    for entry, word in zip(manifest["scenes"], ("train", "test"), strict=True):
        entry["fold"] = word
    tileset = read_tileset(write_manifest(folder, manifest))
    assert [tile.id for tile in tileset.tiles("train")] == ["made/s0"]
    assert [tile.id for tile in tileset.tiles("test")] == ["made/s1"]
    for entry in manifest["scenes"]:
        del entry["fold"]
    tileset = read_tileset(write_manifest(folder, manifest))
    for tile in tileset.tiles():
        assert tile.fold is not None
        assert set(tile.fold.unique().tolist()) <= {0, 1, 2}


def test_an_unlabelled_scene_has_no_mass(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made")
    manifest = read_manifest_of(folder)
    manifest["scenes"].append({"id": "bare", "image": "image0.tif"})
    tileset = read_tileset(write_manifest(folder, manifest))
    assert [tile.id for tile in tileset.unlabelled()] == ["made/bare"]
    assert len(list(tileset.tiles())) == 3
    assert len(list(tileset.tiles("train"))) == 2


@pytest.mark.skipif(not REAL, reason="no real tilesets beside the checkout")
@pytest.mark.parametrize("folder", REAL, ids=lambda path: path.name)
def test_every_real_tileset_is_read(folder: Path) -> None:
    tileset = read_tileset(folder)
    tile = tileset[0]
    assert tile.image.shape[0] == len(tileset.sensor) * tileset.dates
    assert tile.valid.float().mean() > 0.5 or "clm" in (folder / "tileset.yaml").read_text()
    if len(tileset.legend):
        assert next(tileset.tiles("train")).in_fold(1).any()
        assert next(tileset.tiles("test")).in_fold(2).any()


@pytest.mark.parametrize("name", ["aberystwyth", "brandenburg", "potsdam-enmap", "slovenia"])
@pytest.mark.parametrize("factor", [0.01, 0.1, 10.0, 100.0])
def test_a_wrong_scale_of_real_land_is_refused(name: str, factor: float) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip("no real tilesets beside the checkout")
    tileset = read_tileset(SHARED / name, verify=False)
    with pytest.raises(Refusal, match="scale"):
        replace(tileset, scale=tileset.scale * factor).verify()
