"""Speed and memory of `eval predict` on a raster of 10 bands, against 1.5 GB of memory and 20 minutes for 10,000 px.

Run: python tests/bench/bench_predict.py [--sides 2000 10000] [--keep FOLDER]

The raster is a mosaic of a fictional scene; the model has the default head with 25 labels a class. Prediction runs in a
process of its own, on one thread, whose largest resident set is told: it must not grow with the raster.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window

from terraficta.finetune.adapt import adapt
from terraficta.finetune.map_model import write_map_model
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.pretrain.precision import fast_precision
from terraficta.pretrain.weights import read_weights
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.run import Run
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
MOST_BYTES = 1.5e9
"""what a prediction may have resident, whatever the size of the raster"""
MOST_S_PER_PX = 20 * 60 / 1e8
"""20 minutes for 10,000 x 10,000 px"""
LABELS_PER_CLASS = 25


def fictional_tile() -> Tile:
    """A scene with the classes that occur in it, all of it in the train fold."""
    tile = render(read_scene_recipe("tier3"), SceneKey(7, 3), read_sensor("sentinel2a").pick(BANDS))[0]
    here = torch.unique(tile.mass.argmax(0))
    names = tuple(tile.legend.classes[k] for k in here.tolist())
    legend = Legend("bench", names, tuple(tile.legend.colours[k] for k in here.tolist()))
    return replace(tile, mass=tile.mass[here], legend=legend, fold=torch.ones(tile.grid.shape, dtype=torch.uint8))


def write_model(folder: Path, tile: Tile) -> None:
    """Fit the default head and write its run."""
    mapper, _ = read_weights(None)
    labels = draw_labels([tile], LABELS_PER_CLASS, 0)
    write_map_model(folder, adapt([tile], labels, mapper, read_finetune_recipe("standard")))
    about = {"scale": 1e-4, "offset": 0.0, "nodata": 0}
    Run("finetune", {"name": "bench"}, seed=0).write(folder, tileset=about)


def write_mosaic(path: Path, tile: Tile, side: int) -> None:
    """The scene over and over, mirrored at every other border, as a tiled uint16 GeoTIFF."""
    stored = (tile.image * 1e4).round().clamp(1, 65535).numpy().astype(np.uint16)
    block = np.concatenate([stored, stored[:, ::-1]], 1)
    block = np.concatenate([block, block[:, :, ::-1]], 2)
    strip = np.tile(block, (1, 1, -(-side // block.shape[2])))[:, :, :side]
    with rasterio.open(
        path, "w", "GTiff", side, side, len(BANDS), dtype="uint16", nodata=0, crs="EPSG:32633", tiled=True,
        compress="lzw", transform=from_origin(500_000, 5_800_000, tile.grid.gsd_m, tile.grid.gsd_m),
    ) as file:  # fmt: skip
        for y in range(0, side, block.shape[1]):
            high = min(block.shape[1], side - y)
            file.write(strip[:, :high], window=Window(0, y, side, high))


def measure(folder: Path, tile: Tile, side: int) -> None:
    """Predict in a process of its own, and print what it took."""
    image, out = folder / f"{side}.tif", folder / f"map{side}.tif"
    if not image.exists():
        write_mosaic(image, tile, side)
    words = ["-m", "terraficta", "eval", "predict", "--run", str(folder), "--image", str(image), "--out", str(out)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *words, "--overwrite"], env=os.environ | threads) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"prediction ended with {process.returncode}")
    wall_s, cpu_s = time.perf_counter() - start, used.ru_utime + used.ru_stime
    resident = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    parts = [
        f"{side:6d} px, {len(tile.legend)} classes, {fast_precision('cpu')}: {side**2 / cpu_s / 1e6:.3f} Mpx/s a core",
        f"{cpu_s / side**2 / MOST_S_PER_PX:.2f} of the time allowed ({cpu_s:.0f} s of processor, {wall_s:.0f} s wall)",
        f"{resident / 1e9:.2f} GB, {resident / MOST_BYTES:.2f} of the memory allowed",
        f"map of {out.stat().st_size / 1e6:.0f} MB",
    ]
    print("; ".join(parts), flush=True)


def main() -> None:
    """Print a line a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[2000], help="of the rasters [px], e.g. 1000 10000")
    parser.add_argument("--keep", type=Path, help="folder for rasters, model and maps; else they are thrown away")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = said.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        tile = fictional_tile()
        write_model(folder, tile)
        for side in said.sides:
            measure(folder, tile, side)


if __name__ == "__main__":
    main()
