"""Scatter: things strewn over the world, each at its own site, seen from every place around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, uniform
from terraficta.synth.scene.world.window import Points, Window


@dataclass(frozen=True)
class Site:
    """One of the nine sites around every place: which (N, P) int64 in the tables, how far the place lies from it."""

    which: Tensor
    dy: Tensor
    dx: Tensor


@dataclass(frozen=True)
class Sites:
    """One site in every square of a lattice, anywhere within the square.

    Parameters
    ----------
    at : Points
        (N, R, C) the sites in the frame of the points
    identity : Tensor
        (N, R*C) int64 a hash for each
    spacing_m : Tensor
        (N,) float64 side of the squares [m]
    square : Tensor
        (N, P) int64 flat square of each point
    way_y, way_x : Tensor
        (N, P) float32 from the corner of that square, in squares
    """

    at: Points
    identity: Tensor
    spacing_m: Tensor
    square: Tensor
    way_y: Tensor
    way_x: Tensor

    @property
    def columns(self) -> int:
        """Squares in a row of the tables."""
        return self.at.shape[2]

    def draw(self, number: salt.Salt) -> Tensor:
        """(N, R*C) float32 uniform in [0, 1), one a site."""
        return uniform(self.identity, number)

    def around(self) -> Iterator[Site]:
        """The sites of the 3 x 3 squares around each place, one by one; offsets in metres."""
        metres = self.spacing_m.to(torch.float32)[:, None]
        site_y, site_x = self.draw(salt.Site.Y), self.draw(salt.Site.X)
        for k in range(9):
            j, i = k // 3 - 1, k % 3 - 1
            which = self.square + (j * self.columns + i)
            dy = (self.way_y - j - site_y.gather(1, which)) * metres
            dx = (self.way_x - i - site_x.gather(1, which)) * metres
            yield Site(which, dy, dx)


def turned(at: Window | Points, sine: Tensor, cosine: Tensor) -> Points:
    """The same places in axes turned by an angle, one a scene (N,): y along the direction, x across it."""
    places = at.points() if isinstance(at, Window) else at
    s, c = (v.to(torch.float64)[:, None, None] for v in (sine, cosine))
    return Points(s * places.x_m + c * places.y_m, c * places.x_m - s * places.y_m, places.cell_m)


def scatter(points: Points, spacing_m: Tensor, seed: Tensor) -> Sites:
    """Strew sites over the world around these points, one in every square of `spacing_m` (N,).

    A thing may reach one spacing from its site at most: sites further than one square away are not looked at.
    """
    lines = spacing_m[:, None, None]
    along_y, along_x = points.y_m / lines, points.x_m / lines
    row, column = torch.floor(along_y), torch.floor(along_x)
    way_y, way_x = (along_y - row).to(torch.float32), (along_x - column).to(torch.float32)
    row, column = row.to(torch.int64), column.to(torch.int64)
    first_row, first_column = row.amin((1, 2)) - 1, column.amin((1, 2)) - 1
    row, column = row - first_row[:, None, None], column - first_column[:, None, None]
    rows, columns = int(row.max()) + 2, int(column.max()) + 2
    down = first_row[:, None] + torch.arange(rows, device=seed.device)
    right = first_column[:, None] + torch.arange(columns, device=seed.device)
    identity = hashed(hashed(seed[:, None], down)[:, :, None], right[:, None, :])
    at = Points(
        (down[:, :, None] + uniform(identity, salt.Site.Y).to(torch.float64)) * lines,
        (right[:, None, :] + uniform(identity, salt.Site.X).to(torch.float64)) * lines,
        spacing_m,
    )
    square = (row * columns + column).flatten(1)
    return Sites(at, identity.flatten(1), spacing_m, square, way_y.flatten(1), way_x.flatten(1))
