"""The river system: which way the water of an endless world runs, on a grid of nodes.

Every land between the great valleys (`valley.py`) is worn down alone. What a window sees is put together from the
lands that it touches, so windows of one world agree on every node.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from synth.scene.drainage import Drainage, climb, round_hills, step_length, wear_down
from synth.scene.fractal import Points, Window, fbm, hashed, per_scene, planes, words
from synth.scene.landform import Landform
from synth.scene.valley import SIDE, Valleys, gather_rivers, lay_valleys, on_line
from synth.spec.key import SceneKey

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


def wander(at: Window, spacing: Tensor, keys: Sequence[SceneKey]) -> Points:
    """Where the places of a window lie in the frame of the nodes: turned, and bent on all scales down to a node.

    The turn, 45 degrees at most to either side, and the bend, of many nodes, hide the lattice of the great valleys.
    The bend is smooth, so that it shears no landform, with a wiggle as wide as a reach.
    """
    word = words([k.at("terrain", "wander").word() for k in keys], at.y_m.device)
    turn = [0.5 * torch.pi * (k.at("terrain", "turn").rng().random() - 0.5) for k in keys]
    angle = per_scene(turn, at.y_m.device)[:, None, None]
    reach = (WANDER_NODES * spacing).to(torch.float32)[:, None, None]
    dy, dx = (
        reach
        * (
            fbm(at, 160.0 * spacing, hashed(word, side), 4, 1.5)
            + 0.03 * fbm(at, 5.0 * spacing, hashed(word, 2, side), 2)
        )
        for side in (0, 1)
    )
    places = at.points().moved(dy, dx)
    sine, cosine = torch.sin(angle), torch.cos(angle)
    return Points(cosine * places.y_m - sine * places.x_m, sine * places.y_m + cosine * places.x_m, at.cell_m)


def _blocks(places: Points, spacing: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """First land (N, 2) and number of lands (N, 2) along (y, x) that the places (N, H, W) touch."""
    ends = []
    for m, at in zip((places.y_m, places.x_m), phase.unbind(1), strict=True):
        for extreme, margin in ((m.amin((1, 2)), -MARGIN_NODES), (m.amax((1, 2)), MARGIN_NODES)):
            ends.append((torch.floor(extreme / spacing + 0.5).to(torch.int64) + at + margin) // SIDE)
    first, last = torch.stack(ends[0::2], 1), torch.stack(ends[1::2], 1)
    return first, last - first + 1


def _finer(height: Tensor) -> Tensor:
    """(N, 2R-1, 2R-1): the nodes of (N, R, R), and the means of neighbours between them."""
    n, rows, columns = height.shape
    wide = height.new_empty(n, rows, 2 * columns - 1)
    wide[:, :, ::2], wide[:, :, 1::2] = height, 0.5 * (height[:, :, 1:] + height[:, :, :-1])
    fine = height.new_empty(n, 2 * rows - 1, 2 * columns - 1)
    fine[:, ::2], fine[:, 1::2] = wide, 0.5 * (wide[:, 1:] + wide[:, :-1])
    return fine


def _wear_lands(
    land: Tensor, base_m: Tensor, forms: Sequence[Landform], spacing: Tensor, phase: Tensor, word: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Wear down M lands, each alone.

    Parameters
    ----------
    land : (M, 3) int64 scene and place (y, x) of each
    base_m : (M, SIDE+1, SIDE+1) height of the lines around each [m]
    forms, spacing, phase, word : of the N scenes

    Returns
    -------
    height (M, S, S) [m], receiver (M, S*S), area (M, S*S) int64 in nodes, share of the uplift (M, S, S); S = SIDE + 1
    """
    device, scene = land.device, land[:, 0]
    landforms = [forms[n] for n in scene.tolist()]
    step, seed = spacing[scene], word[scene]
    landform = per_scene([f.landform_m for f in landforms], device)
    number = land[:, 1:] * SIDE - phase[scene]
    along = torch.arange(SIDE + 1, device=device)
    rows, columns = number[:, :1] + along, number[:, 1:] + along
    at = Window(rows.to(torch.float64) * step[:, None], columns.to(torch.float64) * step[:, None], 0.25 * step)
    rough = fbm(at, landform, hashed(seed, 1), 7, [f.hurst for f in landforms])
    high = (0.5 + 0.5 * fbm(at, landform * 1.4, hashed(seed, 2), 5, 0.9)).clamp(0.0, 1.0)
    share = planes([f.contrast for f in landforms], device)
    uplift = 0.02 + high * high * share + 0.35 * (1 - share)
    dice = hashed(hashed(seed[:, None], 4, rows)[:, :, None], columns[:, None, :])
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
            bumps = fbm(at, 4 * every * step, hashed(seed, 3, side), 2, 0.8)[coarse]
            height = _finer(height) + (uplift[coarse] + 0.12) * bumps
        outlet = rim.expand_as(height)
        height = torch.where(outlet, base[coarse], height)
        inflow = torch.zeros_like(height, dtype=torch.int64).flatten(1)
        level = torch.where(outlet, base[coarse], 0.0).flatten(1)
        height, receiver, area = wear_down(height, outlet, uplift[coarse], inflow, level, dice[coarse], rounds)
    # metres: the slope of every reach in the units of the relief, none steeper than a hillside can stand
    metres = step.to(torch.float32)[:, None]
    slope = uplift.flatten(1) / torch.sqrt(area.to(torch.float32)) * unit.flatten(1)
    slope = torch.minimum(slope, STEEPEST * metres)
    slope = torch.maximum(slope, FLATTEST * metres * relief.flatten(1).clamp(max=1.0))
    height = climb(receiver, slope * step_length(receiver, SIDE + 1) + torch.where(outlet, base_m, 0.0).flatten(1))
    height = height.reshape(base_m.shape)
    area_km2 = (area.to(torch.float32) * (metres * metres * 1e-6)).reshape(height.shape)
    slight = (area.reshape(height.shape) < 8) & (area_km2 < CHANNEL_KM2)
    table = planes([f.tableland * f.relief_m for f in landforms], device)
    height = torch.where(height > table, table + 0.15 * (height - table), height)  # keeps who stands above whom
    height = round_hills(height, slight & ~outlet, 3)
    return height, receiver, area, high * share + 0.5 * (1 - share)


