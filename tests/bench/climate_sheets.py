"""Pictures to look at: 64 tiles a climate, 16 grounds in four seasons, with false colours, classes and relief.

python tests/bench/climate_sheets.py FOLDER [GSD_M] [CLIMATE ...]
Where no climate is named, FOLDER/seasons.png shows six of them together.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from terraficta.synth.corpus.contact_sheet import class_colours, false_colour, relief, true_colour
from terraficta.synth.render import render_dates
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe, TimeRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

SCENES, ROWS, SEASONS = 16, 8, (0.3, 0.55, 0.8)
SHOWN = {"temperate": 5, "mediterranean": 9, "boreal": 12, "desert": 1, "monsoon": 13, "tundra": 13}
"""climates of the picture of all, and which ground of each"""
COLUMNS = ("winter", "spring", "summer", "autumn", "false colour", "classes", "relief")


Pictures = list[NDArray[Any] | None]
"""of one ground, in the order of `COLUMNS`"""


def recipe_of(climate: str, gsd_m: float) -> SceneRecipe:
    """Four seasons of one climate; the first lies just after midwinter."""
    base = read_scene_recipe("tier1")
    cover = base.cover.model_copy(update={"climates": (climate,), "season": (0.03, 0.06)})
    time = TimeRecipe(dates=4, seasons=SEASONS)
    return base.model_copy(update={"size_px": 96, "gsd_m": (gsd_m, gsd_m), "cover": cover, "time": time})


def seasons_of(climate: str, gsd_m: float, scenes: Sequence[int]) -> list[Pictures]:
    """Pictures of some grounds."""
    keys = [SceneKey(77, scene) for scene in scenes]
    rows = []
    for dates in render_dates(recipe_of(climate, gsd_m), keys, read_sensor("sentinel2a")):
        summer = dates[2]
        rows.append([*(true_colour(t) for t in dates), false_colour(summer), class_colours(summer), relief(summer)])
    return rows


def draw_sheet(rows: Sequence[Pictures], path: Path, title: str, names: Sequence[str] = ()) -> None:
    """One PNG, `ROWS` grounds high, or with a name beside each row."""
    high = len(names) or ROWS
    across = len(rows) // high
    figure = Figure(figsize=((21, 12.4) if across > 1 else (9.45, 8.28)))
    axes = figure.subplots(high, across * len(COLUMNS), squeeze=False)
    for number, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            axis = axes[number % high, number // high * len(COLUMNS) + column]
            if picture is not None:
                axis.imshow(picture, interpolation="nearest")
    for column, axis in enumerate(axes[0]):
        axis.set_title(COLUMNS[column % len(COLUMNS)], fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    for name, axis in zip(names, axes[:, 0], strict=False):
        axis.text(-0.06, 0.5, name, rotation=90, va="center", ha="right", fontsize=9, transform=axis.transAxes)
    figure.suptitle(title)
    figure.subplots_adjust(
        *((0.03, 0.005, 0.998, 0.965, 0.02, 0.04) if names else (0.005, 0.005, 0.995, 0.93, 0.02, 0.02))
    )
    FigureCanvasAgg(figure).print_png(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pixel_m = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    asked = sys.argv[3:]
    for name in asked or BIOMES:
        sheet = folder / f"{name}-{pixel_m:g}m.png"
        draw_sheet(seasons_of(name, pixel_m, range(SCENES)), sheet, f"{name}, {pixel_m:g} m")
        print(sheet)
    if not asked:
        shown = [seasons_of(name, pixel_m, [scene])[0] for name, scene in SHOWN.items()]
        draw_sheet(shown, folder / "seasons.png", "", tuple(SHOWN))
