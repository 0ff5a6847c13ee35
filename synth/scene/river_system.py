"""The river system: which way the water of a world runs, on a grid of nodes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from synth.scene.drainage import Drainage, climb, round_hills, step_length, wear_down
from synth.scene.fractal import Window, fbm, hashed, per_scene, planes, words
from synth.scene.landform import Landform
from synth.spec.key import SceneKey

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
STEEPEST = 0.55
"""slope between nodes at which hillsides fail, 29 degrees; detail steepens it locally"""
FLATTEST = 2e-5
"""least slope of a river: 2 cm a km, the lower Amazon"""
CHANNEL_KM2 = 0.25
"""smallest catchment that feeds a channel [km2]: headwater brooks of humid hills, 0.1 to 1"""


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
