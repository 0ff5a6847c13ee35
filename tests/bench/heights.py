"""Height from one image: canopies and buildings from sparse known heights, in figures and as a picture.

Run: python tests/bench/heights.py --corpus DIR [--samples 300] [--figure out/heights.png]

    terraficta synth make --recipe tier1 --sensor worldview2 --count 12 --size 64 --seed 5 --out out/heights \
        --set 'gsd_m=[2.5,2.5]' --set 'cover.settlement=[0.2,0.5]' \
        --set 'truth.layers=[canopy_height_m,building_height_m,building]'

Every third scene is for testing. Rows: the mean of the known heights, and heads of `terraficta finetune run`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from terraficta.eval.values import ValueScores, score_values
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.recipe import ValueHead, read_finetune_recipe
from terraficta.finetune.regression import ValueModel, fit_values, sample_values
from terraficta.finetune.tileset.tileset import VALUE, read_tileset
from terraficta.pretrain.weights import read_weights
from terraficta.synth.corpus.contact_sheet import true_colour
from terraficta.synth.types.tile import Tile

LAYERS = ("canopy_height_m", "building_height_m")
HEADS: tuple[ValueHead, ...] = ("frozen", "forest")
TEST_PIXELS = 20_000


def estimate(model: ValueModel, tile: Tile) -> Tensor:
    """(H, W) of a tile [m]."""
    mine = ValueModel(**{**vars(model), "encoder": model.encoder.with_tiles([tile])})
    return mine(tile.image[None], tile.valid[None], [tile.id])[0]


def main(corpus: Path, samples: int, figure: Path | None) -> None:
    """Print a row a layer and head."""
    mapper, _ = read_weights()
    recipe, shown = read_finetune_recipe("standard"), []
    print(f"{'layer':18} {'way':8} {'rmse':>7} {'mae':>7} {'r2':>7} {'seconds':>8}")
    for layer in LAYERS:
        land = read_tileset(corpus / "values" / layer)
        assert land.quantity is not None
        tiles, tests = list(land.tiles("train")), list(land.tiles("test"))
        encoder, known = Encoder.fit(mapper, tiles), sample_values(tiles, recipe, samples, 0)
        truth = torch.cat([tile.layers[VALUE].flatten() for tile in tests])
        mean = ValueScores.of(torch.full_like(truth, float(known.value.mean())), truth)
        print(f"{layer:18} {'mean':8} {mean.rmse:7.2f} {mean.mae:7.2f} {mean.r2:7.3f}", flush=True)
        planes = []
        for head in HEADS:
            start = time.process_time()
            model = fit_values(tiles, known, encoder, recipe, head, land.quantity, 0)
            found, spent = score_values(model, land, TEST_PIXELS), time.process_time() - start
            print(f"{layer:18} {head:8} {found.rmse:7.2f} {found.mae:7.2f} {found.r2:7.3f} {spent:8.1f}", flush=True)
            if figure is not None:
                planes.append((head, estimate(model, most(tests))))
        shown.append((layer, most(tests), planes))
    if figure is not None:
        draw(shown, figure)


def most(tiles: list[Tile]) -> Tile:
    """The tile where heights differ most."""
    return max(tiles, key=lambda tile: float(tile.layers[VALUE].std()))


def draw(shown: list[tuple[str, Tile, list[tuple[str, Tensor]]]], path: Path) -> None:
    """Image, truth and estimates, a row a layer."""
    picture = Figure(figsize=(3 * (2 + len(HEADS)), 3.2 * len(shown)), layout="constrained")
    axes = picture.subplots(len(shown), 2 + len(HEADS), squeeze=False)
    for row, (layer, tile, planes) in zip(axes, shown, strict=True):
        row[0].imshow(true_colour(tile))
        row[0].set_title(f"{tile.sensor.name}, {tile.grid.gsd_m:g} m", fontsize=9)
        high = float(tile.layers[VALUE].max())
        for axis, (name, plane) in zip(row[1:], [("truth", tile.layers[VALUE]), *planes], strict=True):
            drawn = axis.imshow(plane, vmin=0, vmax=high, cmap="viridis")
            axis.set_title(f"{layer}: {name}", fontsize=9)
        picture.colorbar(drawn, ax=list(row), label="m", shrink=0.8)
        for axis in row:
            axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--figure", type=Path)
    said = parser.parse_args()
    main(said.corpus, said.samples, said.figure)
