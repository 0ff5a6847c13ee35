"""Plausibility: what reflectance can and cannot be, so that a wrong scale is found before it is learned from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor

ABSORBED_NM = ((0.0, 430.0), (1330.0, 1500.0), (1770.0, 2000.0), (2350.0, 9e9))
"""where a product measures air or noise instead of ground: water vapour, and the ends of a spectrometer"""
BRIGHTEST = 1.6
"""98 % of every band lie below this, clouds, snow and low sun included; glint and roofs are the rest"""
DARKEST_BRIGHT = 0.005
"""the brightest visible per cent of any ground, open sea included, lies above this"""
DEEPEST_MEDIAN = -0.02
"""over-corrected products have negative pixels, not negative medians"""
LOWEST = -0.5
"""no correction of the air leaves reflectance below it; what does is a mark for missing pixels that is not declared"""
LOWEST_SHARE = 1e-3
"""of pixels that may lie below it all the same"""
LEAF_NIR = (0.06, 0.8)
"""median near infrared reflectance of pixels that show leaves; dense crops reach 0.65 (PROSAIL at LAI 8),
conifers in low sun at the top of the atmosphere 0.08"""
LEAF_NDVI = 0.5
"""pixels above it show leaves; a ratio, so it holds whatever the scale (with no offset)"""
WATER_GREEN = 0.45
"""green reflectance of the most turbid water stays below 0.35, its own glint and haze above it included"""
LEAST_PIXELS = 50
WATER_WORDS = {"water", "sea", "lake", "river", "ocean", "lakes", "rivers", "waters"}
LEAF_WORDS = {"forest", "tree", "trees", "grass", "grassland", "meadow", "wheat", "woodland", "vegetation", "shrubland"}


def require_reflectance(
    where: str | Path, values: Tensor, label: Tensor, sensor: Sensor, legend: tuple[str, ...]
) -> None:
    """Refuse numbers that cannot be reflectance, though the level says BOA or TOA.

    Parameters
    ----------
    where : str | Path
        the file that states scale and offset
    values : Tensor
        (P, B) sampled over all scenes, stored * scale + offset
    label : Tensor
        (P,) class + 1, 0 unlabelled
    sensor : Sensor
        B bands
    legend : tuple[str, ...]
        class names

    Error
    -----
    A scale wrong by a factor of less than about 3 passes, and so does reflectance that is 0.1 too high: real
    ground varies as much. Factors of 10 and more, and reflectance 0.1 too low, are refused on every real
    tileset tried (`tests/unit/test_tileset.py`).
    """
    if len(values) == 0:
        return
    centres = [band.centre_nm for band in sensor.bands]
    seen = [b for b, nm in enumerate(centres) if not any(low <= nm < high for low, high in ABSORBED_NM)]
    for b in seen:
        _require_band(where, values[:, b], sensor.bands[b].name, centres[b])
    visible = [b for b in seen if centres[b] < 700] or seen
    if visible and (top := float(torch.quantile(values[:, visible], 0.99, dim=0).max())) < DARKEST_BRIGHT:
        found = f"reflectance below {top:.2g} in 99 % of all pixels of every visible band"
        raise _impossible(where, found, "brighter ground somewhere")
    red, green, nir = (_nearest(centres, nm) for nm in (660.0, 560.0, 860.0))
    words = [set(name.lower().replace("-", "_").split("_")) for name in legend]
    if nir is not None and red is not None:
        ndvi = (values[:, nir] - values[:, red]) / (values[:, nir] + values[:, red])
        green_leaves = (ndvi > LEAF_NDVI) & (ndvi < 1)
        if green is not None:  # over dark water NDVI is a ratio of noise, and green stands above both
            green_leaves &= values[:, nir] > 1.5 * values[:, green]
        if green_leaves.sum() < max(LEAST_PIXELS, len(values) // 100):
            green_leaves = _labelled(label, words, LEAF_WORDS)
        _require_leaves(where, values[green_leaves, nir], sensor.bands[nir].name)
    if nir is not None and green is not None:
        water = _labelled(label, words, WATER_WORDS)
        _require_water(where, values[water, green], values[water, nir], sensor.bands[green].name)


def _impossible(where: str | Path, found: str, expected: str) -> Refusal:
    mend = (
        "correct scale and offset (reflectance = stored * scale + offset; often 0.0001), "
        "or write level: DN where the numbers are not calibrated"
    )
    return Refusal(where, "scale", found, expected, mend)


def _require_band(where: str | Path, band: Tensor, name: str, centre_nm: float) -> None:
    if float((band < LOWEST).float().mean()) > LOWEST_SHARE:
        share = float((band < LOWEST).float().mean())
        found = f"reflectance of {float(band.min()):.6g} in {share:.1%} of band {name} ({centre_nm:.0f} nm)"
        mend = (
            "if it marks missing pixels, state that stored value as nodata; if not, correct scale and offset "
            "(reflectance = stored * scale + offset), or write level: DN where the numbers are not calibrated"
        )
        raise Refusal(where, "scale", found, f"at least {LOWEST}", mend)
    middle, bright = torch.quantile(band, torch.tensor([0.5, 0.98])).tolist()
    if bright > BRIGHTEST:
        found = f"reflectance above {bright:.3g} in 2 % of band {name} ({centre_nm:.0f} nm)"
        raise _impossible(where, found, f"at most {BRIGHTEST}")
    if middle < DEEPEST_MEDIAN:
        found = f"a median reflectance of {middle:.3g} in band {name} ({centre_nm:.0f} nm)"
        raise _impossible(where, found, "at least 0, but for noise")


def _require_leaves(where: str | Path, nir: Tensor, name: str) -> None:
    if len(nir) < LEAST_PIXELS:
        return
    middle, (least, most) = float(nir.median()), LEAF_NIR
    if not least <= middle <= most:
        found = f"a median near infrared reflectance of {middle:.3g} over vegetation (band {name})"
        raise _impossible(where, found, f"{least} to {most}, what leaves can reflect")


def _require_water(where: str | Path, green: Tensor, nir: Tensor, name: str) -> None:
    if len(green) < LEAST_PIXELS:
        return
    open_water = nir < 0.7 * green  # frozen lakes under snow are as bright in the near infrared
    middle = float(green.median())
    if middle > WATER_GREEN and open_water.float().mean() > 0.5:
        found = f"a median reflectance of {middle:.3g} over water (band {name})"
        raise _impossible(where, found, f"at most {WATER_GREEN}, the most turbid water")


def _nearest(centres: list[float], nm: float, within_nm: float = 60.0) -> int | None:
    best = min(range(len(centres)), key=lambda b: abs(centres[b] - nm))
    return best if abs(centres[best] - nm) <= within_nm else None


def _labelled(label: Tensor, words: list[set[str]], wanted: set[str]) -> Tensor:
    """(P,) bool: pixels of the classes whose name holds one of the wanted words."""
    classes = torch.tensor([k + 1 for k, own in enumerate(words) if own & wanted], dtype=label.dtype)
    return torch.isin(label, classes)
