"""Drainage: a river system on a coarse grid, and the ground that such rivers leave behind.

Every step has a parallel form: depressions are filled by iterated relaxation, and what runs along a river (catchment
area, height gained upstream, the next dam below) is summed by pointer jumping in log2(longest river) rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.world.choice import choose

EIGHT = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""the neighbours (y, x) of a node"""
FILL_STEP = 1e-4
"""least drop between a filled node and its receiver, in units of relief"""


@dataclass(frozen=True)
class Drainage:
    """A river system on a square grid of nodes, one a scene.

    Parameters
    ----------
    elevation_m : Tensor
        (N, R, R) height of the ground; below any channel node that is no outlet lies its receiver [m]
    receiver : Tensor
        (N, R*R) int64 flat position of the node that a node drains to; an outlet is its own
    area_km2 : Tensor
        (N, R, R) catchment, with what rivers bring from outside [km2]
    uplift : Tensor
        (N, R, R) 0 plain .. 1 mountain
    spacing_m : Tensor
        (N,) float64 distance of nodes [m]
    first : Tensor
        (N, 2) int64 the grid's first node (y, x), counted from the world's origin
    valley : Tensor
        (N, R*R) bool, nodes on the lines of the great valleys: above them, a river is the same in every window
    lake : Tensor
        (N, R*R) bool, where the water of a great valley comes to rest
    lake_m : Tensor
        (N, R*R) level of the water there and around [m]; -1e9 where none stands
    place : Tensor
        (N, R*R) int64 hash of each node's place in the world
    """

    elevation_m: Tensor
    receiver: Tensor
    area_km2: Tensor
    uplift: Tensor
    spacing_m: Tensor
    first: Tensor
    valley: Tensor
    lake: Tensor
    lake_m: Tensor
    place: Tensor

    def part(self, rows: slice) -> Drainage:
        """Some of the scenes."""
        return Drainage(*(own[rows] for own in vars(self).values()))


def shifted(plane: Tensor, dy: int, dx: int, beyond: float) -> Tensor:
    """(N, H, W) the value of the neighbour at (dy, dx); `beyond` outside the grid."""
    h, w = plane.shape[1:]
    out = torch.full_like(plane, beyond)
    out[:, max(-dy, 0) : h - max(dy, 0), max(-dx, 0) : w - max(dx, 0)] = plane[
        :, max(dy, 0) : h + min(dy, 0), max(dx, 0) : w + min(dx, 0)
    ]
    return out


def _lowest_around(plane: Tensor) -> Tensor:
    """Lowest of the 3 x 3 nodes around each."""
    tall = plane.clone()
    torch.minimum(tall[:, 1:], plane[:, :-1], out=tall[:, 1:])
    torch.minimum(tall[:, :-1], plane[:, 1:], out=tall[:, :-1])
    wide = tall.clone()
    torch.minimum(wide[:, :, 1:], tall[:, :, :-1], out=wide[:, :, 1:])
    torch.minimum(wide[:, :, :-1], tall[:, :, 1:], out=wide[:, :, :-1])
    return wide


def fill_depressions(height: Tensor, outlet: Tensor, step: float = FILL_STEP) -> Tensor:
    """Raise every depression until it spills, with a slight fall towards the spill.

    Parameters
    ----------
    height : Tensor
        (N, R, R)
    outlet : Tensor
        (N, R, R) bool, at least one a scene
    step : float
        least fall from node to node

    Returns
    -------
    Tensor
        (N, R, R): every node that is no outlet has a lower neighbour

    Source
    ------
    O. Planchon, F. Darboux 2002, doi:10.1016/S0341-8162(01)00164-3, swept over all nodes at once.
    """
    water = torch.where(outlet, height, torch.full_like(height, 1e9))
    while True:
        before = water
        for _ in range(16):
            water = torch.where(
                outlet, height, torch.minimum(water, torch.maximum(height, _lowest_around(water) + step))
            )
        if torch.equal(water, before):
            return water


def steepest(height: Tensor, outlet: Tensor, pull: Sequence[Tensor] | None = None) -> Tensor:
    """(N, R*R) int64: the receiver of each node, its steepest neighbour below; itself where it is an outlet.

    `pull`: of `pulls`.
    """
    n, rows, columns = height.shape
    best, way = torch.zeros_like(height), torch.full_like(height, len(EIGHT), dtype=torch.int8)
    for number, (dy, dx) in enumerate(EIGHT):
        fall = height - shifted(height, dy, dx, 1e9)
        if 0 not in (dy, dx):
            fall *= 1 / math.sqrt(2)
        if pull is not None:
            fall *= pull[number % len(pull)]
        way = choose(fall > best, number, way)
        best = torch.maximum(best, fall)
    way = choose(outlet, len(EIGHT), way)
    step = torch.tensor([dy * columns + dx for dy, dx in EIGHT] + [0], device=height.device)
    own = torch.arange(rows * columns, device=height.device)
    return own + step.index_select(0, way.flatten().to(torch.int64)).view(n, -1)


def pulls(bias: Tensor) -> list[Tensor]:
    """0.5 .. 1.5 (N, R, R) from hashes (N, R, R): how slopes to each neighbour are weighed, so that rivers do not run
    along the grid."""
    return [0.5 + 1.0 / 16 * ((bias >> (4 * number)) & 15).to(torch.float32) for number in range(7)]


