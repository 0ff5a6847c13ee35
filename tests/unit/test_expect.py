"""What labels tell of a map: areas after the paper's own example, rates and shares, blocks that are kept whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rasterio.transform import from_origin

from terraficta.eval.expect.advice import three_lines
from terraficta.eval.expect.area import estimate_areas, shares_of_land
from terraficta.eval.expect.crossvalidation import (
    CrossValidation,
    block_side_px,
    buffered_folds,
    ground_places_px,
    patch_blocks,
)
from terraficta.eval.expect.expectation import Expectation, expect
from terraficta.finetune.tileset.labels import Labels
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

# Olofsson et al. 2014, doi 10.1016/j.rse.2014.02.015, section 5: deforestation, forest gain, stable forest, other
EXAMPLE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]], float)
MAPPED = np.array([0.020, 0.015, 0.320, 0.645])
HECTARES = 900_000
"""10 million pixels of 30 m"""
LEGEND = Legend("two", ("forest", "water", "bog"), ("#006600", "#0000ff", "#aa8800"))


def test_areas_are_those_of_the_paper() -> None:
    found = estimate_areas(EXAMPLE, MAPPED)
    assert found.share * HECTARES == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=0.6)
    assert 1.96 * found.share_se * HECTARES == pytest.approx([6_158, 3_756, 15_510, 16_282], abs=0.6)
    assert found.share_se[0] * 1e7 == pytest.approx(34_907, abs=1)
    assert (found.overall, 1.96 * found.overall_se) == pytest.approx((0.947, 0.018), abs=6e-4)
    assert found.user == pytest.approx([0.88, 0.733, 0.927, 0.963], abs=6e-4)
    assert 1.96 * found.user_se == pytest.approx([0.07, 0.10, 0.04, 0.02], abs=6e-3)
    assert found.producer == pytest.approx([0.75, 0.85, 0.93, 0.96], abs=6e-3)
    assert 1.96 * found.producer_se[[0, 2, 3]] == pytest.approx([0.21, 0.03, 0.02], abs=6e-3)


def test_standard_errors_are_those_of_repeated_sampling() -> None:
    rng = np.random.default_rng(0)
    within = EXAMPLE / EXAMPLE.sum(1, keepdims=True)
    drawn = [np.stack([rng.multinomial(80, row) for row in within]).astype(float) for _ in range(1500)]
    found = [estimate_areas(counts, MAPPED) for counts in drawn]
    for name in ("overall", "share", "user"):
        stated = np.sqrt(np.mean([np.square(getattr(f, f"{name}_se")) for f in found], axis=0))
        assert np.std([getattr(f, name) for f in found], axis=0) == pytest.approx(stated, rel=0.08)


def test_shares_of_land_are_found_from_labels_picked_class_by_class() -> None:
    rates = np.array([[0.9, 0.1, 0.0], [0.05, 0.9, 0.05], [0.2, 0.0, 0.8]])
    share = np.array([0.95, 0.03, 0.02])
    assert shares_of_land(rates, share @ rates) == pytest.approx(share, abs=2e-3)
    assert shares_of_land(np.stack([rates, np.eye(3)]), share)[1] == pytest.approx(share)


def judged(
    rates: np.ndarray, counts: list[int], seed: int = 0, a_block: int = 1, random: bool = False
) -> CrossValidation:
    """Labels of each class, mapped by rates, in blocks of their own."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(rates)), counts)
    mapped = np.array([rng.choice(len(rates), p=rates[k]) for k in classes])
    said = np.eye(len(rates))[mapped]
    return CrossValidation(said, np.eye(len(rates))[classes], np.arange(len(classes)) // a_block, 16, random)


def test_accuracy_is_that_of_the_land_whatever_the_labels() -> None:
    """Nine tenths of the land is forest; labels are picked alike from both classes, or as the land is."""
    rates, share = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0.9, 0.1])
    truth = float(share @ rates.diagonal())
    for counts in ([400, 400], [900, 100]):
        found = expect(judged(rates, counts), ("forest", "water"), share @ rates, 10.0)
        assert abs(found.accuracy - truth) < 2 * found.accuracy_se
        assert found.share == pytest.approx(share, abs=0.08)
        assert 0.005 < found.accuracy_se < 0.05


def test_intervals_hold_what_they_promise() -> None:
    rates, share = np.array([[0.85, 0.15], [0.25, 0.75]]), np.array([0.7, 0.3])
    truth = float(share @ rates.diagonal())
    inside = 0
    for seed in range(120):
        found = expect(judged(rates, [40, 40], seed, a_block=2), ("forest", "water"), share @ rates, 10.0, seed)
        inside += found.accuracy_interval[0] <= truth <= found.accuracy_interval[1]
    assert 0.9 <= inside / 120 <= 1.0


