"""The cube: all dates of a scene as one Zarr store, (time, band, y, x), with masks, weather, truth and CRS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rasterio.crs import CRS

from terraficta.synth.corpus.corpus import read_corpus
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_folder
from terraficta.synth.types.tile import Tile

if TYPE_CHECKING:
    import xarray

WEATHER = {
    "rise_m": ("m", "rise of rivers and lakes above their mean level"),
    "tide": ("1", "-1 low .. 1 high"),
    "rain": ("1", "0 dry .. 1 the ground is soaked"),
    "season": ("1", "share of the year since midwinter"),
    "sza_deg": ("degree", "zenith angle of the sun"),
    "aot550": ("1", "aerosol optical thickness at 550 nm"),
    "water_vapour_cm": ("cm", "column of water vapour"),
    "cloud_share": ("1", "share of the scene under cloud"),
}
"""facts of a date that become variables along time: (unit, what it is)"""
GRID = "spatial_ref"
"""name of the variable that holds the CRS, as rioxarray and GDAL have it. Source: CF conventions 1.11, 5.6"""
CHUNK_PX = 64
"""side of a chunk: a time series of a place is read without the rest [px]"""


def write_cubes(corpus: Path, out: Path, progress: Callable[[int], None] | None = None) -> list[Path]:
    """Write ID.zarr for every scene of a corpus with dates.

    Parameters
    ----------
    corpus : Path
        folder that `synth make --dates N` wrote
    out : Path
        new or empty folder
    progress : Callable[[int], None] | None
        is told of finished scenes

    Raises
    ------
    Refusal
        where xarray and zarr are missing, or the tiles have no dates
    """
    names = []
    with whole_folder(out) as partial:
        for _, series in groupby(read_corpus(corpus), key=lambda tile: tile.facts["index"]):
            cube = cube_of(list(series))
            names.append(f"{cube.attrs['id']}.zarr")
            cube.to_zarr(partial / names[-1], mode="w-", consolidated=True, zarr_format=2, encoding=_chunks(cube))
            if progress is not None:
                progress(1)
    return [out / name for name in names]


def cube_of(tiles: Sequence[Tile]) -> xarray.Dataset:
    """All dates of one scene as a data set.

    `image` (time, band, y, x) float32, `clear` (time, y, x) whether a pixel is valid and not under cloud, `cover`
    (time, y, x) the heaviest class + 1, every layer of truth (time, y, x), and `WEATHER` (time). `y` and `x` are
    middles of pixels in the CRS of `spatial_ref`; a cube of fiction without a place has metres from its corner.

    Parameters
    ----------
    tiles : Sequence[Tile]
        of one scene, in the order of their dates

    Raises
    ------
    Refusal
        a tile without a date, dates out of order, another grid
    """
    xarray = _xarray()
    first = tiles[0]
    for before, tile in zip([None, *tiles[:-1]], tiles, strict=True):
        if tile.date is None:
            raise Refusal(tile.id, "date", "none", "a date", "make the corpus with --dates 2 or more")
        if before is not None and str(before.date) >= tile.date:
            raise Refusal(tile.id, "date", tile.date, f"one after {before.date}", "put the tiles in order")
        if tile.grid != first.grid or tile.sensor != first.sensor:
            raise Refusal(tile.id, "grid", "another grid or sensor", f"that of {first.id}", "use tiles of one scene")
    still = first.to_xarray()
    times = np.array([tile.date for tile in tiles], dtype="datetime64[ns]")
    planes = {"image": torch.stack([tile.image for tile in tiles]).cpu().numpy()}
    for name in first.layers:
        if all(name in tile.layers for tile in tiles):
            planes[name] = torch.stack([tile.layers[name] for tile in tiles]).cpu().numpy()
    planes["cover"] = torch.stack([tile.label() for tile in tiles]).cpu().numpy()
    planes["clear"] = (
        (torch.stack([tile.valid for tile in tiles]) & torch.from_numpy(planes["cover"] > 0)).cpu().numpy()
    )
    variables: dict[str, Any] = {
        name: (("time", "band", "y", "x") if plane.ndim == 4 else ("time", "y", "x"), plane)
        for name, plane in planes.items()
    }
    for name, (unit, about) in WEATHER.items():
        if all(name in tile.facts for tile in tiles):
            values = np.array([float(tile.facts[name]) for tile in tiles], dtype=np.float32)
            variables[name] = ("time", values, {"units": unit, "long_name": about})
    cube = xarray.Dataset(
        variables,
        coords={name: still[name] for name in ("band", "centre_nm", "fwhm_nm", "y", "x")} | {"time": times},
        attrs={key: still.attrs[key] for key in ("sensor", "level", "gsd_m") if key in still.attrs}
        | {"id": first.id, "seed": first.facts["seed"], "index": first.facts["index"], "Conventions": "CF-1.11"},
    )
    cube["cover"].attrs |= {"flag_values": list(range(1, 1 + len(first.legend))),
                            "flag_meanings": " ".join(first.legend.classes)}  # fmt: skip
    return _placed(cube, first)


def _chunks(cube: xarray.Dataset) -> dict[str, dict[str, Any]]:
    """Whole in time, small in space: the series of a place is one read."""
    sides = {name: min(size, CHUNK_PX) if name in ("y", "x") else size for name, size in cube.sizes.items()}
    return {
        str(name): {"chunks": tuple(sides[dim] for dim in plane.dims)}
        for name, plane in cube.data_vars.items()
        if plane.dims[-2:] == ("y", "x")
    }


def _placed(cube: xarray.Dataset, tile: Tile) -> xarray.Dataset:
    """With its CRS and its transform, where it has a place."""
    crs, to_ground = tile.grid.crs, tile.grid.transform
    for name, axis in (("y", "Y"), ("x", "X")):
        cube[name].attrs |= {"axis": axis, "units": "m", "standard_name": f"projection_{name}_coordinate"}
    if crs is None or to_ground is None:
        return cube
    text = CRS.from_string(crs).to_wkt()
    corner = " ".join(str(v) for v in (to_ground.c, to_ground.a, to_ground.b, to_ground.f, to_ground.d, to_ground.e))
    cube = cube.assign_coords({GRID: ((), 0, {"crs_wkt": text, "spatial_ref": text, "GeoTransform": corner})})
    for plane in cube.data_vars.values():
        if plane.dims[-2:] == ("y", "x"):
            plane.attrs["grid_mapping"] = GRID
    return cube


def _xarray() -> Any:
    try:
        import xarray
        import zarr  # noqa: F401
    except ImportError:
        mend = 'pip install "terraficta[cube]"'
        raise Refusal("cube", "xarray, zarr", "no such package", "xarray 2024.1 or later, and zarr", mend) from None
    return xarray
