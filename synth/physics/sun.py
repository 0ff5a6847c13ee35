"""The sun: where it stands, and where the camera stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pvlib import solarposition
from torch import Tensor

from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import LightRecipe

CANDIDATES = 64
"""places and days that are tried for a sun inside the recipe's span"""
LOWEST_SZA_DEG = 80.0
"""no scene is lit by a lower sun"""
When = tuple[float, int]
"""latitude [deg] and day of the year"""
OVERPASS_H = (9.7, 11.2)
"""true solar time at which land missions fly over: in the morning [h]"""
VIEW_ZENITH_DEG = (0.0, 9.0)
"""off-nadir angles of a push-broom swath, e.g. Sentinel-2 +-10.3 deg and Landsat +-7.5 deg"""


@dataclass(frozen=True)
class Sun:
    """Sun and view directions of N scenes.

    Parameters
    ----------
    sza_deg, saa_deg : Tensor
        (N,) sun zenith, and azimuth clockwise from north [deg]
    vza_deg, vaa_deg : Tensor
        (N,) the same of the camera as seen from the ground [deg]
    latitude_deg : Tensor
        (N,) [deg]
    day_of_year : Tensor
        (N,) 1..365
    """

    sza_deg: Tensor
    saa_deg: Tensor
    vza_deg: Tensor
    vaa_deg: Tensor
    latitude_deg: Tensor
    day_of_year: Tensor

    @property
    def raa_deg(self) -> Tensor:
        """(N,) relative azimuth in 0..180; 0 is backscatter: sun and camera on the same side [deg]."""
        difference = (self.saa_deg - self.vaa_deg).abs() % 360
        return torch.minimum(difference, 360 - difference)

    @property
    def earth_sun_au(self) -> Tensor:
        """(N,) distance of the sun [astronomical units] (Spencer 1971 by way of pvlib would differ by < 2e-4)."""
        return 1 - 0.016709 * torch.cos(torch.deg2rad(0.9856 * (self.day_of_year - 4)))

    @property
    def facts(self) -> list[dict[str, Any]]:
        """One record a scene."""
        names = ("sza_deg", "saa_deg", "vza_deg", "vaa_deg", "latitude_deg", "day_of_year")
        return [{n: float(getattr(self, n)[i]) for n in names} for i in range(len(self.sza_deg))]

    def to(self, device: torch.device | str) -> Sun:
        """The same on a device."""
        return Sun(**{n: getattr(self, n).to(device) for n in self.__dataclass_fields__})


def sun_position(
    latitude_deg: np.ndarray, day_of_year: np.ndarray, solar_hour: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Zenith and azimuth of the sun [deg] at a latitude [deg], day and true solar time [h].

    Error
    -----
    0.3 deg on the sky against pvlib's NREL SPA algorithm, most of it from the declination; `test_sun` repeats it.

    Source
    ------
    Spencer 1971 declination and the spherical triangle, as in pvlib.
    """
    declination = solarposition.declination_spencer71(day_of_year)
    hour_angle, latitude = np.deg2rad(15.0 * (solar_hour - 12.0)), np.deg2rad(latitude_deg)
    zenith = solarposition.solar_zenith_analytical(latitude, hour_angle, declination)
    azimuth = solarposition.solar_azimuth_analytical(latitude, hour_angle, declination, zenith)
    return np.rad2deg(zenith), np.rad2deg(azimuth) % 360


def _draw_one(recipe: LightRecipe, key: SceneKey, when: When | None) -> list[float]:
    rng = key.at("light", "sun").rng()
    least, most = recipe.sza_deg
    if when is not None and most > 0:
        return _draw_dated(key, *when)
    latitude = np.rad2deg(np.arcsin(rng.uniform(np.sin(np.deg2rad(-50)), np.sin(np.deg2rad(68)), CANDIDATES)))
    day = rng.integers(1, 366, CANDIDATES).astype(float)
    hour = rng.uniform(*OVERPASS_H, CANDIDATES)
    wish = rng.uniform(least, most)
    zenith, azimuth = sun_position(latitude, day, hour)
    best = int(np.abs(zenith - wish).argmin())
    view = rng.uniform(*VIEW_ZENITH_DEG)
    side = rng.choice([98.0, 278.0]) + rng.uniform(-4, 4)  # across the track of a descending near-polar orbit
    return [wish, float(azimuth[best]), view, float(side), float(latitude[best]), float(day[best])]


def _draw_dated(key: SceneKey, latitude_deg: float, day: int) -> list[float]:
    """The sun of a place on a day at the hour of an overpass; through the polar night it stays at its lowest."""
    rng = key.at("light", "dated").rng()
    hour = rng.uniform(*OVERPASS_H)
    zenith, azimuth = sun_position(*(np.array([v], dtype=float) for v in (latitude_deg, day, hour)))
    view, side = rng.uniform(*VIEW_ZENITH_DEG), rng.choice([98.0, 278.0]) + rng.uniform(-4, 4)
    return [min(float(zenith[0]), LOWEST_SZA_DEG), float(azimuth[0]), view, float(side), latitude_deg, float(day)]


def draw_sun(recipe: LightRecipe, keys: Sequence[SceneKey], when: Sequence[When] | None = None) -> Sun:
    """Sun and view of each scene.

    Its zenith is uniform in the recipe's span, and its azimuth that of a place and a morning that has it; or, where
    `when` says latitude [deg] and day of the year, both are those of that place on that day (a span of 0 stays 0).
    """
    dated: Sequence[When | None] = when if when is not None else [None] * len(keys)
    rows = torch.tensor([_draw_one(recipe, key, w) for key, w in zip(keys, dated, strict=True)], dtype=torch.float32)
    return Sun(*rows.unbind(1))
