"""The river system: which way the water of an endless world runs, on a grid of nodes.

Every land between the great valleys (`valleys.py`) is worn down alone. What a window sees is put together from the
lands that it touches, so windows of one world agree on every node.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.drainage import Drainage, climb, round_hills, step_length, wear_down
from terraficta.synth.scene.terrain.landform import Landform
from terraficta.synth.scene.terrain.plan import TerrainPlan
from terraficta.synth.scene.terrain.valleys import HALF, SIDE, Valleys, gather_rivers, lay_valleys
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, seeds_of
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.window import Points, Window

LEVELS = ((16, 4), (32, 3), (64, 3))
"""sides of a land in nodes, from coarse to fine, and rounds of erosion on each"""
LANDFORM_NODES = 40
"""nodes along the largest landform"""
LARGEST = 4
"""lands along the side of a window; one that is larger has its nodes twice as far apart, and is another world"""
MARGIN_NODES = 3
"""nodes around a place that its ground may depend on: 3 x 3, where each leads to, and where rivers join"""
WANDER_NODES = 10.0
"""standard deviation of the way that valleys stray from the lattice"""
MEANDERING = 0.07
"""standard deviation of the bends of plains, over the same; chosen: great rivers wind, and the ground does not fold"""
MEANDER_NODES = 4.5
"""their size: with nodes 100 m apart, meanders of rivers some 80 m wide"""
LOWLAND = 0.012
"""relief over the size of the largest landforms, with which the bends of plains are lost"""
TALL = 7.0
"""height of a land worn down under uplift 1 (99th percentile), in units of uplift"""
STEEPEST = 0.55
"""slope between nodes at which hillsides fail, 29 degrees; detail steepens it locally"""
FLATTEST = 2e-5
"""least slope of a river: 2 cm a km, the lower Amazon"""
CHANNEL_KM2 = 0.25
"""smallest catchment that feeds a channel [km2]: headwater brooks of humid hills, 0.1 to 1"""


def node_spacing(forms: Sequence[Landform], window: Window) -> Tensor:
    """(N,) float64 distance of nodes [m]; only a window too large for its world stretches it."""
    spacing = []
    for n, form in enumerate(forms):
        extent = max(float(axis[n, -1] - axis[n, 0]) for axis in (window.y_m, window.x_m))
        step = form.landform_m / LANDFORM_NODES
        while extent > LARGEST * SIDE * step:
            step *= 2.0
        spacing.append(step)
    return per_scene(spacing, window.y_m.device)


def wander(at: Window, spacing: Tensor, plans: Sequence[TerrainPlan]) -> Points:
    """Where the places of a window lie in the frame of the nodes: turned, and bent on all scales down to a node.

    The turn, 45 degrees at most to either side, and the bend, of many nodes, hide the lattice of the great valleys.
    The bend is smooth, so that it shears no landform, with a wiggle as wide as a reach.
    """
    seed = seeds_of([plan.seeds.wander for plan in plans], at.y_m.device)
    angle = per_scene([plan.turn_rad for plan in plans], at.y_m.device)[:, None, None]
    flat = [math.exp(-plan.form.relief_m / plan.form.landform_m / LOWLAND) for plan in plans]
    meandering = planes([MEANDERING * low for low in flat], at.y_m.device)
    reach = (WANDER_NODES * spacing).to(torch.float32)[:, None, None]
    dy, dx = (
        reach
        * (
            fbm(at, 128.0 * spacing, hashed(seed, bend), 3, 1.3)
            + 0.035 * fbm(at, 5.0 * spacing, hashed(seed, salt.Wander.WIGGLE, side), 3)
            + meandering * fbm(at, MEANDER_NODES * spacing, hashed(seed, salt.Wander.MEANDER, side), 1)
        )
        for side, bend in enumerate((salt.Wander.BEND_Y, salt.Wander.BEND_X))
    )
    places = at.points().moved(dy, dx)
    sine, cosine = torch.sin(angle), torch.cos(angle)
    return Points(cosine * places.y_m - sine * places.x_m, sine * places.y_m + cosine * places.x_m, at.cell_m)


@dataclass(frozen=True)
class _Block:
    """The lands that a look at N worlds touches, on one grid of nodes, `lands` lands high and wide.

    Parameters
    ----------
    first : Tensor
        (N, 2) int64 corner of the lattice (y, x) at its first node
    lands : int
        along its side
    land : Tensor
        (N, L+1, L, 2) int64 the lands (y, x) that lie in it, column by column of the lattice
    touched : Tensor
        (N, L+1, L) bool, those that the look depends on
    """

    first: Tensor
    lands: int
    land: Tensor
    touched: Tensor

    @classmethod
    def around(cls, places: Points, spacing: Tensor, phase: Tensor) -> _Block:
        """The block of the places (N, H, W)."""
        ends = []
        for m, at in zip((places.y_m, places.x_m), phase.unbind(1), strict=True):
            for extreme, margin in ((m.amin((1, 2)), -MARGIN_NODES), (m.amax((1, 2)), MARGIN_NODES)):
                ends.append(torch.floor(extreme / spacing + 0.5).to(torch.int64) + at + margin)
        top, bottom, left, right = ends
        first = torch.stack([top // HALF - 1, left // SIDE], 1)
        tall, wide = bottom // HALF + 2 - first[:, 0], right // SIDE + 1 - first[:, 1]
        lands = int(torch.maximum((tall + 1) // 2, wide).max())
        column = first[:, 1:] + torch.arange(lands, device=first.device)
        shift = HALF * (column % 2)
        row = (HALF * first[:, :1] - shift)[:, None] // SIDE + torch.arange(lands + 1, device=first.device)[:, None]
        column = column[:, None].expand_as(row)
        start, shift = SIDE * row, shift[:, None]
        across = (start + shift <= bottom[:, None, None]) & (start + shift + SIDE > top[:, None, None])
        return cls(first, lands, torch.stack([row, column], 3), across & (column <= (right // SIDE)[:, None, None]))

    @property
    def nodes(self) -> int:
        """Along its side."""
        return SIDE * self.lands + 1

    def corner(self) -> Tensor:
        """(N, L+1, L, 2) int64: where in the block each land's first node lies."""
        return _first_node(self.land) - (self.first * self.first.new_tensor([HALF, SIDE]))[:, None, None]

    def where(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """(N, R*R) int64: where its nodes lie among the worn lands, and bool: whether that land is touched.

        A line's node is taken from the land after it. which : (N, L+1, L) the number of each of its lands.
        """
        node = torch.arange(self.nodes, device=which.device)
        column = (node // SIDE).clamp(max=self.lands - 1)
        start = self.corner()[:, 0, :, 0]  # (N, L) where the first land of each column starts, at a node <= 0
        down = node[:, None] - start[:, None, column]  # (N, R, R)
        row = (down // SIDE).clamp(max=self.lands)
        at = (row * self.lands + column).flatten(1)
        inside = ((down - SIDE * row) * (SIDE + 1) + node - SIDE * column).flatten(1)
        return which.flatten(1).gather(1, at) * (SIDE + 1) ** 2 + inside, self.touched.flatten(1).gather(1, at)


def _first_node(land: Tensor) -> Tensor:
    """(..., 2) int64 first node of lands (y, x), counted on the lattice: odd columns lie half a land further."""
    row, column = land.unbind(-1)
    return torch.stack([SIDE * row + HALF * (column % 2), SIDE * column], -1)


def _finer(height: Tensor) -> Tensor:
    """(N, 2R-1, 2R-1): the nodes of (N, R, R), and the means of neighbours between them."""
    n, rows, columns = height.shape
    wide = height.new_empty(n, rows, 2 * columns - 1)
    wide[:, :, ::2], wide[:, :, 1::2] = height, 0.5 * (height[:, :, 1:] + height[:, :, :-1])
    fine = height.new_empty(n, 2 * rows - 1, 2 * columns - 1)
    fine[:, ::2], fine[:, 1::2] = wide, 0.5 * (wide[:, 1:] + wide[:, :-1])
    return fine


def _levelled(height: Tensor, forms: Sequence[Landform]) -> Tensor:
    """Heights (N, R, R) of which those above the tableland are pressed down; it keeps who stands above whom."""
    table = planes([f.tableland * f.relief_m for f in forms], height.device)
    return torch.where(height > table, table + 0.15 * (height - table), height)


def _wear_lands(
    land: Tensor, base_m: Tensor, forms: Sequence[Landform], spacing: Tensor, phase: Tensor, seed: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Wear down M lands, each alone.

    Parameters
    ----------
    land : Tensor
        (M, 3) int64 scene and place (y, x) of each
    base_m : Tensor
        (M, SIDE+1, SIDE+1) height of the lines around each [m]
    forms : Sequence[Landform]
        of the N scenes
    spacing, phase, seed : Tensor
        of the N scenes

    Returns
    -------
    tuple[Tensor, Tensor, Tensor, Tensor]
        height (M, S, S) [m], receiver (M, S*S), area (M, S*S) int64 in nodes, share of the uplift (M, S, S); S = SIDE +
        1
    """
    device, scene = land.device, land[:, 0]
    landforms = [forms[n] for n in scene.tolist()]
    step, seed = spacing[scene], seed[scene]
    landform = per_scene([f.landform_m for f in landforms], device)
    number = _first_node(land[:, 1:]) - phase[scene]
    along = torch.arange(SIDE + 1, device=device)
    rows, columns = number[:, :1] + along, number[:, 1:] + along
    at = Window(rows.to(torch.float64) * step[:, None], columns.to(torch.float64) * step[:, None], 0.25 * step)
    rough = fbm(at, landform, hashed(seed, salt.Drainage.FIRST_GUESS), 7, [f.hurst for f in landforms])
    high = (0.5 + 0.5 * fbm(at, landform * 1.4, hashed(seed, salt.Drainage.UPLIFT), 5, 0.9)).clamp(0.0, 1.0)
    share = planes([f.contrast for f in landforms], device)
    uplift = 0.02 + high * high * share + 0.35 * (1 - share)
    bias = hashed(hashed(seed[:, None], salt.Drainage.FLOW_BIAS, rows)[:, :, None], columns[:, None, :])
    relief = planes([f.relief_m for f in landforms], device)
    unit = relief / (TALL * (0.02 + 0.8 * share + 0.35 * (1 - share)))
    base = torch.where(relief > 0, base_m / unit.clamp(min=1e-9), 0.0)
    height = receiver = area = torch.empty(0, device=device)
    for side, rounds in LEVELS:
        every = SIDE // side
        coarse = (slice(None), slice(None, None, every), slice(None, None, every))
        rim = torch.zeros(side + 1, side + 1, dtype=torch.bool, device=device)
        rim[0], rim[-1], rim[:, 0], rim[:, -1] = True, True, True, True
        if side == LEVELS[0][0]:
            dome = 1 - (2 * along[::every].to(torch.float32) / SIDE - 1) ** 2
            height = rough[coarse] + 0.5 * dome[:, None] * dome
        else:
            bumps = fbm(at, 4 * every * step, hashed(seed, salt.Drainage.BUMPS, side), 2, 0.8)[coarse]
            height = _finer(height) + (uplift[coarse] + 0.12) * bumps
        outlet = rim.expand_as(height)
        height = torch.where(outlet, base[coarse], height)
        inflow = torch.zeros_like(height, dtype=torch.int64).flatten(1)
        level = torch.where(outlet, base[coarse], 0.0).flatten(1)
        height, receiver, area = wear_down(height, outlet, uplift[coarse], inflow, level, bias[coarse], rounds)
    # metres: the slope of every reach in the units of the relief, none steeper than a hillside can stand
    metres = step.to(torch.float32)[:, None]
    slope = uplift.flatten(1) / torch.sqrt(area.to(torch.float32)) * unit.flatten(1)
    slope = torch.minimum(slope, STEEPEST * metres)
    slope = torch.maximum(slope, FLATTEST * metres * relief.flatten(1).clamp(max=1.0))
    height = climb(receiver, slope * step_length(receiver, SIDE + 1) + torch.where(outlet, base_m, 0.0).flatten(1))
    height = height.reshape(base_m.shape)
    area_km2 = (area.to(torch.float32) * (metres * metres * 1e-6)).reshape(height.shape)
    slight = (area.reshape(height.shape) < 8) & (area_km2 < CHANNEL_KM2)
    height = round_hills(_levelled(height, landforms), slight & ~outlet, 3)
    return height, receiver, area, high * share + 0.5 * (1 - share)


def _assembled(
    block: _Block,
    which: Tensor,
    worn: tuple[Tensor, ...],
    valleys: Valleys,
    forms: Sequence[Landform],
    spacing: Tensor,
    phase: Tensor,
) -> Drainage:
    """Put the worn lands of N blocks together, and let their rivers flow into those of the great valleys."""
    nodes, side = block.nodes, SIDE + 1
    square = (len(which), nodes, nodes)
    device = spacing.device
    parts, local, area, uplift = worn
    where, known = block.where(which)
    own = torch.arange(nodes * nodes, device=device)
    ring = torch.arange(side * side, device=device)
    way = (local // side - ring // side) * nodes + local % side - ring % side
    receiver = torch.where(valleys.line, valleys.receiver, own + torch.where(known, way.flatten()[where], 0))
    # a line's node gathers what the lands around it send to it; the spare place is for lands that count for nothing
    start = (block.corner() * block.first.new_tensor([nodes, 1])).sum(3).flatten(1)
    places = start[:, :, None] + (ring // side * nodes + ring % side)
    places = torch.where(block.touched.flatten(1)[:, :, None], places, nodes * nodes).flatten(1)
    sent = (area - 1)[which.flatten()].reshape(places.shape)
    gathered = torch.ones(len(which), nodes * nodes + 1, dtype=torch.int64, device=device)
    gathered = gathered.scatter_add(1, places, sent)[:, :-1]
    rivers = gather_rivers(valleys, torch.where(valleys.line, gathered, 0))
    catchment = torch.where(valleys.line, rivers, area.flatten()[where]).to(torch.float32)
    area_km2 = catchment * (spacing.to(torch.float32) ** 2 * 1e-6)[:, None]
    number = block.first * block.first.new_tensor([HALF, SIDE]) - phase
    rows, columns = (number[:, k : k + 1] + torch.arange(nodes, device=device) for k in (0, 1))
    return Drainage(
        torch.where(valleys.line, _levelled(valleys.height_m, forms).flatten(1), parts.flatten()[where]).reshape(
            square
        ),
        receiver,
        torch.where(valleys.line, area_km2.clamp(min=CHANNEL_KM2), area_km2).reshape(square),
        uplift.flatten()[where].reshape(square),
        spacing,
        number,
        valleys.line,
        valleys.lake,
        _levelled(valleys.lake_m.reshape(square), forms).flatten(1),
        hashed(hashed(torch.ones_like(rows), rows)[:, :, None], columns[:, None, :]).flatten(1),
    )


def grow_drainage(plans: Sequence[TerrainPlan], looks: Sequence[Points], spacing: Tensor) -> list[Drainage]:
    """Grow the river system of N scenes, as far as some looks at their worlds reach.

    Parameters
    ----------
    plans : Sequence[TerrainPlan]
        one a scene
    looks : Sequence[Points]
        places, as `wander` puts them among the nodes
    spacing : Tensor
        (N,) distance of nodes [m]

    Returns
    -------
    list[Drainage]
        one block of lands a look
    """
    device, forms = spacing.device, [plan.form for plan in plans]
    seed = seeds_of([plan.seeds.drainage for plan in plans], device)
    phase = hashed(seed[:, None], salt.Drainage.LATTICE_PHASE, torch.arange(2, device=device)) % SIDE
    inflow = (per_scene([f.inflow_km2 * 1e6 for f in forms], device) / spacing**2).to(torch.int64)
    blocks = [_Block.around(places, spacing, phase) for places in looks]
    laid = [lay_valleys(block.first, block.lands, plans, inflow) for block in blocks]
    ring = torch.arange(SIDE + 1, device=device)
    wanted, bases = [], []
    for block, valleys in zip(blocks, laid, strict=True):
        scene = block.touched.nonzero()[:, :1]
        wanted.append(torch.cat([scene, block.land[block.touched]], 1))
        y, x = block.corner()[block.touched][..., None].unbind(1)
        bases.append(valleys.height_m[scene[:, :, None], (y + ring)[:, :, None], (x + ring)[:, None, :]])
    land, number = torch.unique(torch.cat(wanted), dim=0, return_inverse=True)
    some = torch.zeros(len(land), dtype=torch.int64, device=device)
    some = some.scatter_reduce(0, number, torch.arange(len(number), device=device), "amax")
    worn = _wear_lands(land, torch.cat(bases)[some], forms, spacing, phase, seed)
    grown = []
    for block, valleys, mine in zip(blocks, laid, number.split([len(w) for w in wanted]), strict=True):
        which = torch.zeros_like(block.touched, dtype=torch.int64)
        which[block.touched] = mine
        grown.append(_assembled(block, which, worn, valleys, forms, spacing, phase))
    return grown
