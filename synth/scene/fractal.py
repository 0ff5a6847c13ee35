"""Fractal fields: random functions of the ground, hashed on the device, the same in every window of the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MASK = 0xFFFFFFFF
GRADIENT_STD = 0.2158
"""standard deviation of `gradient_noise` before normalisation (measured over 4e6 points)"""
_TURN = torch.tensor([(math.sin(2 * math.pi * (k + 0.5) / 256), math.cos(2 * math.pi * (k + 0.5) / 256))
                      for k in range(256)])  # fmt: skip
"""(256, 2) unit vectors (y, x): a table, so that CPU and GPU agree to the last bit"""


# --- where: windows and points of the world -------------------------------------------------------------------------


@dataclass(frozen=True)
class Points:
    """Places in the world.

    Parameters
    ----------
    y_m, x_m : (N, H, W) float64 [m]
    cell_m : (N,) float64, distance between neighbouring places [m]: finer detail than this fades out
    """

    y_m: Tensor
    x_m: Tensor
    cell_m: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        return self.y_m.shape[0], self.y_m.shape[1], self.y_m.shape[2]

    def moved(self, dy_m: Tensor, dx_m: Tensor) -> Points:
        """The places that lie (dy, dx) [m] away: domain warp."""
        return Points(self.y_m + dy_m, self.x_m + dx_m, self.cell_m)


@dataclass(frozen=True)
class Window:
    """A north-up rectangle of the world, one a scene, as its two axes (y grows to the south).

    Parameters
    ----------
    y_m : (N, H) float64 [m]
    x_m : (N, W) float64 [m]
    cell_m : (N,) float64 [m]
    """

    y_m: Tensor
    x_m: Tensor
    cell_m: Tensor

    @classmethod
    def over(cls, height: int, width: int, cell_m: Tensor, origin_cell: Tensor | None = None, pad: int = 0) -> Window:
        """The window whose middle lies `origin_cell` (N, 2) whole cells (y, x) from the world's origin.

        World coordinates are whole cell numbers times the cell size, so two windows agree on every cell they share.
        """
        cell = cell_m.to(torch.float64)
        if origin_cell is None:
            origin_cell = torch.zeros(len(cell), 2, dtype=torch.int64, device=cell.device)
        rows = torch.arange(-pad, height + pad, device=cell.device) - height // 2
        columns = torch.arange(-pad, width + pad, device=cell.device) - width // 2
        y = (rows[None] + origin_cell[:, :1]).to(torch.float64) + 0.5
        x = (columns[None] + origin_cell[:, 1:]).to(torch.float64) + 0.5
        return cls(y * cell[:, None], x * cell[:, None], cell)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        return self.y_m.shape[0], self.y_m.shape[1], self.x_m.shape[1]

    def cells(self) -> Tensor:
        """(N, H, W) a hash for every cell of the world, the same in every window that has its cell size."""
        y, x = (torch.floor(m / self.cell_m[:, None]).to(torch.int64) for m in (self.y_m, self.x_m))
        return hashed(hashed(torch.zeros_like(y), y)[:, :, None], x[:, None, :])

    def points(self) -> Points:
        """Its cells, one by one."""
        return Points(self.y_m[:, :, None].expand(self.shape), self.x_m[:, None, :].expand(self.shape), self.cell_m)


# --- chance: a counter hash -----------------------------------------------------------------------------------------


def mix(h: Tensor) -> Tensor:
    """Scramble 32-bit integers held in int64.

    Source: C. Wellons, hash-prospector, "lowbias32" (public domain).
    """
    h = h & MASK
    h ^= h >> 16
    h *= 0x7FEB352D
    h &= MASK
    h ^= h >> 15
    h *= 0x846CA68B
    h &= MASK
    h ^= h >> 16
    return h


def hashed(word: Tensor, *counters: Tensor | int) -> Tensor:
    """32-bit hash (int64) of a seed word and integer counters, broadcast together."""
    h: Tensor = word
    for number, counter in enumerate(counters):
        h = mix(h * 0x9E3779B1 + counter + (0x51ED270B * (number + 1)))
    return h


def fraction(h: Tensor) -> Tensor:
    """A hash itself as a number in [0, 1), float32."""
    return (h >> 8).to(torch.float32) * (1.0 / (1 << 24))


def uniform(h: Tensor, draw: int = 0) -> Tensor:
    """Numbers in [0, 1), float32, from hashes; `draw` counts independent numbers of one hash."""
    return fraction(mix(h + 0x632BE5AB * (draw + 1)))


def turn(h: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
    """(sin, cos) of a random direction, from hashes."""
    table = _TURN.to(h.device)
    step = mix(h + 0x2C1B3C6D * (draw + 1)) & 255
    return table[:, 0][step], table[:, 1][step]


def heading(h: Tensor, draw: int = 0) -> Tensor:
    """The direction of `turn` as an angle [rad], float32."""
    step = mix(h + 0x2C1B3C6D * (draw + 1)) & 255
    return (step.to(torch.float32) + 0.5) * (2 * math.pi / 256)


def per_scene(values: Sequence[float], device: torch.device | str = "cpu") -> Tensor:
    """(N,) float64 from one number a scene."""
    return torch.tensor(list(values), dtype=torch.float64, device=device)


def planes(values: Sequence[float], device: torch.device | str = "cpu") -> Tensor:
    """(N, 1, 1) float32 from one number a scene: it multiplies fields."""
    return torch.tensor(list(values), dtype=torch.float64, device=device).to(torch.float32)[:, None, None]


def words(keys: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """(N,) int64 from one seed word a scene."""
    return torch.tensor(list(keys), dtype=torch.int64, device=device)


# --- gradient noise -------------------------------------------------------------------------------------------------


def _fade(t: Tensor) -> Tensor:
    """Perlin's quintic 6 t^5 - 15 t^4 + 10 t^3. Source: K. Perlin 2002, doi:10.1145/566654.566636."""
    return t * t * t * (t * (t * 6 - 15) + 10)


