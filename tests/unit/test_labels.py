"""Drawing labels: from the train fold only, by address, nested, spread over scenes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tileset_maker import write_tileset

from terraficta.finetune.tileset.labels import draw_labels, draw_pixels, ground_blocks
from terraficta.finetune.tileset.split import TEST
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.types.refusal import Refusal


@pytest.fixture(scope="module")
def tileset(tmp_path_factory: pytest.TempPathFactory) -> Tileset:
    folder: Path = tmp_path_factory.mktemp("tileset") / "made"
    return read_tileset(write_tileset(folder, scenes=4))


def test_labels_come_from_the_train_fold_and_carry_their_class(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    labels = draw_labels(tiles, 6, seed=1)
    assert labels.counts() == {"forest": 6, "water": 6, "soil": 6}
    for (t, y, x), mass in zip(labels.pixels(), labels.mass, strict=True):
        assert tiles[t].in_fold(1)[y, x]
        assert torch.equal(tiles[t].mass[:, y, x], mass)


def test_the_same_seed_gives_the_same_labels_and_another_seed_others(tileset: Tileset) -> None:
    one, again, other = (draw_labels(tileset.tiles("train"), 5, seed) for seed in (7, 7, 8))
    assert one.pixels() == again.pixels()
    assert set(one.pixels()) != set(other.pixels())


def test_a_larger_draw_holds_the_smaller(tileset: Tileset) -> None:
    few, many = (set(draw_labels(tileset.tiles("train"), n, 3).pixels()) for n in (5, 25))
    assert few < many


def test_labels_are_spread_over_scenes(tileset: Tileset) -> None:
    labels = draw_labels(tileset.tiles("train"), 8, seed=0)
    for k in range(3):
        assert len(labels.tile[labels.classes == k].unique()) == 4


def test_all_takes_every_labelled_pixel(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    labels = draw_labels(tiles, "all", seed=0)
    assert len(labels) == sum(int(tile.in_fold(1).sum()) for tile in tiles)
    assert torch.equal(labels.sparse(2, tiles[2].grid.shape), tiles[2].mass * tiles[2].in_fold(1))


def test_a_scarce_class_gives_all_and_says_so(tileset: Tileset) -> None:
    tiles = [tile.with_mass(tile.mass.clone()) for tile in tileset.tiles("train")]
    for tile in tiles:
        rare = tile.in_fold(1) & (tile.label() == 2)
        tile.mass[1, rare] = 0
    tiles[0].mass[:, 3, 3] = torch.tensor([0.0, 0.4, 0.0])
    labels = draw_labels(tiles, 10, seed=0)
    assert labels.short() == {"water": 1}
    assert labels.mass[labels.classes == 1].tolist() == [pytest.approx([0.0, 0.4, 0.0])]


def test_pixels_need_no_label_and_are_never_of_the_test_fold(tileset: Tileset) -> None:
    tiles = [replace(tile, mass=torch.zeros_like(tile.mass)) for tile in tileset.tiles()]
    assert {TEST} & {int(v) for tile in tiles for v in tile.fold.unique()}, "there is a test fold to keep out of"
    pixels = draw_pixels(tiles, 50, seed=0)
    assert 0 < len(pixels) <= 50
    assert len(set(pixels.pixels())) == len(pixels)
    assert all(tiles[t].fold[y, x] != TEST and tiles[t].valid[y, x] for t, y, x in pixels.pixels())
    assert pixels.pixels() == draw_pixels(tiles, 50, seed=0).pixels() != draw_pixels(tiles, 50, seed=1).pixels()


def test_a_place_without_pixels_is_refused(tileset: Tileset) -> None:
    tiles = [replace(tile, fold=torch.full_like(tile.fold, TEST)) for tile in tileset.tiles()]
    with pytest.raises(Refusal, match="outside the test fold"):
        draw_pixels(tiles, 50, seed=0)


def test_no_labels_are_refused(tileset: Tileset) -> None:
    with pytest.raises(Refusal, match="labels-per-class"):
        draw_labels(tileset.tiles("train"), 0, seed=0)
    with pytest.raises(Refusal, match="train fold"):
        draw_labels([tile.with_mass(tile.mass * 0) for tile in tileset.tiles()], 5, seed=0)


def test_labels_of_the_same_ground_share_a_block(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    one = draw_labels(tiles, 1, 0)  # a tile may hold a single label
    assert len(ground_blocks(tiles, one)) == len(one)
    twins = [tiles[0], tiles[0], tiles[1]]
    labels = draw_labels(twins, "all", 0)
    blocks = ground_blocks(twins, labels)
    first, second = (set(blocks[labels.tile.numpy() == t].tolist()) for t in (0, 1))
    assert first == second
    assert not first & set(blocks[labels.tile.numpy() == 2].tolist())
