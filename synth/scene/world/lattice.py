"""Lattice fractals: random functions of the ground, the same in every window of the world."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, turned_by, uniform
from terraficta.synth.scene.world.window import Points, Window

GRADIENT_STD = 0.2158
"""standard deviation of `gradient_noise` before normalisation (measured over 4e6 points)"""


def _fade(t: Tensor) -> Tensor:
    """Perlin's quintic 6 t^5 - 15 t^4 + 10 t^3. Source: K. Perlin 2002, doi:10.1145/566654.566636."""
    return t * t * t * (t * (t * 6 - 15) + 10)


def _split(m: Tensor, spacing_m: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """Lattice node (int64) below, and the way from it (float32, 0..1)."""
    n = m.dim() - 1
    along = m / spacing_m.reshape(-1, *[1] * n) + phase.reshape(-1, *[1] * n)
    node = torch.floor(along)
    return node.to(torch.int64), (along - node).to(torch.float32)


def _lattice(seed: Tensor, first_y: Tensor, first_x: Tensor, rows: int, columns: int) -> Tensor:
    """(N, rows, columns) hashes of the lattice nodes from (first_y, first_x) on."""
    y = first_y[:, None] + torch.arange(rows, device=seed.device)
    x = first_x[:, None] + torch.arange(columns, device=seed.device)
    return hashed(hashed(seed[:, None], y)[:, :, None], x[:, None, :])


def blend(gy: Tensor, gx: Tensor, node_y: Tensor, node_x: Tensor, fy: Tensor, fx: Tensor) -> Tensor:
    """Gradient noise of a window, axis by axis: first along x for every lattice row, then along y.

    Parameters
    ----------
    gy, gx : Tensor
        (N, R, C) gradients at the lattice nodes
    node_y, node_x : Tensor
        (N, H), (N, W) int64 lattice row and column before each cell
    fy, fx : Tensor
        (N, H), (N, W) way from there to the next, 0..1

    Returns
    -------
    Tensor
        (N, H, W), as Perlin's 2-D noise on the same lattice
    """
    ones = torch.ones(len(gy), 1, device=gy.device)
    table = _along(torch.cat([gx, gy], 1), node_x, fx, _fade(fx))
    return _summed([table], *_rows(node_y[:, None], fy[:, None], ones, [gy.shape[1]]))


def _along(slopes: Tensor, node: Tensor, way: Tensor, faded: Tensor) -> Tensor:
    """(N, 2R, W) for each lattice row what its nodes give at their height, then what they gain with the way up.

    Parameters
    ----------
    slopes : Tensor
        (N, 2R, C) gradients along x, and below them along y
    node, way, faded : Tensor
        (N, W) lattice column before each cell, way from there, and as `_fade` has it
    """
    left, rows = node[:, None, :].expand(-1, slopes.shape[1], -1), slopes.shape[1] // 2
    before, after = slopes.gather(2, left), slopes.gather(2, left + 1)
    before[:, :rows] *= way[:, None]
    after[:, :rows] *= way[:, None] - 1
    return after.sub_(before).mul_(faded[:, None]).add_(before)


def _rows(node: Tensor, way: Tensor, amplitude: Tensor, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(N, H, 4K) which rows of the K tables of `_along`, one below the other, make up a cell, and their weights.

    Parameters
    ----------
    node, way : Tensor
        (N, K, H) lattice row before each cell, and way from there
    amplitude : Tensor
        (N, K)
    rows : Sequence[int]
        of each lattice
    """
    tall = torch.tensor(rows, device=node.device)[:, None]
    first = node + 2 * (torch.cumsum(tall, 0) - tall)
    faded = _fade(way)
    below = 1 - faded
    weight = torch.stack([below, below * way, faded, faded * (way - 1)], 3) * amplitude[:, :, None, None]
    row = torch.stack([first, first + tall, first + 1, first + 1 + tall], 3)
    return row.transpose(1, 2).flatten(2), weight.transpose(1, 2).flatten(2)


def _summed(tables: Sequence[Tensor], row: Tensor, weight: Tensor) -> Tensor:
    """(N, H, W) sum of octaves, in one pass over the cells: no octave is ever written out as a plane."""
    n, h, _ = row.shape
    table = torch.cat(list(tables), 1)
    row = row + torch.arange(n, device=row.device)[:, None, None] * table.shape[1]
    total = functional.embedding_bag(
        row.flatten(0, 1), table.flatten(0, 1), mode="sum", per_sample_weights=weight.flatten(0, 1)
    )
    return total.view(n, h, -1)


def _noise_of_window(window: Window, spacing_m: Tensor, seed: Tensor, amplitude: Tensor) -> Tensor:
    """(N, H, W) sum of octaves, one a column of spacings, seeds and amplitudes (N, K)."""
    axes, device = [], seed.device
    for m, phase in zip((window.y_m, window.x_m), lattice_phase(seed), strict=True):
        along = m[:, None, :] / spacing_m[:, :, None] + phase[:, :, None]
        below = torch.floor(along)
        node, way = below.to(torch.int64), (along - below).to(torch.float32)
        first = node[:, :, :1]
        node = node - first
        counts = (node[:, :, -1].amax(0) + 2).tolist()
        axes.append((node, way, first + torch.arange(max(counts), device=device), counts))
    (node_y, fy, y, rows), (node_x, fx, x, columns) = axes
    row_seed, faded, tables = hashed(seed[:, :, None], y), _fade(fx), []
    for k, (tall, wide) in enumerate(zip(rows, columns, strict=True)):
        sine, cosine = turned_by(hashed(row_seed[:, k, :tall, None], x[:, k, None, :wide]))
        tables.append(_along(torch.cat([cosine, sine], 1), node_x[:, k], fx[:, k], faded[:, k]))
    return _summed(tables, *_rows(node_y, fy, amplitude, rows))


def lattice_nodes(points: Points, spacing_m: Tensor, phase: tuple[Tensor, Tensor], around: int, seed: Tensor) -> tuple[
    Tensor, Tensor, Tensor, Tensor, int]:  # fmt: skip
    """Flat position of each point's node in a lattice with `around` extra nodes; ways fy, fx; hashes; stride."""
    node_y, fy = _split(points.y_m, spacing_m, phase[0])
    node_x, fx = _split(points.x_m, spacing_m, phase[1])
    first_y, first_x = node_y.amin((1, 2)) - around, node_x.amin((1, 2)) - around
    node_y, node_x = node_y - first_y[:, None, None], node_x - first_x[:, None, None]
    rows, columns = int(node_y.max()) + 2 + around, int(node_x.max()) + 2 + around
    lattice = _lattice(seed, first_y, first_x, rows, columns).flatten(1)
    return (node_y * columns + node_x).flatten(1), fy.flatten(1), fx.flatten(1), lattice, columns


def _noise_of_points(points: Points, spacing_m: Tensor, seed: Tensor, phase: tuple[Tensor, Tensor]) -> Tensor:
    at, fy, fx, lattice, columns = lattice_nodes(points, spacing_m, phase, 0, seed)
    gy, gx = turned_by(lattice)
    sx, sy = _fade(fx), _fade(fy)
    rows = []
    for down in (0, 1):
        left, right = at + down * columns, at + down * columns + 1
        n0 = gy.gather(1, left) * (fy - down) + gx.gather(1, left) * fx
        n1 = gy.gather(1, right) * (fy - down) + gx.gather(1, right) * (fx - 1)
        rows.append(n0 + sx * (n1 - n0))
    return (rows[0] + sy * (rows[1] - rows[0])).reshape(points.shape)


def lattice_phase(seed: Tensor) -> tuple[Tensor, Tensor]:
    """(y, x), each float64: where the lattice of each seed begins, as a share of its spacing."""
    phase_y, phase_x = (uniform(seed, axis) for axis in (salt.Lattice.PHASE_Y, salt.Lattice.PHASE_X))
    return phase_y.to(torch.float64), phase_x.to(torch.float64)


def gradient_noise(at: Window | Points, spacing_m: Tensor, seed: Tensor) -> Tensor:
    """Gradient noise of mean 0 and variance 1 on a lattice with random phase.

    Parameters
    ----------
    at : Window | Points
        N scenes
    spacing_m : Tensor
        (N,) distance of lattice nodes [m]
    seed : Tensor
        (N,) int64

    Returns
    -------
    Tensor
        (N, H, W) float32

    Source
    ------
    K. Perlin 2002, doi:10.1145/566654.566636; departs in 256 gradient directions, hash and random phase.
    """
    if isinstance(at, Window):
        unit = torch.full((len(seed), 1), 1.0 / GRADIENT_STD, device=seed.device)
        return _noise_of_window(at, spacing_m[:, None], seed[:, None], unit)
    return _noise_of_points(at, spacing_m, seed, lattice_phase(seed)) * (1.0 / GRADIENT_STD)


def fbm(at: Window | Points, spacing_m: Tensor, seed: Tensor, octaves: int, hurst: float | Sequence[float] = 1.0
        ) -> Tensor:  # fmt: skip
    """Fractional Brownian surface of variance about 1: octaves of gradient noise, each half as wide.

    An octave fades out where its lattice is finer than two to four cells.

    Parameters
    ----------
    at : Window | Points
        as in `gradient_noise`; spacing of the widest octave
    spacing_m, seed : Tensor
        as in `gradient_noise`; spacing of the widest octave
    octaves : int
        how many
    hurst : float | Sequence[float]
        roughness exponent (an octave has 2^-hurst the amplitude of the one before), one or one a scene
    """
    device = seed.device
    gain = [2.0**-h for h in ([hurst] * len(seed) if isinstance(hurst, float | int) else hurst)]
    norm = [math.sqrt(sum(g ** (2 * k) for k in range(octaves))) for g in gain]
    weight = torch.tensor([[g**k / n for k in range(octaves)] for g, n in zip(gain, norm, strict=True)],
                          dtype=torch.float64, device=device)  # fmt: skip
    spacing = spacing_m[:, None] / torch.tensor([2**k for k in range(octaves)], device=device)
    seen = (spacing / at.cell_m[:, None] * 0.5 - 1.0).clamp(0.0, 1.0)
    count = int((seen > 0).any(0).sum())  # the finer an octave, the less is seen of it
    if count == 0:
        return torch.zeros(at.shape, device=device)
    amplitude = (seen * weight).to(torch.float32)[:, :count]
    spacing = torch.maximum(spacing, 2.0 * at.cell_m[:, None])[:, :count]
    own = hashed(seed[:, None], torch.arange(count, device=device))
    if isinstance(at, Window):
        return _noise_of_window(at, spacing, own, amplitude / GRADIENT_STD)
    total = torch.zeros(at.shape, device=device)
    for k in range(count):
        total += gradient_noise(at, spacing[:, k], own[:, k]) * amplitude[:, k, None, None]
    return total


def warp(at: Window | Points, spacing_m: Tensor, seed: Tensor, reach_m: Tensor, octaves: int = 2) -> Points:
    """The places of `at` moved by a smooth random displacement with standard deviation `reach_m` (N,) [m]."""
    reach = reach_m.to(torch.float32)[:, None, None]
    dy, dx = (fbm(at, spacing_m, hashed(seed, salt.Lattice.WARP, side), octaves) * reach for side in (0, 1))
    return (at.points() if isinstance(at, Window) else at).moved(dy, dx)
