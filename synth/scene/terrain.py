"""Terrain: the height of the ground, its slope, its rivers, and where water gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from synth.scene.drainage import Drainage, climb, round_hills, step_length, wear_down
from synth.scene.fractal import Points, Window, fbm, gradient_noise, hashed, per_scene, planes, warp, words
from synth.spec.key import SceneKey
from synth.spec.recipe import TerrainRecipe
from synth.spec.refusal import Refusal

NODES = 128
"""nodes along a side of the drainage grid"""
LEVELS = ((32, 4), (64, 3), (128, 3))
"""grids on which rivers are grown, from coarse to fine, and rounds of erosion on each"""
LANDFORM_NODES = 40
"""drainage nodes along the largest landform"""
CHUNK_NODES = 64
"""drainage grids lie on multiples of this many nodes, so that neighbouring windows mostly share theirs"""
REACH_NODES = 58
"""a window must end within this many nodes of its grid's middle"""
FAR_M = 1e6
"""distance that stands for: no channel near [m]"""
STEEPEST = 0.55
"""slope between nodes at which hillsides fail, 29 degrees; detail steepens it locally"""
FLATTEST = 2e-5
"""least slope of a river: 2 cm a km, the lower Amazon"""
CHANNEL_KM2 = 0.25
"""smallest catchment that feeds a channel [km2]: headwater brooks of humid hills, 0.1 to 1"""
WIDTH_M = 2.5
"""bankfull width of a river with a catchment of 1 km2 [m]; it grows with the square root of the catchment.
Source: L. Leopold, T. Maddock 1953, USGS Professional Paper 252 (exponent 0.5 of discharge)."""


@dataclass(frozen=True)
class Terrain:
    """The ground of N scenes.

    Parameters
    ----------
    elevation_m : (N, H, W) height [m]
    slope : (N, H, W) rise over run
    wetness : (N, H, W) 0 high above the rivers .. 1 beside them on flat ground
    above_river_m : (N, H, W) height above the stream that the ground drains to [m]
    uplift : (N, H, W) 0 plain .. 1 mountain
    river_m : (N, H, W) distance to the bank of the nearest channel [m]; 0 within it, `FAR_M` where none is near
    river_width_m : (N, H, W) bankfull width of that channel [m]
    river_level_m : (N, H, W) height of its water [m]
    node : (N, H, W) int64 flat position of the drainage node that a place belongs to
    cell_m : (N,) [m]
    window : where in the world
    drainage : the river system
    reference_m : (N, P) heights of the world around the origin, by which ranks are taken [m]
    facts : what was drawn for each scene
    """

    elevation_m: Tensor
    slope: Tensor
    wetness: Tensor
    above_river_m: Tensor
    uplift: Tensor
    river_m: Tensor
    river_width_m: Tensor
    river_level_m: Tensor
    node: Tensor
    cell_m: Tensor
    window: Window
    drainage: Drainage
    reference_m: Tensor
    facts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Landform:
    """What was drawn for the ground of one scene.

    Parameters
    ----------
    relief_m : height between low and high ground [m]
    landform_m : size of the largest landforms [m]
    hurst : roughness exponent of the detail
    contrast : 0 evenly dissected .. 1 mountains beside plains
    side : of the world that rivers leave by: 0 south, 1 east, 2 north, 3 west
    inflow_km2 : catchment of the river that enters from afar [km2]
    inflow_at : where along the far side it enters, 0..1
    tableland : share of the relief above which the ground is a plateau; 9 where it has none
    """

    relief_m: float
    landform_m: float
    hurst: float
    contrast: float
    side: int
    inflow_km2: float
    inflow_at: float
    tableland: float


