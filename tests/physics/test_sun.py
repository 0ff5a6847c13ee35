"""The sun stands where pvlib's reference algorithm puts it, and inside of the recipe's span."""

import numpy as np
import pandas as pd
import pytest
import torch
from pvlib import solarposition

from terraficta.synth.physics.sun import Sun, draw_sun, sun_position
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import LightRecipe

KEYS = [SceneKey(5, i) for i in range(24)]


@pytest.mark.parametrize("latitude", [-45.0, 0.0, 51.3, 66.0])
def test_position_agrees_with_the_reference_algorithm(latitude):
    times = pd.date_range("2023-01-10 10:30", periods=12, freq="30D", tz="UTC")
    exact = solarposition.get_solarposition(times, latitude, 0.0, method="nrel_numpy")
    solar_hour = times.hour + times.minute / 60 + exact["equation_of_time"].to_numpy() / 60
    zenith, azimuth = sun_position(np.full(12, latitude), times.day_of_year.to_numpy(float), solar_hour.to_numpy())
    assert np.abs(zenith - exact["zenith"].to_numpy()).max() < 0.3
    around = np.abs((azimuth - exact["azimuth"].to_numpy() + 180) % 360 - 180)
    assert (around * np.sin(np.deg2rad(zenith))).max() < 0.3


def test_zenith_is_drawn_from_the_span_and_the_azimuth_is_that_of_a_morning():
    sun = draw_sun(LightRecipe(sza_deg=(25, 55)), KEYS)
    assert float(sun.sza_deg.min()) >= 25
    assert float(sun.sza_deg.max()) <= 55
    assert float(sun.sza_deg.std()) > 4
    assert float((sun.saa_deg % 180).std()) > 5
    east = torch.sin(torch.deg2rad(sun.saa_deg))
    assert float((east > 0).float().mean()) > 0.9


def test_a_scene_has_the_same_sun_alone_and_in_a_batch():
    recipe = LightRecipe(sza_deg=(20, 60))
    many, one = draw_sun(recipe, KEYS), draw_sun(recipe, KEYS[7:8])
    assert many.facts[7] == one.facts[0]


def test_relative_azimuth_is_zero_where_sun_and_camera_share_a_side():
    angles = [torch.tensor([v]) for v in (30.0, 350.0, 5.0, 20.0, 0.0, 4.0)]
    sun = Sun(*angles)
    assert float(sun.raa_deg) == pytest.approx(30.0)
    assert float(sun.earth_sun_au) == pytest.approx(0.9833, abs=1e-3)
