"""Detector: the signal to noise of the documents, identity when off, noise that is addressed by the key."""

import math

import numpy as np
import pytest
import torch

from terraficta.synth.instrument.detector import (
    Detector,
    draw_detector,
    gaussian_field,
    noise_terms,
    record,
    reference_radiance,
    reflectance_per_radiance,
    saturation_radiance,
    solar_irradiance,
)
from terraficta.synth.instrument.optics import Optics, draw_optics
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import InstrumentRecipe
from terraficta.synth.types.sensor import Sensor, read_sensor, sensor_names

KEYS = [SceneKey(5, i) for i in range(3)]


def detector_of(sensor: Sensor, keys: list[SceneKey] = KEYS, psf: float = 0.0, **recipe: float | bool) -> Detector:
    settings = InstrumentRecipe.from_dict({"psf": psf, **recipe}, "test")
    return draw_detector(settings, draw_optics(settings, sensor, keys), keys)


def at_reference(sensor: Sensor, sza_deg: float, side: int) -> torch.Tensor:
    """Even ground, every band at its own reference radiance."""
    gain = reflectance_per_radiance(sensor, torch.tensor([sza_deg]))[0]
    level = [reference_radiance(b) * g for b, g in zip(sensor.bands, gain, strict=True)]
    return torch.tensor(level, dtype=torch.float32)[None, :, None, None].expand(1, -1, side, side).clone()


@pytest.mark.parametrize("name", sensor_names())
def test_signal_to_noise_at_reference_radiance(name: str) -> None:
    sensor = read_sensor(name)
    sensor = sensor.pick([b.name for b in sensor.bands[:: max(1, len(sensor) // 12)]])  # of a spectrometer some
    for sza_deg in (0.0, 55.0):
        signal = at_reference(sensor, sza_deg, 256)
        recorded = record(signal, detector_of(sensor, KEYS[:1], noise=1.0), torch.tensor([sza_deg]))
        snr = recorded.mean((0, 2, 3)) / recorded.std((0, 2, 3))
        for band, found in zip(sensor.bands, snr.tolist(), strict=True):
            assert found == pytest.approx(band.snr, rel=0.01), band.name


def test_noise_grows_with_the_root_of_light() -> None:
    sensor = read_sensor("landsat8").pick(["B4"])
    read, photon = noise_terms(sensor.bands[0])
    gain = float(reflectance_per_radiance(sensor, torch.zeros(1))[0, 0])
    for reflectance in (0.0, 0.1, 0.5):
        signal = torch.full((1, 1, 256, 256), reflectance)
        spread = record(signal, detector_of(sensor, KEYS[:1], noise=1.0), torch.zeros(1)).std()
        expected = gain * math.sqrt(read**2 + photon * reflectance / gain)
        assert float(spread) == pytest.approx(expected, rel=0.02)


def test_off_is_the_identity() -> None:
    sensor = read_sensor("sentinel2a")
    signal = torch.rand(3, len(sensor), 32, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(record(signal, Detector.none(sensor, 3), torch.zeros(3)), signal)
    assert torch.equal(record(signal, detector_of(sensor), torch.zeros(3)), signal)


def test_alone_and_in_a_batch_the_same_bits() -> None:
    sensor = read_sensor("sentinel2a")
    signal = torch.rand(3, len(sensor), 64, 64, generator=torch.Generator().manual_seed(2))
    sza_deg, on = torch.tensor([10.0, 40.0, 70.0]), {"noise": 1.0, "striping": 1.0, "quantise": True}
    together = record(signal, detector_of(sensor, psf=1.0, **on), sza_deg)
    for i, key in enumerate(KEYS):
        alone = record(signal[i : i + 1].clone(), detector_of(sensor, [key], psf=1.0, **on), sza_deg[i : i + 1])
        assert torch.equal(alone[0], together[i])
    at_once = record(signal, detector_of(sensor, psf=1.0, **on), sza_deg, together=True)  # as on a GPU
    assert torch.equal(at_once, together)
    fewer = sensor.pick(["B04", "B11"])  # a band keeps its noise when others are left out
    picked = record(signal[:, [3, 11]], detector_of(fewer, psf=1.0, **on), sza_deg)
    assert torch.equal(picked, together[:, [3, 11]])


def test_noise_is_white_normal_and_unlike_between_scenes() -> None:
    field = gaussian_field(np.array([1, 2, 12345], np.int32), 512 * 512).double()
    assert field.mean(1).abs().max() < 5 / 512
    assert (field.var(1) - 1).abs().max() < 0.015
    assert ((field**4).mean(1) - 3).abs().max() < 0.06
    for lag in (1, 2, 511, 512, 513, 512 * 256):
        assert (field[:, lag:] * field[:, :-lag]).mean(1).abs().max() < 0.012
    correlation = torch.corrcoef(field) - torch.eye(3, dtype=torch.float64)
    assert correlation.abs().max() < 0.01
    assert torch.equal(gaussian_field(np.array([12345], np.int32), 512 * 512)[0].double(), field[2])


def test_noise_of_a_coarse_band_is_coarse() -> None:
    sensor = read_sensor("sentinel2a").pick(["B11"])
    detector = detector_of(sensor, KEYS[:1], psf=1.0, noise=1.0)
    settled = Detector(Optics(sensor, 1.0, detector.optics.shift_px, ("nearest",)), 1.0, 0.0, False, detector.seeds)
    noise = record(torch.full((1, 1, 64, 64), 0.2), settled, torch.zeros(1))[0, 0].reshape(32, 2, 32, 2)
    assert torch.equal(noise[:, 0, :, 0], noise[:, 1, :, 1])


def test_stripes_run_along_the_track() -> None:
    sensor = read_sensor("landsat8").pick(["B5"])
    signal = torch.full((1, 1, 64, 64), 0.3)
    striped = record(signal, detector_of(sensor, KEYS[:1], striping=1.0), torch.tensor([30.0]))[0, 0]
    assert float(striped.std(0).max()) < 1e-7
    assert float(striped[0].std()) > 1e-4
    whisk = read_sensor("landsat7").pick(["B4"])
    lined = record(signal, detector_of(whisk, KEYS[:1], striping=1.0), torch.tensor([30.0]))[0, 0]
    assert float(lined.std(1).max()) < 1e-7
    assert torch.equal(lined[:16], lined[16:32])


def test_quantised_to_the_bits_and_saturated() -> None:
    sensor = read_sensor("landsat8").pick(["B5"])
    band, gain = sensor.bands[0], float(reflectance_per_radiance(sensor, torch.zeros(1))[0, 0])
    full = saturation_radiance(band) * gain
    signal = torch.linspace(-0.1, full * 1.5, 128 * 128).reshape(1, 1, 128, 128)
    recorded = record(signal, detector_of(sensor, KEYS[:1], quantise=True), torch.zeros(1))
    assert float(recorded.max()) == pytest.approx(full, rel=1e-5)
    assert float(recorded.min()) == 0
    counts = recorded.double() / full * (2**sensor.bits - 1)
    assert float((counts - counts.round()).abs().max()) < 1e-2
    inside = (signal >= 0) & (signal <= full)
    assert float((recorded - signal)[inside].abs().max()) <= 0.51 * full / (2**sensor.bits - 1)


def test_solar_irradiance_from_the_spectrum_agrees_with_the_agencies() -> None:
    from dataclasses import replace

    for band in read_sensor("sentinel2a").bands:
        assert band.esun is not None
        assert solar_irradiance(replace(band, esun=None)) == pytest.approx(band.esun, rel=0.04), band.name
