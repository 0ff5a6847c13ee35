"""Clouds: where they are, how thick, how their flanks are lit, and where their shadows fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from terraficta.synth.physics.sun import Sun
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.window import Window

ASYMMETRY = 0.85
"""of water droplets; Kokhanovsky 2004, doi:10.1016/j.earscirev.2003.09.001"""
AHEAD = ASYMMETRY**2
"""share of the scattered light that goes on as if it had met nothing: delta scaling, Joseph et al. 1976,
doi:10.1175/1520-0469(1976)033<2452:TDEAFR>2.0.CO;2"""
DEPTH_M, DEPTH_POWER = 60.0, 0.6
"""geometric depth of an adiabatic cloud of optical thickness 1, and how it grows (thickness goes with depth^(5/3):
Brenguier et al. 2000, doi:10.1175/1520-0469(2000)057<0803:RPOBLC>2.0.CO;2; 100 droplets a cm3)"""
FLANK = 0.25
"""how much darker a flank turned away from the sun is at most, and how much brighter one that faces it; chosen"""
OCTAVES = 7
POOL = 4
"""clouds are drawn on cells this many times coarser and interpolated"""
SOFTNESS = 0.6
"""standard deviations of the field from a cloud's edge to optical thickness 2 / 3 DENSITY; chosen, with DENSITY, so
that clouds have thin edges, a mean thickness of some 5 (ISCCP: 4 to 10 over land) and cores of 25"""
DENSITY = 12.0


@dataclass(frozen=True)
class Clouds:
    """Clouds over N scenes.

    Parameters
    ----------
    opacity : Tensor
        (N, H, W) share of the light from below that a cloud keeps from the camera, 0 exactly in the clear
    shadow : Tensor
        (N, H, W) share of the direct sun that a cloud keeps from the ground, 0 exactly in the clear; that of the cloud
        which stands towards the sun, by the longer way through it
    brightness : Tensor
        (N, H, W) what takes the place of that share, as reflectance: 0.4 of a veil, 0.8 of a thick core
    """

    opacity: Tensor
    shadow: Tensor
    brightness: Tensor


def grow_clouds(
    seed: Tensor, share: Tensor, size_m: Tensor, base_m: Tensor, sun: Sun, height: int, width: int, cell_m: Tensor
) -> Clouds:
    """Clouds as a fractal optical thickness above a threshold that covers the wanted share of the window.

    Parameters
    ----------
    seed : Tensor
        (N,) int64 seeds
    share : Tensor
        (N,) share of the window under cloud, 0..1
    size_m, base_m : Tensor
        (N,) size, and height above the ground [m]
    """
    f = next(f for f in (POOL, 2, 1) if height % f == 0 and width % f == 0)
    rows, columns = height // f, width // f
    window = Window.over(rows, columns, cell_m.to(seed.device, torch.float64) * f)
    azimuth = torch.deg2rad(sun.saa_deg.double())
    throw_m = base_m.double() * torch.tan(torch.deg2rad(sun.sza_deg.double().clamp(max=80)))
    towards = Window(
        window.y_m - (throw_m * torch.cos(azimuth))[:, None],
        window.x_m + (throw_m * torch.sin(azimuth))[:, None],
        window.cell_m,
    )
    field, shading = (fbm(w, size_m.double(), seed, OCTAVES, 0.8) for w in (window, towards))
    rank = ((1 - share.double()) * (rows * columns)).round().long().clamp(1, rows * columns)
    threshold = torch.sort(field.flatten(1), dim=1).values.gather(1, rank[:, None] - 1)[:, :, None]
    thickness = optical_thickness(field - threshold).double()
    cell = window.cell_m.to(thickness)[:, None, None]
    slope_y, slope_x = (g / cell for g in torch.gradient(DEPTH_M * thickness**DEPTH_POWER, dim=(1, 2)))
    to_east, to_north = (g(azimuth)[:, None, None] for g in (torch.sin, torch.cos))
    # a flank that rises towards the sun lies behind the cloud's body
    flank = 1 - FLANK * torch.tanh(slope_x * to_east - slope_y * to_north)
    field, shading, brightness = F.interpolate(
        torch.stack([field - threshold, shading - threshold, (whiteness(thickness) * flank).to(field)], 1),
        size=(height, width), mode="bilinear", align_corners=False,
    ).unbind(1)  # fmt: skip
    clear = (share <= 0)[:, None, None]
    way = (1 / torch.cos(torch.deg2rad(sun.sza_deg.double().clamp(max=80)))).to(field)[:, None, None]
    over, shade = (
        opacity(t).masked_fill(clear, 0) for t in (optical_thickness(field), way * optical_thickness(shading))
    )
    return Clouds(over, shade, brightness)


def dimming(centre_nm: Tensor) -> Tensor:
    """Reflectance of a thick cloud relative to the visible (B,): droplets absorb beyond 1.2 um.

    Error
    -----
    Droplets of 10 um, drawn from memory of published spectra (King 1992, doi:10.1109/36.124212); 0.1 at 1.6 and
    2.2 um, where droplet size matters as much.
    """
    nodes_nm, relative = (350.0, 1100.0, 1240.0, 1610.0, 2200.0, 2500.0), (1.0, 1.0, 0.95, 0.78, 0.55, 0.45)
    return torch.tensor(np.interp(centre_nm.numpy(), nodes_nm, relative), dtype=torch.float32)


def optical_thickness(excess: Tensor) -> Tensor:
    """Optical thickness where the field exceeds its threshold; grows quadratically from a thin edge."""
    depth = (excess / SOFTNESS).clamp(min=0)
    return DENSITY * depth.square() / (0.5 + depth)


def opacity(thickness: Tensor) -> Tensor:
    """Share of a beam that a cloud turns aside: 1 - exp(-(1 - g^2) tau)."""
    return -torch.expm1(-(1 - AHEAD) * thickness)


def whiteness(thickness: Tensor) -> Tensor:
    """What a conservatively scattering cloud reflects, 1 - 1 / (1 + 0.75 (1 - g) tau), over its opacity.

    Source
    ------
    Two-stream limit, e.g. Kokhanovsky 2004, eq. 90 (there 1.07 + 0.75 (1 - g) tau).
    """
    some = thickness.clamp(min=1e-3)
    scaled = 0.75 * (1 - ASYMMETRY) * some
    return scaled / (1 + scaled) / opacity(some)
