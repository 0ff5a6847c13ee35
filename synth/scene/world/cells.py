"""Cells: the ground cut up, into Voronoi cells or into pieces of a line."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import fraction, hashed, mix, uniform
from terraficta.synth.scene.world.choice import choose, less
from terraficta.synth.scene.world.lattice import lattice_nodes, lattice_phase
from terraficta.synth.scene.world.window import Points


@dataclass(frozen=True)
class Cells:
    """Voronoi cells of a jittered lattice.

    Parameters
    ----------
    identity : Tensor
        (N, H, W) int64, 32-bit hash of the cell a place lies in
    edge_m : Tensor
        (N, H, W) distance to the cell's edge [m]
    junction_m : Tensor
        (N, H, W) half of how much further the third site is than the first: 0 where three cells meet [m]
    junction : Tensor
        (N, H, W) int64, hash of the three nearest sites, whatever their order
    """

    identity: Tensor
    edge_m: Tensor
    junction_m: Tensor
    junction: Tensor


@dataclass(frozen=True)
class Border:
    """The line to one of the neighbours of a cell; all (N, H, W).

    Parameters
    ----------
    away_m : Tensor
        distance to it [m]
    south, east : Tensor
        the way from site to site, across it, in units of the spacing
    """

    away_m: Tensor
    south: Tensor
    east: Tensor


@dataclass(frozen=True)
class BorderedCells(Cells):
    """Voronoi cells, with the lines to the owners of the second and third site.

    Parameters
    ----------
    borders : tuple[Border, Border]
        those two lines
    """

    borders: tuple[Border, Border]


def voronoi(points: Points, spacing_m: Tensor, seed: Tensor, jitter: float | Tensor = 0.9) -> Cells:
    """Voronoi cells with one site in every lattice square.

    Parameters
    ----------
    points : Points
        N scenes; rotate or stretch them first for cells with a grain
    spacing_m : Tensor
        (N,) typical cell size [m]
    seed : Tensor
        (N,) int64
    jitter : float | Tensor
        0: squares; 1: as random as a lattice allows; one, or (N, 1)

    Error
    -----
    sites further than one square away are not looked at, which for jitter 0.9 misplaces an edge in fewer than 1 place
    in 1000.

    Source
    ------
    S. Worley 1996, doi:10.1145/237170.237267.
    """
    return _cut(points, spacing_m, seed, jitter, False)[0]


def bordered(points: Points, spacing_m: Tensor, seed: Tensor, jitter: float | Tensor = 0.9) -> BorderedCells:
    """The cells of `voronoi`, with their borders."""
    cells, borders = _cut(points, spacing_m, seed, jitter, True)
    return BorderedCells(cells.identity, cells.edge_m, cells.junction_m, cells.junction, (borders[0], borders[1]))


def _cut(
    points: Points, spacing_m: Tensor, seed: Tensor, jitter: float | Tensor, lined: bool
) -> tuple[Cells, list[Border]]:
    """The cells, and if they shall be `lined` their two nearest borders."""
    at, fy, fx, lattice, columns = lattice_nodes(points, spacing_m, lattice_phase(seed), 1, seed)
    site_y, site_x = ((0.5 + jitter * (uniform(lattice, d) - 0.5)).flatten() for d in (salt.Site.Y, salt.Site.X))
    at = (at + torch.arange(len(at), device=at.device)[:, None] * lattice.shape[1]).flatten().to(torch.int32)
    fy, fx = fy.flatten(), fx.flatten()
    far = torch.full_like(at, 2**31 - 1)
    near = [far, far, far]
    for which in range(9):
        j, i = which // 3 - 1, which % 3 - 1
        node = at + (j * columns + i)
        dy, dx = site_y.index_select(0, node).add_(j - fy), site_x.index_select(0, node).add_(i - fx)
        squared = dy.mul_(dy).add_(dx.mul_(dx))
        code = squared.mul_(1 << 23).to(torch.int32).bitwise_left_shift_(4).bitwise_or_(which)
        # distance, then which: integers sort exactly
        near[0], code = torch.minimum(near[0], code), torch.maximum(near[0], code)
        near[1], code = torch.minimum(near[1], code), torch.maximum(near[1], code)
        near[2] = torch.minimum(near[2], code)
    d2, sy, sx, identity = [], [], [], []
    for code in near:
        site = code & 15
        third = (site * 11) >> 5
        down, right = third - 1, site - 3 * third - 1
        node = at + down * columns + right
        d2.append((code >> 4).to(torch.float32) * (1.0 / (1 << 23)))
        sy.append(site_y.index_select(0, node) + down)
        sx.append(site_x.index_select(0, node) + right)
        identity.append(lattice.flatten().index_select(0, node))
    scale = spacing_m.to(torch.float32)
    scale = scale if len(scale) == 1 else scale.repeat_interleave(len(at) // len(scale))
    edges, borders = [], []
    for other in (1, 2):
        gap_y, gap_x = sy[other] - sy[0], sx[other] - sx[0]
        apart = torch.sqrt(gap_y * gap_y + gap_x * gap_x).clamp(min=1e-3)
        edges.append((d2[other] - d2[0]) / (2 * apart) * scale)
        if lined:
            borders.append(Border(*(v.reshape(points.shape) for v in (edges[-1], gap_y, gap_x))))
    junction = (torch.sqrt(d2[2]) - torch.sqrt(d2[0])) * 0.5 * scale
    meeting = mix(identity[0] + identity[1] + identity[2])
    return Cells(*(v.reshape(points.shape) for v in (identity[0], torch.minimum(*edges), junction, meeting))), borders


def partition(along: Tensor, seed: Tensor, jitter: float = 0.6) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a line into pieces of unit mean length with uneven ends.

    Parameters
    ----------
    along : Tensor
        (...) float32 position
    seed : Tensor
        (...) int64; every seed cuts differently
    jitter : float
        0: even pieces; towards 1: uneven

    Returns
    -------
    tuple[Tensor, Tensor, Tensor]
        number (...) int64 of the piece; distance (...) to its nearer end, length (...) of it, in units of `along`
    """
    node = torch.floor(along + 0.5)
    number = node.to(torch.int64)

    def cut(n: Tensor) -> Tensor:
        return n.to(torch.float32) + jitter * (fraction(hashed(seed, n)) - 0.5)

    here = cut(number)
    after = ~less(along, here)
    number = choose(after, number, number - 1)
    there = cut(choose(after, number + 1, number))
    start, end = choose(after, here, there), choose(after, there, here)
    return number, torch.minimum(along - start, end - along), end - start
