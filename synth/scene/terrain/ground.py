"""The ground around the rivers, at any place and any scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.drainage import Drainage, climb
from terraficta.synth.scene.terrain.dune import heap_dunes
from terraficta.synth.scene.terrain.glacier import dig_kettles, kettle_level, scour
from terraficta.synth.scene.terrain.karst import dissolve
from terraficta.synth.scene.terrain.plan import TerrainPlan
from terraficta.synth.scene.terrain.relief import RaisedGround, Relief
from terraficta.synth.scene.terrain.rivers import CHANNEL_KM2
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, seeds_of, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.lattice import fbm, gradient_noise
from terraficta.synth.scene.world.places import listed
from terraficta.synth.scene.world.window import Points, Window

FAR_M = 1e6
"""distance that stands for: no channel near [m]"""
WIDTH_M = 2.5
"""bankfull width of a river with a catchment of 1 km2 [m]; it grows with the square root of the catchment.
Source: L. Leopold, T. Maddock 1953, USGS Professional Paper 252 (exponent 0.5 of discharge)."""
MEANDER = 10.9
"""wavelength of meanders, over the width of the river. Source: L. Leopold, M. Wolman 1960,
doi:10.1130/0016-7606(1960)71[769:RM]2.0.CO;2"""
SINUOUS = 1.6
"""sinuosity of rivers on the flattest land; from 1.5 on Leopold and Wolman (1957) call a river meandering"""
RESTLESS = 0.4
"""least amplitude of a reach's meanders, over the largest; chosen"""
FINEST_WAVES = 2.0
"""most waves in a reach; shorter ones, of brooks, are left out: where the land is bent they would look like combs"""
SEEN_CELLS = 6.0
"""meanders shorter than so many cells are not drawn"""
BRAIDED = (0.0125, 0.44, 4.5)
"""slope from which on a river braids, at a bankfull discharge of 1 m3/s, and minus its exponent; and the width of a
river of that discharge [m], which goes with its square root. Source: L. Leopold, M. Wolman 1957, USGS Professional
Paper 282-B, in SI units; L. Leopold, T. Maddock 1953"""
LONGEST = 3.0
"""meanders longer than this, over the reach between two nodes, are left to how all valleys wander"""
VALLEY_KM2 = 4.0
"""least catchment of a river whose valley has a road; chosen: such rivers are some 3 km apart, as main roads are"""
FOOT = 0.3
"""where the valley's side begins, from the bank over the way to where the hillside is untouched by the river"""
FOOT_M = 15.0
"""the same, at least [m]"""
SHAPERS: dict[str, Callable[[Relief, Sequence[TerrainPlan]], Tensor]] = {
    "dunes": lambda relief, plans: heap_dunes(relief, [plan.dunes for plan in plans]),
    "glacial": lambda relief, plans: scour(relief, [plan.glacier for plan in plans]),
    "karst": lambda relief, plans: dissolve(relief, [plan.karst for plan in plans]),
}
"""what works on the ground beside rivers, by style"""


@dataclass(frozen=True)
class Near:
    """The node nearest to each place, and how far it is: flat (N, P) position and way (ty, tx) in node spacings."""

    node: Tensor
    ty: Tensor
    tx: Tensor


def near_nodes(points: Points, drainage: Drainage) -> Near:
    """Find the nearest node that has eight neighbours."""
    nodes = drainage.elevation_m.shape[1]
    step = drainage.spacing_m[:, None, None]
    rows, columns = points.y_m / step, points.x_m / step
    first_y, first_x = drainage.first.to(torch.float64)[:, :, None, None].unbind(1)
    row, column = (
        torch.minimum(torch.maximum(torch.floor(v + 0.5), first + 1), first + nodes - 2)
        for v, first in ((rows, first_y), (columns, first_x))
    )
    ty, tx = ((v - w).to(torch.float32).flatten(1) for v, w in ((rows, row), (columns, column)))
    row, column = (row - first_y).to(torch.int64), (column - first_x).to(torch.int64)
    return Near((row * nodes + column).flatten(1), ty, tx)


