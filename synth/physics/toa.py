"""The top of the atmosphere: ground lit by sun and sky, seen through the air, with clouds between."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from terraficta.synth.physics.adjacency import surroundings
from terraficta.synth.physics.air_terms import RANGES, AirTerms, air_terms
from terraficta.synth.physics.atmosphere import Atmosphere, haze_field, terms_over
from terraficta.synth.physics.cloud import Clouds, dimming, grow_clouds
from terraficta.synth.physics.coarse import coarse, on_columns, on_rows, pool_factor
from terraficta.synth.physics.sun import Sun
from terraficta.synth.physics.terrain_light import TerrainLight
from terraficta.synth.types.sensor import Sensor

CLEAR_AOT550 = 0.1
"""of the clear sky that lights land where no air is drawn: usual of clean continental air, Holben et al. 2001,
doi:10.1029/2001JD900014"""
CLOUD_SKYLIGHT = 0.3
"""what a cloud takes from the beam comes down, in this part, as skylight; chosen"""
LOWEST_HIGHEST_M = (-300.0, 8000.0)
"""between these heights the air is known; what lies beyond is lit as if it lay there"""


class TopOfAtmosphere(NamedTuple):
    """What reaches the aperture, and the truth of the sky."""

    toa_reflectance: Tensor
    """(N, B, H, W)"""
    cloud_opacity: Tensor
    """(N, H, W) 0..1, exactly 0 in the clear"""
    cloud_shadow: Tensor
    """(N, H, W) share of the direct sun that clouds take, exactly 0 where none does"""
    aot550: Tensor
    """(N, H, W) haze included"""


def toa_reflectance(
    boa_reflectance: Tensor,
    elevation_m: Tensor,
    cell_m: Tensor,
    sun: Sun,
    air: Atmosphere,
    sensor: Sensor,
    light: TerrainLight | None = None,
) -> TopOfAtmosphere:
    """Light the ground, send it up through the air, and put clouds between.

    Parameters
    ----------
    boa_reflectance : Tensor
        (N, B, H, W)
    elevation_m : Tensor
        (N, H, W) [m]
    cell_m : Tensor
        (N,) [m]
    light : TerrainLight | None
        of the relief; None: level ground. Where there is no air, land is lit as under the clear sky of `sky_shares`, so
        that shadows are dim and blue; level open ground keeps its reflectance exactly

    Source
    ------
    Of light on relief: direct, diffuse by sky view but for what comes from `around_the_sun`, and what the land that
    hides the sky reflects, (1 - sky view) x total x mean reflectance around: Sandmeier & Itten 1997,
    doi:10.1109/36.581991.
    """
    n, _, height, width = boa_reflectance.shape
    clouds = None
    if bool((air.cloud_share > 0).any()):
        clouds = grow_clouds(air.seed, air.cloud_share, air.cloud_size_m, air.cloud_base_m, sun, height, width, cell_m)
    aot = haze_field(air, height, width, cell_m)
    toa = _through_the_air(boa_reflectance, elevation_m, cell_m, aot, sun, air, sensor, light, clouds)
    if clouds is None:
        clear = boa_reflectance.new_zeros(n, height, width)
        return TopOfAtmosphere(toa, clear, clear, aot)
    return TopOfAtmosphere(toa, clouds.opacity, clouds.shadow, aot)


def _through_the_air(
    boa: Tensor, elevation_m: Tensor, cell_m: Tensor, aot: Tensor, sun: Sun, air: Atmosphere, sensor: Sensor,
    light: TerrainLight | None, clouds: Clouds | None,
) -> Tensor:  # fmt: skip
    size = (boa.shape[2], boa.shape[3])
    direct = _direct(light, clouds, boa)
    airless = air.absent
    if bool(airless.all()):
        return _without_air(boa, direct, light, clouds, sun, sensor)
    factor = pool_factor(*size, sensor)
    around = coarse(boa, factor)
    terms = terms_over(coarse(aot[:, None], factor)[:, 0], coarse(elevation_m[:, None], factor)[:, 0] / 1000,
                       sun, air, sensor)  # fmt: skip
    mixes, near = air.adjacency, around
    if mixes > 0:
        near = torch.lerp(around, surroundings(around, cell_m * factor, terms.rayleigh_share.mean((2, 3))), mixes)
    total = terms.down_direct + terms.down_diffuse
    beam, sky = terms.down_direct, terms.down_diffuse
    if light is not None:
        circumsolar = around_the_sun(terms)
        beam = terms.down_direct + circumsolar
        view = coarse(light.sky_view[:, None], factor)
        sky = (terms.down_diffuse - circumsolar) * view + (1 - view) * total * near
    if clouds is not None:
        shade = coarse(clouds.shadow[:, None], factor)
        sky = sky + CLOUD_SKYLIGHT * shade * beam
    up_near = terms.up_diffuse * mixes
    scale = terms.gas * (terms.up_direct + terms.up_diffuse - up_near)
    veil = terms.path
    if mixes > 0:  # what the surroundings trap and send is even over a coarse cell
        trapped = 1 / (1 - terms.spherical_albedo * near)
        arriving = (beam if direct is None else beam * coarse(direct[:, None], factor)) + sky
        veil, scale = veil + terms.gas * trapped * up_near * near * arriving, scale * trapped
    sky, beam = scale * sky, scale * beam
    toa = torch.empty_like(boa)
    # a cloud shines through the gases above it: water vapour and most else lie below exp(-base / 2 km)
    above = torch.exp(-air.cloud_base_m.double() / 2000)[:, None]
    dim = dimming(sensor.centre_nm).to(boa) * (terms.gas.mean((2, 3)).double() ** above).to(boa)
    rho, out = (x.unflatten(-2, (-1, factor)) for x in (boa, toa))
    lit = None if direct is None else direct.unflatten(-2, (-1, factor))
    for b in range(boa.shape[1]):  # band by band, so that the planes stay in the cache
        maps = [m[:, b] for m in (veil, sky, beam)]
        wide = on_columns(maps if mixes > 0 else [*maps, terms.spherical_albedo[:, b]], size[1])
        for row in range(factor):
            veil_b, sky_b, beam_b, *albedo_b = on_rows(wide, factor, row).unbind(1)
            ground = rho[:, b, :, row]
            if albedo_b:
                ground = ground / (1 - albedo_b[0] * ground)
            gain = sky_b + beam_b if lit is None else torch.addcmul(sky_b, beam_b, lit[:, :, row])
            torch.addcmul(veil_b, gain, ground, out=out[:, b, :, row])
        if clouds is not None:
            toa[:, b].lerp_(clouds.brightness * dim[:, b, None, None], clouds.opacity)
    if bool(airless.any()):
        bare = _without_air(boa, direct, light, clouds, sun, sensor)
        toa = torch.where(airless[:, None, None, None], bare, toa)
    return toa


def _without_air(
    boa: Tensor, direct: Tensor | None, light: TerrainLight | None, clouds: Clouds | None, sun: Sun, sensor: Sensor
) -> Tensor:
    """What is seen where no air is drawn: the ground under the light of a clear sky, and clouds over it."""
    if direct is None:
        return boa
    beam, sky = sky_shares(sun, sensor)
    toa = torch.empty_like(boa)
    lost = 1 - direct if clouds is None else 1 - direct - CLOUD_SKYLIGHT * clouds.shadow
    hidden = None if light is None else 1 - light.sky_view
    white = None if clouds is None else dimming(sensor.centre_nm).to(boa)
    for b in range(boa.shape[1]):
        rho, dark = boa[:, b], beam[:, b, None, None] * lost
        if hidden is not None:  # land that hides the sky shines in its place; Sandmeier & Itten 1997, as with air
            around = rho.mean((1, 2), keepdim=True)
            dark = torch.addcmul(dark, hidden, sky[:, b, None, None] - around)
        torch.mul(rho, 1 - dark, out=toa[:, b])
        if clouds is not None and white is not None:
            toa[:, b].lerp_(clouds.brightness * white[b], clouds.opacity)
    return toa


def sky_shares(sun: Sun, sensor: Sensor) -> tuple[Tensor, Tensor]:
    """Of the light on level ground under a clear sky, what comes from the sun and around it, and from the rest: (N, B).

    The sky is that of molecules and CLEAR_AOT550 of continental aerosol at sea level.
    """
    zero = torch.zeros_like(sun.sza_deg)
    sza_deg = sun.sza_deg.clamp(*RANGES["sza_deg"])
    terms = air_terms(sensor, sza_deg, zero, zero, zero + CLEAR_AOT550, zero.long(), zero, zero, zero, zero + 1)
    sky = (terms.down_diffuse - around_the_sun(terms)) / (terms.down_direct + terms.down_diffuse)
    return 1 - sky, sky


def around_the_sun(terms: AirTerms) -> Tensor:
    """Part of the diffuse light that comes from around the sun, and is shaded as the sun is.

    Source
    ------
    Hay 1979: the share T_direct of the diffuse light. Departure: of what aerosol scatters only; molecules have no
    aureole, and their light reaches every shadow that sees the sky.
    """
    return terms.down_diffuse * terms.down_direct * (1 - terms.rayleigh_share)


def _direct(light: TerrainLight | None, clouds: Clouds | None, like: Tensor) -> Tensor | None:
    """Direct light relative to level ground under a clear sky (N, H, W); None where it is 1 everywhere."""
    if light is None and clouds is None:
        return None
    direct = torch.ones_like(like[:, 0]) if light is None else light.direct
    return direct if clouds is None else direct * (1 - clouds.shadow)
