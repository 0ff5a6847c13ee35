"""What a classifier of pixels may know of them: surroundings and ratios."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tileset_maker import write_tileset

from terraficta.eval.benchmark.ground import read_ground
from terraficta.eval.benchmark.pixels import Pixels
from terraficta.finetune.context import band_pairs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tileset(tmp_path_factory.mktemp("benchmark") / "made")


def test_context_is_mean_and_deviation_of_the_valid_pixels_around(made: Path) -> None:
    tile = read_ground(made, 0).train[0]
    valid = tile.valid.clone()
    valid[10, 11] = False
    tile = replace(tile, valid=valid)
    y, x = torch.tensor([10, 0]), torch.tensor([10, 0])
    found = Pixels(tile, y, x, torch.zeros(3, 2)).context
    around = tile.image[:, 8:13, 8:13].reshape(5, -1).double()[:, valid[8:13, 8:13].reshape(-1)]
    corner = tile.image[:, :3, :3].reshape(5, -1).double()
    for row, some in zip(found, (around, corner), strict=True):
        assert row[5:10] == pytest.approx(some.mean(1).numpy(), abs=1e-5)
        assert row[10:] == pytest.approx(some.std(1, correction=0).numpy(), abs=1e-5)
    assert found[0, :5] == pytest.approx(tile.image[:, 10, 10].numpy())


def test_ratios_are_normalised_differences_whatever_the_numbers(made: Path) -> None:
    tile = read_ground(made, 0).train[0]
    image = tile.image.clone()
    image[1, 10, 10], image[2, 10, 10], image[3, 10, 10] = -0.01, -0.02, 0.3
    pixels = Pixels(replace(tile, image=image), torch.tensor([10, 20]), torch.tensor([10, 20]), torch.zeros(3, 2))
    found = pixels.ratios
    pairs = band_pairs(tile.sensor)
    assert found.shape == (2, 15 + 10)
    assert np.array_equal(found[:, :15], pixels.context)
    for n, (a, b) in enumerate(pairs):
        x, y = (np.maximum(pixels.spectra[:, band], 0) for band in (a, b))
        assert found[:, 15 + n] == pytest.approx((x - y) / np.maximum(x + y, 1e-6), abs=1e-6)
    assert found[0, 15 + pairs.index((1, 2))] == 0
    assert found[0, 15 + pairs.index((1, 3))] == -1
    stored = Pixels(replace(tile, image=image * 1e4), pixels.y, pixels.x, pixels.mass).ratios
    assert stored[:, 15:] == pytest.approx(found[:, 15:], abs=1e-5)
