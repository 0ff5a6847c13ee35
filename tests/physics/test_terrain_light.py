"""Light on relief against closed forms: inclined plane, wall, V-valley, and the energy of the beam."""

import math

import pytest
import torch

from terraficta.synth.physics.sun import Sun
from terraficta.synth.physics.terrain_light import cos_incidence_ratio, gradient, lit, sky_view, terrain_light

CELL = torch.tensor([10.0])
SIZE = 128


def _sun(sza, saa):
    return Sun(*(torch.tensor([float(v)]) for v in (sza, saa, 0.0, 0.0, 45.0, 180.0)))


def _plane(slope_deg, aspect_deg):
    """Ground that falls towards `aspect_deg`."""
    y, x = torch.meshgrid(torch.arange(SIZE) * 10.0, torch.arange(SIZE) * 10.0, indexing="ij")
    towards = x * math.sin(math.radians(aspect_deg)) - y * math.cos(math.radians(aspect_deg))
    return (-math.tan(math.radians(slope_deg)) * towards)[None].float()


@pytest.mark.parametrize(("slope", "aspect", "sza", "saa"), [(20, 90, 40, 90), (35, 200, 30, 150), (15, 0, 60, 180)])
def test_an_inclined_plane_takes_the_cosine_of_incidence(slope, aspect, sza, saa):
    s, z, difference = (math.radians(v) for v in (slope, sza, saa - aspect))
    incidence = math.cos(z) * math.cos(s) + math.sin(z) * math.sin(s) * math.cos(difference)
    ratio = cos_incidence_ratio(*gradient(_plane(slope, aspect), CELL), _sun(sza, saa))
    assert ratio.numpy() == pytest.approx(max(incidence, 0) / math.cos(z), abs=2e-4)


@pytest.mark.parametrize(("slope", "aspect"), [(10, 45), (30, 180)])
def test_an_inclined_plane_sees_its_share_of_the_sky(slope, aspect):
    view = sky_view(_plane(slope, aspect), CELL, pool=1)
    assert float((view - (1 + math.cos(math.radians(slope))) / 2).abs().max()) < 0.003


def test_the_foot_of_a_v_valley_sees_cos_squared_of_the_sky():
    slope = math.radians(30)
    x = torch.arange(255) - 127.0
    valley = (x.abs() * 10 * math.tan(slope)).expand(1, 255, 255)
    view = sky_view(valley, CELL, pool=1, directions=36)
    assert float(view[0, 127, 128]) == pytest.approx(math.cos(slope) ** 2, abs=0.02)


@pytest.mark.parametrize("saa", [270.0, 0.0, 225.0, 250.0])
def test_a_wall_throws_a_shadow_of_the_right_length(saa):
    sza, wall_m = 60.0, 100.0
    length_cells = wall_m * math.tan(math.radians(sza)) / 10
    y, x = torch.meshgrid(torch.arange(SIZE) - 64.0, torch.arange(SIZE) - 64.0, indexing="ij")
    east, north = math.sin(math.radians(saa)), math.cos(math.radians(saa))
    ahead = x * east - y * north  # distance towards the sun
    ridge = (ahead.abs() < 2).float() * wall_m
    light = lit(ridge[None], CELL, _sun(sza, saa))[0]
    middle = (x * north + y * east).abs() < 20
    behind = -ahead
    assert float(light[middle & (behind > 2.5) & (behind < length_cells)].max()) == 0
    assert float(light[middle & (behind > length_cells + 4)].min()) == 1
    assert float(light[middle & (ahead > 2.5)].min()) == 1


def test_the_beam_brings_the_same_energy_to_rolling_ground():
    wave = torch.sin(torch.arange(SIZE) * 2 * math.pi / SIZE)
    hills = (40 * wave[:, None] + 30 * wave[None])[None].float()
    sun = _sun(35, 120)
    gy, gx = torch.gradient(hills[0], spacing=10.0)
    area = torch.sqrt(1 + gy**2 + gx**2)
    inside = slice(1, -1)
    assert lit(hills, CELL, sun).min() == 1
    energy = (cos_incidence_ratio(*gradient(hills, CELL), sun)[0] * area)[inside, inside].mean()
    assert float(energy) == pytest.approx(1.0, abs=5e-3)


def test_no_relief_is_no_change_and_flat_ground_is_exactly_in_the_open():
    hills = torch.rand(2, 64, 64) * 100
    sun = Sun(*(torch.tensor([float(v)] * 2) for v in (40, 130, 0, 0, 45, 180)))
    cell = torch.tensor([10.0, 20.0])
    assert terrain_light(hills, cell, sun, relief=0.0) is None
    flat = terrain_light(torch.zeros(2, 64, 64), cell, sun)
    assert torch.equal(flat.direct, torch.ones(2, 64, 64))
    assert torch.equal(flat.sky_view, torch.ones(2, 64, 64))


def test_alone_and_in_a_batch_to_the_last_bit():
    hills = torch.nn.functional.interpolate(torch.rand(3, 1, 8, 8) * 300, size=(64, 64), mode="bicubic")[:, 0]
    sun = Sun(
        *(torch.tensor(v) for v in ([30.0, 50, 70], [100.0, 150, 210], [0.0] * 3, [0.0] * 3, [45.0] * 3, [1.0] * 3))
    )
    cell = torch.tensor([10.0, 5.0, 30.0])
    many = terrain_light(hills, cell, sun)
    for i in range(3):
        alone = Sun(*(getattr(sun, n)[i : i + 1] for n in sun.__dataclass_fields__))
        one = terrain_light(hills[i : i + 1], cell[i : i + 1], alone)
        assert torch.equal(one.direct[0], many.direct[i])
        assert torch.equal(one.sky_view[0], many.sky_view[i])


@pytest.mark.parametrize("sza_deg", [30.0, 45.0, 60.0])
def test_a_house_casts_a_shadow_of_its_height_times_the_tangent(sza_deg: float) -> None:
    flat, house = torch.zeros(1, 128, 128), torch.zeros(1, 128, 128)
    house[:, 70:80, 50:70] = 12.0
    light = terrain_light(flat, torch.tensor([1.0]), _sun(sza_deg, 180.0), 1.0, (house, flat))  # the sun in the south
    assert light is not None
    dark = light.direct[0, :70, 60] == 0
    assert abs(int(dark.sum()) - 12.0 * math.tan(math.radians(sza_deg))) <= 1.5
    assert bool(dark[69 - int(dark.sum()) + 1 :].all()), "the shadow lies at the foot of the house"
    without = terrain_light(flat, torch.tensor([1.0]), _sun(sza_deg, 180.0), 1.0, (flat, flat))
    plain = terrain_light(flat, torch.tensor([1.0]), _sun(sza_deg, 180.0), 1.0)
    assert without is not None
    assert plain is not None
    assert torch.equal(without.direct, plain.direct)
