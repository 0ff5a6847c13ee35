"""Sensors for a scene: one of the catalogue, or a plausible one that was never built."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import InstrumentRecipe
from terraficta.synth.types.sensor import Band, Sensor, read_sensor

Floats = NDArray[np.float64]

INVENTED = "invented"
"""the name in a recipe that asks for an invented sensor"""
PAN_FWHM_NM = 150.0
"""a band of the visible this broad is panchromatic: no land-cover product delivers it among its bands"""
AERIAL = 0.85
"""share of the cameras of three or four bands that fly below 2 m pixels: few satellites have no more; chosen"""
FAMILIES = {"rgb": 0.15, "rgbn": 0.25, "multispectral": 0.45, "hyperspectral": 0.15}
"""kinds of invented sensors, and how often"""


def draw_sensor(recipe: InstrumentRecipe, key: SceneKey, drop_bands: float = 0.0) -> Sensor:
    """The sensor of a scene: one of `recipe.sensors`, each equally often; "invented" draws a new one.

    Panchromatic bands are left out, as in the products that people classify.

    Parameters
    ----------
    recipe : InstrumentRecipe
        its `sensors`
    key : SceneKey
        of the scene
    drop_bands : float
        probability that a scene loses some bands (a random share, three stay at least)

    Examples
    --------
    >>> draw_sensor(InstrumentRecipe(sensors=("landsat8",)), SceneKey(7, 0)).name
    'landsat8'
    """
    rng = key.at("instrument", "sensor").rng()
    name = recipe.sensors[int(rng.integers(len(recipe.sensors)))]
    sensor = invent_sensor(key) if name == INVENTED else without_pan(read_sensor(name))
    if drop_bands and len(sensor) > 3 and rng.random() < drop_bands:
        kept = int(rng.integers(3, len(sensor)))
        chosen = np.sort(rng.permutation(len(sensor))[:kept])
        sensor = replace(sensor, bands=tuple(sensor.bands[i] for i in chosen))
    return sensor


def without_pan(sensor: Sensor) -> Sensor:
    """The sensor without its panchromatic bands (all of them are kept where it has nothing else)."""
    bands = tuple(b for b in sensor.bands if not (b.fwhm_nm > PAN_FWHM_NM and b.centre_nm < 750))
    return replace(sensor, bands=bands or sensor.bands)


def invent_sensor(key: SceneKey) -> Sensor:
    """A plausible sensor that does not exist: 3 to 60 bands between 400 and 2500 nm.

    Bands follow the habits of real ones: centres around colours, the red edge and the atmospheric windows, width
    growing with wavelength, more light (and so more signal to noise) in a broad band, coarser pixels in the infrared.
    """
    rng = key.at("instrument", "invented").rng()
    family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    if family == "hyperspectral":
        centres, widths = _spectrometer(rng)
    elif family == "multispectral":
        centres, widths = _multispectral(rng)
    else:
        centres, widths = _camera(rng, infrared=family == "rgbn")
    aerial = family in {"rgb", "rgbn"} and rng.random() < AERIAL
    gsd_m = round(_log_uniform(rng, *((0.2, 2.0) if aerial else (2.0, 40.0))), 2)
    mtf, snr = rng.uniform(0.12, 0.42), _log_uniform(rng, 60, 500)
    flatness = rng.uniform(2.0, 6.0)
    coarser_infrared = int(rng.choice([1, 1, 2]))
    bands = []
    for i, (centre, width) in enumerate(zip(centres, widths, strict=True)):
        light = math.sqrt(min(width, 80.0) / 40.0) * (0.7 if centre > 1000 else 1.0)
        bands.append(
            Band(
                name=f"I{i + 1:02d}",
                centre_nm=round(float(centre), 1),
                fwhm_nm=round(float(width), 1),
                gsd_m=gsd_m * (coarser_infrared if centre > 1000 else 1),
                mtf_nyquist=(_near(rng, mtf, 0.12, 0.08, 0.5), _near(rng, 0.9 * mtf, 0.12, 0.08, 0.5)),
                snr=round(_near(rng, snr * light, 0.2, 20, 2000), 1),
                flatness=2.0 if family == "hyperspectral" else round(flatness, 2),
            )
        )
    bits = int(rng.choice([8, 10, 11, 12, 12, 14])) if family != "hyperspectral" else int(rng.choice([12, 14]))
    name = f"{INVENTED}-{family}-{key.at('instrument', 'invented').digest().hex()[:6]}"
    return Sensor(name, tuple(bands), gsd_m=gsd_m, bits=bits)


def _camera(rng: np.random.Generator, infrared: bool) -> tuple[Floats, Floats]:
    """Three colours, and one band in the near infrared; order as delivered, blue first or red first."""
    centres = np.array([465, 550, 640, 835]) + rng.normal(0, [12, 10, 14, 25])
    widths = np.array([70, 75, 70, 110]) * rng.uniform(0.6, 1.5, 4)
    count = 4 if infrared else 3
    order = [2, 1, 0, 3][:count] if rng.random() < 0.5 else list(range(count))
    return centres[order], widths[order]


def _multispectral(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Five to sixteen bands: the colours and the near infrared always, others where the air lets light through."""
    usual = np.array([480.0, 560.0, 660.0, 850.0])
    others = np.array([430.0, 520.0, 610.0, 705.0, 740.0, 783.0, 920.0, 1040.0, 1240.0, 1610.0, 1690.0, 2100.0, 2200.0])
    more = rng.permutation(others)[: int(rng.integers(1, len(others)))]
    centres = np.sort(np.concatenate([usual, more]))
    centres = centres + rng.normal(0, 0.012, len(centres)) * centres
    widths = centres * rng.uniform(0.02, 0.11, len(centres))
    red_edge = (centres > 690) & (centres < 800)
    widths = np.where(red_edge, widths.clip(10, 25), widths.clip(12, 220))
    return centres, widths


def _spectrometer(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """16 to 60 contiguous or binned channels, to 1000 nm or to 2450 nm, without those where the air is opaque."""
    count = int(rng.integers(16, 61))
    last_nm = 1000.0 if rng.random() < 0.4 else 2450.0
    centres = np.linspace(rng.uniform(405, 450), last_nm - rng.uniform(10, 60), count + 12)
    opaque = ((centres > 1340) & (centres < 1450)) | ((centres > 1790) & (centres < 1970))
    centres = centres[~opaque][:count] if (~opaque).sum() <= count else _thin(centres[~opaque], count)
    step = float(np.diff(centres).min())
    return centres, np.full(len(centres), rng.uniform(0.4, 1.1) * min(step, 30.0))


def _thin(values: Floats, count: int) -> Floats:
    return values[np.linspace(0, len(values) - 1, count).round().astype(int)]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _near(rng: np.random.Generator, value: float, spread: float, low: float, high: float) -> float:
    return float(np.clip(value * math.exp(rng.normal(0, spread)), low, high))
