"""Great valleys: the lattice of trunk rivers and passes between which every upland drains alone.

The world is cut into square lands of `SIDE` nodes, laid like bricks: every other column is half a land further down,
so that valleys meet in threes. Along the lines between lands lie great valleys, whose heights and rivers follow from
the seed and from whole-numbered places alone. A land drains to the lines around it, so it can be solved without its
neighbours, and still meets them to the last bit. (`rivers.wander` bends the lattice out of sight.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.drainage import accumulate, shifted
from terraficta.synth.scene.terrain.landform import Landform
from terraficta.synth.scene.terrain.plan import TerrainPlan
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, seeds_of, uniform

SIDE = 64
"""nodes along a land's side"""
HALF = SIDE // 2
"""nodes between corners along the lines from north to south; from west to east they are a side apart"""
UPSTREAM = 12
"""corners that a trunk river is followed upstream; one that has passed more comes from afar"""
TILT = 100
"""fall from corner to corner towards the scene's side; hills between corners add +-181 (1 sigma)"""
PERIOD = 48
"""corners after which the tilt has gone down and up again: the world stays within its heights"""
MIDDLE = 1300
"""level of the lattice's potential (0..4695, mean 2350) that lies at height 0"""
FLOOR = 1.2e-4
"""height of a valley floor per step of the potential, in units of relief"""
PASS = (0.03, 0.45)
"""height of a pass above its valleys, in units of relief"""
SHORE = 8
"""nodes that the lake at the end of a valley reaches up the lines at most"""
DRY_M = -1e9
"""level where no water stands [m]"""
FOUR = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""the neighbours (y, x) of a corner: east, south, west, north. It has a line to the east or one to the west."""


@dataclass(frozen=True)
class Valleys:
    """The lines of a block of the lattice, on its grid of nodes. What lies off the lines is 0, or its own receiver.

    Parameters
    ----------
    height_m : Tensor
        (N, R, R) float32 height of the valley floors [m]
    receiver : Tensor
        (N, R*R) int64 the next node down the line; its own at a lake and where the block ends
    source : Tensor
        (N, R*R) int64 catchment that a trunk river brings to the first node after a corner [nodes]
    most : Tensor
        (N, R*R) int64 catchment of the corner that a line runs to, its own at corners [nodes]
    line : Tensor
        (N, R*R) bool nodes on lines
    lake : Tensor
        (N, R*R) bool corners from which no valley leads down
    lake_m : Tensor
        (N, R*R) level of the water around these, as far as `SHORE` nodes [m]; `DRY_M` elsewhere
    """

    height_m: Tensor
    receiver: Tensor
    source: Tensor
    most: Tensor
    line: Tensor
    lake: Tensor
    lake_m: Tensor


def _corners(first: Tensor, lands: int, forms: Sequence[Landform], seed: Tensor) -> tuple[Tensor, ...]:
    """Potential, way down (0..3 in `FOUR`, -1 at a lake), corners upstream, line to the east, lowest neighbour.

    All (N, 2L+1, L+1), from corner `first` (N, 2) of the lattice on.
    """
    device, around = seed.device, UPSTREAM + 1
    rows, columns = 2 * lands + 1 + 2 * around, lands + 1 + 2 * around
    row, column = (first[:, k : k + 1] - around + torch.arange(v, device=device) for k, v in enumerate((rows, columns)))
    wide_row, wide_column = (torch.cat([v[:, :1] - 1, v, v[:, -1:] + 1], 1) for v in (row, column))
    hills = hashed(hashed(seed[:, None], wide_row)[:, :, None], wide_column[:, None, :]) & 255
    potential = torch.zeros(len(forms), rows, columns, dtype=torch.int64, device=device)
    for k in range(9):
        potential += hills[:, k // 3 : k // 3 + rows, k % 3 : k % 3 + columns]
    for n, form in enumerate(forms):
        seaward = row[n, :, None] if form.side in (0, 2) else 2 * column[n, None, :]
        wave = ((seaward if form.side < 2 else -seaward) + PERIOD // 4) % PERIOD - PERIOD // 2
        potential[n] += TILT * wave.abs()
    eastward = (row[:, :, None] - column[:, None, :]) % 2 == 0
    best, way = potential, torch.full_like(potential, -1)
    around_it = torch.full_like(potential, 1 << 20)
    for k, (dy, dx) in enumerate(FOUR):
        there = shifted(potential, dy, dx, 1 << 20)
        if dx:
            there = torch.where(eastward == (dx > 0), there, 1 << 20)
        way, best = torch.where(there < best, k, way), torch.minimum(best, there)
        around_it = torch.minimum(around_it, there)
    step = torch.tensor([dy * columns + dx for dy, dx in FOUR] + [0], device=device)
    own = torch.arange(rows * columns, device=device)
    down = own + step[way].flatten(1)
    flowing = torch.ones_like(down)
    upstream = flowing
    for _ in range(UPSTREAM):
        flowing = torch.zeros_like(down).scatter_add(1, down, torch.where(down == own, 0, flowing))
        upstream = upstream + flowing
    # up to this many the count is whole, so it never falls along a river
    upstream = upstream.clamp(max=UPSTREAM + 1).reshape(potential.shape)
    return tuple(v[:, around:-around, around:-around] for v in (potential, way, upstream, eastward, around_it))


def _profile(start: Tensor, end: Tensor, flow: Tensor, relief: Tensor, identity: Tensor, length: int) -> tuple[
    Tensor, Tensor]:  # fmt: skip
    """Heights (..., length+1) float64 along a line, and whether its nodes flow to its end.

    start, end (...) heights of its corners [m]; flow (...) +1 or -1 along a trunk river, 0 over a pass; identity
    (...) of the line.
    """
    k = torch.arange(length + 1, device=start.device)
    start, end, flow, relief, identity = (v[..., None] for v in (start, end, flow, relief, identity))
    top = torch.where(flow == 0, length // 3 + (identity >> 8) % (length // 3), torch.where(flow > 0, 0, length))
    share = PASS[0] + (PASS[1] - PASS[0]) * uniform(identity, salt.Line.PASS_HEIGHT).to(torch.float64) ** 2
    high = torch.maximum(start, end) + torch.where(flow == 0, share * relief, 0.0)
    rising = k <= top
    away = torch.where(rising, k / top.clamp(min=1), (length - k) / (length - top).clamp(min=1))  # 0 corner .. 1 top
    foot = torch.where(rising, start, end)
    return foot + (high - foot) * away * (0.5 + 0.5 * away), ~rising | (top == 0)


def lay_valleys(first: Tensor, lands: int, plans: Sequence[TerrainPlan], inflow: Tensor) -> Valleys:
    """Lay the great valleys of N blocks that are `lands` lands high and wide.

    Parameters
    ----------
    first : Tensor
        (N, 2) int64 the block's first corner of the lattice (y, x); corners lie (`HALF`, `SIDE`) nodes apart
    plans : Sequence[TerrainPlan]
        one a scene
    inflow : Tensor
        (N,) int64 catchment that rivers from afar bring [nodes]
    """
    device, forms = first.device, [plan.form for plan in plans]
    seed = seeds_of([plan.seeds.valleys for plan in plans], device)
    relief = per_scene([f.relief_m for f in forms], device)[:, None, None]
    potential, way, upstream, eastward, lowest = _corners(first, lands, forms, seed)
    corner_m = (potential - MIDDLE).to(torch.float64) * FLOOR * relief
    # a corner has half a land; one more half, so that no brook brings more than its river has
    catchment = SIDE * HALF * (upstream + 1) + inflow[:, None, None] * ((upstream - 1) ** 2) // UPSTREAM**2
    rows, columns = (
        first[:, k : k + 1] + torch.arange(v, device=device) for k, v in ((0, 2 * lands + 1), (1, lands + 1))
    )
    place = hashed(hashed(seed[:, None], salt.Valleys.CORNER, rows)[:, :, None], columns[:, None, :])
    n, nodes = len(plans), SIDE * lands + 1
    height = torch.zeros(n, nodes, nodes, dtype=torch.float64, device=device)
    own = torch.arange(nodes * nodes, device=device).reshape(1, nodes, nodes).expand(n, -1, -1)
    receiver, source, most = own.clone(), torch.zeros_like(own), torch.zeros_like(own)
    line, lake = (torch.zeros_like(height, dtype=torch.bool) for _ in range(2))
    for axis in (2, 1):  # lines from west to east, then, on transposed views, from north to south
        over: Callable[[Tensor], Tensor] = (lambda v: v) if axis == 2 else (lambda v: v.mT)
        apart, length, step = (HALF, SIDE, 1) if axis == 2 else (SIDE, HALF, nodes)
        forth, back = (0, 2) if axis == 2 else (1, 3)
        here = eastward[:, :, :-1] if axis == 2 else torch.ones_like(over(eastward)[:, :, :-1])
        down, level, area = over(way), over(corner_m), over(catchment)
        flow = (down[:, :, :-1] == forth).to(torch.int64) - (down[:, :, 1:] == back).to(torch.int64)
        z, to_end = _profile(
            level[:, :, :-1], level[:, :, 1:], flow, relief, hashed(over(place)[:, :, :-1], axis), length
        )

        inner = partial(_inner, over, apart, length)

        def fill(plane: Tensor, values: Tensor, inner: Callable[[Tensor], Tensor] = inner, here: Tensor = here) -> None:
            inner(plane).copy_(torch.where(here[..., None], values, inner(plane)))

        to_end = to_end[..., 1:-1]
        before, after = area[:, :, :-1, None], area[:, :, 1:, None]
        fill(height, z[..., 1:-1])
        fill(line, torch.ones_like(to_end))
        fill(receiver, inner(own) + torch.where(to_end, step, -step))
        fill(most, torch.where(to_end, after, before))
        fill(source, _at_ends(flow, before, after, length - 1))
        # a corner's water goes on along the line that it was sent down
        leaves, number = over(receiver)[:, ::apart, ::length], over(own)[:, ::apart, ::length]
        leaves[:, :, :-1] = torch.where(flow > 0, number[:, :, :-1] + step, leaves[:, :, :-1])
        leaves[:, :, 1:] = torch.where(flow < 0, number[:, :, 1:] - step, leaves[:, :, 1:])
    at_corners = (slice(None), slice(None, None, HALF), slice(None, None, SIDE))
    height[at_corners], most[at_corners], line[at_corners], lake[at_corners] = corner_m, catchment, True, way < 0
    # a lake stays below every line as far up as it may reach, so its shore closes
    share = SHORE / SIDE * (0.5 + 0.5 * SHORE / SIDE)
    level_m = corner_m + (lowest - potential).to(torch.float64) * (share * FLOOR) * relief
    lake_m = torch.full_like(height, DRY_M, dtype=torch.float32)
    lake_m[at_corners] = torch.where(way < 0, level_m.to(torch.float32), DRY_M)
    lake_m = _highest_around(_highest_around(lake_m, SHORE).mT, SHORE).mT
    return Valleys(height.to(torch.float32), *(v.flatten(1) for v in (receiver, source, most, line, lake, lake_m)))


def _highest_around(plane: Tensor, reach: int) -> Tensor:
    """(N, H, W) highest value up to `reach` rows above and below: steps that double, for pooling looks at all anew."""
    done = 0
    while done < reach:
        step = min(done + 1, reach - done)
        wider = plane.clone()
        torch.maximum(wider[:, step:], plane[:, :-step], out=wider[:, step:])
        torch.maximum(wider[:, :-step], plane[:, step:], out=wider[:, :-step])
        plane, done = wider, done + step
    return plane


def _inner(over: Callable[[Tensor], Tensor], apart: int, length: int, plane: Tensor) -> Tensor:
    """The nodes of the lines of one axis without their corners: (N, lines, edges, length - 1), a view of the plane."""
    return over(plane)[:, ::apart, :-1].unflatten(2, (-1, length))[..., 1:]


def _at_ends(flow: Tensor, before: Tensor, after: Tensor, length: int) -> Tensor:
    """What enters along edges: the catchment of the corner above, at the end of the edge that lies next to it."""
    k = torch.arange(length, device=flow.device)
    flow = flow[..., None]
    return torch.where((flow > 0) & (k == 0), before, 0) + torch.where((flow < 0) & (k == length - 1), after, 0)


def gather_rivers(valleys: Valleys, tributaries: Tensor) -> Tensor:
    """(N, R*R) int64 catchments along the lines [nodes], from what the lands (N, R*R) send to each of their nodes.

    Between corners they are exact; a corner has what the lattice says, which bounds the line that runs to it.
    """
    nodes = valleys.height_m.shape[1]
    own = torch.arange(nodes * nodes, device=tributaries.device)
    corner = (own // nodes % HALF == 0) & (own % nodes % SIDE == 0)
    summed = accumulate(torch.where(corner, own, valleys.receiver), tributaries + valleys.source)
    return torch.where(corner, valleys.most, torch.minimum(summed, valleys.most))