def _split(m: Tensor, spacing_m: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """Lattice node (int64) below, and the way from it (float32, 0..1)."""
    n = m.dim() - 1
    along = m / spacing_m.reshape(-1, *[1] * n) + phase.reshape(-1, *[1] * n)
    node = torch.floor(along)
    return node.to(torch.int64), (along - node).to(torch.float32)


def _lattice(word: Tensor, first_y: Tensor, first_x: Tensor, rows: int, columns: int) -> Tensor:
    """(N, rows, columns) hashes of the lattice nodes from (first_y, first_x) on."""
    y = first_y[:, None] + torch.arange(rows, device=word.device)
    x = first_x[:, None] + torch.arange(columns, device=word.device)
    return hashed(hashed(word[:, None], y)[:, :, None], x[:, None, :])


def blend(gy: Tensor, gx: Tensor, node_y: Tensor, node_x: Tensor, fy: Tensor, fx: Tensor) -> Tensor:
    """Gradient noise of a window, axis by axis: first along x for every lattice row, then along y.

    Parameters
    ----------
    gy, gx : (N, R, C) gradients at the lattice nodes
    node_y, node_x : (N, H), (N, W) int64 lattice row and column before each cell
    fy, fx : (N, H), (N, W) way from there to the next, 0..1

    Returns
    -------
    (N, H, W), as Perlin's 2-D noise on the same lattice
    """
    return _summed([_layer(gy, gx, node_y, node_x, fy, fx, torch.ones(len(gy), device=gy.device))])


@dataclass(frozen=True)
class _Layer:
    """One octave, worked out along x: its value at a cell is a weighted sum of four rows of a table.

    Parameters
    ----------
    table : (N, 2R, W) for each lattice row what its nodes give at their height, then what they gain with the way up
    row : (N, H, 4) int64, which rows
    weight : (N, H, 4)
    """

    table: Tensor
    row: Tensor
    weight: Tensor


def _layer(gy: Tensor, gx: Tensor, node_y: Tensor, node_x: Tensor, fy: Tensor, fx: Tensor, amplitude: Tensor) -> _Layer:
    left, rows = node_x[:, None, :].expand(-1, gx.shape[1], -1), gx.shape[1]
    sx, fx = _fade(fx)[:, None], fx[:, None]
    a0, a1 = gx.gather(2, left) * fx, gx.gather(2, left + 1) * (fx - 1)
    b0, b1 = gy.gather(2, left), gy.gather(2, left + 1)
    table = torch.cat([a0 + sx * (a1 - a0), b0 + sx * (b1 - b0)], 1)
    sy = _fade(fy)
    weight = torch.stack([1 - sy, (1 - sy) * fy, sy, sy * (fy - 1)], 2) * amplitude[:, None, None]
    row = torch.stack([node_y, node_y + rows, node_y + 1, node_y + 1 + rows], 2)
    return _Layer(table, row, weight)


def _summed(layers: Sequence[_Layer]) -> Tensor:
    """(N, H, W) sum of octaves, in one pass over the cells: no octave is ever written out as a plane."""
    n, h, _ = layers[0].row.shape
    table = torch.cat([layer.table for layer in layers], 1)
    first = [sum(layer.table.shape[1] for layer in layers[:k]) for k in range(len(layers))]
    row = torch.cat([layer.row + start for layer, start in zip(layers, first, strict=True)], 2)
    row = row + torch.arange(n, device=row.device)[:, None, None] * table.shape[1]
    weight = torch.cat([layer.weight for layer in layers], 2)
    total = functional.embedding_bag(
        row.flatten(0, 1), table.flatten(0, 1), mode="sum", per_sample_weights=weight.flatten(0, 1)
    )
    return total.view(n, h, -1)


def _layer_of_window(
    window: Window, spacing_m: Tensor, word: Tensor, phase: tuple[Tensor, Tensor], amplitude: Tensor
) -> _Layer:
    node_y, fy = _split(window.y_m, spacing_m, phase[0])
    node_x, fx = _split(window.x_m, spacing_m, phase[1])
    first_y, first_x = node_y[:, 0], node_x[:, 0]
    node_y, node_x = node_y - first_y[:, None], node_x - first_x[:, None]
    lattice = _lattice(word, first_y, first_x, int(node_y[:, -1].max()) + 2, int(node_x[:, -1].max()) + 2) & 255
    table = _TURN.to(word.device)
    return _layer(table[:, 0][lattice], table[:, 1][lattice], node_y, node_x, fy, fx, amplitude)


def _nodes(points: Points, spacing_m: Tensor, phase: tuple[Tensor, Tensor], around: int, word: Tensor) -> tuple[
    Tensor, Tensor, Tensor, Tensor, int]:  # fmt: skip
    """Flat position of each point's node in a lattice with `around` extra nodes; ways fy, fx; hashes; stride."""
    node_y, fy = _split(points.y_m, spacing_m, phase[0])
    node_x, fx = _split(points.x_m, spacing_m, phase[1])
    first_y, first_x = node_y.amin((1, 2)) - around, node_x.amin((1, 2)) - around
    node_y, node_x = node_y - first_y[:, None, None], node_x - first_x[:, None, None]
    rows, columns = int(node_y.max()) + 2 + around, int(node_x.max()) + 2 + around
    lattice = _lattice(word, first_y, first_x, rows, columns).flatten(1)
    return (node_y * columns + node_x).flatten(1), fy.flatten(1), fx.flatten(1), lattice, columns


def _noise_of_points(points: Points, spacing_m: Tensor, word: Tensor, phase: tuple[Tensor, Tensor]) -> Tensor:
    at, fy, fx, lattice, columns = _nodes(points, spacing_m, phase, 0, word)
    table = _TURN.to(word.device)
    lattice = lattice & 255
    gy, gx = table[:, 0][lattice], table[:, 1][lattice]
    sx, sy = _fade(fx), _fade(fy)
    rows = []
    for down in (0, 1):
        left, right = at + down * columns, at + down * columns + 1
        n0 = gy.gather(1, left) * (fy - down) + gx.gather(1, left) * fx
        n1 = gy.gather(1, right) * (fy - down) + gx.gather(1, right) * (fx - 1)
        rows.append(n0 + sx * (n1 - n0))
    return (rows[0] + sy * (rows[1] - rows[0])).reshape(points.shape)


def _phase(word: Tensor) -> tuple[Tensor, Tensor]:
    """Where the lattice of each word begins, as a share of its spacing."""
    return uniform(word, 1).to(torch.float64), uniform(word, 2).to(torch.float64)


def gradient_noise(at: Window | Points, spacing_m: Tensor, word: Tensor) -> Tensor:
    """Gradient noise of mean 0 and variance 1 on a lattice with random phase.

    Parameters
    ----------
    at : N scenes
    spacing_m : (N,) distance of lattice nodes [m]
    word : (N,) int64 seed words

    Returns
    -------
    (N, H, W) float32

    Source: K. Perlin 2002, doi:10.1145/566654.566636; departs in 256 gradient directions, hash and random phase.
    """
    if isinstance(at, Window):
        unit = torch.full((len(word),), 1.0 / GRADIENT_STD, device=word.device)
        return _summed([_layer_of_window(at, spacing_m, word, _phase(word), unit)])
    return _noise_of_points(at, spacing_m, word, _phase(word)) * (1.0 / GRADIENT_STD)


def fbm(at: Window | Points, spacing_m: Tensor, word: Tensor, octaves: int, hurst: float | Sequence[float] = 1.0
        ) -> Tensor:  # fmt: skip
    """Fractional Brownian surface of variance about 1: octaves of gradient noise, each half as wide.

    An octave fades out where its lattice is finer than two to four cells.

    Parameters
    ----------
    at, spacing_m, word : as in `gradient_noise`; spacing of the widest octave
    octaves : how many
    hurst : roughness exponent (an octave has 2^-hurst the amplitude of the one before), one or one a scene
    """
    device = word.device
    gain = [2.0**-h for h in ([hurst] * len(word) if isinstance(hurst, float | int) else hurst)]
    norm = [math.sqrt(sum(g ** (2 * k) for k in range(octaves))) for g in gain]
    layers: list[_Layer] = []
    total = torch.zeros(() if isinstance(at, Window) else at.shape, device=device)
    for k in range(octaves):
        seen = (spacing_m / 2**k / at.cell_m * 0.5 - 1.0).clamp(0.0, 1.0)
        if not bool((seen > 0).any()):
            break
        amplitude = (seen * per_scene([g**k / n for g, n in zip(gain, norm, strict=True)], device)).to(torch.float32)
        spacing, own = torch.maximum(spacing_m / 2**k, 2.0 * at.cell_m), hashed(word, k)
        if isinstance(at, Window):
            layers.append(_layer_of_window(at, spacing, own, _phase(own), amplitude / GRADIENT_STD))
        else:
            total += gradient_noise(at, spacing, own) * amplitude[:, None, None]
    if isinstance(at, Window):
        return _summed(layers) if layers else torch.zeros(at.shape, device=device)
    return total


def warp(at: Window | Points, spacing_m: Tensor, word: Tensor, reach_m: Tensor, octaves: int = 2) -> Points:
    """The places of `at` moved by a smooth random displacement with standard deviation `reach_m` (N,) [m]."""
    reach = reach_m.to(torch.float32)[:, None, None]
    dy, dx = (fbm(at, spacing_m, hashed(word, 77, side), octaves) * reach for side in (0, 1))
    return (at.points() if isinstance(at, Window) else at).moved(dy, dx)


# --- cells ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """Voronoi cells of a jittered lattice.

    Parameters
    ----------
    identity : (N, H, W) int64, 32-bit hash of the cell a place lies in
    edge_m : (N, H, W) distance to the cell's edge [m]
    junction_m : (N, H, W) half of how much further the third site is than the first: 0 where three cells meet [m]
    junction : (N, H, W) int64, hash of the three nearest sites, whatever their order
    """

    identity: Tensor
    edge_m: Tensor
    junction_m: Tensor
    junction: Tensor


def voronoi(points: Points, spacing_m: Tensor, word: Tensor, jitter: float | Tensor = 0.9) -> Cells:
    """Voronoi cells with one site in every lattice square.

    Parameters
    ----------
    points : N scenes; rotate or stretch them first for cells with a grain
    spacing_m : (N,) typical cell size [m]
    word : (N,) int64
    jitter : 0: squares; 1: as random as a lattice allows; one, or (N, 1)

    Error: sites further than one square away are not looked at, which for jitter 0.9 misplaces an edge in fewer than
    1 place in 1000.

    Source: S. Worley 1996, doi:10.1145/237170.237267.
    """
    phase = (uniform(word, 1).to(torch.float64), uniform(word, 2).to(torch.float64))
    at, fy, fx, lattice, columns = _nodes(points, spacing_m, phase, 1, word)
    site_y, site_x = (0.5 + jitter * (uniform(lattice, d) - 0.5) for d in (0, 1))
    far = torch.full_like(at, 2**31 - 1, dtype=torch.int32)
    near = [far, far, far]
    for which in range(9):
        j, i = which // 3 - 1, which % 3 - 1
        node = at + (j * columns + i)
        dy, dx = site_y.gather(1, node) + (j - fy), site_x.gather(1, node) + (i - fx)
        squared = dy * dy + dx * dx
        code = ((squared * (1 << 23)).to(torch.int32) << 4) | which  # distance, then which: integers sort exactly
        near[0], code = torch.minimum(near[0], code), torch.maximum(near[0], code)
        near[1], code = torch.minimum(near[1], code), torch.maximum(near[1], code)
        near[2] = torch.minimum(near[2], code)
    d2, sy, sx, name = [], [], [], []
    for code in near:
        k = (code & 15).to(torch.int64)
        down, right = k // 3 - 1, k % 3 - 1
        node = at + down * columns + right
        d2.append((code >> 4).to(torch.float32) * (1.0 / (1 << 23)))
        sy.append(site_y.gather(1, node) + down)
        sx.append(site_x.gather(1, node) + right)
        name.append(lattice.gather(1, node))
    scale = spacing_m.to(torch.float32)[:, None]
    edges = []
    for other in (1, 2):
        gap_y, gap_x = sy[other] - sy[0], sx[other] - sx[0]
        edges.append((d2[other] - d2[0]) / (2 * torch.sqrt(gap_y * gap_y + gap_x * gap_x).clamp(min=1e-3)))
    edge = torch.minimum(*edges) * scale
    junction = (torch.sqrt(d2[2]) - torch.sqrt(d2[0])) * 0.5 * scale
    meeting = mix(name[0] + name[1] + name[2])
    return Cells(*(v.reshape(points.shape) for v in (name[0], edge, junction, meeting)))


def partition(along: Tensor, word: Tensor, jitter: float = 0.6) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a line into pieces of unit mean length with uneven ends.

    Parameters
    ----------
    along : (...) float32 position
    word : (...) int64; every word cuts differently
    jitter : 0: even pieces; towards 1: uneven

    Returns
    -------
    number (...) int64 of the piece; distance (...) to its nearer end, length (...) of it, in units of `along`
    """
    node = torch.floor(along + 0.5)
    number = node.to(torch.int64)

    def cut(n: Tensor) -> Tensor:
        return n.to(torch.float32) + jitter * (fraction(hashed(word, n)) - 0.5)

    here = cut(number)
    after = along >= here
    number = torch.where(after, number, number - 1)
    there = cut(torch.where(after, number + 1, number))
    start, end = torch.where(after, here, there), torch.where(after, there, here)
    return number, torch.minimum(along - start, end - along), end - start


def covered(distance_m: Tensor, half_m: Tensor | float, cell_m: Tensor, dice: Tensor) -> Tensor:
    """(N, H, W) bool: cells that a line covers, each by the chance of its covered share.

    A line narrower than a cell thus covers its true area in the mean, and one much wider has an edge one cell soft.

    Parameters
    ----------
    distance_m : (N, H, W) from the cell's middle to the line's middle [m]
    half_m : half the line's width [m]; 0: no line
    cell_m : (N, 1, 1) [m]
    dice : (N, H, W) uniform in [0, 1)
    """
    far, near = distance_m + 0.5 * cell_m, distance_m - 0.5 * cell_m
    share = torch.minimum(far, torch.as_tensor(half_m)) - torch.maximum(near, -torch.as_tensor(half_m))
    return share > dice * cell_m


@dataclass(frozen=True)
class Places:
    """Some cells of N windows, as a list: what few cells have need not be worked out for all.

    Parameters
    ----------
    at : (M,) int64 flat position in (N, H, W)
    shape : (N, H, W)
    """

    at: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def where(cls, chosen: Tensor) -> Places:
        """The cells that are True in (N, H, W)."""
        n, h, w = chosen.shape
        return cls(chosen.flatten().nonzero()[:, 0], (n, h, w))

    @property
    def scene(self) -> Tensor:
        """(M,) which scene each lies in."""
        return self.at // (self.shape[1] * self.shape[2])

    def of(self, plane: Tensor) -> Tensor:
        """(M,) their values of a plane (N, H, W)."""
        return plane.expand(self.shape).reshape(-1).index_select(0, self.at)

    def onto(self, values: Tensor, elsewhere: float | int | bool) -> Tensor:
        """(N, H, W) plane with these values, and `elsewhere` in all other cells."""
        plane = torch.full((math.prod(self.shape),), elsewhere, dtype=values.dtype, device=values.device)
        plane[self.at] = values
        return plane.reshape(self.shape)
