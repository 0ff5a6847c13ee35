"""The kernels have their published integrals, are reciprocal, and switch off."""

import numpy as np
import pytest
import torch

from terraficta.synth.physics.brdf import WHITE_SKY, anisotropy, directional_reflectance, li_sparse, ross_thick
from terraficta.synth.physics.sun import Sun
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.sensor import read_sensor

SENSOR = read_sensor("sentinel2a").pick(["B02", "B04", "B08"])


def _sun(sza, saa, vza=5.0, vaa=100.0):
    return Sun(*(torch.tensor([float(v)]) for v in (sza, saa, vza, vaa, 45.0, 180.0)))


@pytest.mark.parametrize(("kernel", "name"), [(ross_thick, "ross_thick"), (li_sparse, "li_sparse")])
def test_white_sky_integral(kernel, name):
    x, w = np.polynomial.legendre.leggauss(48)
    mu, weight = torch.tensor((x + 1) / 2), torch.tensor((x + 1) / 2 * w)
    zenith = torch.rad2deg(torch.acos(mu))
    azimuth = torch.arange(0.5, 180, 1.0, dtype=torch.float64)
    sun, view, around = torch.meshgrid(zenith, zenith, azimuth, indexing="ij")
    integral = (kernel(sun, view, around).mean(2) * weight[:, None] * weight).sum()
    assert float(integral) == pytest.approx(WHITE_SKY[name], abs=5e-4)


@pytest.mark.parametrize("kernel", [ross_thick, li_sparse])
def test_kernels_are_reciprocal_zero_at_nadir_and_bright_in_backscatter(kernel):
    a, b, c = torch.tensor(35.0), torch.tensor(20.0), torch.tensor(70.0)
    assert float(kernel(a, b, c)) == pytest.approx(float(kernel(b, a, c)), abs=1e-6)
    assert float(kernel(0 * a, 0 * a, 0 * a)) == pytest.approx(0.0, abs=1e-6)
    assert float(kernel(a, a, 0 * c)) > float(kernel(a, a, 0 * c + 180))


def test_off_is_the_identity_and_water_stays_lambertian():
    boa = torch.rand(1, 3, 32, 32)
    cover = torch.zeros(1, 32, 32, dtype=torch.uint8)
    assert directional_reflectance(boa, cover, _sun(40, 150), SENSOR, 0.0) is boa
    cover[:] = TERRAFICTA.index("water")
    assert torch.equal(directional_reflectance(boa, cover, _sun(40, 150), SENSOR, 1.0), boa)


def test_forest_is_brighter_with_the_sun_behind_the_camera():
    forest = TERRAFICTA.index("evergreen_forest")
    back, ahead = anisotropy(_sun(45, 100, 9, 100), SENSOR), anisotropy(_sun(45, 280, 9, 100), SENSOR)
    assert (back[0, forest] > 1.1 * ahead[0, forest]).all()
    assert ((back > 0.3) & (back < 2.0)).all()
