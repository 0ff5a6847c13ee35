"""Karst: limestone that water dissolves from within, to closed hollows, and in the end to cones and towers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.relief import Relief
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene
from terraficta.synth.scene.world.lattice import fbm, warp
from terraficta.synth.scene.world.scatter import scatter
from terraficta.synth.scene.world.window import Points, Window
from terraficta.synth.types.key import SceneKey

SIZES = ((90.0, 6.0, 42.0), (380.0, 22.0, 180.0))
"""(distance, least and largest radius) of small and of large dolines [m]; between the radii their number falls with
the square. Source: sizes from 10 m to 1 km: D. Ford, P. Williams 2007, doi:10.1002/9781118684986, chapter 9."""
DEEP = (0.08, 0.3)
"""depth of a doline per diameter: from a bowl to a funnel. Source: J. Cvijic 1893, Das Karstphaenomen."""
STOUT = (2.0, 4.5)
"""diameter of a cone per height. Source: D. Balazs 1973, Karst types in the southwest Pacific (1.5 to 8)."""


@dataclass(frozen=True)
class Karst:
    """One scene's karst.

    Parameters
    ----------
    cones : bool
        whether cones and towers stand on it; else dolines
    dense : float
        0 .. 1, how much of the ground belongs to clusters of either
    spacing_m : float
        from cone to cone [m]
    towers : float
        0 round cones .. 1 towers with flat tops
    """

    cones: bool
    dense: float
    spacing_m: float
    towers: float


def draw_karst(key: SceneKey) -> Karst:
    """Draw the karst of one scene: a third has cones."""
    kind, dense, spacing, towers = key.at("terrain", "karst").rng().random(4)
    return Karst(bool(kind < 0.33), float(dense), 180.0 + 220.0 * float(spacing), float(towers))


def sink_dolines(at: Points, karst: Sequence[Karst], seed: Tensor, room_m: Tensor) -> Tensor:
    """(N, H, W) depth of the dolines [m]: clustered, few large among many small, none deeper than the ground has room.

    Parameters
    ----------
    room_m : Tensor
        (N, H, W) height above the stream that drains the ground [m]
    """
    total = torch.zeros_like(room_m).flatten(1)
    dense = per_scene([k.dense for k in karst], seed.device).to(torch.float32)[:, None]
    for number, (spacing, least, most) in enumerate(SIZES):
        sites = scatter(at, per_scene([spacing] * len(seed), seed.device), hashed(seed, salt.Karst.DOLINES, number))
        cluster = fbm(
            sites.at, per_scene([1500.0] * len(seed), seed.device), hashed(seed, salt.Karst.DOLINE_CLUSTERS), 3
        ).flatten(1)
        radius = (least / torch.sqrt(1 - sites.draw(salt.Doline.RADIUS) * (1 - (least / most) ** 2))) * (
            cluster > 0.6 - 1.6 * dense
        )
        seen = (radius / at.cell_m.to(torch.float32)[:, None] - 1.0).clamp(0.0, 1.0)
        depth = 2 * radius * (DEEP[0] + (DEEP[1] - DEEP[0]) * sites.draw(salt.Doline.DEPTH)) * seen
        deepest = torch.zeros_like(total)
        for site in sites.around():
            wide = radius.gather(1, site.which).clamp(min=1e-3)
            inside = (1 - (site.dy * site.dy + site.dx * site.dx) / (wide * wide)).clamp(min=0.0)
            deepest = torch.maximum(deepest, depth.gather(1, site.which) * inside * inside)
        total += deepest
    total = total.reshape(room_m.shape)
    return total * room_m / (total + room_m).clamp(min=1e-3)


def raise_cones(at: Points, karst: Sequence[Karst], seed: Tensor) -> Tensor:
    """(N, H, W) height of cones and towers over the plain between them [m]; where two meet, the higher counts."""
    device = seed.device
    spacing = per_scene([k.spacing_m for k in karst], device)
    sites = scatter(at, spacing, hashed(seed, salt.Karst.CONES))
    cluster = fbm(
        sites.at, per_scene([2500.0] * len(karst), device), hashed(seed, salt.Karst.CONE_CLUSTERS), 3
    ).flatten(1)
    dense, towers = (per_scene(v, device).to(torch.float32)[:, None]
                     for v in ([k.dense for k in karst], [k.towers for k in karst]))  # fmt: skip
    present = (cluster > 0.6 - 1.6 * dense) & (sites.draw(salt.Cone.PRESENT) < 0.85)
    radius = spacing.to(torch.float32)[:, None] * (0.2 + 0.3 * sites.draw(salt.Cone.RADIUS)) * present
    tall = 2 * radius / (STOUT[0] + (STOUT[1] - STOUT[0]) * sites.draw(salt.Cone.STOUTNESS))
    total = torch.zeros(at.shape, device=device).flatten(1)
    for site in sites.around():
        wide = radius.gather(1, site.which).clamp(min=1e-3)
        inside = (1 - (site.dy * site.dy + site.dx * site.dx) / (wide * wide)).clamp(min=0.0)
        tower = inside * (2.0 - inside)  # the same foot, twice as steep, a flat top
        total = torch.maximum(total, tall.gather(1, site.which) * (inside + towers * (tower - inside)))
    return total.reshape(at.shape)


def dissolve(relief: Relief, karst: Sequence[Karst]) -> Tensor:
    """(N, H, W) ground with dolines or cones."""
    seed, height = relief.seed, relief.height_m.clone()
    for cones in (False, True):
        rows = [n for n, k in enumerate(karst) if k.cones == cones]
        if not rows:
            continue
        at = Window(*(v[rows] for v in (relief.at.y_m, relief.at.x_m, relief.at.cell_m)))
        some = [karst[n] for n in rows]
        wide, reach = (per_scene([m] * len(rows), seed.device) for m in (200.0, 16.0))
        bent = warp(at, wide, hashed(seed[rows], salt.Karst.BEND), reach, octaves=4)  # no hollow is round
        if cones:
            seen = relief.seen([k.spacing_m for k in karst])[rows]
            height[rows] += (
                seen * (1.2 - relief.steep[rows] * 5.0).clamp(0.0, 1.0) * raise_cones(bent, some, seed[rows])
            )
        else:
            height[rows] -= sink_dolines(bent, some, seed[rows], relief.above_m[rows].clamp(min=0.0))
    return height
