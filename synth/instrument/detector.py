"""Detector: what the camera makes of the light it gets. Noise, stripes, saturation, quantisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from terraficta.synth.instrument.optics import Optics, Resampling, coarseness, to_grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import InstrumentRecipe
from terraficta.synth.types.sensor import Band, Sensor

READ_NOISE_SHARE = 0.35
"""Signal-independent part of the noise at the reference radiance: a = 0.35 of the whole (median of Sentinel-2A's
bands from alpha of the instrument's noise model, var = a^2 + b L; the rest is photon noise)."""
PIXEL_GAIN_SD = 0.002
"""Residual gain error of a detector element after calibration (PRNU), at striping 1: 0.2 %, the fixed-pattern noise
that the Sentinel-2 mission requirements allow."""
PIXEL_OFFSET_SHARE = 0.5
"""Residual dark offset of a detector element at striping 1, as a share of the read noise (our choice)."""
REFERENCE_REFLECTANCE, REFERENCE_COS = 0.3, math.sqrt(0.5)
"""where a sensor's documents give no reference radiance: reflectance 0.3 under a sun at 45 degrees"""
SATURATION_REFLECTANCE = 1.3
"""and where they give no saturation: a detector that takes reflectance 1.3 under a sun at the zenith"""
LEAST_COS_SUN = 0.02
CELLS_AT_ONCE = 100_000
"""pixels x bands that are recorded together on a CPU: they stay in its cache"""


@dataclass(frozen=True)
class Detector:
    """The camera's detector for N scenes: what `record` needs.

    Parameters
    ----------
    optics : Optics
        in front of it; noise of a band coarser than the grid is as coarse as the band
    noise : float
        times the sensor's own noise; 0 none
    striping : float
        times the usual residual of calibration between detector elements; 0 none
    quantise : bool
        saturate, and round to the sensor's bits
    seeds : NDArray[np.int32]
        (N, B) int32, seeds of the noise fields
    """

    optics: Optics
    noise: float
    striping: float
    quantise: bool
    seeds: NDArray[np.int32]

    @classmethod
    def none(cls, sensor: Sensor, count: int = 1) -> Detector:
        """A detector that writes down exactly what it gets."""
        return cls(Optics.none(sensor, count), 0.0, 0.0, False, np.zeros((count, len(sensor)), np.int32))

    def facts(self) -> dict[str, Any]:
        """What is set; the noise itself is addressed by the key."""
        return {"noise": self.noise, "striping": self.striping, "quantise": self.quantise}


def draw_detector(recipe: InstrumentRecipe, optics: Optics, keys: Sequence[SceneKey]) -> Detector:
    """The detector behind these optics, with noise of its own for every scene and band."""
    seeds = [[key.at("instrument", "noise", b.name).field_seed() for b in optics.sensor.bands] for key in keys]
    return Detector(optics, recipe.noise, recipe.striping, recipe.quantise, np.array(seeds, np.int32))


def record(signal: Tensor, detector: Detector, sza_deg: Tensor, together: bool | None = None) -> Tensor:
    """What the detector writes down, given back as reflectance.

    Parameters
    ----------
    signal : Tensor
        (N, B, H, W) TOA reflectance that reaches the pixels [-]
    detector : Detector
        of the N scenes
    sza_deg : Tensor
        (N,) sun zenith angle [deg]; noise is a matter of radiance, so a low sun is noisier
    together : bool | None
        all planes in one sweep, or as many as stay in a CPU's cache; None: as suits the device

    Returns
    -------
    Tensor
        (N, B, H, W) TOA reflectance [-]; `signal` itself where noise, striping and quantise are all off

    Error
    -----
    SNR at the reference radiance within 1 % of the sensor's, before quantisation (tests/physics/test_detector.py);
    the noise stops at 4.3 standard deviations. The split of the noise into read and photon noise is published for few
    sensors, see READ_NOISE_SHARE.

    Source
    ------
    var(L) = a^2 + b L: Sentinel-2 instrument noise model, Gascon et al. 2017, doi:10.3390/rs9060584.
    """
    if not (detector.noise or detector.striping or detector.quantise):
        return signal
    gain = reflectance_per_radiance(detector.optics.sensor, sza_deg)  # (N, B) float64 numpy
    recorded = torch.empty_like(signal)
    together = signal.device.type != "cpu" if together is None else together
    some = max(1, CELLS_AT_ONCE // signal[0, 0].numel())
    ratios = [coarseness(band, detector.optics) for band in detector.optics.sensor.bands]
    for ratio in sorted(set(ratios)):
        alike = [(n, b) for n in range(signal.shape[0]) for b, r in enumerate(ratios) if r == ratio]
        step = len(alike) if together else some
        for first in range(0, len(alike), step):
            scene, band = (np.array(index) for index in zip(*alike[first : first + step], strict=True))
            recorded[scene, band] = _record_planes(signal[scene, band], scene, band, ratio, detector, gain[scene, band])
    return recorded


def _record_planes(
    signal: Tensor,
    scene: NDArray[np.int64],
    band: NDArray[np.int64],
    ratio: int,
    detector: Detector,
    gain: NDArray[np.float64],
) -> Tensor:
    """Some planes (P, H, W), whose scene, band and gain are given; their bands are `ratio` px coarse."""

    def column(values: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(values, dtype=signal.dtype, device=signal.device)[:, None, None]

    sensor, seeds = detector.optics.sensor, detector.seeds[scene, band]
    read, photon = np.array([noise_terms(sensor.bands[b]) for b in band]).T
    if detector.striping:
        gains, offsets = _element_fields(seeds, sensor, signal)
        offset_sd = detector.striping * PIXEL_OFFSET_SHARE * read * gain
        signal = signal * (gains * (detector.striping * PIXEL_GAIN_SD) + 1) + offsets * column(offset_sd)
    if detector.noise:
        ways = [detector.optics.resampling[n] for n in scene]
        field = _noise_on_grid(seeds, ratio, ways, signal)
        spread = signal.clamp(min=0) * column(detector.noise**2 * photon * gain)
        spread = spread.add_(column((detector.noise * read * gain) ** 2)).sqrt_()
        signal = field.mul_(spread).add_(signal)
    if detector.quantise:
        levels = 2**sensor.bits - 1
        full = np.array([saturation_radiance(sensor.bands[b]) for b in band]) * gain
        counts = (signal * column(levels / full)).round_().clamp_(0, levels)
        signal = counts.mul_(column(full / levels))
    return signal


def _element_fields(seeds: NDArray[np.int32], sensor: Sensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Unit gain and offset errors of the detector elements: one a column, or a whisk-broom's few lines repeated."""
    height, width = like.shape[-2:]
    count = sensor.whisk_lines or width
    salted = np.concatenate([seeds ^ salt for salt in (0x5A5A5A5, 0x3C3C3C3)])
    gains, offsets = gaussian_field(salted, count, like.device).chunk(2)
    if sensor.whisk_lines:
        line = torch.arange(height, device=like.device) % sensor.whisk_lines
        return gains[:, line, None], offsets[:, line, None]
    return gains[:, None, :], offsets[:, None, :]


def _noise_on_grid(seeds: NDArray[np.int32], ratio: int, ways: Sequence[Resampling], like: Tensor) -> Tensor:
    """Unit noise (P, H, W); that of a coarse band is as coarse, and brought to the grid as its signal was."""
    height, width = like.shape[-2:]
    if ratio == 1:
        return gaussian_field(seeds, height * width, like.device).reshape(-1, height, width)
    rows, columns = -(-height // ratio) + 2, -(-width // ratio) + 2
    native = gaussian_field(seeds, rows * columns, like.device).reshape(-1, rows, columns)
    return torch.cat([to_grid(native[i : i + 1], ratio, (height, width), way) for i, way in enumerate(ways)])


def noise_terms(band: Band) -> tuple[float, float]:
    """(a, b) of var(L) = a^2 + b L, such that SNR at the reference radiance is the band's.

    a [W m-2 sr-1 um-1], b [W m-2 sr-1 um-1]
    """
    radiance = reference_radiance(band)
    spread = radiance / band.snr
    read = READ_NOISE_SHARE * spread
    return read, (spread**2 - read**2) / radiance


def reference_radiance(band: Band) -> float:
    """Radiance at which the band's SNR holds [W m-2 sr-1 um-1]."""
    if band.radiance_ref is not None:
        return band.radiance_ref
    return REFERENCE_REFLECTANCE * REFERENCE_COS * solar_irradiance(band) / math.pi


def saturation_radiance(band: Band) -> float:
    """Radiance at which the detector is full [W m-2 sr-1 um-1]."""
    if band.radiance_max is not None:
        return band.radiance_max
    return SATURATION_REFLECTANCE * solar_irradiance(band) / math.pi


def reflectance_per_radiance(sensor: Sensor, sza_deg: Tensor) -> NDArray[np.float64]:
    """(N, B) pi / (esun cos sza), at 1 AU [W-1 m2 sr um]."""
    cos_sun = np.cos(np.radians(sza_deg.detach().cpu().double().numpy())).clip(min=LEAST_COS_SUN)
    esun = np.array([solar_irradiance(b) for b in sensor.bands])
    return math.pi / (esun[None] * cos_sun[:, None])


@lru_cache(maxsize=4096)
def solar_irradiance(band: Band) -> float:
    """Band solar irradiance at 1 AU [W m-2 um-1]: the band's own, else ASTM G173 seen through its response."""
    if band.esun is not None:
        return band.esun
    wavelength_nm, irradiance = _solar_spectrum()
    response = replace(band, fwhm_nm=max(band.fwhm_nm, 4.0)).srf(torch.as_tensor(wavelength_nm)).numpy()
    return float((response * irradiance).sum() / response.sum())


@lru_cache
def _solar_spectrum() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from pvlib.spectrum import get_reference_spectra  # a second to import, and rarely needed

    spectrum = get_reference_spectra(standard="ASTM G173-03")["extraterrestrial"]
    wavelength_nm = np.arange(300.0, 2801.0)
    return wavelength_nm, 1000 * np.interp(wavelength_nm, spectrum.index.to_numpy(), spectrum.to_numpy())


def gaussian_field(seeds: NDArray[np.int32], count: int, device: torch.device | str = "cpu") -> Tensor:
    """Unit Gaussian noise (P, count) float32, one row a seed.

    A counter is hashed (two rounds of the murmur3 finaliser, keyed between them) and its halves look up quantiles
    of the normal distribution: integers and a table only, so the bits are the same on any device, alone or in a batch.

    Parameters
    ----------
    seeds : NDArray[np.int32]
        (P,) the seed of every row
    count : int
        of values
    """
    half = -(-count // 2)
    counter = torch.arange(half, dtype=torch.int32, device=device) * _signed(0x9E3779B1)
    seed = torch.as_tensor(seeds.astype(np.int32), device=device)[:, None]
    hashed = _mix(_mix(counter ^ seed) ^ _mix(seed * _signed(0x85EBCA77)))
    low, high = hashed & 0xFFFF, (hashed >> 16) & 0xFFFF
    table = _normal_quantiles().to(device)
    halves = torch.cat([low, high], 1)[:, :count]
    return table.index_select(0, halves.reshape(-1)).reshape(halves.shape)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


def _mix(h: Tensor) -> Tensor:
    """Finaliser of murmur3 (A. Appleby, public domain) on int32, which wraps; the shifts must be logical."""
    h = (h ^ ((h >> 16) & 0xFFFF)).mul_(_signed(0x85EBCA6B))
    h = (h ^ ((h >> 13) & 0x7FFFF)).mul_(_signed(0xC2B2AE35))
    return h ^ ((h >> 16) & 0xFFFF)


@lru_cache
def _normal_quantiles() -> Tensor:
    """65536 quantiles of the unit normal distribution, of unit variance."""
    quantiles = ndtri((np.arange(65536) + 0.5) / 65536)
    return torch.as_tensor((quantiles / quantiles.std()).astype(np.float32))
