"""Great valleys: the lattice of trunk rivers and passes between which every upland drains alone.

The world is cut into square lands of `SIDE` nodes. Along the lines between them lie great valleys, whose heights and
rivers follow from the seed and from whole-numbered places alone. A land drains to the lines around it, so it can be
solved without its neighbours, and still meets them to the last bit. (`wander` bends the lattice out of sight.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.drainage import accumulate, shifted
from synth.scene.fractal import hashed, per_scene, uniform, words
from synth.scene.landform import Landform
from synth.spec.key import SceneKey

SIDE = 64
"""nodes along a land's side"""
UPSTREAM = 12
"""lands that a trunk river is followed upstream; one that drains more comes from afar"""
TILT = 120
"""fall from corner to corner of the lattice towards the scene's side; hills between corners add +-181 (1 sigma)"""
PERIOD = 24
"""corners after which the tilt has gone down and up again: the world stays within its heights"""
MIDDLE = 900
"""level of the lattice's potential (0..3735, mean 1870) that lies at height 0"""
FLOOR = 1.5e-4
"""height of a valley floor per step of the potential, in units of relief"""
PASS = (0.03, 0.45)
"""height of a pass above its valleys, in units of relief"""
FOUR = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""the neighbours (y, x) of a corner, and of a node on a line"""


@dataclass(frozen=True)
class Valleys:
    """The lines of a block of lands, on its grid of nodes. What lies off the lines is 0, or its own receiver.

    Parameters
    ----------
    height_m : (N, R, R) float32 height of the valley floors [m]
    receiver : (N, R*R) int64 the next node down the line; its own at a lake and where the block ends
    source : (N, R*R) int64 catchment that a trunk river brings to the first node after a corner [nodes]
    most : (N, R*R) int64 catchment of the corner that a line runs to, its own at corners [nodes]
    lake : (N, R*R) bool corners from which no valley leads down
    """

    height_m: Tensor
    receiver: Tensor
    source: Tensor
    most: Tensor
    lake: Tensor


def on_line(nodes: int, device: torch.device | str = "cpu") -> Tensor:
    """(R, R) bool: the nodes of a block that lie on its lines."""
    at = torch.arange(nodes, device=device) % SIDE == 0
    return at[:, None] | at[None]


def _corners(first: Tensor, lands: int, forms: Sequence[Landform], word: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Potential, way down (0..3 in `FOUR`, -1 at a lake) and lands upstream of the (N, L+1, L+1) corners."""
    device, around = word.device, UPSTREAM + 1
    patch = lands + 1 + 2 * around
    along = torch.arange(-1, patch + 1, device=device) - around
    row, column = first[:, :1] + along, first[:, 1:] + along
    hills = hashed(hashed(word[:, None], row)[:, :, None], column[:, None, :]) & 255
    potential = sum(hills[:, j : j + patch, i : i + patch] for j in range(3) for i in range(3))
    tilt = []
    for n, form in enumerate(forms):
        seaward = {0: row[n, 1:-1, None], 1: column[n, None, 1:-1], 2: -row[n, 1:-1, None], 3: -column[n, None, 1:-1]}
        wave = ((seaward[form.side] + PERIOD // 4) % PERIOD - PERIOD // 2).abs()
        tilt.append((TILT * wave).expand(patch, patch))
    potential = potential + torch.stack(tilt)
    best, way = potential, torch.full_like(potential, -1)
    for k, (dy, dx) in enumerate(FOUR):
        there = shifted(potential, dy, dx, 1 << 20)
        way, best = torch.where(there < best, k, way), torch.minimum(best, there)
    step = torch.tensor([dy * patch + dx for dy, dx in FOUR] + [0], device=device)
    own = torch.arange(patch * patch, device=device)
    down = own + step[way].flatten(1)
    flowing = torch.ones_like(down)
    upstream = flowing
    for _ in range(UPSTREAM):
        flowing = torch.zeros_like(down).scatter_add(1, down, torch.where(down == own, 0, flowing))
        upstream = upstream + flowing
    # up to this many the count is whole, so it never falls along a river
    upstream = upstream.clamp(max=UPSTREAM + 1).reshape(potential.shape)
    inner = slice(around, around + lands + 1)
    return potential[:, inner, inner], way[:, inner, inner], upstream[:, inner, inner]


def _profile(start: Tensor, end: Tensor, flow: Tensor, relief: Tensor, dice: Tensor) -> tuple[Tensor, Tensor]:
    """Heights (..., SIDE+1) float64 along a line, and which way (+-1) its nodes flow.

    start, end (...) heights of its corners [m]; flow (...) +1 or -1 along a trunk river, 0 over a pass; dice (...).
    """
    k = torch.arange(SIDE + 1, device=start.device)
    start, end, flow, relief, dice = (v[..., None] for v in (start, end, flow, relief, dice))
    top = torch.where(flow == 0, SIDE // 3 + (dice >> 8) % (SIDE // 3), torch.where(flow > 0, 0, SIDE))
    share = PASS[0] + (PASS[1] - PASS[0]) * uniform(dice, 1).to(torch.float64) ** 2
    high = torch.maximum(start, end) + torch.where(flow == 0, share * relief, 0.0)
    rising = k <= top
    away = torch.where(rising, k / top.clamp(min=1), (SIDE - k) / (SIDE - top).clamp(min=1))  # 0 corner .. 1 top
    foot = torch.where(rising, start, end)
    return foot + (high - foot) * away * (0.5 + 0.5 * away), torch.where(rising & (top > 0), -1, 1)


def lay_valleys(first: Tensor, lands: int, forms: Sequence[Landform], inflow: Tensor, keys: Sequence[SceneKey]
                ) -> Valleys:  # fmt: skip
    """Lay the great valleys of N blocks of `lands` x `lands` lands.

    Parameters
    ----------
    first : (N, 2) int64 the block's first land (y, x)
    forms, keys : one a scene
    inflow : (N,) int64 catchment that rivers from afar bring [nodes]
    """
    device = first.device
    word = words([k.at("terrain", "valleys").word() for k in keys], device)
    relief = per_scene([f.relief_m for f in forms], device)[:, None, None]
    potential, way, upstream = _corners(first, lands, forms, word)
    corner_m = (potential - MIDDLE).to(torch.float64) * FLOOR * relief
    afar = inflow[:, None, None] * ((upstream - 1) ** 2) // UPSTREAM**2
    catchment = SIDE * SIDE * upstream + afar
    n, nodes = len(keys), SIDE * lands + 1
    height = torch.zeros(n, nodes, nodes, dtype=torch.float64, device=device)
    own = torch.arange(nodes * nodes, device=device).reshape(1, nodes, nodes).expand(n, -1, -1)
    receiver = own.clone()
    source, most = torch.zeros_like(receiver), torch.zeros_like(receiver)
    at = torch.arange(lands + 1, device=device)
    place = hashed(hashed(word[:, None], 5, first[:, :1] + at)[:, :, None], first[:, 1:, None] + at)
    for axis in (2, 1):  # lines from west to east, then, on transposed views, from north to south
        over = (lambda v: v) if axis == 2 else (lambda v: v.mT)
        down, potent = over(way), over(corner_m)
        forth, back = (0, 2) if axis == 2 else (1, 3)
        flow = (down[:, :, :-1] == forth).to(torch.int64) - (down[:, :, 1:] == back).to(torch.int64)
        dice = hashed(over(place)[:, :, :-1], axis)
        z, sign = _profile(potent[:, :, :-1], potent[:, :, 1:], flow, relief, dice)
        to_end = sign[..., 1:-1] > 0
        line = over(height)[:, ::SIDE]
        line[:, :, :-1].unflatten(2, (lands, SIDE)).copy_(z[..., :-1])
        line[:, :, -1] = z[:, :, -1, -1]
        middle = over(own)[:, ::SIDE, :-1].unflatten(2, (lands, SIDE))[..., 1:]
        step = 1 if axis == 2 else nodes
        over(receiver)[:, ::SIDE, :-1].unflatten(2, (lands, SIDE))[..., 1:] = middle + torch.where(to_end, step, -step)
        area = over(catchment)
        before, after = area[:, :, :-1, None], area[:, :, 1:, None]
        over(most)[:, ::SIDE, :-1].unflatten(2, (lands, SIDE))[..., 1:] = torch.where(to_end, after, before)
        enters = over(source)[:, ::SIDE, :-1].unflatten(2, (lands, SIDE))
        enters[..., 1] = torch.where(flow > 0, area[:, :, :-1], enters[..., 1])
        enters[..., -1] = torch.where(flow < 0, area[:, :, 1:], enters[..., -1])
        # a corner's water goes on along the line that it was sent down
        leaves = over(receiver)[:, ::SIDE, ::SIDE]
        number = over(own)[:, ::SIDE, ::SIDE]
        leaves[:, :, :-1] = torch.where(flow > 0, number[:, :, :-1] + step, leaves[:, :, :-1])
        leaves[:, :, 1:] = torch.where(flow < 0, number[:, :, 1:] - step, leaves[:, :, 1:])
    most[:, ::SIDE, ::SIDE] = catchment
    lake = torch.zeros_like(height, dtype=torch.bool)
    lake[:, ::SIDE, ::SIDE] = way < 0
    return Valleys(height.to(torch.float32), *(v.flatten(1) for v in (receiver, source, most, lake)))


def gather_rivers(valleys: Valleys, tributaries: Tensor) -> Tensor:
    """(N, R*R) int64 catchments along the lines [nodes], from what the lands (N, R*R) send to each of their nodes.

    Between corners they are exact; a corner has what the lattice says, which bounds the line that runs to it.
    """
    own = torch.arange(valleys.receiver.shape[1], device=tributaries.device)
    nodes = int(len(own) ** 0.5)
    corner = torch.zeros(nodes, nodes, dtype=torch.bool, device=own.device)
    corner[::SIDE, ::SIDE] = True
    corner = corner.flatten()
    summed = accumulate(torch.where(corner, own, valleys.receiver), tributaries + valleys.source)
    return torch.where(corner, valleys.most, torch.minimum(summed, valleys.most))
