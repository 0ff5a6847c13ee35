"""The correction: from what reaches the aperture back to surface reflectance, as products do it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from terraficta.synth.physics.adjacency import surroundings
from terraficta.synth.physics.atmosphere import Atmosphere, terms_over
from terraficta.synth.physics.coarse import coarse, fine, pool_factor
from terraficta.synth.physics.sun import Sun
from terraficta.synth.types.scene_recipe import AirRecipe
from terraficta.synth.types.sensor import Sensor

ITERATIONS = 4
"""of the inversion with adjacency; each leaves about a tenth of the error"""


def boa_correction(
    toa: Tensor,
    sun: Sun,
    air: Atmosphere,
    sensor: Sensor,
    recipe: AirRecipe,
    gsd_m: Tensor,
    elevation_m: Tensor | None = None,
    aot550: Tensor | None = None,
) -> Tensor:
    """Surface reflectance as a product would give it: level ground, no clouds, a guess of the air.

    Parameters
    ----------
    toa : Tensor
        (N, B, H, W)
    recipe : AirRecipe
        its `correction`: "none" returns `toa`; "perfect" knows the air; "imperfect" has a wrong, even guess
    gsd_m : Tensor
        (N,) [m]
    elevation_m, aot550 : Tensor | None
        (N, H, W) what "perfect" knows on this grid; absent: sea level, the scene's mean

    Error
    -----
    "perfect" inverts level, cloudless scenes exactly; with adjacency by fixed-point iteration, to about 1e-3.
    """
    airless = air.absent
    if recipe.correction == "none" or bool(airless.all()):
        return toa
    n, _, height, width = toa.shape
    if elevation_m is None:
        elevation_m = toa.new_zeros(n, height, width)
    if recipe.correction == "imperfect":
        air = replace(air, water_vapour_cm=air.water_vapour_guess_cm)
        aot550, elevation_m = air.aot550_guess[:, None, None], elevation_m.mean((1, 2), keepdim=True)
    elif aot550 is None:
        aot550 = (air.aot550 + air.haze)[:, None, None].expand(n, height, width)
    factor = pool_factor(height, width, sensor)
    size = (height, width)
    terms = terms_over(coarse(aot550[:, None], factor)[:, 0], coarse(elevation_m[:, None], factor)[:, 0] / 1000,
                       sun, air, sensor)  # fmt: skip
    up, down = terms.up_direct + terms.up_diffuse, terms.down_direct + terms.down_diffuse
    if air.adjacency == 0:
        path, gain, albedo = (fine(m, size) for m in (terms.path, terms.gas * down * up, terms.spherical_albedo))
        y = (toa - path) / gain
        return torch.where(airless[:, None, None, None], toa, y / (1 + albedo * y))
    seen, share, up_near = coarse(toa, factor), terms.rayleigh_share.mean((2, 3)), terms.up_diffuse * air.adjacency
    y = (seen - terms.path) / (terms.gas * down * up)
    near = y / (1 + terms.spherical_albedo * y)
    for _ in range(ITERATIONS):  # on the coarse cells, where the surroundings live
        around = torch.lerp(near, surroundings(near, gsd_m * factor, share), air.adjacency)
        trapped = terms.gas * down / (1 - terms.spherical_albedo * around)
        veil, gain = terms.path + trapped * up_near * around, trapped * (up - up_near)
        near = (seen - veil) / gain
    rho = (toa - fine(veil, size)) / fine(gain, size)
    return torch.where(airless[:, None, None, None], toa, rho)
