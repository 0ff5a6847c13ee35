"""The survey: terrain of a given elevation model, in the place of a grown one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.drainage import Drainage, accumulate, climb, fill_depressions, steepest
from terraficta.synth.scene.terrain.given_land import GivenLand, lay_out
from terraficta.synth.scene.terrain.glacier import NO_LEVEL_M
from terraficta.synth.scene.terrain.ground import cut_channels, near_nodes, smoothed
from terraficta.synth.scene.terrain.landform import SURVEYED
from terraficta.synth.scene.terrain.plan import TerrainPlan
from terraficta.synth.scene.terrain.relief import RaisedGround
from terraficta.synth.scene.terrain.rivers import CHANNEL_KM2
from terraficta.synth.scene.terrain.terrain import Terrain, grow_terrain, terrain_of
from terraficta.synth.scene.world.chance import hashed
from terraficta.synth.scene.world.window import Window

NODES = 129
"""nodes along a side of the routing grid"""
AROUND = 2.5
"""the routing grid is so many times wider than the window: rivers that come from further are drawn too narrow"""
STEEP = 0.3
"""mean slope between nodes from which on land is called a mountain"""
LOOK = 64
"""places along a side of the look over the whole model"""


def survey_terrain(
    given: GivenLand,
    plans: Sequence[TerrainPlan],
    height: int,
    width: int,
    cell_m: Tensor,
    device: torch.device | str = "cpu",
) -> Terrain:
    """Terrain of N scenes that lie somewhere on given land; window coordinates count from its north-western corner.

    The ground is the given one, but that rivers lie at their level; rivers, wetness and heights above them are routed
    over it. Where only a class map is given, the ground is grown, and the window alone is the map's.

    Parameters
    ----------
    given : GivenLand
        elevation model, class map, or both
    plans : Sequence[TerrainPlan]
        where each scene lies; and what is grown where no heights are given
    height, width : int
        as for `grow_terrain`
    cell_m : Tensor
        as for `grow_terrain`
    device : torch.device | str
        as for `grow_terrain`
    """
    middle = lay_out(given, [plan.place_tries for plan in plans], max(height, width), cell_m).to(device)
    cell = cell_m.to(device)
    window = Window.over(height, width, cell, middle)
    if given.elevation_m is None:
        return grow_terrain(plans, height, width, cell_m, device, middle)
    padded, look = Window.over(height, width, cell, middle, pad=1), _overlook(given, len(plans), device)
    drainage, far_drainage = _route(given, padded, AROUND), _route(given, look, 1.1)
    ground, seen = _raise(given, padded, drainage), _raise(given, look, far_drainage)
    raised, twice = ground.elevation_m, (2 * cell).to(torch.float32)[:, None, None]
    rise_y = (raised[:, 2:, 1:-1] - raised[:, :-2, 1:-1]) / twice
    rise_x = (raised[:, 1:-1, 2:] - raised[:, 1:-1, :-2]) / twice
    steps = [span / LOOK for span in given.extent_m]
    far_y, far_x = torch.gradient(seen.elevation_m, spacing=steps, dim=(1, 2))
    reference_m = seen.elevation_m.flatten(1)
    relief_m = float(reference_m[0].max() - reference_m[0].min())
    facts = [{"relief_m": relief_m, "style": SURVEYED, "given": given.name} for _ in plans]
    plans = [replace(plan, form=replace(plan.form, relief_m=relief_m, style=SURVEYED)) for plan in plans]
    inner = RaisedGround(*(plane[:, 1:-1, 1:-1].contiguous() for plane in vars(ground).values()))
    far = terrain_of(seen, far_y, far_x, look, far_drainage, reference_m, plans, facts)
    return replace(terrain_of(inner, rise_y, rise_x, window, drainage, reference_m, plans, facts), far=far)


def _overlook(given: GivenLand, scenes: int, device: torch.device | str) -> Window:
    """A coarse look over the whole model, by which shares are taken: (N, 64, 64) places."""
    part = (torch.arange(LOOK, dtype=torch.float64, device=device) + 0.5) / LOOK
    y, x = ((part * span)[None].expand(scenes, -1) for span in given.extent_m)
    return Window(y, x, torch.full((scenes,), max(given.extent_m) / LOOK, dtype=torch.float64, device=device))


def _route(given: GivenLand, window: Window, around: float) -> Drainage:
    """Route the water of a given elevation model around N windows: depressions filled, steepest descent."""
    device = window.cell_m.device
    step = window.cell_m * (max(window.shape[1:]) * around / (NODES - 1))
    middle = torch.stack([0.5 * (m[:, 0] + m[:, -1]) for m in (window.y_m, window.x_m)], 1)
    first = torch.floor(middle / step[:, None]).to(torch.int64) - NODES // 2
    number = first[:, :, None] + torch.arange(NODES, device=device)  # (N, 2, R)
    axes = number.to(torch.float64) * step[:, None, None]
    posts = torch.stack([given.elevation_at(*pair) for pair in axes]).nan_to_num(0.0)
    outlet = torch.zeros_like(posts, dtype=torch.bool)
    outlet[:, [0, -1]] = outlet[:, :, [0, -1]] = True
    filled = fill_depressions(posts, outlet, step=1e-3)
    receiver = steepest(filled, outlet)
    area = accumulate(receiver, torch.ones_like(receiver))
    area_km2 = (area.to(torch.float32) * (step * step * 1e-6).to(torch.float32)[:, None]).reshape(posts.shape)
    fall = filled.flatten(1) - filled.flatten(1).gather(1, receiver)
    uplift = (fall / step.to(torch.float32)[:, None] / STEEP).clamp(0.0, 1.0).reshape(posts.shape)
    nothing = torch.zeros_like(receiver, dtype=torch.bool)
    rows, columns = number.unbind(1)
    place = hashed(hashed(torch.zeros_like(rows), rows)[:, :, None], columns[:, None, :]).flatten(1)
    level = torch.full_like(fall, NO_LEVEL_M)
    return Drainage(filled, receiver, area_km2, uplift, step, first, nothing, nothing, level, place)


def _raise(given: GivenLand, at: Window, drainage: Drainage) -> RaisedGround:
    """The given ground at any places: its own heights, but that rivers lie at their level."""
    nodes = drainage.elevation_m.shape[1]
    height = torch.stack([given.elevation_at(y, x) for y, x in zip(at.y_m, at.x_m, strict=True)]).nan_to_num(0.0)
    near = near_nodes(at.points(), drainage)
    top, receiver = drainage.elevation_m.flatten(1), drainage.receiver
    channel = drainage.area_km2.flatten(1) >= CHANNEL_KM2
    drop = torch.where(channel, 0.0, (top - top.gather(1, receiver)).clamp(min=0.0))
    hand = climb(torch.where(channel, torch.arange(nodes * nodes, device=top.device), receiver), drop)
    above, uplift = smoothed(near, nodes, hand, drainage.uplift.flatten(1))
    flat = height.flatten(1)
    _, bank, width, level, foot = cut_channels(near, drainage, channel, flat, uplift, at.cell_m)
    within = bank <= 0
    ground = torch.where(within, torch.minimum(flat, level), flat)
    above = torch.where(within, 0.0, above).clamp(min=0.0)
    return RaisedGround(*(v.reshape(at.shape) for v in (ground, above, uplift, bank, width, level, foot, near.node)))
