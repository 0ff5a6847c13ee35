"""Clouds cover the wanted share, and their shadows lie where the sun throws them."""

import math

import pytest
import torch

from terraficta.synth.physics.cloud import dimming, grow_clouds, opacity, whiteness
from terraficta.synth.physics.sun import Sun

CELL = torch.tensor([20.0])


def _sun(sza, saa):
    return Sun(*(torch.tensor([float(v)]) for v in (sza, saa, 0.0, 0.0, 45.0, 180.0)))


def _clouds(share, sza=45.0, saa=90.0, base_m=800.0, seed=11):
    return grow_clouds(torch.tensor([seed]), torch.tensor([share]), torch.tensor([1500.0]), torch.tensor([base_m]),
                       _sun(sza, saa), 256, 256, CELL)  # fmt: skip


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_the_wanted_share_is_covered(share):
    clouds = _clouds(share)
    assert float((clouds.opacity > 0).float().mean()) == pytest.approx(share, abs=0.05)
    assert float(clouds.opacity.max()) < 1
    assert float(clouds.opacity.max()) > 0.5


def test_no_cloud_is_exactly_clear():
    clouds = _clouds(0.0)
    assert float(clouds.opacity.max()) == 0
    assert float(clouds.shadow.max()) == 0


@pytest.mark.parametrize("saa", [90.0, 180.0, 300.0])
def test_shadow_is_the_cloud_displaced_away_from_the_sun(saa):
    clouds = _clouds(0.3, sza=45.0, saa=saa, base_m=800.0)
    throw = 800.0 / 20.0  # cells, for a sun at 45 degrees
    rows, columns = -math.cos(math.radians(saa)) * throw, math.sin(math.radians(saa)) * throw
    middle = torch.arange(64, 192)
    cloud = clouds.opacity[0][(middle + round(rows))[:, None], middle + round(columns)]
    shadow = clouds.shadow[0][64:192, 64:192]
    agreement = torch.corrcoef(torch.stack([cloud.flatten(), shadow.flatten()]))[0, 1]
    assert float(agreement) > 0.98


def test_thick_clouds_are_opaque_and_thin_ones_are_not():
    thickness = torch.tensor([0.0, 0.5, 5.0, 50.0])
    seen = opacity(thickness)
    assert float(seen[0]) == 0
    assert (seen[1:] > seen[:-1]).all()
    assert float(seen[1]) < 0.2
    assert float(seen[3]) > 0.9


def test_edges_are_thin_and_cores_are_bright_but_not_white():
    clouds = _clouds(0.3)
    cloudy = clouds.opacity[0] > 0
    seen = (clouds.opacity * clouds.brightness)[0][cloudy]  # what the cloud adds to the light from below
    assert 0.1 < float((clouds.opacity[0][cloudy] < 0.5).float().mean()) < 0.7
    assert float(seen.max()) < 0.95
    assert float(seen.std()) > 0.1
    steps = (clouds.opacity[0, :, 1:] - clouds.opacity[0, :, :-1]).abs()
    assert float(steps.max()) < 0.5  # from one cell of 20 m to the next
    depth = torch.tensor([0.1, 1.0, 10.0, 40.0], dtype=torch.float64)
    assert torch.allclose(whiteness(depth) * opacity(depth), 0.1125 * depth / (1 + 0.1125 * depth))


def test_alone_and_in_a_batch_to_the_last_bit():
    seed, share = torch.tensor([3, 4]), torch.tensor([0.2, 0.5])
    size, base, cell = torch.tensor([900.0, 4000.0]), torch.tensor([600.0, 2000.0]), torch.tensor([10.0, 30.0])
    sun = Sun(*(torch.tensor(v) for v in ([30.0, 55.0], [140.0, 200.0], [0.0] * 2, [0.0] * 2, [45.0] * 2, [1.0] * 2)))
    many = grow_clouds(seed, share, size, base, sun, 128, 128, cell)
    for i in range(2):
        one_sun = Sun(*(getattr(sun, n)[i : i + 1] for n in sun.__dataclass_fields__))
        pick = slice(i, i + 1)
        one = grow_clouds(seed[pick], share[pick], size[pick], base[pick], one_sun, 128, 128, cell[pick])
        assert torch.equal(one.opacity[0], many.opacity[i])
        assert torch.equal(one.shadow[0], many.shadow[i])
        assert torch.equal(one.brightness[0], many.brightness[i])


def test_droplets_absorb_in_the_shortwave_infrared():
    dim = dimming(torch.tensor([490.0, 860.0, 1610.0, 2200.0]))
    assert dim[:2].tolist() == [1.0, 1.0]
    assert float(dim[3]) < float(dim[2]) < 0.9
