"""GeoTIFF: a tile as files that any GIS opens, and back, without loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from torch import Tensor

from terraficta.synth.instrument.product import NODATA, from_dn, to_dn
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Band, Sensor
from terraficta.synth.types.tile import Tile

NOWHERE, ORIGIN_M = "EPSG:32710", (500_000.0, 4_586_000.0)
"""UTM 10 S at the oceanic pole of inaccessibility (48.9 S, 123.4 W): metres that every GIS knows, 2,700 km from any
land that a fictional tile could be taken for"""
TILES_A_ROW = 100
IMAGE, MASS, LABEL = "image.tif", "mass.tif", "label.tif"
ZIP: dict[str, tuple[str, int, int]] = {IMAGE: ("deflate", 1, 2), MASS: ("zstd", 1, 1)}
"""method, effort and predictor, measured: noise does not shrink for more effort; a class mass is few numbers often,
which a predictor scatters, and most of it is 0, which Zstandard (GDAL 2.3 of 2018 and later) passes over in a third of
the time, for the same bytes. The image stays with deflate, which every program reads"""
LARGEST_PLAIN_PX = 512
"""larger rasters carry overviews: without them a cloud-optimised GeoTIFF of this size is not valid, below it is"""


def place(index: int, size_px: int, gsd_m: float) -> Affine:
    """Where tile `index` lies: side by side with its neighbours, with a gap, as if on one wall."""
    column, row = index % TILES_A_ROW, index // TILES_A_ROW % TILES_A_ROW
    pitch_m, (east_m, north_m) = size_px * gsd_m * 1.125, ORIGIN_M
    left_m, top_m = east_m + (column - TILES_A_ROW / 2) * pitch_m, north_m + (TILES_A_ROW / 2 - row) * pitch_m
    return Affine(gsd_m, 0, left_m, 0, -gsd_m, top_m)


def write_tile(tile: Tile, folder: Path, more: Mapping[str, Tensor] | None = None) -> dict[str, str]:
    """Write image, class mass, label and layers of a tile into a folder that stands.

    image.tif holds uint16 numbers with scale and offset, band names and wavelengths; mass.tif the class mass as
    float32 (exact); label.tif the heaviest class with its colours, for the eye; every layer a file of its own name.
    All are valid cloud-optimised GeoTIFFs.

    Parameters
    ----------
    tile : Tile
        to be written
    folder : Path
        of the tile
    more : Mapping[str, Tensor] | None
        further images (B, H, W) in reflectance, by name, such as the mean of many looks; written as float32

    Returns
    -------
    dict[str, str]
        {file name: sha256}

    Raises
    ------
    OSError
        a full disk, a folder that cannot be written to
    """
    dn = to_dn(tile.image, tile.sensor, tile.valid).cpu().numpy()
    sums = {IMAGE: _store(folder / IMAGE, dn, tile.grid, lambda file: _describe_image(file, tile), nodata=NODATA)}
    mass = tile.mass.cpu().numpy()
    sums[MASS] = _store(folder / MASS, mass, tile.grid, lambda file: _describe(file, tile.legend.classes))
    label = tile.label().cpu().numpy()[None]
    sums[LABEL] = _store(folder / LABEL, label, tile.grid, lambda file: _describe_label(file, tile.legend), nodata=0)
    for name, layer in tile.layers.items():
        values = _storable(layer)[None]
        sums[f"{name}.tif"] = _store(folder / f"{name}.tif", values, tile.grid, partial(_describe_layer, name=name))
    for name, image in (more or {}).items():
        values = image.cpu().numpy().astype(np.float32)
        sums[f"{name}.tif"] = _store(
            folder / f"{name}.tif", values, tile.grid, lambda file: _describe_bands(file, tile.sensor)
        )
    return dict(sorted(sums.items()))


def unit_of(layer: str) -> str:
    """The unit that ends a layer's name; none where it has none.

    Examples
    --------
    >>> unit_of("canopy_height_m"), unit_of("agb_t_ha"), unit_of("ndvi")
    ('m', 't ha-1', '')
    """
    return "t ha-1" if layer.endswith("_t_ha") else "m" if layer.endswith("_m") else ""


def read_tile(folder: Path, record: Mapping[str, Any], sensor: Sensor, legend: Legend) -> Tile:
    """Read a tile back; `record` is its line of tiles.jsonl."""
    dn, grid = _read(folder / IMAGE, float(record["gsd_m"]))
    mass, _ = _read(folder / MASS, grid.gsd_m)
    counts = torch.from_numpy(dn.astype(np.int32))
    layers = {}
    for name, dtype in record["layers"].items():
        values, _ = _read(folder / f"{name}.tif", grid.gsd_m)
        layers[name] = torch.from_numpy(values[0]).to(getattr(torch, dtype))
    return Tile(
        id=record["id"],
        image=from_dn(counts, sensor),
        valid=(counts != NODATA).any(0),
        mass=torch.from_numpy(mass),
        sensor=sensor,
        legend=legend,
        grid=grid,
        level=record["level"],
        date=record["date"],
        facts=record["facts"],
        layers=layers,
    )


def record_of(tile: Tile, index: int, date_number: int = 0) -> dict[str, Any]:
    """What tiles.jsonl says of a tile of scene `index` on one of its dates; `sensor` is added by the corpus."""
    return {
        "id": tile.id,
        "index": index,
        "date_number": date_number,
        "date": tile.date,
        "level": tile.level,
        "gsd_m": tile.grid.gsd_m,
        "layers": {name: str(layer.dtype).removeprefix("torch.") for name, layer in sorted(tile.layers.items())},
        "facts": json.loads(json.dumps(dict(tile.facts), default=_plain)),
    }


def sensor_as_data(sensor: Sensor) -> dict[str, Any]:
    """A sensor as plain data."""
    return json.loads(json.dumps(asdict(sensor)))  # tuples to lists, as they come back


def sensor_from_data(data: Mapping[str, Any]) -> Sensor:
    """And back, equal to the one that was written."""
    bands = tuple(Band(**{**band, "mtf_nyquist": tuple(band["mtf_nyquist"])}) for band in data["bands"])
    return Sensor(**{**data, "bands": bands})


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _store(
    path: Path, values: NDArray[Any], grid: Grid, describe: Callable[[Any], None], nodata: float | None = None
) -> str:
    """Write (B, H, W) as a cloud-optimised GeoTIFF; returns its checksum.

    The file is made in memory and written at once: GDAL only logs what goes wrong when it closes a file, so that a
    full disk would leave half of one behind.
    """
    block = min(256, -(-max(grid.shape) // 16) * 16)
    profile: dict[str, Any] = {
        "count": values.shape[0], "height": grid.height_px, "width": grid.width_px, "dtype": values.dtype,
        "nodata": nodata, "crs": _system(grid.crs), "transform": grid.transform, "interleave": "band",
        "compress": "deflate",
    }  # fmt: skip
    floats = values.dtype.kind == "f"
    if max(grid.shape) > LARGEST_PLAIN_PX:  # with overviews
        resampling = "nearest" if path.name == LABEL else "average"
        profile |= {"driver": "COG", "blocksize": block, "level": 6, "predictor": "YES", "resampling": resampling}
    else:
        method, level, predictor = ZIP.get(path.name, ("deflate", 1, 3 if floats else 2))
        profile |= {"driver": "GTiff", "tiled": True, "blockxsize": block, "blockysize": block}
        profile |= {"compress": method, "zstd_level" if method == "zstd" else "zlevel": level, "predictor": predictor}
    with MemoryFile() as memory:
        with memory.open(**profile) as file:
            describe(file)
            file.write(values)
        content = bytes(memory.getbuffer())
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


@lru_cache
def _system(crs: str | None) -> CRS | None:
    """A coordinate reference system, read once for all files of a corpus."""
    return None if crs is None else CRS.from_user_input(crs)


def _describe(file: Any, names: Sequence[str]) -> None:
    file.descriptions = tuple(names)


def _describe_image(file: Any, tile: Tile) -> None:
    file.scales, file.offsets = (tile.sensor.dn_scale,) * len(tile.sensor), (tile.sensor.dn_offset,) * len(tile.sensor)
    _describe_bands(file, tile.sensor)
    file.update_tags(level=tile.level, sensor=tile.sensor.name)


def _describe_bands(file: Any, sensor: Sensor) -> None:
    _describe(file, [f"{band.name} ({band.centre_nm:g} nm)" for band in sensor.bands])
    for i, band in enumerate(sensor.bands, start=1):
        wavelength = {"CENTRAL_WAVELENGTH_UM": f"{band.centre_nm / 1000:.6g}", "FWHM_UM": f"{band.fwhm_nm / 1000:.6g}"}
        file.update_tags(i, ns="IMAGERY", **wavelength)


def _describe_label(file: Any, legend: Legend) -> None:
    file.write_colormap(1, {k + 1: (*rgb, 255) for k, rgb in enumerate(legend.rgb())})
    file.update_tags(1, **{f"class_{k + 1}": name for k, name in enumerate(legend.classes)})


def _describe_layer(file: Any, name: str) -> None:
    file.set_band_description(1, name)
    file.units = (unit_of(name),)


def _read(path: Path, gsd_m: float) -> tuple[NDArray[Any], Grid]:
    try:
        with rasterio.open(path) as file:
            crs = None if file.crs is None else file.crs.to_wkt()
            return file.read(), Grid(file.height, file.width, gsd_m, crs, file.transform)
    except (RasterioError, OSError) as error:
        found = " ".join(str(error.__cause__ or error).split())[-160:]
        mend = "run `terraficta synth verify`, and make the corpus again"
        raise Refusal(path, "file", found, "a GeoTIFF of this corpus", mend) from error


def _storable(layer: Tensor) -> NDArray[Any]:
    values = layer.cpu().numpy()
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    return values.astype(np.int32) if values.dtype == np.int64 else values


def _plain(value: object) -> object:
    if isinstance(value, np.generic | Tensor):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no plain fact")
