"""Dunes: sand that the wind has heaped on flat ground, in crescents, in rows across the wind, or along it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.relief import Relief
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, uniform
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.scatter import scatter, turned
from terraficta.synth.scene.world.window import Points, Window
from terraficta.synth.types.key import SceneKey

KINDS = ("barchan", "transverse", "linear")
REPOSE = math.tan(math.radians(33.0))
"""slope of the lee side, where sand avalanches: 32 to 34 deg. Source: R. Bagnold 1941, The Physics of Blown Sand."""
TALL, POWER = 0.027, 1.10
"""height of dunes [m] = TALL * spacing ^ POWER, from ripples to draa; single fields lie within a factor of two.
Source: N. Lancaster 1988, doi:10.1130/0091-7613(1988)016<0972:COEDSA>2.3.CO;2."""
STEEPEST_BED = 0.05
"""ground steeper than this over a node carries no dunes"""


@dataclass(frozen=True)
class Dunes:
    """One scene's dune field.

    Parameters
    ----------
    kind : str
        one of `KINDS`
    blows_deg : float
        direction that the sand moves to, from south over east [deg]
    spacing_m : float
        from crest to crest [m]
    height_m : float
        of a full-grown dune [m]
    """

    kind: str
    blows_deg: float
    spacing_m: float
    height_m: float


def draw_dunes(key: SceneKey) -> Dunes:
    """Draw the dune field of one scene: height follows from spacing, give or take a third."""
    kind, blows, spacing, tall = key.at("terrain", "dunes").rng().random(4)
    spacing_m = 80.0 * 8.0**spacing
    height = TALL * spacing_m**POWER * 1.35 ** (2 * tall - 1)
    return Dunes(KINDS[int(3 * kind)], 360.0 * blows, spacing_m, height)


def _direction(dunes: Sequence[Dunes], device: torch.device, across: bool) -> tuple[Tensor, Tensor]:
    angles = [math.radians(d.blows_deg + (90.0 if across else 0.0)) for d in dunes]
    return per_scene([math.sin(a) for a in angles], device), per_scene([math.cos(a) for a in angles], device)


def heap_rows(at: Window, dunes: Sequence[Dunes], seed: Tensor, sand: Tensor) -> Tensor:
    """(N, H, W) height of transverse and linear dunes [m].

    Each row rises over its windward side and falls at the angle of repose; rows swing, and each ends where sand is
    short. Between them the ground is flat.

    Parameters
    ----------
    at : Window
        where
    dunes : Sequence[Dunes]
        one a scene
    seed : Tensor
        (N,) int64
    sand : Tensor
        (N, H, W) 0 none .. 1 enough for full-grown dunes
    """
    device, linear = seed.device, [d.kind == "linear" for d in dunes]
    ways = [_direction([d], device, across) for d, across in zip(dunes, linear, strict=True)]
    sine, cosine = (torch.cat([w[k] for w in ways]) for k in (0, 1))
    spacing = per_scene([d.spacing_m for d in dunes], device)
    length = spacing.to(torch.float32)[:, None, None]
    step = 0.05 * spacing
    swing = [
        0.35 * fbm(seen, 6.0 * spacing, hashed(seed, salt.Dunes.SWING), 2)
        for seen in (
            at,
            Window(at.y_m + step[:, None], at.x_m, at.cell_m),
            Window(at.y_m, at.x_m + step[:, None], at.cell_m),
        )
    ]
    lean_y, lean_x = ((s - swing[0]) * 20.0 for s in swing[1:])
    s, c = (v.to(torch.float32)[:, None, None] for v in (sine, cosine))
    dense = torch.sqrt((c + lean_y) * (c + lean_y) + (s + lean_x) * (s + lean_x))  # rows lie closer where they swing
    axes = turned(at, sine, cosine)
    phase = axes.y_m / spacing[:, None, None] + swing[0].to(torch.float64)
    row = torch.floor(phase)
    way = (phase - row).to(torch.float32)

    last = per_scene([18.0 if v else 5.0 for v in linear], device)[:, None, None]
    along = axes.x_m / (last * spacing[:, None, None])
    node = torch.floor(along)
    part = (along - node).to(torch.float32)
    own = hashed(hashed(seed, salt.Dunes.ROW)[:, None, None], row.to(torch.int64))
    here, there = (uniform(hashed(own, node.to(torch.int64) + k)) for k in (0, 1))
    supply = here + (there - here) * part * part * (3 - 2 * part)
    height = planes([d.height_m for d in dunes], device) * sand * ((supply - 0.22) * 2.5).clamp(0.0, 1.0)

    slip = (height * dense / (length * REPOSE)).clamp(1e-6, 0.3)
    gap = planes([0.12 if not v else 0.4 for v in linear], device)
    foot = 1.0 - 0.5 * gap
    wide = torch.where(planes([float(v) for v in linear], device) > 0, 2.2 * slip, foot - slip - 0.5 * gap)
    up = ((way - (foot - slip - wide)) / wide.clamp(min=1e-6)).clamp(0.0, 1.0)
    down = ((foot - way) / slip).clamp(0.0, 1.0)
    return height * torch.minimum(up * up * (3 - 2 * up), down)


def heap_barchans(at: Window | Points, dunes: Sequence[Dunes], seed: Tensor, sand: Tensor) -> Tensor:
    """(N, H, W) height of crescent dunes [m]: a shield to windward, a slip face between two horns to leeward.

    Width about 14 and length 11 heights. Source: P. Hesp, K. Hastings 1998, doi:10.1016/S0169-555X(97)00070-1.
    """
    device = seed.device
    spacing = per_scene([d.spacing_m for d in dunes], device)
    sites = scatter(turned(at, *_direction(dunes, device, False)), spacing, seed)
    full = per_scene([d.height_m for d in dunes], device).to(torch.float32)[:, None]
    size = full * (0.25 + 0.75 * sites.draw(salt.Barchan.SIZE)) * (sites.draw(salt.Barchan.PRESENT) < 0.8)
    enough = sand.flatten(1)
    total = torch.zeros_like(enough)
    for site in sites.around():
        tall = (size.gather(1, site.which) * enough).clamp(min=1e-3)
        across = site.dx / (7.0 * tall)
        along = site.dy / (7.0 * tall) - 0.7 * across * across
        shield = 1 - along * along - across * across
        face = REPOSE * 7.0 * (0.62 - along) / torch.sqrt(1 + 1.96 * across * across)
        total = torch.maximum(total, tall * torch.minimum(shield, face))
    return total.reshape(sand.shape)


def heap_dunes(relief: Relief, dunes: Sequence[Dunes]) -> Tensor:
    """(N, H, W) ground with dunes where it is flat; the wind has smoothed what lies under them."""
    seed, device = relief.seed, relief.height_m.device
    field = fbm(relief.at, per_scene([5000.0] * len(dunes), device), hashed(seed, salt.Dunes.SAND), 4, 0.8)
    flat = (1.6 - relief.steep / STEEPEST_BED).clamp(0.0, 1.0)
    sand = flat * (1.4 + field).clamp(0.0, 1.0) * relief.seen([d.spacing_m for d in dunes])
    heaped = torch.zeros_like(sand)
    for work, kinds in ((heap_barchans, KINDS[:1]), (heap_rows, KINDS[1:])):
        rows = [n for n, d in enumerate(dunes) if d.kind in kinds]
        if rows:
            at = Window(*(v[rows] for v in (relief.at.y_m, relief.at.x_m, relief.at.cell_m)))
            heaped[rows] = work(at, [dunes[n] for n in rows], seed[rows], sand[rows])
    return relief.height_m - 0.85 * sand * relief.rough_m + heaped
