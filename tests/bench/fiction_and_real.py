"""The picture of the README: land that never was with its truth, beside land that is with its map.

Run: python tests/bench/fiction_and_real.py --tileset DIR --scene ID --out docs/fiction_and_real.png [--index 3]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from terraficta.finetune.adapt import adapt
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.weights import read_weights
from terraficta.synth.corpus.contact_sheet import class_colours
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

LEAST = 0.01
"""share of the picture from which on a class is in its key"""


def stretched(tile: Tile) -> NDArray[np.float32]:
    """True colours, each band from its 2nd to its 98th percentile: the air is blue."""
    bands = tile.image[list(tile.sensor.reading_order())].permute(1, 2, 0).numpy()
    low, high = np.percentile(bands, (2, 98), axis=(0, 1))
    picture: NDArray[np.float32] = ((bands - low) / (high - low)).clip(0, 1)
    return picture


def key(legend: Legend, best: torch.Tensor) -> list[Patch]:
    """Of the classes that can be seen."""
    share = torch.bincount(best.flatten(), minlength=len(legend)) / best.numel()
    return [
        Patch(color=colour, label=name.replace("_", " "))
        for name, colour, part in zip(legend.classes, legend.colours, share.tolist(), strict=True)
        if part >= LEAST
    ]


def main(tileset: Path, scene: str, out: Path, seed: int, index: int, size: int) -> None:
    """Draw four panels."""
    recipe = read_scene_recipe(
        "atlas_toa",
        [f"size_px={size}", 'cover.climates=["temperate"]', "cover.season=[0.5,0.7]", "light.sza_deg=[30,45]"],
    )
    never = render(recipe, [SceneKey(seed, index)], read_sensor("sentinel2a"))[0]
    land = read_tileset(tileset)
    tiles = list(land.tiles("train"))
    labels = draw_labels(tiles, 25, 0)
    model = adapt(tiles, labels, read_weights()[0], read_finetune_recipe("standard"), meanings=land.meanings)
    real = next(tile for tile in land.tiles() if tile.id.endswith(scene))
    said = model(real.image[None], real.sensor, real.valid[None], [real.id])[0].argmax(0)
    figure = Figure(figsize=(14.3, 4.7), layout="constrained")
    FigureCanvasAgg(figure)
    truth, colours = never.mass.argmax(0), np.array(real.legend.rgb(), dtype=np.uint8)
    panels = (
        ("never was: image", stretched(never), []),
        ("never was: truth", class_colours(never), key(never.legend, truth)),
        ("is: image", stretched(real), []),
        ("is: map, 25 labels a class", colours[said.numpy()], key(real.legend, said)),
    )
    for axes, (title, picture, patches) in zip(figure.subplots(1, 4), panels, strict=True):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(title, loc="left")
        axes.set_axis_off()
        if patches:
            axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(0, 0), ncols=3, frameon=False, fontsize=8)
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tileset", type=Path, required=True)
    parser.add_argument("--scene", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--index", type=int, default=8)
    parser.add_argument("--size", type=int, default=112)
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
