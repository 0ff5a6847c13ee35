"""Seams: gradient of a map across the borders of windows, over its gradient elsewhere, against 1.05.

Run: python tests/bench/bench_seam.py [--side 900] [--overlaps 64 48 32] [--seeds 7 8]

A fictional place is mapped by the default head, which looks at surroundings of up to 41 px. `elsewhere` compares with
all lines that are no border of a window. `same ground` compares with the same lines in a second map, whose windows are
moved by half a stride, so that land which changes there by itself counts on both sides; `overlap` compares the whole
ground that two windows share in the same way, for there one map turns into the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from bench_predict import BANDS, LABELS_PER_CLASS
from torch import Tensor

from terraficta.eval.map.windows import Windows
from terraficta.finetune.adapt import adapt
from terraficta.finetune.map_model import MapModel
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.pretrain.weights import read_weights
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

MOST = 1.05
"""what the gradient across a border may be of that elsewhere"""


def place(seed: int, side: int) -> Tile:
    """A fictional place with the classes that occur in it, all of it in the train fold."""
    recipe = read_scene_recipe("tier3").model_copy(update={"size_px": side})
    tile = render(recipe, SceneKey(seed, 3), read_sensor("sentinel2a").pick(BANDS))[0]
    here = torch.unique(tile.mass.argmax(0))
    names = tuple(tile.legend.classes[k] for k in here.tolist())
    legend = Legend("bench", names, tuple(tile.legend.colours[k] for k in here.tolist()))
    return replace(tile, mass=tile.mass[here], legend=legend, fold=torch.ones(tile.grid.shape, dtype=torch.uint8))


def mapped(tile: Tile, model: MapModel, windows: Windows, skip: int = 0) -> Tensor:
    """(K, H, W) probabilities, by windows that start so many pixels down and right; NaN before."""
    _, height, width = tile.image.shape
    found = torch.full((len(tile.legend), height, width), torch.nan)
    size = windows.size_px

    def predict(corners: Sequence[tuple[int, int]]) -> Tensor:
        parts = [tile.crop(y + skip, x + skip, size, size) for y, x in corners]
        images, valids = torch.stack([p.image for p in parts]), torch.stack([p.valid for p in parts])
        return model(images, valid=valids, scenes=[tile.id] * len(parts))

    for y, x, piece in windows.strips(height - skip, width - skip, predict):
        found[:, y + skip : y + skip + piece.shape[1], x + skip : x + skip + piece.shape[2]] = piece
    return found


def gradients(probabilities: Tensor) -> np.ndarray:
    """(L, ) mean gradient across each line between two columns, then between two rows; NaN where nothing is known."""
    across = [probabilities.diff(dim=axis).abs().nanmean((0, 3 - axis)) for axis in (2, 1)]
    return torch.cat(across).numpy()


def borders(windows: Windows, length: int, skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Which of the lines along a side are borders of windows within the raster, and which lie where two overlap."""
    starts = [start + skip for start in windows.starts(length - skip)]
    line = np.arange(length - 1)
    ends = [start + windows.size_px for start in starts[:-1]]
    border = np.isin(line, np.array([*starts[1:], *ends]) - 1)
    shared = sum((line >= start) & (line < end - 1) for start, end in zip(starts[1:], ends, strict=True)) > 0
    return border, np.asarray(shared)


def figures(tile: Tile, model: MapModel, windows: Windows) -> tuple[float, float, float]:
    """Gradient across borders: over that elsewhere, over that of the same ground inside windows; that of overlaps."""
    length, skip = tile.grid.shape[0], (windows.size_px - windows.overlap_px) // 2
    plain, moved = (gradients(mapped(tile, model, windows, by)) for by in (0, skip))
    known = np.isfinite(moved)
    elsewhere, ratios = float("nan"), []
    for kind in (0, 1):
        mine, theirs = (np.tile(borders(windows, length, by)[kind], 2) for by in (0, skip))
        if kind == 0:
            elsewhere = float(plain[mine].mean() / plain[~mine].mean())
        ours, other = mine & known & ~theirs, theirs & known & ~mine
        ratios.append(float((plain[ours].sum() + moved[other].sum()) / (moved[ours].sum() + plain[other].sum())))
    return elsewhere, ratios[0], ratios[1]


def main(side: int, overlaps: list[int], seeds: list[int]) -> None:
    """Print a line a place and overlap, and means."""
    found: dict[int, list[tuple[float, float, float]]] = {}
    for seed in seeds:
        tile = place(seed, side)
        mapper, _ = read_weights(None)
        labels = draw_labels([tile], LABELS_PER_CLASS, 0)
        model = adapt([tile], labels, mapper, read_finetune_recipe("standard"))
        for overlap in overlaps:
            three = figures(tile, model, Windows(overlap_px=overlap))
            found.setdefault(overlap, []).append(three)
            words = zip(three, ("elsewhere", "same ground", "overlap"), strict=True)
            print(f"seed {seed}, overlap {overlap} px: {', '.join(f'{v:.3f} {w}' for v, w in words)}", flush=True)
    for overlap, rows in found.items():
        means = np.mean(rows, 0)
        print(
            f"overlap {overlap} px: {' / '.join(f'{v:.3f}' for v in means)}; {means[1] / MOST:.2f} of what is allowed"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=900, help="of the place [px]")
    parser.add_argument("--overlaps", type=int, nargs="+", default=[Windows().overlap_px])
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8])
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