def _assembled(parts: Tensor, which: Tensor, lands: int) -> Tensor:
    """(N, R, R) grid from lands (M, S, S), `which` (N, L, L) of them; a line's node is taken from the land after it."""
    whole = parts[which.flatten()].unflatten(0, which.shape)  # (N, L, L, S, S)
    inner = whole[..., :-1, :-1].transpose(2, 3).reshape(len(which), lands * SIDE, lands * SIDE)
    right = whole[:, :, -1, :-1, -1].reshape(len(which), lands * SIDE, 1)
    bottom = whole[:, -1, :, -1, :-1].reshape(len(which), 1, lands * SIDE)
    corner = whole[:, -1, -1, -1:, -1:]
    return torch.cat([torch.cat([inner, right], 2), torch.cat([bottom, corner], 2)], 1)


def _block(
    first: Tensor, which: Tensor, worn: tuple[Tensor, ...], valleys: Valleys, spacing: Tensor, phase: Tensor
) -> Drainage:
    """Put the worn lands of N blocks together, and let their rivers flow into those of the great valleys."""
    lands = which.shape[1]
    nodes = SIDE * lands + 1
    parts, local, area, uplift = worn
    own = torch.arange(nodes * nodes, device=first.device).reshape(nodes, nodes)
    side = torch.arange((SIDE + 1) ** 2, device=first.device)
    way = (local // (SIDE + 1) - side // (SIDE + 1)) * nodes + local % (SIDE + 1) - side % (SIDE + 1)
    line = on_line(nodes, first.device)
    receiver = torch.where(line.flatten(), valleys.receiver, (own + _assembled(_square(way), which, lands)).flatten(1))
    # a line's node gathers what both lands (four at a corner) send to it
    places = own.unfold(0, SIDE + 1, SIDE).unfold(1, SIDE + 1, SIDE).flatten()
    sent = (area - 1)[which.flatten()].reshape(len(which), -1)
    sent = torch.ones_like(valleys.source).scatter_add(1, places.expand_as(sent), sent)
    rivers = gather_rivers(valleys, torch.where(line.flatten(), sent, 0)).reshape(-1, nodes, nodes)
    catchment = torch.where(line, rivers, _assembled(_square(area), which, lands))
    square_km = (spacing.to(torch.float32) ** 2 * 1e-6)[:, None, None]
    area_km2 = catchment.to(torch.float32) * square_km
    area_km2 = torch.where(line, area_km2.clamp(min=CHANNEL_KM2), area_km2)
    number = first * SIDE - phase
    at = torch.arange(nodes, device=first.device)
    place = hashed(
        hashed(torch.ones_like(number[:, :1]), number[:, :1] + at)[:, :, None], (number[:, 1:] + at)[:, None, :]
    )
    return Drainage(
        _assembled(parts, which, lands),
        receiver,
        area_km2,
        _assembled(uplift, which, lands),
        spacing,
        number,
        line.flatten().expand_as(receiver),
        valleys.lake,
        place.flatten(1),
    )


def _square(plane: Tensor) -> Tensor:
    return plane.unflatten(1, (SIDE + 1, SIDE + 1))


def grow_drainage(
    forms: Sequence[Landform], looks: Sequence[Points], spacing: Tensor, keys: Sequence[SceneKey]
) -> list[Drainage]:
    """Grow the river system of N scenes, as far as some looks at their worlds reach.

    Parameters
    ----------
    forms, keys : one a scene
    looks : places, as `wander` puts them among the nodes
    spacing : (N,) distance of nodes [m]

    Returns
    -------
    one block of lands a look
    """
    device = spacing.device
    word = words([k.at("terrain", "drainage").word() for k in keys], device)
    phase = hashed(word[:, None], 9, torch.arange(2, device=device)) % SIDE
    inflow = (per_scene([f.inflow_km2 * 1e6 for f in forms], device) / spacing**2).to(torch.int64)
    firsts, valleys, wanted, bases = [], [], [], []
    scene = torch.arange(len(keys), device=device)
    for places in looks:
        first, count = _blocks(places, spacing, phase)
        lands = int(count.max())
        laid = lay_valleys(first, lands, forms, inflow, keys)
        at = torch.arange(lands, device=device)
        # a block is as large as the largest; lands beyond what a scene touches stand for its first
        y, x = (torch.where(at < count[:, k : k + 1], at, 0) for k in (0, 1))
        y, x = y[:, :, None].expand(-1, -1, lands), x[:, None, :].expand(-1, lands, -1)
        here = scene[:, None, None].expand_as(y)
        wanted.append(torch.stack([here, first[:, :1, None] + y, first[:, 1:, None] + x], 3))
        bases.append(laid.height_m.unfold(1, SIDE + 1, SIDE).unfold(2, SIDE + 1, SIDE)[here, y, x].flatten(0, 2))
        firsts.append(first)
        valleys.append(laid)
    land, which = torch.unique(torch.cat([w.flatten(0, 2) for w in wanted]), dim=0, return_inverse=True)
    some = torch.zeros(len(land), dtype=torch.int64, device=device)
    some = some.scatter_reduce(0, which, torch.arange(len(which), device=device), "amax")
    worn = _wear_lands(land, torch.cat(bases)[some], forms, spacing, phase, word)
    shares = which.split([w[..., 0].numel() for w in wanted])
    return [
        _block(first, share.reshape(w.shape[:3]), worn, laid, spacing, phase)
        for first, share, w, laid in zip(firsts, shares, wanted, valleys, strict=True)
    ]
