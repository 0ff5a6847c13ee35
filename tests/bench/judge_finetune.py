"""Frozen, linear, partial, low rank or full: the same weights, the same labels, the same steps, side by side.

Run: python tests/bench/judge_finetune.py --tileset DIR [--weights W.safetensors] [--labels 5,25,100,all] [--draws 1]

Prints mIoU on the test fold (10,000 pixels), trained parameters of the network, and seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from terraficta.eval.benchmark.pixels import fold_pixels, labels_of
from terraficta.eval.metrics import Tally
from terraficta.finetune.adapt import adapt
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import evidence_at
from terraficta.finetune.moving import moving
from terraficta.finetune.recipe import FinetuneRecipe, FullRecipe, HeadKind
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.head import Head
from terraficta.pretrain.weights import read_weights

WAYS: dict[str, tuple[HeadKind, FullRecipe | None]] = {
    "default": ("default", None),
    "ridge": ("ridge", None),
    "linear": ("linear", None),
    "partial": ("full", FullRecipe(moving="decoder", calibration_share=0)),
    "low rank": ("full", FullRecipe(moving="lora", learning_rate=2e-3, calibration_share=0)),
    "full": ("full", FullRecipe(calibration_share=0)),
}


def main(tileset: Path, weights: Path | None, labels: str, draws: int) -> None:
    """Print a line for each number of labels and way."""
    mapper, _ = read_weights(weights)
    land = read_tileset(tileset, verify=False)
    tiles = [tile for tile in land.tiles() if bool((tile.mass.sum(0) > 0).any())]
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())]
    found = fold_pixels(tiles, TEST, 10_000, land.name)
    where = labels_of(found)
    encoder = Encoder.fit(mapper, train)
    for number in labels.split(","):
        for way, (head, full) in WAYS.items():
            recipe = FinetuneRecipe(name="judge", about="of ways", full=full or FullRecipe())
            scores, start = [], time.time()
            for draw in range(draws):
                drawn = draw_labels(train, "all" if number == "all" else int(number), draw)
                model = adapt(train, drawn, encoder, recipe, head=head, meanings=land.meanings, seed=draw)
                seen = evidence_at(model.encoder.with_tiles(tiles), [p.tile for p in found], where)
                tally = Tally(len(land.legend))
                said = model.fitted.head
                logs = said.log_probabilities(seen.features if isinstance(said, Head) else seen)
                tally.add(logs.exp().T, where.mass.T)
                scores.append(tally.scores().miou)
            with moving(mapper, full or FullRecipe()) as chosen:
                trained = sum(p.numel() for p in chosen) if full else 0
            seconds = (time.time() - start) / draws
            print(
                f"{land.name:16} {number:>4} {way:9} {np.mean(scores):.3f}  {trained:8,} {seconds:6.1f} s", flush=True
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tileset", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--labels", default="5,25,100,all")
    parser.add_argument("--draws", type=int, default=1)
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
