"""Product: reflectance as stored, and back."""

import pytest
import torch

from terraficta.synth.instrument.invented import draw_sensor, invent_sensor
from terraficta.synth.instrument.product import from_dn, to_dn
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import InstrumentRecipe
from terraficta.synth.types.sensor import read_sensor


def test_stored_and_read_back_within_half_a_step() -> None:
    sensor = read_sensor("sentinel2a")
    reflectance = torch.rand(2, len(sensor), 32, 32, generator=torch.Generator().manual_seed(1)) * 1.4 + 2e-4
    back = from_dn(to_dn(reflectance, sensor), sensor)
    assert float((back - reflectance).abs().max()) <= 0.5001 * sensor.dn_scale + 1e-7
    assert torch.equal(to_dn(back, sensor).int(), to_dn(reflectance, sensor).int())


def test_nothing_valid_is_stored_as_nodata() -> None:
    sensor = read_sensor("superdove")
    valid = torch.ones(4, 4, dtype=torch.bool)
    valid[0, 0] = False
    dn = to_dn(torch.full((8, 4, 4), -0.01), sensor, valid).int()
    assert dn[:, 0, 0].eq(0).all()
    assert dn[:, valid].ge(1).all()
    assert from_dn(dn, sensor)[:, 0, 0].eq(0).all()


def test_offset_keeps_dark_ground_apart() -> None:
    for name in ("sentinel2a", "landsat8"):
        sensor = read_sensor(name)
        reflectance = torch.full((len(sensor), 2, 2), -0.02)
        assert torch.allclose(from_dn(to_dn(reflectance, sensor), sensor), reflectance, atol=6e-5)


@pytest.mark.parametrize("index", range(60))
def test_invented_sensors_are_plausible(index: int) -> None:
    sensor = invent_sensor(SceneKey(11, index))
    assert 3 <= len(sensor) <= 60
    assert len({b.name for b in sensor.bands}) == len(sensor)
    for band in sensor.bands:
        assert 400 <= band.centre_nm <= 2500
        assert 2 <= band.fwhm_nm <= 250
        assert 20 <= band.snr <= 2000
        assert all(0.08 <= m <= 0.5 for m in band.mtf_nyquist)
    assert sensor == invent_sensor(SceneKey(11, index))


def test_pan_is_left_out_and_bands_are_dropped_when_asked() -> None:
    recipe = InstrumentRecipe(sensors=("landsat8",))
    assert [b.name for b in draw_sensor(recipe, SceneKey(1, 0)).bands] == [
        "B1",
        "B2",
        "B3",
        "B4",
        "B5",
        "B6",
        "B7",
        "B9",
    ]
    counts = {len(draw_sensor(recipe, SceneKey(1, i), drop_bands=1.0)) for i in range(40)}
    assert min(counts) >= 3
    assert len(counts) > 2


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(Refusal, match="one of aerial_rgb"):
        draw_sensor(InstrumentRecipe(sensors=("sentinel7",)), SceneKey(1, 0))
