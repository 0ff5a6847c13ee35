"""Memory of fitting on a raster of any size: its peak over that of a small one, and over the image in memory.

Run: python tests/bench/bench_memory.py [--sides 1000 4000 8000] [--keep FOLDER]

All of `terraficta map` but the prediction, whose memory bench_predict.py tells: draft, checks of every pixel, fitting
to points, cross-validation. The raster is that of bench_predict.py, with 25 points a class spread over it. Each size
runs in a process of its own, on one thread. Memory must not grow with the raster: 1.2 times is allowed from 4000 px
on; the smaller raster is in memory as a whole.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_predict import BANDS, LABELS_PER_CLASS, fictional_tile, write_mosaic
from rasterio.transform import from_origin

from terraficta.synth.types.tile import Tile

MOST_GROWTH = 1.2
"""peak over that of the raster before, where both are beyond memory"""


def write_points(path: Path, tile: Tile, side: int) -> None:
    """Points spread over the mosaic of a scene, of every class that covers a hundredth of it."""
    label = tile.label().numpy()
    block = np.concatenate([label, label[::-1]], 0)
    block = np.concatenate([block, block[:, ::-1]], 1)
    rng, gsd_m = np.random.default_rng(0), tile.grid.gsd_m
    y, x = rng.integers(0, side, (2, 100_000))
    classes = block[y % block.shape[0], x % block.shape[1]]
    often = [k for k in np.unique(classes) if k and (classes == k).mean() > 0.01]
    kept = np.concatenate([np.flatnonzero(classes == k)[:LABELS_PER_CLASS] for k in often])
    to_ground = from_origin(500_000, 5_800_000, gsd_m, gsd_m)
    features = [
        {
            "type": "Feature",
            "properties": {"class": tile.legend.classes[classes[n] - 1]},
            "geometry": {"type": "Point", "coordinates": list(to_ground @ (x[n] + 0.5, y[n] + 0.5))},
        }
        for n in kept.tolist()
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))


def fit(image: Path, points: Path, out: Path) -> None:
    """What `terraficta map` does before it predicts."""
    from terraficta.eval.expect.crossvalidation import cross_validate
    from terraficta.finetune.fitting import fit_tileset
    from terraficta.finetune.recipe import read_finetune_recipe
    from terraficta.finetune.tileset.draft import Said, draft_tileset, write_draft
    from terraficta.finetune.tileset.tileset import read_tileset

    said = Said(like="sentinel2a", bands=tuple(BANDS), scale=1e-4)
    write_draft(out, draft_tileset([image], points, said))
    land = read_tileset(out)
    fitting = fit_tileset(land, out / "model", read_finetune_recipe("standard"))
    assert fitting.labels is not None
    cross_validate(
        fitting.model.encoder, fitting.tiles, fitting.labels, land.meanings, fitting.recipe, evidence=fitting.evidence
    )


def measure(folder: Path, tile: Tile, side: int) -> float:
    """Fit in a process of its own; its largest resident set [bytes]."""
    image, points = folder / f"{side}.tif", folder / f"{side}.geojson"
    if not image.exists():
        write_mosaic(image, tile, side)
    write_points(points, tile, side)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = [sys.executable, __file__, "--fit", str(image), str(points), out]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with subprocess.Popen(words, env=os.environ | threads) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"fitting ended with {process.returncode}")
    resident = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    whole = side**2 * len(BANDS) * 4
    said = f"{resident / 1e9:.2f} GB resident, {resident / whole:.2f} of the image in memory ({whole / 1e9:.2f} GB)"
    print(f"{side:6d} px: {said}; {used.ru_utime + used.ru_stime:.0f} s of processor", flush=True)
    return float(resident)


def main() -> None:
    """Print a line a size, and how the peak grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 4000, 8000], help="of the rasters [px]")
    parser.add_argument("--keep", type=Path, help="folder for rasters; else they are thrown away")
    parser.add_argument("--fit", type=Path, nargs=3, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.fit:
        fit(*said.fit)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = said.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        tile, start = fictional_tile(), time.perf_counter()
        peaks = [measure(folder, tile, side) for side in said.sides]
    steps = zip(said.sides, said.sides[1:], peaks, peaks[1:], strict=False)
    grown = [f"{b / a:.2f} from {one} to {other} px" for one, other, a, b in steps]
    print(f"peak times {', '.join(grown)}; at most {MOST_GROWTH} is allowed; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
