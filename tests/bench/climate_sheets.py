"""Pictures to look at: 64 tiles a climate, 16 grounds in four seasons, with false colours, classes and relief.

python tests/bench/climate_sheets.py FOLDER [GSD_M] [CLIMATE ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from terraficta.synth.corpus.contact_sheet import class_colours, false_colour, relief, true_colour
from terraficta.synth.render import render_dates
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe, TimeRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

SCENES, ROWS, SEASONS = 16, 8, (0.3, 0.55, 0.8)
COLUMNS = ("winter", "spring", "summer", "autumn", "false colour", "classes", "relief")


def recipe_of(climate: str, gsd_m: float) -> SceneRecipe:
    """Four seasons of one climate; the first lies just after midwinter."""
    base = read_scene_recipe("tier1")
    cover = base.cover.model_copy(update={"climates": (climate,), "season": (0.03, 0.06)})
    time = TimeRecipe(dates=4, seasons=SEASONS)
    return base.model_copy(update={"size_px": 96, "gsd_m": (gsd_m, gsd_m), "cover": cover, "time": time})


def draw_sheet(climate: str, gsd_m: float, path: Path) -> None:
    """One PNG."""
    scenes = render_dates(
        recipe_of(climate, gsd_m), [SceneKey(77, i) for i in range(SCENES)], read_sensor("sentinel2a")
    )
    figure = Figure(figsize=(21, 12.4))
    axes = figure.subplots(ROWS, 2 * len(COLUMNS), squeeze=False)
    for number, dates in enumerate(scenes):
        left = number // ROWS * len(COLUMNS)
        summer = dates[2]
        pictures = [*(true_colour(t) for t in dates), false_colour(summer), class_colours(summer), relief(summer)]
        for column, picture in enumerate(pictures):
            axis = axes[number % ROWS, left + column]
            if picture is not None:
                axis.imshow(picture, interpolation="nearest")
    for column, axis in enumerate(axes[0]):
        axis.set_title(COLUMNS[column % len(COLUMNS)], fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.suptitle(f"{climate}, {gsd_m:g} m")
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.93, 0.02, 0.02)
    FigureCanvasAgg(figure).print_png(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pixel_m = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    for name in sys.argv[3:] or BIOMES:
        draw_sheet(name, pixel_m, folder / f"{name}-{pixel_m:g}m.png")
        print(folder / f"{name}-{pixel_m:g}m.png")
