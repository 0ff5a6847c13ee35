"""Glaciers that have gone: troughs, cirques and sharp crests in mountains, drumlins and kettle lakes on plains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.drainage import Drainage, climb
from terraficta.synth.scene.terrain.landform import Landform
from terraficta.synth.scene.terrain.relief import Relief
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, uniform
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.scatter import scatter, turned
from terraficta.synth.scene.world.window import Points, Window
from terraficta.synth.types.key import SceneKey

TROUGH_KM2 = 4.0
"""catchment from which on a valley held a glacier that carved it [km2], chosen"""
CIRQUE_M = 850.0
"""distance of cirques [m]; they are 0.2 to 1 km wide. Source: I. Evans, N. Cox 1995, doi:10.1002/esp.3290200207."""
DRUMLIN_M, ELONGATION = 629.0, 3.0
"""mean length of drumlins [m] (209 m wide), and length over width. Source: C. Clark et al. 2009,
doi:10.1016/j.quascirev.2008.08.035."""
NO_LEVEL_M = -1e9
"""stands for: no water here [m]"""


@dataclass(frozen=True)
class Glacier:
    """What ice has done to one scene.

    Parameters
    ----------
    exponent : float
        b of the cross-section of troughs, y = a x^b
    trough : float
        depth of the troughs where mountains rise most, as a share of the relief
    flow_deg : float
        direction in which the ice sheet moved, from south over east [deg]
    drumlin_m : float
        height of drumlins [m]
    kettles : float
        share of the low ground's nodes that hold a kettle
    """

    exponent: float
    trough: float
    flow_deg: float
    drumlin_m: float
    kettles: float


def draw_glacier(key: SceneKey) -> Glacier:
    """Draw the ice of one scene.

    Exponents of real troughs: 1.5 to 2.5. Source: H. Svensson 1959, doi:10.2307/520391; J. Harbor 1992,
    doi:10.1130/0016-7606(1992)104<1364:NMOTDO>2.3.CO;2.
    """
    exponent, trough, flow, drumlin, kettles = (float(v) for v in key.at("terrain", "glacier").rng().random(5))
    return Glacier(1.6 + 0.8 * exponent, 0.35 + 0.35 * trough, 360.0 * flow, 28.0 * drumlin, 0.25 * kettles * kettles)


def trough(above_m: Tensor, depth_m: Tensor, exponent: Tensor) -> Tensor:
    """Height above the valley floor after the ice, of ground that rivers had left so high above it.

    A straight valley side becomes y = a x^b; what stood above the ice stays. Rises with `above_m`: water still flows
    the same way.
    """
    share = (above_m / depth_m).clamp(0.0, 1.0)
    risen = torch.exp(exponent * torch.log(share.clamp(min=1e-9)))  # a power, the same wherever it lies in a list
    return torch.where(above_m < depth_m, depth_m * risen, above_m)


def carve_troughs(forms: Sequence[Landform], glaciers: Sequence[Glacier], drainage: Drainage) -> Drainage:
    """Carve troughs into the valleys of the glacial scenes; all others keep their bits."""
    rows = [n for n, form in enumerate(forms) if form.style == "glacial" and form.relief_m > 0]
    if not rows:
        return drainage
    ice = [glaciers[n] for n in rows]
    device, receiver = drainage.elevation_m.device, drainage.receiver[rows]
    top = drainage.elevation_m[rows].flatten(1)
    own = torch.arange(top.shape[1], device=device)
    main = (drainage.area_km2[rows].flatten(1) >= TROUGH_KM2) | drainage.valley[rows]
    drop = (top - top.gather(1, receiver)).clamp(min=0.0)
    above = climb(torch.where(main, own, receiver), torch.where(main, 0.0, drop))
    depth = [forms[n].relief_m * min(forms[n].tableland, 1.0) * g.trough for n, g in zip(rows, ice, strict=True)]
    depth_m, exponent = (per_scene(v, device).to(torch.float32)[:, None] for v in (depth, [g.exponent for g in ice]))
    carved = trough(above, depth_m * drainage.uplift[rows].flatten(1).clamp(min=0.02), exponent)
    drop = (carved - carved.gather(1, receiver)).clamp(min=0.0)  # depth differs from place to place: no step upwards
    carved = climb(torch.where(main, own, receiver), torch.where(main, 0.0, drop))
    elevation = drainage.elevation_m.clone()
    elevation[rows] = (top - above + carved).reshape(elevation[rows].shape)
    return replace(drainage, elevation_m=elevation)


def kettle_level(drainage: Drainage, rows: list[int], ice: Sequence[Glacier]) -> Tensor:
    """(M, R*R) level of the kettle lake at a node of some scenes [m]; `NO_LEVEL_M` where there is none.

    On flat ground, off rivers. `ice` of these scenes.
    """
    top, receiver = drainage.elevation_m[rows].flatten(1), drainage.receiver[rows]
    fall = (top - top.gather(1, receiver)) / drainage.spacing_m[rows].to(torch.float32)[:, None]
    flat = (fall < 0.03) & (drainage.uplift[rows].flatten(1) < 0.5) & (drainage.area_km2[rows].flatten(1) < 0.25)
    share = per_scene([g.kettles for g in ice], top.device).to(torch.float32)[:, None]
    return torch.where(flat & (uniform(drainage.place[rows], salt.Node.KETTLE) < share), top - 0.5, NO_LEVEL_M)


def dig_kettles(height: Tensor, level: Tensor, ty: Tensor, tx: Tensor, size: Tensor, step: Tensor) -> Tensor:
    """(N, P) ground with a hollow around each node that holds a kettle lake, and level ground around it.

    Parameters
    ----------
    height : Tensor
        (N, P) ground [m]
    level : Tensor
        (N, P) of the lake of the nearest node [m]
    ty, tx : Tensor
        (N, P) way from that node, in node spacings
    size : Tensor
        (N, P) uniform in [0, 1), one a node
    step : Tensor
        (N, 1) node spacing [m]
    """
    radius = 0.12 + 0.24 * size
    away = torch.sqrt(ty * ty + tx * tx) / radius
    deep = 0.12 * radius * step
    bowl = level + deep * (away * away - 1).clamp(max=0.3)
    ring = ((away - 1.0) * 3.0).clamp(0.0, 1.0)
    return torch.where(level > NO_LEVEL_M, bowl + (height - bowl) * ring * ring * (3 - 2 * ring), height)


def gouge_cirques(at: Window, seed: Tensor) -> Tensor:
    """(N, H, W) depth of cirques [m]: flat floors under steep headwalls, which meet in sharp crests."""
    sites = scatter(at.points(), per_scene([CIRQUE_M] * len(seed), seed.device), hashed(seed, salt.Glacier.CIRQUES))
    radius = 140.0 + 320.0 * sites.draw(salt.Cirque.RADIUS)
    depth = torch.zeros(at.shape, device=seed.device).flatten(1)
    for site in sites.around():
        wide = radius.gather(1, site.which)
        far = (site.dy * site.dy + site.dx * site.dx) / (wide * wide)
        depth = torch.maximum(depth, 0.32 * wide * (1 - far * far))
    return depth.reshape(at.shape)


def mould_drumlins(at: Window, ice: Sequence[Glacier], seed: Tensor) -> Tensor:
    """(N, H, W) 0 .. 1: height of drumlins, blunt upstream and drawn out downstream."""
    angles = per_scene([math.radians(g.flow_deg) for g in ice], seed.device)
    axes = turned(at, torch.sin(angles), torch.cos(angles))
    lattice = per_scene([1.1 * DRUMLIN_M] * len(ice), seed.device)
    sites = scatter(Points(axes.y_m, ELONGATION * axes.x_m, axes.cell_m), lattice, hashed(seed, salt.Glacier.DRUMLINS))
    length = 0.5 * DRUMLIN_M * (0.5 + 0.9 * sites.draw(salt.Drumlin.LENGTH))
    tall = (0.35 + 0.65 * sites.draw(salt.Drumlin.HEIGHT)) * (sites.draw(salt.Drumlin.PRESENT) < 0.8)
    total = torch.zeros(at.shape, device=seed.device).flatten(1)
    for site in sites.around():
        half = length.gather(1, site.which)
        along, across = site.dy / half, site.dx / half
        along = torch.where(along > 0, along, 1.5 * along)
        inside = (1 - along * along - across * across).clamp(min=0.0)
        total = torch.maximum(total, tall.gather(1, site.which) * inside * inside * (3 - 2 * inside))
    return total.reshape(at.shape)


def scour(relief: Relief, ice: Sequence[Glacier]) -> Tensor:
    """(N, H, W) ground with cirques where it is high and steep, and drumlins where it is low and flat."""
    seed, device = relief.seed, relief.height_m.device
    reach = per_scene([max(0.15 * f.relief_m, 40.0) for f in relief.forms], device).to(torch.float32)[:, None, None]
    high = (relief.steep * 4.0 - 0.8).clamp(0.0, 1.0) * (relief.above_m / reach - 0.5).clamp(0.0, 1.0)
    low = (1.3 - relief.steep * 25.0).clamp(0.0, 1.0) * (1.6 - 2 * relief.uplift).clamp(0.0, 1.0)
    field = (
        fbm(relief.at, per_scene([4000.0] * len(ice), device), hashed(seed, salt.Glacier.DRUMLIN_FIELD), 3)
        .add(0.8)
        .clamp(0.0, 1.0)
    )
    tall = per_scene([g.drumlin_m for g in ice], device).to(torch.float32)[:, None, None]
    seen = relief.seen([DRUMLIN_M / ELONGATION] * len(ice))
    bowls = high * relief.seen([CIRQUE_M] * len(ice)) * gouge_cirques(relief.at, seed)
    return relief.height_m - bowls + low * seen * field * tall * mould_drumlins(relief.at, ice, seed)
