"""Roads between towns: they meet where towns lie, keep off the steepest ground, and cross rivers by bridges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import Cells, voronoi
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, uniform
from terraficta.synth.scene.world.lattice import warp
from terraficta.synth.scene.world.places import covered
from terraficta.synth.scene.world.window import Points

STEEPEST = 0.4
"""slope beyond which a road is in a tunnel: its own grade is less, as it runs aslant [rise over run]"""
WIDEST_BRIDGE_M = 250.0
"""rivers wider than this are crossed by one road in four [m]"""


@dataclass(frozen=True)
class Roads:
    """The main roads of N scenes.

    Parameters
    ----------
    cells : Cells
        what lies between them; towns lie where three meet
    surface : Tensor
        (N, H, W) bool, paved, bridges included wherever a river is crossed
    identity : Tensor
        (N, H, W) int64, which stretch
    """

    cells: Cells
    surface: Tensor
    identity: Tensor


def lay_roads(
    terrain: Terrain, points: Points, spacing_m: Sequence[float], half_m: Sequence[float], seed: Tensor, u01: Tensor
) -> Roads:
    """Lay roads `spacing_m` apart and twice `half_m` wide (0: none), one number a scene.

    Parameters
    ----------
    terrain : Terrain
        the ground and its cells
    points : Points
        the ground and its cells
    seed : Tensor
        (N,) int64
    u01 : Tensor
        (N, H, W) uniform in [0, 1): a road narrower than a cell covers its share of cells
    """
    device = points.y_m.device
    spacing = per_scene(spacing_m, device)
    bent = warp(terrain.window, spacing * 0.7, hashed(seed, salt.Settlement.ROAD_BEND), spacing * 0.06, octaves=3)
    cells = voronoi(bent, spacing, hashed(seed, salt.Settlement.ROADS))
    cell = terrain.cell_m.to(torch.float32)[:, None, None]
    surface = covered(cells.edge_m, planes(half_m, device), cell, u01) & (terrain.slope < STEEPEST)
    identity = hashed(cells.identity, salt.RoadCell.STRETCH)
    narrow = (
        (terrain.river_m > 0)
        | (terrain.river_width_m < WIDEST_BRIDGE_M)
        | (uniform(identity, salt.Stretch.LONG_BRIDGE) < 0.25)
    )
    return Roads(cells, surface & narrow, identity)