def smoothed(near: Near, nodes: int, *tables: Tensor) -> list[Tensor]:
    """Node values (N, R*R) at the places (N, P), by a quadratic B-spline: smooth to the first derivative."""

    def weights(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        t = t.clamp(-0.5, 0.5)
        return 0.5 * (0.5 - t) * (0.5 - t), 0.75 - t * t, 0.5 * (0.5 + t) * (0.5 + t)

    weight_y, weight_x = weights(near.ty), weights(near.tx)
    totals = [torch.zeros_like(near.ty) for _ in tables]
    for k in range(9):
        j, i = k // 3, k % 3
        node, weight = near.node + ((j - 1) * nodes + i - 1), weight_y[j] * weight_x[i]
        for total, table in zip(totals, tables, strict=True):
            total += weight * table.gather(1, node)
    return totals


def feeds_channel(drainage: Drainage, thirst: Sequence[float]) -> Tensor:
    """(N, R*R) bool: the nodes that a channel runs through; `thirst` times fewer where the ground swallows brooks."""
    least = CHANNEL_KM2 * per_scene(thirst, drainage.spacing_m.device).to(torch.float32)[:, None]
    return (drainage.area_km2.flatten(1) >= least) | drainage.valley


def sinuosity(width_m: Tensor, slope: Tensor) -> Tensor:
    """Length of a river over that of its valley, by its width [m] and the slope of the valley.

    It falls evenly from `SINUOUS` on level ground to 1 where the river would braid.
    """
    steepest, exponent, unit_m = BRAIDED
    braided = steepest * (width_m.clamp(min=1e-3) / unit_m) ** (-2 * exponent)
    return 1 + (SINUOUS - 1) * (1 - slope / braided).clamp(0.0, 1.0)


def meanders(width_m: Tensor, slope: Tensor, reach_m: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude [m] and number of the waves that a reach between two nodes winds in: a half, or whole ones.

    They begin and end on the straight line, so that rivers meet.

    Error
    -----
    the length of a sine wave by its series, a tenth off at most: `tests/unit/test_meander.py`.
    """
    wave_m = MEANDER * width_m
    waves = (reach_m / wave_m.clamp(min=1e-3)).round().clamp(min=1.0)
    waves = torch.where(wave_m > 1.5 * reach_m, 0.5, waves)
    amplitude = reach_m / waves / math.pi * torch.sqrt(1.35 * (sinuosity(width_m, slope) - 1))
    return torch.where((wave_m > LONGEST * reach_m) | (waves > FINEST_WAVES), 0.0, amplitude), waves


def cut_channels(
    near: Near, drainage: Drainage, channel: Tensor, height: Tensor, uplift: Tensor, cell_m: Tensor
) -> tuple[Tensor, ...]:
    """Lower the ground (N, P) to the level of each reach around it, over a floodplain that is wider on flat land.

    `channel` as of `feeds_channel`; of meanders those are drawn that cells of `cell_m` (N,) show. Returns height, and
    distance, width and level of the nearest channel, and the distance to the foot of the right-hand side of the nearest
    valley of `VALLEY_KM2`.
    """
    nodes, (scenes, places) = drainage.elevation_m.shape[1], height.shape
    metres = drainage.spacing_m.to(torch.float32)[:, None]
    top, receiver = drainage.elevation_m.flatten(1), drainage.receiver
    number = torch.arange(nodes * nodes, device=top.device)
    fall = top.gather(1, receiver) - top
    broad = torch.minimum(WIDTH_M * torch.sqrt(drainage.area_km2.flatten(1)), 0.8 * metres)
    widen = torch.minimum(broad.gather(1, receiver), 2 * broad) - broad
    way_y = (receiver // nodes - number // nodes).to(torch.float32)
    way_x = (receiver % nodes - number % nodes).to(torch.float32)
    sway, waves = _bends(drainage, way_y, way_x, broad, fall, cell_m)
    tables = [table.flatten() for table in (*(w.expand_as(top) for w in (way_y, way_x)), broad, widen, top, fall)]
    large = (drainage.area_km2.flatten(1) >= VALLEY_KM2).flatten()
    winding = (sway != 0).flatten() & channel.flatten()
    sway, waves, winds, grows = sway.flatten(), waves.flatten(), bool(winding.any()), bool(large.any())
    own = (near.node + torch.arange(scenes, device=top.device)[:, None] * (nodes * nodes)).flatten()
    ty, tx, flat, height = (plane.flatten() for plane in (near.ty, near.tx, uplift, height))
    nearest = torch.full_like(height, FAR_M)
    width, level, cut = torch.zeros_like(height), torch.zeros_like(height), height.clone()
    foot = nearest.clone()
    beside = torch.zeros_like(channel.flatten(), dtype=torch.int32)  # a bit for each neighbour with a channel
    for k in range(9):
        beside |= channel.flatten().roll(-((k // 3 - 1) * nodes + k % 3 - 1)).to(torch.int32) << k
    beside = beside.index_select(0, own)
    for k in range(9):
        j, i = k // 3 - 1, k % 3 - 1
        step = j * nodes + i
        at = listed(beside & (1 << k))  # most nodes have no channel
        node = own.index_select(0, at) + step
        dy, dx, here, wider, water, drop = (table.index_select(0, node) for table in tables)
        y, x = ty.index_select(0, at) - j, tx.index_select(0, at) - i
        m = metres[0] if scenes == 1 else metres[:, 0].index_select(0, at // places)
        t = ((y * dy + x * dx) / (dy * dy + dx * dx).clamp(min=1.0)).clamp(0.0, 1.0)
        off_y, off_x = y - t * dy, x - t * dx
        here, water = here + t * wider, water + t * drop
        middle = torch.sqrt(off_y * off_y + off_x * off_x) * m
        straight = bank = (middle - 0.5 * here).clamp(min=0.0)
        if winds:
            some = listed(winding.index_select(0, node))
            apart_m = m if len(m) == 1 else m.index_select(0, some)
            ways = [v.index_select(0, some) for v in (middle, y, x, t, dy, dx)]
            wound = _wind(apart_m, *ways, *(v.index_select(0, node.index_select(0, some)) for v in (sway, waves)))
            bank = straight.index_copy(0, some, (wound - 0.5 * here.index_select(0, some)).clamp(min=0.0))
        plain = torch.minimum(here * (2.0 + 6.0 * (1 - flat.index_select(0, at))) + 0.35 * m, 0.5 * m)
        away = (bank / plain).clamp(max=1.0)
        away = away * away * (3 - 2 * away)
        low = water + 0.005 * bank.clamp(max=500.0) + (height.index_select(0, at) - water) * away
        cut.index_copy_(0, at, torch.minimum(cut.index_select(0, at), low))
        if grows:
            some = listed(large.index_select(0, node) & (off_y * dx > off_x * dy))
            on, side = at.index_select(0, some), (FOOT * plain.index_select(0, some)).clamp(min=FOOT_M)
            side = side + sway.index_select(0, node.index_select(0, some)).abs()
            off = (straight.index_select(0, some) - side).abs()
            foot.index_copy_(0, on, torch.minimum(foot.index_select(0, on), off))
        before = nearest.index_select(0, at)
        nearest.index_copy_(0, at, torch.minimum(bank, before))
        for plane, value in ((width, here), (level, water)):
            plane.index_copy_(0, at, choose(bank < before, value, plane.index_select(0, at)))
    cut = choose(nearest <= 0, level, cut)
    return tuple(plane.view(scenes, places) for plane in (cut, nearest, width, level, foot))


def _bends(
    drainage: Drainage, way_y: Tensor, way_x: Tensor, width_m: Tensor, fall_m: Tensor, cell_m: Tensor
) -> tuple[Tensor, Tensor]:
    """Amplitude (N, R*R) [m] and number of the waves of the reaches that begin at each node.

    Half a wave lies to one side of a reach and to the other side of the next.
    """
    nodes, step_m = drainage.elevation_m.shape[1], drainage.spacing_m.to(torch.float32)[:, None]
    run_m = torch.sqrt(way_y * way_y + way_x * way_x) * step_m
    sway, waves = meanders(width_m, -fall_m / run_m.clamp(min=1e-3), run_m)
    sway = torch.where(run_m < SEEN_CELLS * waves * cell_m.to(torch.float32)[:, None], 0.0, sway)
    sway = sway * (RESTLESS + (1 - RESTLESS) * uniform(drainage.place, salt.Node.MEANDER))
    number = torch.arange(nodes * nodes, device=run_m.device)
    row, column = drainage.first[:, :1] + number // nodes, drainage.first[:, 1:] + number % nodes
    odd = torch.where(way_y == 0, column, row) % 2
    return torch.where((waves < 1) & (odd == 1), -sway, sway), waves


def _wind(
    step_m: Tensor, middle_m: Tensor, y: Tensor, x: Tensor, t: Tensor, dy: Tensor, dx: Tensor, sway_m: Tensor,
    waves: Tensor,
) -> Tensor:  # fmt: skip
    """Distance (M,) of places from the middle of a river that winds about its reach [m].

    Parameters
    ----------
    step_m : Tensor
        node spacing [m]
    middle_m : Tensor
        from the straight line [m]; it stays so before and behind the reach, where there is no wave
    y, x : Tensor
        the way from the reach's first node to the place [node spacings]
    t : Tensor
        0 .. 1 along the reach
    dy, dx : Tensor
        the reach [node spacings]
    sway_m, waves : Tensor
        of `meanders`
    """
    length = torch.sqrt(dy * dy + dx * dx)
    turn = 2 * math.pi * waves
    aside = (y * dx - x * dy) / length * step_m - sway_m * torch.sin(turn * t)
    askew = sway_m * turn / (length * step_m) * torch.cos(turn * t)
    return torch.where((t > 0) & (t < 1), aside.abs() * torch.rsqrt(1 + askew * askew), middle_m)


def raise_ground(at: Window, bent: Points, plans: Sequence[TerrainPlan], drainage: Drainage) -> RaisedGround:
    """Raise the ground around the rivers.

    Rivers and divides wander (`bent`: the places among the nodes); hillsides get detail in proportion to how steep
    they are; beside a channel the ground sinks to the river's level.
    """
    device = at.cell_m.device
    seed = seeds_of([plan.seeds.ground for plan in plans], device)
    step, nodes = drainage.spacing_m, drainage.elevation_m.shape[1]
    near = near_nodes(bent, drainage)
    height, receiver = drainage.elevation_m.flatten(1), drainage.receiver
    drop = (height - height.gather(1, receiver)).clamp(min=0.0)
    channel = feeds_channel(drainage, [plan.form.thirst for plan in plans])
    own = torch.arange(height.shape[1], device=device)
    hand = climb(choose(channel, own, receiver), choose(channel, 0.0, drop))
    smooth, above, steep, uplift = smoothed(near, nodes, height, hand, drop, drainage.uplift.flatten(1))

    hurst = [plan.form.hurst for plan in plans]
    first, second = (
        gradient_noise(bent, step * k, hashed(seed, salt.RaisedGround.GULLY, n)).abs()
        for n, k in enumerate((1.5, 0.75))
    )
    gully = first * (0.8 + 0.5 * second) - 0.9  # creases that join: V-shaped side valleys between round spurs
    fine = fbm(at, 0.5 * step, hashed(seed, salt.RaisedGround.FINE), 8, hurst)
    broad = fbm(at, 6.0 * step, hashed(seed, salt.RaisedGround.BROAD), 3, hurst)
    rough = steep * (0.12 * gully + 0.10 * broad + 0.02 * fine).flatten(1)
    shaped = _shape(at, near, plans, drainage, smooth + rough, rough, steep, uplift, above)
    cut, bank, width, level, foot = cut_channels(near, drainage, channel, shaped, uplift, at.cell_m)
    above = choose(bank < FAR_M, torch.minimum(cut - level, above + 10.0), above).clamp(min=0.0)
    return RaisedGround(*(v.reshape(at.shape) for v in (cut, above, uplift, bank, width, level, foot, near.node)))


def _shape(
    at: Window,
    near: Near,
    plans: Sequence[TerrainPlan],
    drainage: Drainage,
    height: Tensor,
    rough: Tensor,
    drop: Tensor,
    uplift: Tensor,
    above: Tensor,
) -> Tensor:
    """Ground (N, P) after wind, ice and solution have worked on the scenes that have their style."""
    metres = drainage.spacing_m.to(torch.float32)[:, None]
    fields = (v.reshape(at.shape) for v in (height, rough, drop / metres, uplift, above))
    seed = seeds_of([plan.seeds.style for plan in plans], metres.device)
    whole = Relief(at, [plan.form for plan in plans], seed, *fields)
    shaped = height.clone()
    for style, work in SHAPERS.items():
        rows, part = whole.part(style)
        if rows:
            shaped[rows] = work(part, [plans[n] for n in rows]).flatten(1)
    rows = [n for n, plan in enumerate(plans) if plan.form.style == "glacial"]
    if rows:
        node = near.node[rows]
        level = kettle_level(drainage, rows, [plans[n].glacier for n in rows]).gather(1, node)
        size = uniform(drainage.place[rows].gather(1, node), salt.Node.KETTLE_SIZE)
        shaped[rows] = dig_kettles(shaped[rows], level, near.ty[rows], near.tx[rows], size, metres[rows])
    return shaped
