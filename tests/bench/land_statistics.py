"""Spatial statistics of fictional land beside those of real land, at the same ground sampling distance and tile size.

Run: python tests/bench/land_statistics.py TILESETS_FOLDER [scenes] [name of one tileset ...]
Prints two rows a tileset, real and fictional, with medians over the windows of

- range: lag at which the semivariance of a band reaches 95 % of its sill, the variance of the window [px]
- slope: of log power over log frequency, between wavelengths of 4 pixels and a quarter of the window
- edges: share of neighbouring pixels that differ in class, where labels are dense
- patches: exponent of the power law of patch areas of 4 pixels and more, by maximum likelihood over all windows
- classes: that hold more than 0.5 % of a window

and at the end how the fictional medians lie in the spread of all real ones.

Source: variogram, Matheron 1963, doi:10.2113/gsecongeo.58.8.1246; exponent, Clauset et al. 2009,
doi:10.1137/070710111, equation 3.7; edges and patches as in FRAGSTATS, McGarigal & Marks 1995.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.render import render
from terraficta.synth.types.crosswalk import crosswalk_to
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, Crosswalk
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

LARGEST_PX = 128
BANDS_NM = {"blue": 480.0, "green": 560.0, "red": 660.0, "nir": 850.0, "swir": 1630.0}
NEAR_NM = 70.0
"""a band stands for a colour if its centre is this close [nm]; near infrared and beyond, twice"""
DENSE = 0.9
"""labels are dense where this share of the window has one"""
LEAST_PATCH_PX = 4
TREES = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "mangrove", "plantation", "orchard")
BARE = ("bare_soil", "sand", "rock", "quarry", "fallow", "snow", "burnt")
RULES: dict[str, tuple[dict[str, tuple[str, ...]], str]] = {
    "water-a": ({"water": ("water",)}, "land"),
    "dubai-a": ({"building": ("building",), "road": ("road",), "water": ("water",), "land": BARE}, "vegetation"),
    "slovenia": ({"forest": TREES, "shrubland": ("shrubland",), "artificial_surface": ("building", "road", "quarry")},
                 "grassland"),
}  # fmt: skip
"""classes of a tileset with dense labels, from ours; and where all others go"""


@dataclass
class Figures:
    """What was measured, window by window."""

    ranges: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in BANDS_NM})
    slopes: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in BANDS_NM})
    edges: list[float] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)

    def exponent(self) -> float:
        """Of the power law of patch areas."""
        areas = np.array([a for a in self.areas if a >= LEAST_PATCH_PX], float)
        return float(1 + len(areas) / np.log(areas / (LEAST_PATCH_PX - 0.5)).sum()) if len(areas) > 20 else np.nan


def colour_bands(sensor: Sensor) -> dict[str, int]:
    """Which band of a sensor stands for which colour, where one does."""
    centres = sensor.centre_nm.numpy()
    nearest = {name: int(np.abs(centres - nm).argmin()) for name, nm in BANDS_NM.items()}
    reach = {name: NEAR_NM * (1 + (nm > 800)) for name, nm in BANDS_NM.items()}
    return {name: b for name, b in nearest.items() if abs(centres[b] - BANDS_NM[name]) <= reach[name]}


def variogram_range(plane: np.ndarray) -> float:
    """Lag at which the semivariance (mean over rows and columns) first reaches 95 % of the variance [px]."""
    lags = np.arange(1, plane.shape[0] // 2 + 1)
    rise = [0.25 * (np.square(plane[h:] - plane[:-h]).mean() + np.square(plane[:, h:] - plane[:, :-h]).mean())
            for h in lags]  # fmt: skip
    reached = np.nonzero(np.array(rise) >= 0.95 * plane.var())[0]
    return float(lags[reached[0]] if len(reached) else lags[-1])


def spectrum_slope(plane: np.ndarray) -> float:
    """Slope of the radial mean of the periodogram (Hann window), equal weight to equal steps of log frequency."""
    size = plane.shape[0]
    hann = np.hanning(size)
    power = np.square(np.abs(np.fft.fft2((plane - plane.mean()) * hann[:, None] * hann)))
    along = np.fft.fftfreq(size)
    frequency = np.hypot(along[:, None], along)
    steps = np.geomspace(4 / size, 0.25, 9)
    inside = [(frequency >= a) & (frequency < b) for a, b in zip(steps, steps[1:], strict=False)]
    mean = [np.log(power[ring].mean() + 1e-30) for ring in inside]
    return float(np.polyfit(np.log(np.sqrt(steps[1:] * steps[:-1])), mean, 1)[0])


def windows(tile: Tile, size: int) -> Iterator[Tile]:
    """A tile in whole squares."""
    height, width = tile.grid.shape
    for y in range(0, height - size + 1, size):
        for x in range(0, width - size + 1, size):
            yield tile.crop(y, x, size, size)


def measure(tile: Tile, into: Figures, crosswalk: Crosswalk | None) -> None:
    """Add one window."""
    if bool(tile.valid.all()):
        for name, band in colour_bands(tile.sensor).items():
            plane = tile.image[band].double().numpy()
            if plane.std() > 1e-9:
                into.ranges[name].append(variogram_range(plane))
                into.slopes[name].append(spectrum_slope(plane))
    if crosswalk is not None:
        tile = tile.with_mass(crosswalk(tile.mass), crosswalk.target)
    label = tile.label().numpy()
    if (label > 0).mean() < DENSE:
        return
    pairs = [(label[1:], label[:-1]), (label[:, 1:], label[:, :-1])]
    differ = [((a != b) & (a > 0) & (b > 0)).sum() / max(((a > 0) & (b > 0)).sum(), 1) for a, b in pairs]
    into.edges.append(float(np.mean(differ)))
    present = [int(k) for k in np.unique(label[label > 0])]
    into.classes.append(sum(int((label == k).mean() > 0.005) for k in present))
    for k in present:
        into.areas += np.bincount(ndimage.label(label == k)[0].ravel())[1:].tolist()


def legend_of(tileset: Tileset) -> Crosswalk | None:
    """From our legend to that of a tileset with dense labels."""
    if tileset.name == "worldcover-a":
        return crosswalk_to("worldcover")
    if tileset.name not in RULES:
        return None
    named, rest = RULES[tileset.name]
    to = {c: next((goal for goal, classes in named.items() if c in classes), rest) for c in TERRAFICTA.classes}
    return Crosswalk.from_names(TERRAFICTA, tileset.legend, to)


def compare(folder: Path, scenes: int) -> tuple[str, Figures, Figures]:
    """Measure one tileset, and fictional land seen by its sensor from as far."""
    tileset = read_tileset(folder, verify=False)
    real, fictional = Figures(), Figures()
    size = min(LARGEST_PX, *(min(tile.grid.shape) for tile in (tileset[0], tileset[len(tileset) - 1])))
    step = max(1, len(tileset) // (4 * scenes))
    taken = [w for n in range(0, len(tileset), step) for w in windows(tileset[n], size)]
    for tile in taken[:: max(1, len(taken) // (4 * scenes))]:
        measure(tile, real, None)
    recipe = read_scene_recipe(
        "atlas", [f"size_px={size}", f"gsd_m=[{tileset.gsd_m},{tileset.gsd_m}]", "instrument.quantise=false"]
    )
    keys = [SceneKey(77, i) for i in range(scenes)]
    crosswalk = legend_of(tileset) if real.edges else None
    for tile in render(recipe, keys, tileset.sensor):
        measure(tile, fictional, crosswalk)
    return f"{tileset.name} {tileset.gsd_m:g} m {size} px", real, fictional


def row(figures: Figures, labelled: bool) -> list[float]:
    """The medians, in the order of the table."""
    bands = [figures.ranges[b] for b in BANDS_NM] + [figures.slopes[b] for b in BANDS_NM]
    cells = [float(np.median(v)) if v else np.nan for v in bands]
    labels = [float(np.median(figures.edges)), figures.exponent(), float(np.median(figures.classes))]
    return cells + (labels if labelled and figures.edges else [np.nan] * 3)


def main(folder: Path, scenes: int, names: list[str]) -> None:
    """Print the table."""
    heads = [f"range {b}" for b in BANDS_NM] + [f"slope {b}" for b in BANDS_NM] + ["edges", "patches", "classes"]
    print(f"{'tileset':28s} {'land':5s}" + "".join(f"{h.split()[0]:>8s}" for h in heads))
    print(" " * 34 + "".join(f"{h.split()[-1] if ' ' in h else '':>8s}" for h in heads))
    table: dict[str, list[list[float]]] = {"real": [], "ours": []}
    for path in sorted(folder.glob("*/tileset.yaml")):
        if names and path.parent.name not in names:
            continue
        try:
            title, real, fictional = compare(path.parent, scenes)
        except Refusal as refusal:
            print(f"{path.parent.name:28s} left out: {refusal}")
            continue
        for land, figures in (("real", real), ("ours", fictional)):
            cells = row(figures, bool(real.edges))
            table[land].append(cells)
            print(f"{title:28s} {land:5s}" + "".join("       -" if np.isnan(v) else f"{v:8.2f}" for v in cells))
    for land, rows in table.items():
        spread = [np.array(v)[~np.isnan(v)] for v in zip(*rows, strict=True)]
        for end, of in (("least", np.min), ("most", np.max)):
            ends = ["       -" if not len(v) else f"{of(v):8.2f}" for v in spread]
            print(f"{end + ' of all tilesets':28s} {land:5s}" + "".join(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 24, sys.argv[3:])
