"""Sensors: bands, and what an instrument does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from terraficta.synth.types.refusal import Refusal

SENSORS = Path(__file__).parent.parent / "data" / "sensors.yaml"
SOLAR_RANGE_NM = (350.0, 2500.0)
"""what Terraficta simulates: reflected sunlight"""


@dataclass(frozen=True)
class Band:
    """One spectral band.

    Parameters
    ----------
    name : str
        as in the product
    centre_nm, fwhm_nm : float
        centre and full width at half maximum of the response [nm]
    gsd_m : float | None
        native ground sampling distance [m]; None where unknown
    mtf_nyquist : tuple[float, float]
        modulation transfer at the Nyquist frequency (across, along track)
    snr : float
        signal to noise at a reference radiance [W m-2 sr-1 um-1]; None: that of a white target of reflectance 0.3 under
        a sun at 45 degrees
    radiance_ref : float | None
        signal to noise at a reference radiance [W m-2 sr-1 um-1]; None: that of a white target of reflectance 0.3 under
        a sun at 45 degrees
    radiance_max : float | None
        radiance at which the detector saturates [W m-2 sr-1 um-1]; None where unknown
    esun : float | None
        band solar irradiance at 1 AU [W m-2 um-1]; None: from the solar spectrum
    flatness : float
        exponent of the response, 2 = Gaussian, larger = flat top
    """

    name: str
    centre_nm: float
    fwhm_nm: float
    gsd_m: float | None = None
    mtf_nyquist: tuple[float, float] = (0.3, 0.3)
    snr: float = 150.0
    radiance_ref: float | None = None
    radiance_max: float | None = None
    esun: float | None = None
    flatness: float = 4.0

    def srf(self, wavelength_nm: Tensor) -> Tensor:
        """Spectral response (L,) at wavelengths [nm], peak 1: exp(-ln2 |2 (w - centre) / fwhm|^flatness)."""
        distance = (2 * (wavelength_nm - self.centre_nm) / self.fwhm_nm).abs()
        return torch.exp(-np.log(2.0) * distance.pow(self.flatness))


@dataclass(frozen=True)
class Sensor:
    """An ordered set of bands and the camera behind them.

    Parameters
    ----------
    name : str
        of the sensor
    bands : tuple[Band, ...]
        in file order
    gsd_m : float
        of the product's grid [m]
    bits : int
        radiometric resolution of the detector
    dn_scale, dn_offset : float
        reflectance = dn * dn_scale + dn_offset, for the stored product
    whisk_lines : int
        lines that one sweep of a whisk-broom scanner takes together; 0: a push-broom
    """

    name: str
    bands: tuple[Band, ...]
    gsd_m: float
    bits: int = 12
    dn_scale: float = 1e-4
    dn_offset: float = 0.0
    whisk_lines: int = 0

    def __len__(self) -> int:
        return len(self.bands)

    @property
    def centre_nm(self) -> Tensor:
        """(B,) [nm]."""
        return torch.tensor([b.centre_nm for b in self.bands])

    @property
    def fwhm_nm(self) -> Tensor:
        """(B,) [nm]."""
        return torch.tensor([b.fwhm_nm for b in self.bands])

    def pick(self, names: Sequence[str]) -> Sensor:
        """The same sensor with these bands, in this order."""
        mine = {b.name: b for b in self.bands}
        for name in names:
            if name not in mine:
                raise Refusal(self.name, "band", name, f"one of {', '.join(mine)}", "use the sensor's band names")
        return replace(self, bands=tuple(mine[name] for name in names))

    def band_weights(self, wavelength_nm: Tensor) -> Tensor:
        """(B, L) weights that average a spectrum into each band; every row sums to 1.

        A band narrower than the wavelength grid takes the linear interpolation at its centre.
        """
        response = torch.stack([b.srf(wavelength_nm) for b in self.bands])
        step = (wavelength_nm[1] - wavelength_nm[0]).abs()
        hat = (1 - (wavelength_nm[None] - self.centre_nm.to(wavelength_nm)[:, None]).abs() / step).clamp(min=0)
        narrow = (self.fwhm_nm.to(wavelength_nm) < 2 * step)[:, None]
        response = torch.where(narrow, hat, response)
        return response / response.sum(1, keepdim=True).clamp(min=1e-12)

    def reading_order(self) -> tuple[int, int, int]:
        """Band positions nearest to 650, 560 and 470 nm: what a picture shows as red, green and blue."""
        centres = self.centre_nm
        return tuple(int((centres - nm).abs().argmin()) for nm in (650.0, 560.0, 470.0))  # type: ignore[return-value]


def _band(entry: dict[str, Any]) -> Band:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return Band(**fields)


@lru_cache
def _catalogue() -> dict[str, Sensor]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where libyaml is there
    content = yaml.load(SENSORS.read_text(), Loader=loader)
    return {
        name: Sensor(
            name=name,
            bands=tuple(_band(band) for band in entry["bands"]),
            **{k: v for k, v in entry.items() if k not in {"bands", "source"}},
        )
        for name, entry in content.items()
    }


def sensor_names() -> list[str]:
    """The sensors of the catalogue."""
    return sorted(_catalogue())


def read_sensor(name: str) -> Sensor:
    """A sensor of the catalogue, by name."""
    known = _catalogue()
    if name not in known:
        raise Refusal("sensor", "name", name, f"one of {', '.join(sorted(known))}", "use a name of the catalogue")
    return known[name]