def test_neighbours_that_err_together_widen_the_interval() -> None:
    said = np.eye(2)[np.repeat([0, 1, 0, 0, 1, 1, 1, 0] * 2, 10)]
    truth = np.eye(2)[np.repeat([0, 0, 0, 0, 1, 1, 1, 1] * 2, 10)]
    alone = expect(CrossValidation(said, truth, np.arange(160), 16), ("a", "b"), np.full(2, 0.5), 10.0)
    together = expect(CrossValidation(said, truth, np.arange(160) // 10, 16), ("a", "b"), np.full(2, 0.5), 10.0)
    assert together.accuracy == alone.accuracy
    assert together.accuracy_se > 2 * alone.accuracy_se


def test_all_right_is_no_proof_and_few_labels_tell_nothing() -> None:
    certain = expect(judged(np.eye(2), [6, 6]), ("forest", "water"), np.full(2, 0.5), 10.0)
    assert certain.accuracy == 1
    assert certain.accuracy_se > 0.03
    few = expect(judged(np.eye(2), [3, 3]), ("forest", "water"), np.full(2, 0.5), 10.0)
    assert not few.told
    assert "too few or too clustered" in few.warnings[-1]
    clustered = expect(judged(np.eye(2), [40, 40], a_block=40), ("forest", "water"), np.full(2, 0.5), 10.0)
    assert not clustered.told
    lines = three_lines(few, ("forest", "water"), propose_meanings(["forest", "water"]), np.full(2, 0.5))
    assert lines[0] == "accuracy expected: cannot be told from 6 labels in 6 blocks of ground"


def test_random_split_is_marked_everywhere() -> None:
    found = expect(judged(np.eye(2), [30, 30], random=True), ("forest", "water"), np.full(2, 0.5), 10.0)
    assert found.warnings[0].startswith("RANDOM SPLIT")
    assert "RANDOM SPLIT" in three_lines(found, found.classes, propose_meanings(found.classes), found.mapped)[0]


def test_what_is_confused_and_what_comes_next() -> None:
    rates = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    found: Expectation = expect(judged(rates, [60, 60, 3]), LEGEND.classes, np.array([0.5, 0.3, 0.2]), 10.0)
    lines = three_lines(found, LEGEND.classes, propose_meanings(LEGEND.classes), found.mapped)
    assert "of forest is mapped as water" in lines[1]
    assert lines[2].startswith("next: label more of bog (3)")
    none = three_lines(None, ("forest", "clouds"), propose_meanings(["forest", "clouds"]), np.array([0.7, 0.3]))
    assert none[0] == "accuracy expected: not known, as names alone made this map"
    assert "no meaning was found for clouds" in none[1]


# blocks


def tile_with(y: list[int], x: list[int], classes: list[int], name: str = "a", east_px: int = 0) -> Tile:
    """A tile of 200 x 200 px, 10 m."""
    mass = torch.zeros(3, 200, 200)
    mass[classes, y, x] = 1
    grid = Grid(200, 200, 10.0, "EPSG:32633", from_origin(500000 + 10 * east_px, 5800000, 10, 10))
    sensor = read_sensor("sentinel2a").pick(["B04"])
    return Tile(name, torch.zeros(1, 200, 200), torch.ones(200, 200).bool(), mass, sensor, LEGEND, grid, "DN")


def labels_of(tiles: list[Tile]) -> Labels:
    rows = [torch.nonzero(tile.mass.sum(0) > 0) for tile in tiles]
    which = torch.cat([torch.full((len(r),), t) for t, r in enumerate(rows)])
    y, x = torch.cat(rows).T
    mass = torch.stack([tiles[t].mass[:, a, b] for t, a, b in zip(which.tolist(), y.tolist(), x.tolist(), strict=True)])
    return Labels(which, y, x, mass, LEGEND, "all")


def test_nothing_is_learnt_within_the_buffer_nor_from_the_block() -> None:
    rng = np.random.default_rng(1)
    y, x = rng.integers(0, 200, (2, 150))
    tiles = [tile_with(y.tolist(), x.tolist(), rng.integers(0, 3, 150).tolist())]
    labels = labels_of(tiles)
    side = block_side_px(tiles, labels)
    assert 30 <= side <= 34
    blocks, places = patch_blocks(tiles, labels, labels, side), ground_places_px(tiles, labels)
    asked = np.zeros(len(labels), dtype=int)
    for learn, check in buffered_folds(labels.classes.numpy(), blocks, places, 12.0, 0):
        assert not set(blocks[learn]) & set(blocks[check])
        far = np.linalg.norm(places[learn][:, None] - places[check][None], axis=2)
        assert far.min() > 12
        assert len(learn) + len(check) < len(labels), "some lie within the buffer"
        asked[check] += 1
    assert (asked == 1).all()


def test_a_polygon_is_not_cut_unless_it_is_larger_than_a_block() -> None:
    square = [(r, c) for r in range(28, 36) for c in range(28, 36)]
    wide = [(r, c) for r in range(100, 104) for c in range(10, 190)]
    y, x = zip(*square, *wide, strict=True)
    tiles = [tile_with(list(y), list(x), [0] * len(square) + [1] * len(wide))]
    labels = labels_of(tiles)
    blocks = patch_blocks(tiles, labels, labels, 32)
    assert len(set(blocks[labels.classes.numpy() == 0])) == 1
    assert len(set(blocks[labels.classes.numpy() == 1])) > 4


def test_dates_of_one_place_share_blocks_and_buffer_and_other_places_do_not() -> None:
    here, again = tile_with([5, 90], [5, 90], [0, 1], "a"), tile_with([5, 90], [5, 90], [0, 1], "b")
    there = tile_with([5, 90], [5, 90], [0, 1], "c", east_px=4000)
    tiles = [here, again, there]
    labels = labels_of(tiles)
    places, blocks = ground_places_px(tiles, labels), patch_blocks(tiles, labels, labels, 32)
    assert np.allclose(places[:2], places[2:4])
    assert not np.allclose(places[:2], places[4:])
    assert blocks[:2].tolist() == blocks[2:4].tolist()
    assert not set(blocks[4:]) & set(blocks[:4])