def downstream(receiver: Tensor) -> list[Tensor]:
    """Pointers 1, 2, 4, ... nodes downstream; whoever has arrived points to the spare place at the end."""
    spare = receiver.shape[1]
    own = torch.arange(spare, device=receiver.device)
    pointer = torch.where(receiver == own, spare, receiver)
    pointer = torch.cat([pointer, torch.full_like(pointer[:, :1], spare)], 1)
    rounds = []
    while int(pointer.amin()) < spare:
        rounds.append(pointer)
        pointer = pointer.gather(1, pointer)
    return rounds


def accumulate(receiver: Tensor, amount: Tensor, rounds: Sequence[Tensor] | None = None) -> Tensor:
    """Sum an integer amount (N, R*R) over all that lies upstream of each node, itself included.

    Integers, because their sum does not depend on the order in which a device adds. `rounds`: those of the receiver,
    where they are at hand.
    """
    total = torch.cat([amount, torch.zeros_like(amount[:, :1])], 1)
    for pointer in downstream(receiver) if rounds is None else rounds:
        total = total.scatter_add(1, pointer, total)
        total[:, -1] = 0
    return total[:, :-1]


def climb(receiver: Tensor, rise: Tensor, rounds: Sequence[Tensor] | None = None) -> Tensor:
    """Sum `rise` (N, R*R) from each node down to its outlet, both included: the height gained going upstream."""
    total = torch.cat([rise, torch.zeros_like(rise[:, :1])], 1)
    for pointer in downstream(receiver) if rounds is None else rounds:
        total = total + total.gather(1, pointer)
    return total[:, :-1]


def first_below(receiver: Tensor, marked: Tensor, rounds: Sequence[Tensor] | None = None) -> Tensor:
    """(N, R*R) int64: the first marked node on the way down, the node itself included; -1 where there is none.

    `rounds`: those of the receiver, where they are at hand.
    """
    spare = receiver.shape[1]
    own = torch.arange(spare, device=receiver.device)
    found = torch.where(marked, own, -1)
    found = torch.cat([found, torch.full_like(found[:, :1], -1)], 1)
    for pointer in downstream(receiver) if rounds is None else rounds:
        found = torch.where(found >= 0, found, found.gather(1, pointer))
    return found[:, :-1]


def step_length(receiver: Tensor, columns: int) -> Tensor:
    """(N, R*R) distance to the receiver in node spacings: 0 at outlets, 1, or sqrt 2."""
    own = torch.arange(receiver.shape[1], device=receiver.device)
    down = (receiver // columns - own // columns).abs() + (receiver % columns - own % columns).abs()
    lengths = torch.tensor([0.0, 1.0, math.sqrt(2)], device=receiver.device)
    return lengths.index_select(0, down.flatten()).reshape(down.shape)


def wear_down(
    height: Tensor, outlet: Tensor, uplift: Tensor, inflow: Tensor, base: Tensor, bias: Tensor, rounds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Bring the ground to the state where rivers carry off as much as rises.

    Each round routes the water over the ground, then sets the slope of every river reach to uplift / sqrt(area), the
    steady state of stream-power erosion, and climbs from the outlets: z = base + sum(slope * length).

    Parameters
    ----------
    height : Tensor
        (N, R, R) first guess
    outlet : Tensor
        (N, R, R) bool
    uplift : Tensor
        (N, R, R) > 0
    inflow : Tensor
        (N, R*R) int64 nodes' worth of water that enters from outside
    base : Tensor
        (N, R*R) height of the outlets
    bias : Tensor
        (N, R, R) int64 hashes, see `pulls`
    rounds : int
        how often; rivers settle within three to six

    Returns
    -------
    tuple[Tensor, Tensor, Tensor]
        height (N, R, R), receiver (N, R*R), area (N, R*R) int64 in nodes

    Source
    ------
    stream power at steady state, K. Whipple, G. Tucker 1999, doi:10.1029/1999JB900120, with m/n = 1/2; solved along the
    flow tree in closed form as in P. Steer 2021, doi:10.5194/esurf-9-1239-2021 (SALEVE).
    """
    shape, columns = height.shape, height.shape[2]
    height, pull = fill_depressions(height, outlet), pulls(bias)
    for _ in range(rounds):
        receiver = steepest(height, outlet, pull)
        way = downstream(receiver)
        area = accumulate(receiver, inflow + 1, way)
        slope = uplift.flatten(1) / torch.sqrt(area.to(torch.float32))
        height = climb(receiver, slope * step_length(receiver, columns) + base, way).reshape(shape)
    return height, receiver, area


def round_hills(height: Tensor, hill: Tensor, rounds: int) -> Tensor:
    """Soil creep: relax the nodes (N, R, R) marked `hill` towards the mean of their neighbours; channels stay put."""
    for _ in range(rounds):
        total = torch.zeros_like(height)
        count = torch.zeros_like(height)
        for dy, dx in EIGHT:
            there = shifted(height, dy, dx, -1e9)
            total = torch.where(there > -1e8, total + there, total)
            count = torch.where(there > -1e8, count + 1, count)
        height = torch.where(hill, 0.5 * height + 0.5 * total / count, height)
    return height
