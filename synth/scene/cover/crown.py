"""The crown: trees as objects, where cells are small enough to show them."""

from __future__ import annotations

import torch
from torch import Tensor

from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import voronoi
from terraficta.synth.scene.world.chance import hashed, per_scene, seeds_of, uniform
from terraficta.synth.scene.world.places import Places
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.legend import TERRAFICTA

SHOWN_M = (1.2, 3.0)
"""up to the first cell size crowns are objects, from the second on they are statistics; between they fade [m]"""
SPREAD_M: dict[float, tuple[str, ...]] = {
    5.0: ("needleleaf_forest", "mangrove", "orchard"),
    8.5: ("evergreen_forest", "deciduous_forest", "plantation"),
}
"""distance of trees of a closed stand [m]: 400 and 140 crowns a hectare, chosen within the spans of stem densities in
T. Crowther et al. 2015, doi:10.1038/nature14967"""
CONICAL = ("needleleaf_forest",)
ORDERLY = ("plantation", "orchard")
"""planted on a lattice"""
REACH = 0.42
"""radius of a crown over the distance of trees; beyond it one sees the ground"""
GAP = 0.05
"""share of the places where no tree stands"""
UNDERGROWTH = 0.5
"""height of what stands in a gap, over that of the tops"""
LOWEST = 0.88
"""height of a crown's rim over that of its top: what shades within a stand is in its spectrum already"""
DIFFERENCE = 0.3
"""how far the vigour of a tree may lie from that of its stand: which of the materials of its class it has; chosen so
that the colours of crowns beside each other in autumn differ as on aerial photographs"""
LONE_M = (14.0, 23.0)
"""sides of the squares of two lattices, in each of which one tree of open country may stand [m]"""
LONE_RADIUS_M = (1.3, 5.2)
"""least and greatest radius of their crowns, small ones being more frequent [m]; chosen within the spans of parkland
trees and hedgerow oaks"""
OVER_MEAN = {"cone": 1.102, "dome": 1.060}
"""height of the tops over the mean height of a stand of such crowns, gaps included; measured by `test_crown`"""


def seen(cell_m: Tensor) -> Tensor:
    """(N,) 0..1: how far objects are drawn one by one in cells of a size [m]."""
    least, most = SHOWN_M
    return ((most - cell_m) / (most - least)).clamp(0.0, 1.0).to(torch.float32)


def lone_trees(window: Window, chance: Tensor, seed: Tensor) -> tuple[Places, Tensor]:
    """The cells below crowns of single trees of open country, and the identity of each one's tree (M,) int64.

    None in cells too large to show them.

    Parameters
    ----------
    window : Window
        where in the world
    chance : Tensor
        (N, H, W) 0..1, share of the squares with a tree
    seed : Tensor
        (N,) int64
    """
    open_ground = Places.where((chance > 0) & (seen(window.cell_m) > 0)[:, None, None])
    y_m = open_ground.of(window.y_m.to(torch.float32)[:, :, None])
    x_m = open_ground.of(window.x_m.to(torch.float32)[:, None, :])
    own, common = seed[open_ground.scene], open_ground.of(chance)
    identity = torch.zeros_like(own)
    least, most = LONE_RADIUS_M
    for number, side_m in enumerate(LONE_M):
        y, x = y_m / side_m, x_m / side_m
        line, column = torch.floor(y), torch.floor(x)
        tree = hashed(own, salt.Cover.LONE_TREES, number, line.to(torch.int64), column.to(torch.int64))
        spread = uniform(tree, salt.LoneTree.SPREAD)
        radius = (least + (most - least) * spread * spread.sqrt()) / side_m
        dy, dx = (way - radius - (1 - 2 * radius) * uniform(tree, at)
                  for way, at in ((y - line, salt.LoneTree.Y), (x - column, salt.LoneTree.X)))  # fmt: skip
        under = (dy * dy + dx * dx < radius * radius) & (uniform(tree, salt.LoneTree.PRESENT) < common)
        identity = torch.where(under, tree, identity)
    below = identity != 0
    return Places(open_ground.at[below], open_ground.shape), identity[below]


def crowned(window: Window, cover: Tensor, height_m: Tensor) -> tuple[Tensor, Tensor]:
    """Crowns (N, H, W) in small cells: height [m] with tops, rims and gaps, and vigour of each beyond its stand's.

    Elsewhere the height as it was, and 0.

    Parameters
    ----------
    window : Window
        where in the world
    cover : Tensor
        (N, H, W) position in TERRAFICTA
    height_m : Tensor
        (N, H, W) mean height of the stand

    Error
    -----
    mean height of a stand in cells of 0.5 m and 8 m differs by less than 8 % (`test_crown`).
    """
    shown = seen(window.cell_m)
    if not bool((shown > 0).any()):
        return height_m, torch.zeros_like(height_m)
    part = shown[:, None, None]
    points, whole, own = window.points(), height_m, torch.zeros_like(height_m)
    for number, (spread, names) in enumerate(SPREAD_M.items()):
        seed = hashed(seeds_of([0] * len(cover), cover.device), salt.EveryScene.CROWNS, number)
        spacing = per_scene([spread] * len(cover), cover.device)
        for orderly in (False, True):
            mine = [n for n in names if (n in ORDERLY) == orderly]
            stand = TERRAFICTA.among(cover, mine)
            if not bool(stand.any()):
                continue
            trees = voronoi(points, spacing, seed, 0.15 if orderly else 0.9)
            inward = (trees.edge_m / (REACH * spread)).clamp(0.0, 1.0)  # 0 at the rim, 1 well inside
            dome = torch.sqrt(inward * (2 - inward))
            cone = TERRAFICTA.among(cover, CONICAL)
            shape = LOWEST + (1 - LOWEST) * torch.where(cone, inward, dome)
            tall = (
                height_m
                * torch.where(cone, OVER_MEAN["cone"], OVER_MEAN["dome"])
                * (0.94 + 0.12 * uniform(trees.identity, salt.Tree.HEIGHT))
            )
            top = tall * torch.where(uniform(trees.identity, salt.Tree.GAP) < GAP, UNDERGROWTH, shape)
            whole = torch.where(stand, height_m + part * (top - height_m), whole)
            kind = DIFFERENCE * (2 * uniform(trees.identity, salt.Tree.KIND) - 1)
            own = torch.where(stand, part * kind, own)
    return whole, own
