"""Ways to a map of a quantity beside each other: errors, and how many parameters each trains.

Run: python tests/bench/judge_values.py --weights W.safetensors --tileset DIR [--samples 100 400] [--seeds 2]
     [--set value.full.steps=200 ...]

The tileset has `task: value`; `terraficta synth make --set 'truth.layers=[agb_t_ha, canopy_height_m]'` writes such ones
in values/. Footprints by --set 'value.footprints={kind: footprints}'.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from terraficta.eval.values import score_values
from terraficta.finetune.commands import VALUE_HEADS
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.regression import fit_values, sample_values
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.weights import read_weights

TEST_PIXELS = 20_000


def main(weights: Path, tileset: Path, samples: list[int], seeds: int, changes: list[str]) -> None:
    """Print a row a number of samples and way."""
    mapper, _ = read_weights(weights)
    land, recipe = read_tileset(tileset), read_finetune_recipe("standard", changes)
    tiles = list(land.tiles("train"))
    encoder = Encoder.fit(mapper, tiles)
    assert land.quantity is not None
    print(f"{land.name}: {land.quantity}; {len(tiles)} tiles to learn from")
    print(f"{'samples':>8} {'way':8} {'trained':>9} {'rmse':>8} {'mae':>8} {'bias':>8} {'r2':>7} {'seconds':>8}")
    for number in samples:
        for head in VALUE_HEADS:
            rows, trained, start = [], 0, time.process_time()
            for seed in range(seeds):
                model = fit_values(
                    tiles, sample_values(tiles, recipe, number, seed), encoder, recipe, head, land.quantity, seed
                )
                found = score_values(model, land, TEST_PIXELS)
                rows.append((found.rmse, found.mae, found.bias, found.r2))
                trained = model.trained
            rmse, mae, bias, r2 = np.mean(rows, 0)
            spent = (time.process_time() - start) / seeds
            print(
                f"{number:8} {head:8} {trained:9,} {rmse:8.2f} {mae:8.2f} {bias:8.2f} {r2:7.3f} {spent:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--tileset", type=Path, required=True)
    parser.add_argument("--samples", type=int, nargs="*", default=[100, 400])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", dest="changes", action="append", default=[])
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
