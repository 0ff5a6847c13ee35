"""Files drawn at random in every way that they come in: what is read is what was written, or one refusal says why."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as copy_raster
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform as moved
from tileset_maker import BANDS, LEGEND, draw_ground, write_manifest

from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal

SIZE = 24
KINDS = {"uint8": 200.0, "uint16": 1e4, "int16": 1e4, "int32": 1e4, "float32": 1.0, "float64": 1.0}
"""stored type and what reflectance 1 is stored as"""
NODATA = {
    "uint8": (0, 255), "uint16": (0, 65535), "int16": (-9999, -32768), "int32": (-9999, 0),
    "float32": (-9999.0, float("nan"), float(np.finfo("float32").min)), "float64": (-9999.0, 1e20),
}  # fmt: skip
PLACES = ("utm", "south-up", "turned 90", "turned 30", "degrees", "mercator", "points", "none")


@dataclass
class Drawn:
    """One drawn tileset: where it lies, what must be read, and what may be refused."""

    folder: Path
    numbers: np.ndarray
    valid: np.ndarray
    label: np.ndarray
    scale: float
    faults: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)


def place(kind: str) -> dict[str, Any]:
    """Georeference of 10 m pixels, as rasterio takes it."""
    corner = Affine.translation(500_000, 5_100_000)
    if kind == "south-up":
        return {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, 10, 5_100_000)}
    if kind == "turned 90":
        return {"crs": "EPSG:32633", "transform": Affine(0, 10, 500_000, 10, 0, 5_100_000)}
    if kind == "turned 30":
        return {"crs": "EPSG:32633", "transform": corner @ Affine.rotation(30) @ Affine.scale(10, -10)}
    if kind == "degrees":
        return {"crs": "EPSG:4326", "transform": from_origin(15, 46, 10 / 77_500, 10 / 111_100)}
    if kind == "mercator":  # at 46 degrees a metre of ground is 1.44 m of web Mercator
        (x,), (y,) = moved("EPSG:4326", "EPSG:3857", [15], [46])
        return {"crs": "EPSG:3857", "transform": from_origin(x, y, 14.4, 14.4)}
    if kind == "points":
        far = SIZE * 10
        corners = [(0, 0, 0, 0), (0, SIZE, far, 0), (SIZE, 0, 0, -far), (SIZE, SIZE, far, -far)]
        points = [GroundControlPoint(r, c, 500_000 + x, 5_100_000 + y) for r, c, x, y in corners]
        return {"crs": "EPSG:32633", "gcps": points}
    return {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_100_000, 10, 10)} if kind == "utm" else {}


def draw(folder: Path, seed: int) -> Drawn:
    rng = np.random.default_rng(seed)
    pick = lambda *of: of[int(rng.integers(len(of)))]  # noqa: E731
    folder.mkdir(parents=True)
    image, label = draw_ground(seed % 7, SIZE, 8)
    kind = pick(*KINDS)
    full = KINDS[kind]
    values = np.clip(image * full, 1 if full > 1 else 1e-4, 250 if kind == "uint8" else None)
    numbers = (values.round() if full > 1 else values).astype(kind)
    drawn = Drawn(folder, numbers, np.ones((SIZE, SIZE), bool), label, 1 / full)
    where, nodata, profile = place(pick(*PLACES)), None, {}
    stored, order = numbers.copy(), list(range(len(BANDS)))

    how = pick("all", "nodata", "wrong nodata", "mask", "alpha", "nan")
    hole = np.zeros((SIZE, SIZE), bool)
    hole[int(rng.integers(SIZE)) :: 5, :: int(rng.integers(2, 6))] = how != "all"
    if how == "nan" and kind not in ("float32", "float64"):
        how, hole = "all", hole & False
    mark: Any = 0
    if how in ("nodata", "wrong nodata"):
        mark = nodata = pick(*NODATA[kind])
        profile["nodata"] = nodata
    if how == "nan":
        mark = np.nan
        drawn.faults.add("image")
    stored[:, hole] = mark
    drawn.valid = ~hole
    if how == "wrong nodata" and not np.isnan(mark):
        nodata = pick(None, 7)
        drawn.faults.add("nodata")
    if how == "alpha":
        stored = np.concatenate([stored, np.where(hole, 0, 255).astype(kind)[None]])

    scales, offsets, stated = None, None, 1 / full
    declares = pick("no", "no", "same", "other")
    if declares != "no":
        scales, offsets = (1 / full,) * len(stored), (0.0,) * len(stored)
    if declares == "other":
        offsets = (-0.1,) * len(stored)
        drawn.faults.add("offset")
    named = pick("no", "same", "plain", "permuted", "strange")
    names = {"same": BANDS, "plain": ["b2", "Band 3", "B4", "band_08", "b11"], "strange": ["a", "b", "c", "d", "e"]}
    titles = names.get(named)
    if named == "permuted":
        order = rng.permutation(len(BANDS)).tolist()
        stored = np.concatenate([stored[order], stored[len(BANDS) :]])
        titles = [BANDS[n] for n in order]
        if order != sorted(order):
            drawn.faults.add("bands")

    container = pick("GTiff", "GTiff tiled", "VRT", "ENVI", "zip")
    if container in ("ENVI",) and (how == "mask" or "gcps" in where):
        container = "GTiff"
    if container == "GTiff tiled":
        profile |= {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": pick("band", "pixel")}
        profile |= {"compress": pick("deflate", "lzw")}
    plain = folder / "plain.tif"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=bool(rng.integers(2)) or container == "zip"),
        rasterio.open(plain, "w", "GTiff", SIZE, SIZE, len(stored), dtype=kind, **(where | profile)) as file,
    ):
        if how == "alpha":
            file.colorinterp = [*[ColorInterp.gray] * len(BANDS), ColorInterp.alpha]
        file.write(stored)
        if how == "mask":
            file.write_mask(np.where(hole, 0, 255).astype("uint8"))
        if scales:
            file.scales, file.offsets = scales, offsets
        if titles:
            file.descriptions = (*titles, "alpha") if how == "alpha" else tuple(titles)
    name = "plain.tif"
    if container in ("VRT", "ENVI"):
        name = {"VRT": "image.vrt", "ENVI": "image.dat"}[container]
        copy_raster(plain, folder / name, driver=container, **({"interleave": "bip"} if container == "ENVI" else {}))
        if container == "ENVI" and how == "alpha":
            how = "lost alpha"  # ENVI keeps no word for it
            drawn.faults.add("bands")
    if container == "zip":
        with zipfile.ZipFile(folder / "image.zip", "w") as file:
            file.write(plain, "inside.tif")
        name = f"/vsizip/{folder}/image.zip/inside.tif"

    from_zero = pick(False, False, False, True)
    marked = pick(None, None, 255)
    truth = label.copy()
    shown = label - from_zero
    if from_zero:
        drawn.faults.add("label")
    if marked:
        shown[:2], truth[:2] = marked, 0
    if not set(np.unique(shown[shown != 255])) >= set(range(len(LEGEND))):
        drawn.faults.discard("label") if not from_zero else None
    flat = {} if "gcps" in where else where
    with rasterio.open(folder / "label.tif", "w", "GTiff", SIZE, SIZE, 1, dtype="uint8", nodata=marked, **flat) as file:
        file.write(shown, 1)
    drawn.label = truth
    gsd_m = pick(10.0, 10.0, 10.0, 100.0)
    if gsd_m == 100 and where:
        drawn.faults.add("pixel size")
    drawn.said = [kind, container, how, f"nodata {nodata}", f"declares {declares}", f"names {named}", str(where)]
    write_manifest(folder, {
        "name": "drawn", "about": "made for a test", "source": "none", "licence": "none",
        "sensor": {"like": "sentinel2a", "bands": BANDS}, "gsd_m": gsd_m, "level": "BOA" if kind != "uint8" else "DN",
        "scale": stated, "offset": 0.0, "nodata": nodata, "legend": LEGEND,
        "scenes": [{"id": "s", "image": name, "label": "label.tif"}],
    })  # fmt: skip
    return drawn


def check(drawn: Drawn) -> bool:
    """Whether it was read; refused for none but a true reason, else."""
    try:
        tile = read_tileset(drawn.folder)[0]
    except Refusal as refusal:
        fair = refusal.field in drawn.faults
        assert fair, f"{refusal} | {drawn.said} | {drawn.faults}"  # noqa: PT017
        assert len(str(refusal).splitlines()) == 1  # noqa: PT017
        return False
    assert not drawn.faults, f"read in spite of {drawn.faults}: {drawn.said}"
    assert np.array_equal(tile.valid.numpy(), drawn.valid), drawn.said
    wanted = drawn.numbers.astype(np.float32) * np.float32(drawn.scale)
    assert np.allclose(tile.image.numpy()[:, drawn.valid], wanted[:, drawn.valid], rtol=1e-5), drawn.said
    assert np.array_equal(tile.label().numpy(), np.where(drawn.valid, drawn.label, 0)), drawn.said
    return True


@pytest.mark.parametrize("start", [0, 40, 80, 120, 160])
def test_a_drawn_file_is_read_as_written_or_refused_for_what_is_wrong(start: int, tmp_path: Path) -> None:
    read = [check(draw(tmp_path / str(seed), seed)) for seed in range(start, start + 40)]
    assert any(read)
    assert not all(read)


@pytest.mark.slow
def test_a_thousand_drawn_files(tmp_path: Path) -> None:
    assert sum(check(draw(tmp_path / str(seed), seed)) for seed in range(1000, 2000)) > 100
