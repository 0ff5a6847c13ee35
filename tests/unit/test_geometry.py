"""Crops that are bent: labels go where their ground goes, for any number of bands; beyond the crop nothing is valid."""

import pytest
import torch

from terraficta.finetune.geometry import bent


@pytest.mark.parametrize("bands", [3, 13, 218])
def test_labels_follow_their_ground(bands: int) -> None:
    image = torch.zeros(bands, 48, 48)
    y, x = torch.tensor([24, 10, 30]), torch.tensor([24, 34, 12])
    for row, column in zip(y.tolist(), x.tolist(), strict=True):
        image[:, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    for seed in range(8):
        turned, valid, row, column, kept = bent(image, torch.ones(48, 48, dtype=torch.bool), y, x, 0.2, seed)
        assert turned.shape == image.shape
        assert len(row) == int(kept.sum())
        assert bool(kept[0]), "the middle stays"
        assert float(turned[:, row, column].min()) > 0.4
        assert 0.6 < float(valid.float().mean()) <= 1.0


def test_the_same_seed_bends_alike() -> None:
    image, valid = torch.rand(4, 32, 32), torch.ones(32, 32, dtype=torch.bool)
    where = torch.tensor([5, 20])
    one, two, other = (bent(image, valid, where, where, 0.2, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_reflectance_above_one_is_kept() -> None:
    image = torch.full((3, 32, 32), 1.4)
    assert float(bent(image, torch.ones(32, 32, dtype=torch.bool), *[torch.tensor([16])] * 2, 0.1, 3)[0].max()) > 1.3
