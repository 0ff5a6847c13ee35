"""GeoTIFF: a tile as files that any GIS opens, and back, without loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.errors import RasterioError
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


def place(index: int, size_px: int, gsd_m: float) -> Affine:
    """Where tile `index` lies: side by side with its neighbours, with a gap, as if on one wall."""
    column, row = index % TILES_A_ROW, index // TILES_A_ROW % TILES_A_ROW
    pitch_m, (east_m, north_m) = size_px * gsd_m * 1.125, ORIGIN_M
    left_m, top_m = east_m + (column - TILES_A_ROW / 2) * pitch_m, north_m + (TILES_A_ROW / 2 - row) * pitch_m
    return Affine(gsd_m, 0, left_m, 0, -gsd_m, top_m)


def write_tile(tile: Tile, folder: Path) -> dict[str, str]:
    """Write image, class mass, label and layers of a tile into a new folder.

    image.tif holds uint16 numbers with scale and offset, band names and wavelengths; mass.tif the class mass as
    float32 (exact); label.tif the heaviest class with its colours, for the eye; every layer a file of its own name.

    Returns
    -------
    dict[str, str]
        {file name: sha256}
    """
    folder.mkdir(parents=True)
    dn = to_dn(tile.image, tile.sensor, tile.valid).cpu().numpy()
    with _create(folder / IMAGE, dn, tile.grid, nodata=NODATA) as file:
        _describe_bands(file, tile.sensor)
        file.update_tags(level=tile.level, sensor=tile.sensor.name)
        file.write(dn)
    mass = tile.mass.cpu().numpy()
    with _create(folder / MASS, mass, tile.grid) as file:
        file.descriptions = tile.legend.classes
        file.write(mass)
    label = tile.label().cpu().numpy()[None]
    with _create(folder / LABEL, label, tile.grid, nodata=0) as file:
        file.write_colormap(1, {k + 1: (*rgb, 255) for k, rgb in enumerate(tile.legend.rgb())})
        file.update_tags(1, **{f"class_{k + 1}": name for k, name in enumerate(tile.legend.classes)})
        file.write(label)
    for name, layer in tile.layers.items():
        values = _storable(layer)[None]
        with _create(folder / f"{name}.tif", values, tile.grid) as file:
            file.set_band_description(1, name)
            file.units = (unit_of(name),)
            file.write(values)
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


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


def _create(path: Path, values: NDArray[Any], grid: Grid, nodata: float | None = None) -> Any:
    block = min(256, -(-max(grid.shape) // 16) * 16)
    return rasterio.open(
        path, "w", driver="GTiff", count=values.shape[0], height=grid.height_px, width=grid.width_px,
        dtype=values.dtype, nodata=nodata, crs=grid.crs, transform=grid.transform,
        tiled=True, blockxsize=block, blockysize=block, interleave="band",
        compress="deflate", predictor=3 if values.dtype.kind == "f" else 2, zlevel=6,
    )  # fmt: skip


def _describe_bands(file: Any, sensor: Sensor) -> None:
    file.scales, file.offsets = (sensor.dn_scale,) * len(sensor), (sensor.dn_offset,) * len(sensor)
    file.descriptions = tuple(f"{band.name} ({band.centre_nm:g} nm)" for band in sensor.bands)
    for i, band in enumerate(sensor.bands, start=1):
        wavelength = {"CENTRAL_WAVELENGTH_UM": f"{band.centre_nm / 1000:.6g}", "FWHM_UM": f"{band.fwhm_nm / 1000:.6g}"}
        file.update_tags(i, ns="IMAGERY", **wavelength)


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