def draw_landform(recipe: TerrainRecipe, key: SceneKey) -> Landform:
    """Draw the shape of one scene's ground."""
    rng = key.at("terrain", "landform").rng()

    def log_uniform(span: tuple[float, float]) -> float:
        low, high = (math.log(max(v, 1e-6)) for v in span)
        return math.exp(low + (high - low) * rng.random())

    relief = log_uniform(recipe.relief_m) if recipe.relief_m[1] > 0 else 0.0
    landform = 1000.0 * log_uniform(recipe.landform_km)
    hurst = recipe.hurst[0] + (recipe.hurst[1] - recipe.hurst[0]) * rng.random()
    contrast, side = rng.random(), int(4 * rng.random())
    far = rng.random()
    inflow = 10.0 ** (1.0 + 6.0 * (far - 0.5)) if far > 0.5 else 0.0
    enters, table = 0.2 + 0.6 * rng.random(), rng.random()
    tableland = 0.15 + 1.6 * table if table < 0.3 else 9.0
    return Landform(relief, landform, hurst, contrast, side, inflow, enters, tableland)


# --- the river system -----------------------------------------------------------------------------------------------


def _grid(forms: Sequence[Landform], window: Window) -> tuple[list[float], list[tuple[float, float]]]:
    """Node distance and middle of each scene's drainage grid; only a window too large for its grid stretches it."""
    spacing, centre = [], []
    for n, form in enumerate(forms):
        ends = [float(axis[n, at]) for axis in (window.y_m, window.x_m) for at in (0, -1)]
        step = form.landform_m / LANDFORM_NODES
        while True:
            chunk = CHUNK_NODES * step
            middle = [round(0.5 * (ends[k] + ends[k + 1]) / chunk) * chunk for k in (0, 2)]
            reach = max(abs(end - middle[k // 2]) for k, end in enumerate(ends))
            if reach <= REACH_NODES * step:
                break
            step *= 2.0
        spacing.append(step)
        centre.append((middle[0], middle[1]))
    return spacing, centre


def _leave_by(side: Sequence[int], low: Tensor) -> Tensor:
    """(N, R, R) bool outlets: the lower parts of one side of the grid."""
    out = torch.zeros_like(low, dtype=torch.bool)
    for n, s in enumerate(side):
        edge = low[n, -1 if s == 0 else 0] if s in (0, 2) else low[n, :, -1 if s == 1 else 0]
        open_here = edge <= torch.clamp(edge.amin(), min=-0.6)
        if s in (0, 2):
            out[n, -1 if s == 0 else 0] = open_here
        else:
            out[n, :, -1 if s == 1 else 0] = open_here
    return out


def grow_drainage(forms: Sequence[Landform], window: Window, keys: Sequence[SceneKey]) -> Drainage:
    """Grow the river system of N scenes, from a coarse grid to a fine one."""
    device = window.y_m.device
    word = words([k.at("terrain", "drainage").word() for k in keys], device)
    spacing, centre = _grid(forms, window)
    middle = torch.tensor(centre, dtype=torch.float64, device=device)
    landform = per_scene([f.landform_m for f in forms], device)
    hurst = [f.hurst for f in forms]
    height = receiver = area = torch.empty(0, device=device)
    for nodes, rounds in LEVELS:
        step = per_scene([s * NODES / nodes for s in spacing], device)
        along = torch.arange(nodes, device=device) - 0.5 * (nodes - 1)
        at = Window(
            middle[:, :1] + along[None] * step[:, None], middle[:, 1:] + along[None] * step[:, None], 0.25 * step
        )
        rough = fbm(at, landform, hashed(word, 1), 7, hurst)
        high = 0.5 + 0.5 * fbm(at, landform * 1.4, hashed(word, 2), 5, 0.9)
        high = high.clamp(0.0, 1.0)
        share = planes([f.contrast for f in forms], device)
        uplift = 0.02 + high * high * share + 0.35 * (1 - share)
        outlet = _leave_by([f.side for f in forms], rough)
        inward = torch.stack(
            [a.expand(nodes, nodes) for f in forms for a in [_from_side(f.side, nodes, device)]]
        )  # 0 at the outlets' side .. 1 at the far side
        if nodes == LEVELS[0][0]:
            height = inward + 0.5 * rough
        else:
            height = functional.interpolate(height[:, None], scale_factor=2.0, mode="bilinear")[:, 0]
            height = height + (0.3 * uplift + 0.12) * fbm(at, 4 * step, hashed(word, 3, nodes), 2, 0.8)
        inflow = torch.zeros(len(keys), nodes * nodes, dtype=torch.int64, device=device)
        for n, form in enumerate(forms):
            inflow[n, _inlet(form, nodes)] = int(form.inflow_km2 * 1e6 / float(step[n]) ** 2)
        rows = torch.arange(nodes, device=device)
        bias = hashed(hashed(word, 4, nodes)[:, None, None], rows[:, None] * nodes + rows)
        base = torch.zeros_like(height).flatten(1)
        height, receiver, area = wear_down(height, outlet, uplift, inflow, base, bias, rounds)
    step = per_scene(spacing, device)
    # metres: the slope of every reach in the units of the relief, none steeper than a hillside can stand
    tall = height.flatten(1).sort(1).values[:, int(0.99 * NODES * NODES)].clamp(min=1e-6)
    relief = per_scene([f.relief_m for f in forms], device).to(torch.float32)
    slope = uplift.flatten(1) / torch.sqrt(area.to(torch.float32)) * (relief / tall)[:, None]
    metres = step.to(torch.float32)[:, None]
    slope = torch.minimum(slope, STEEPEST * metres)
    slope = torch.maximum(slope, FLATTEST * metres * relief.clamp(max=1.0)[:, None])
    height = climb(receiver, slope * step_length(receiver, NODES)).reshape(height.shape)
    table = planes([f.tableland * f.relief_m for f in forms], device)
    height = torch.where(height > table, table + 0.15 * (height - table), height)  # keeps who stands above whom
    area_km2 = (area.to(torch.float32) * (metres * metres * 1e-6)).reshape(height.shape)
    height = round_hills(height, (area.reshape(height.shape) < 8) & (area_km2 < CHANNEL_KM2), 3)
    return Drainage(height, receiver, area_km2, high * share + 0.5 * (1 - share), step, middle)


def _from_side(side: int, nodes: int, device: torch.device) -> Tensor:
    ramp = torch.linspace(1.0, 0.0, nodes, device=device)
    return {0: ramp[:, None], 1: ramp[None], 2: ramp.flip(0)[:, None], 3: ramp.flip(0)[None]}[side]


def _inlet(form: Landform, nodes: int) -> int:
    at = int(form.inflow_at * nodes)
    row, column = {0: (0, at), 1: (at, 0), 2: (nodes - 1, at), 3: (at, nodes - 1)}[form.side]
    return row * nodes + column


# --- from nodes to ground -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Near:
    """The node nearest to each place, and how far it is: flat (N, P) position and way (ty, tx) in node spacings."""

    node: Tensor
    ty: Tensor
    tx: Tensor


@dataclass(frozen=True)
class Ground:
    """The ground seen from any place. All (N, H, W); see `Terrain`."""

    elevation_m: Tensor
    above_river_m: Tensor
    uplift: Tensor
    river_m: Tensor
    river_width_m: Tensor
    river_level_m: Tensor
    node: Tensor


def near_nodes(points: Points, drainage: Drainage) -> Near:
    """Find the nearest node that has eight neighbours."""
    nodes = drainage.elevation_m.shape[1]
    step = drainage.spacing_m[:, None, None]
    rows, columns = (
        (m - c[:, None, None]) / step + 0.5 * (nodes - 1)
        for m, c in zip((points.y_m, points.x_m), drainage.centre_m.unbind(1), strict=True)
    )
    row, column = (torch.floor(v + 0.5).clamp(1, nodes - 2) for v in (rows, columns))
    ty, tx = ((v - w).to(torch.float32).flatten(1) for v, w in ((rows, row), (columns, column)))
    return Near((row.to(torch.int64) * nodes + column.to(torch.int64)).flatten(1), ty, tx)


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


def _cut_channels(near: Near, drainage: Drainage, height: Tensor, uplift: Tensor) -> tuple[Tensor, ...]:
    """Lower the ground (N, P) to the level of each reach around it, over a floodplain that is wider on flat land.

    Returns height, and distance, width and level of the nearest channel.
    """
    nodes = drainage.elevation_m.shape[1]
    metres = drainage.spacing_m.to(torch.float32)[:, None]
    top, receiver = drainage.elevation_m.flatten(1), drainage.receiver
    own = torch.arange(nodes * nodes, device=top.device)
    fall = top.gather(1, receiver) - top
    broad = torch.minimum(WIDTH_M * torch.sqrt(drainage.area_km2.flatten(1)), 0.8 * metres)
    widen = torch.minimum(broad.gather(1, receiver), 2 * broad) - broad
    channel = drainage.area_km2.flatten(1) >= CHANNEL_KM2
    broad = torch.where(channel, broad, -1.0)
    way_y = (receiver // nodes - own // nodes).to(torch.float32)
    way_x = (receiver % nodes - own % nodes).to(torch.float32)
    nearest = torch.full_like(height, FAR_M)
    width, level = torch.zeros_like(height), torch.zeros_like(height)
    cut = height
    for k in range(9):
        j, i = k // 3 - 1, k % 3 - 1
        node = near.node + (j * nodes + i)
        y, x = near.ty - j, near.tx - i
        dy, dx = way_y.gather(1, node), way_x.gather(1, node)
        t = ((y * dy + x * dx) / (dy * dy + dx * dx).clamp(min=1.0)).clamp(0.0, 1.0)
        y, x = y - t * dy, x - t * dx
        distance = torch.sqrt(y * y + x * x) * metres
        here = broad.gather(1, node)
        is_channel = here > 0
        here = torch.where(is_channel, here + t * widen.gather(1, node), 0.0)
        water = top.gather(1, node) + t * fall.gather(1, node)
        bank = torch.where(is_channel, (distance - 0.5 * here).clamp(min=0.0), FAR_M)
        plain = torch.minimum(here * (2.0 + 6.0 * (1 - uplift)) + 0.12 * metres, 0.5 * metres)
        away = (bank / plain).clamp(max=1.0)
        away = away * away * (3 - 2 * away)
        cut = torch.minimum(cut, water + 0.005 * bank.clamp(max=500.0) + (height - water) * away)
        closer = bank < nearest
        nearest = torch.where(closer, bank, nearest)
        width, level = torch.where(closer, here, width), torch.where(closer, water, level)
    inside = nearest <= 0
    return torch.where(inside, level, cut), nearest, width, level


def raise_ground(at: Window, forms: Sequence[Landform], drainage: Drainage, keys: Sequence[SceneKey]) -> Ground:
    """Raise the ground around the rivers.

    Rivers and divides wander (domain warp); hillsides get detail in proportion to how steep they are; beside a
    channel the ground sinks to the river's level.
    """
    device = at.cell_m.device
    word = words([k.at("terrain", "ground").word() for k in keys], device)
    step, nodes = drainage.spacing_m, drainage.elevation_m.shape[1]
    bent = warp(at, 5.0 * step, hashed(word, 1), 0.42 * step, octaves=3)
    near = near_nodes(bent, drainage)
    height, receiver = drainage.elevation_m.flatten(1), drainage.receiver
    drop = (height - height.gather(1, receiver)).clamp(min=0.0)
    channel = drainage.area_km2.flatten(1) >= CHANNEL_KM2
    own = torch.arange(height.shape[1], device=device)
    hand = climb(torch.where(channel, own, receiver), torch.where(channel, 0.0, drop))
    smooth, above, steep, uplift = smoothed(near, nodes, height, hand, drop, drainage.uplift.flatten(1))

    hurst = [f.hurst for f in forms]
    first, second = (gradient_noise(bent, step * k, hashed(word, 2, n)).abs() for n, k in enumerate((1.5, 0.75)))
    gully = first * (0.8 + 0.5 * second) - 0.9  # creases that join: V-shaped side valleys between round spurs
    fine = fbm(at, 0.5 * step, hashed(word, 3), 8, hurst)
    broad = fbm(at, 6.0 * step, hashed(word, 4), 3, hurst)
    rough = steep * (0.20 * gully + 0.10 * broad + 0.04 * fine).flatten(1)
    cut, bank, width, level = _cut_channels(near, drainage, smooth + rough, uplift)
    above = torch.where(bank < FAR_M, torch.minimum(cut - level, above + 10.0), above).clamp(min=0.0)
    return Ground(*(v.reshape(at.shape) for v in (cut, above, uplift, bank, width, level, near.node)))


def fovea(keys: Sequence[SceneKey], device: torch.device | str, points: int = 64, reach_m: float = 6000.0) -> Window:
    """A coarse look at the world around its origin, denser in the middle: (N, 64, 64) places up to 6 km away.

    What is set by rank (the level of lakes) is ranked here and not in the window that happens to be drawn, so that
    the ground is the same in every window and at every ground sampling distance.
    """
    axis = [reach_m * math.sinh(4.0 * t) / math.sinh(4.0) for t in ((2 * i + 1) / points - 1 for i in range(points))]
    along = per_scene(axis, device)[None].expand(len(keys), -1)
    return Window(along, along, torch.full((len(keys),), 60.0, dtype=torch.float64, device=device))


def grow_terrain(
    recipe: TerrainRecipe,
    keys: Sequence[SceneKey],
    height: int,
    width: int,
    cell_m: Tensor,
    device: torch.device | str = "cpu",
    origin_cell: Tensor | None = None,
) -> Terrain:
    """Grow the ground of N scenes.

    Parameters
    ----------
    recipe : span of each number
    keys : one a scene
    height, width : [fine cells]
    cell_m : (N,) cell size [m]
    device : where to compute
    origin_cell : (N, 2) int64, the window's middle in whole cells (y, x) from the world's origin; None: at the origin

    Raises
    ------
    Refusal : a window without cells, or a cell size that is not positive
    """
    if len(keys) == 0 or cell_m.shape != (len(keys),):
        raise Refusal("terrain", "cell_m", tuple(cell_m.shape), f"({len(keys)},), one a key", "give one a scene")
    if not bool((cell_m > 0).all()):
        raise Refusal("terrain", "cell_m", cell_m.tolist(), "positive sizes in metres", "correct the cell size")
    forms = [draw_landform(recipe, key) for key in keys]
    cell = cell_m.to(device)
    window = Window.over(height, width, cell, origin_cell)
    padded = Window.over(height, width, cell, origin_cell, pad=1)
    drainage = grow_drainage(forms, padded, keys)
    ground = raise_ground(padded, forms, drainage, keys)
    raised = ground.elevation_m
    twice = (2 * cell).to(torch.float32)[:, None, None]
    rise_y = (raised[:, 2:, 1:-1] - raised[:, :-2, 1:-1]) / twice
    rise_x = (raised[:, 1:-1, 2:] - raised[:, 1:-1, :-2]) / twice
    slope = torch.sqrt(rise_y * rise_y + rise_x * rise_x)

    def inner(plane: Tensor) -> Tensor:
        return plane[:, 1:-1, 1:-1].contiguous()

    above = inner(ground.above_river_m)
    return Terrain(
        elevation_m=inner(raised),
        slope=slope,
        wetness=1 / ((1 + above / 6.0) * (1 + 8 * slope)),
        above_river_m=above,
        uplift=inner(ground.uplift),
        river_m=inner(ground.river_m),
        river_width_m=inner(ground.river_width_m),
        river_level_m=inner(ground.river_level_m),
        node=inner(ground.node),
        cell_m=cell,
        window=window,
        drainage=drainage,
        reference_m=raise_ground(fovea(keys, device), forms, drainage, keys).elevation_m.flatten(1),
        facts=[{"relief_m": f.relief_m, "landform_m": f.landform_m, "hurst": f.hurst} for f in forms],
    )
