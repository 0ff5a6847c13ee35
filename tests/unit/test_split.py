"""Spatial blocks: deterministic, balanced, the same ground in the same fold, and a seam between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from affine import Affine
from rasterio.transform import from_origin

from terraficta.finetune.tileset.split import TEST, TRAIN, BlockSplit, deal_blocks
from terraficta.synth.types.grid import Grid

GRID = Grid(96, 120, 10.0, "EPSG:32633", from_origin(500000, 5800000, 10, 10))


def test_the_same_ground_is_in_the_same_fold_in_every_scene() -> None:
    split = BlockSplit(block_px=16, seam_px=1)
    window = GRID.window(32, 48, 40, 50)
    whole, part = split(GRID)[32:72, 48:98], split(window)
    inside = slice(2, -2)
    assert torch.equal(whole[inside, inside], part[inside, inside])


def test_a_seam_lies_between_train_and_test() -> None:
    fold = BlockSplit(block_px=16, seam_px=2)(GRID).numpy()
    assert {TRAIN, TEST} <= set(np.unique(fold).tolist())
    train_y, train_x = np.nonzero(fold == TRAIN)
    test_y, test_x = np.nonzero(fold == TEST)
    for y, x in list(zip(test_y, test_x, strict=True))[::7]:
        assert np.maximum(abs(train_y - y), abs(train_x - x)).min() > 2
    assert 0 < (fold == 0).mean() < 0.35


def test_every_class_lies_in_both_folds_where_it_can() -> None:
    rng = np.random.default_rng(3)
    label = torch.from_numpy(rng.integers(0, 5, (12, 15)).repeat(8, 0).repeat(8, 1).astype(np.uint8))
    split = deal_blocks([GRID], [lambda part: label], 4)
    again = deal_blocks([GRID], [lambda part: label], 4)
    assert split == again
    fold = split(GRID)
    for value in range(1, 5):
        train, test = int(((label == value) & (fold == TRAIN)).sum()), int(((label == value) & (fold == TEST)).sum())
        assert 0.1 < test / (train + test) < 0.6


def test_scenes_without_georeference_are_split_too() -> None:
    grid = Grid(60, 60, 1.0)
    fold = deal_blocks([grid], [lambda part: torch.ones(60, 60, dtype=torch.uint8)], 1)(grid)
    assert (fold == TRAIN).any()
    assert (fold == TEST).any()


def test_pixels_have_the_blocks_of_their_scene_turned_or_not() -> None:
    split, rng = BlockSplit(block_px=16, seam_px=0), np.random.default_rng(0)
    y, x = rng.integers(0, 96, 50), rng.integers(0, 120, 50)
    turned = Affine(8.7, 5.0, 500000, 5.0, -8.7, 5800000)
    for transform in (GRID.transform, turned, None):
        grid = replace(GRID, transform=transform)
        addresses, position = split.blocks(grid)
        assert split.addresses_at(grid, y, x) == [addresses[n] for n in position[y, x]]
