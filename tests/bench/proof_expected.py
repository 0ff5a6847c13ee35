"""Whether the accuracy that `map` expects is the accuracy on ground that it never saw, and how long a map takes.

Run: python tests/bench/proof_expected.py --tilesets DIR [--names slovenia ...] [--labels 25] [--draws 2]
     python tests/bench/proof_expected.py --time

For each tileset and draw, labels are drawn from the train fold, the default head is fitted, and its accuracy is
expected from these labels alone, on the land of the test pixels; then the test labels are looked at. Bar: within two
of the stated standard errors in 80 % of tilesets x draws. `--time`: 1000 x 1000 x 10 with 100 labels from command to
report; bar: 90 s on two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin

from terraficta.eval.benchmark.pixels import fold_pixels, labels_of
from terraficta.eval.expect.crossvalidation import cross_validate
from terraficta.eval.expect.expectation import expect
from terraficta.finetune.adapt import adapt
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import evidence_at
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.pretrain.weights import read_weights

NAMES = [
    "aberystwyth", "amazon-landsat", "brandenburg", "chiapas", "potsdam-enmap", "slovenia", "water-a", "worldcover-a",
]  # fmt: skip
TEST_PIXELS = 6000
BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
SIDE, LABELS = 1000, 100


def judge(land: Tileset, per_class: int, draw: int) -> tuple[float, float, float]:
    """Accuracy expected, its standard error, and the accuracy on the test fold."""
    recipe, (mapper, _) = read_finetune_recipe("standard"), read_weights(None)
    tiles = [tile for tile in land.tiles() if bool((tile.mass.sum(0) > 0).any())]
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())]
    labels = draw_labels(train, per_class, draw)
    model = adapt(train, labels, Encoder.fit(mapper, train), recipe, meanings=land.meanings, seed=draw)
    pixels = fold_pixels(tiles, TEST, TEST_PIXELS, land.name)
    where = labels_of(pixels)
    encoder = model.encoder.with_tiles([p.tile for p in pixels])
    evidence = evidence_at(encoder, [p.tile for p in pixels], where)
    said = model.fitted.head.log_probabilities(evidence).argmax(1)  # type: ignore[arg-type]
    mapped = torch.bincount(said, minlength=len(land.legend)).double().numpy() / len(said)
    cv = cross_validate(encoder, train, labels, land.meanings, recipe, temperature=model.temperature, seed=draw)
    found = expect(cv, land.legend.classes, mapped, land.gsd_m, draw)
    return found.accuracy, found.accuracy_se, float((said == where.classes).double().mean())


def prove(tilesets: Path, names: list[str], per_class: list[int], draws: int) -> None:
    """Print a line for each tileset, number of labels and draw, and the share that was within two standard errors."""
    inside, told = 0, 0
    for name in names:
        land = read_tileset(tilesets / name, verify=False)
        for count in per_class:
            for draw in range(draws):
                expected, se, accuracy = judge(land, count, draw)
                if not np.isfinite(expected):
                    print(f"{name:16} {count:4} labels a class, draw {draw}: not told, test {accuracy:.3f}", flush=True)
                    continue
                far = abs(expected - accuracy) / se
                inside, told = inside + (far <= 2), told + 1
                print(
                    f"{name:16} {count:4} labels a class, draw {draw}: expected {expected:.3f} ± {se:.3f}, "
                    f"test {accuracy:.3f}, {far:.1f} standard errors",
                    flush=True,
                )
    print(f"within two standard errors: {inside} of {told} ({inside / max(told, 1):.0%}; bar 80 %)")


def clock() -> None:
    """Time a map of noise over soft patches, as a user would call it."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, (SIDE // 50, SIDE // 50)).repeat(50, 0).repeat(50, 1)
    spectra = rng.uniform(300, 4000, (5, len(BANDS)))
    image = (spectra[label].transpose(2, 0, 1) * rng.normal(1, 0.1, (len(BANDS), SIDE, SIDE))).clip(1, 9e3)
    y, x = rng.integers(0, SIDE, (2, LABELS))
    with tempfile.TemporaryDirectory() as folder:
        place = {"crs": "EPSG:32633", "transform": from_origin(500000, 5800000, 10, 10)}
        path = Path(folder) / "image.tif"
        with rasterio.open(path, "w", "GTiff", SIDE, SIDE, len(BANDS), dtype="uint16", **place) as file:
            file.write(image.astype(np.uint16))
            file.descriptions = BANDS
        rows = ["x,y,class"]
        rows += [f"{500005 + 10 * c},{5799995 - 10 * r},c{label[r, c]}" for r, c in zip(y, x, strict=True)]
        (Path(folder) / "points.csv").write_text("\n".join(rows))
        start = time.perf_counter()
        words = [
            "map",
            str(path),
            "--labels",
            f"{folder}/points.csv",
            "--scale",
            "0.0001",
            "--out",
            f"{folder}/map.tif",
        ]
        subprocess.run([sys.executable, "-m", "terraficta", *words], check=True, stderr=subprocess.DEVNULL)
        took_s = time.perf_counter() - start
        record = json.loads((Path(folder) / "map" / "run.json").read_text())
        print(f"{SIDE} x {SIDE} x {len(BANDS)}, {LABELS} labels: {took_s:.0f} s from command to report (bar 90 s); "
              f"of these {record['wall_s']:.0f} s after loading")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tilesets", type=Path)
    parser.add_argument("--names", nargs="*", default=NAMES)
    parser.add_argument("--labels", nargs="*", type=int, default=[25])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--time", action="store_true")
    said = parser.parse_args()
    if said.time:
        clock()
    if said.tilesets is not None:
        torch.set_num_threads(1)
        prove(said.tilesets, said.names, said.labels, said.draws)
