"""Texture: what is finer than a few cells, and the rows in which people plant."""

from __future__ import annotations

import torch
from torch import Tensor

from terraficta.synth.scene.world.chance import hashed, uniform
from terraficta.synth.scene.world.window import Window

ROWS_SEEN_M = 1.5
"""cells larger than this show no rows [m]"""
CLOSE_ROWS_M = 0.4
"""rows closer than this are one green to any cell; their fields show the tracks of the sprayer instead [m]"""
TRACKS_M = 24.0
"""distance of those tracks, the common width of a sprayer's boom [m]"""
WHEELS_M = (0.45, 1.9)
"""width of a wheel track, distance of the two [m]"""


def grain(window: Window, seed: Tensor) -> Tensor:
    """Random deviations (N, H, W) of unit variance: half from cell to cell, half over three by three cells.

    The same for a cell of the world in every window.

    Parameters
    ----------
    window : Window
        of the world
    seed : Tensor
        (N,) int64, of each scene
    """
    y, x = (_one_more(torch.floor(m / window.cell_m[:, None]).to(torch.int64)) for m in (window.y_m, window.x_m))
    speck = uniform(hashed(hashed(seed[:, None], y)[:, :, None], x[:, None, :])) - 0.5
    row = speck[:, :-2] + speck[:, 1:-1] + speck[:, 2:]
    patch = row[:, :, :-2] + row[:, :, 1:-1] + row[:, :, 2:]
    # a uniform number has the variance 1/12, the sum of nine 9/12: half of the variance each
    return speck[:, 1:-1, 1:-1] * 6**0.5 + patch * (6**0.5 / 3)


def _one_more(cell: Tensor) -> Tensor:
    """Cell numbers (N, H) with the one before and the one after."""
    return torch.cat([cell[:, :1] - 1, cell, cell[:, -1:] + 1], 1)


def strips(across_m: Tensor, spacing_m: Tensor, share: Tensor, cell_m: Tensor) -> Tensor:
    """Share of each cell that lies in strips: the exact mean over the cell's width, so nothing aliases.

    Parameters
    ----------
    across_m : Tensor
        (M,) float64 place of the cell's middle across the strips [m]
    spacing_m : Tensor
        (M,) float64 from strip to strip [m]
    share : Tensor
        (M,) float64 of the ground in strips, 0..1
    cell_m : Tensor
        (M,) float64 [m]
    """

    def up_to(along: Tensor) -> Tensor:
        whole = torch.floor(along)
        return whole * share + torch.minimum(along - whole, share)

    middle, half = across_m / spacing_m, 0.5 * cell_m / spacing_m
    return (up_to(middle + half) - up_to(middle - half)) / (2 * half)


def planted(
    y_m: Tensor, x_m: Tensor, row_rad: Tensor, spacing_m: Tensor, closure: Tensor, cell_m: Tensor
) -> tuple[Tensor, Tensor]:
    """How much of each cell (M,) plants in rows hide, and how much they hide in the mean.

    Parameters
    ----------
    y_m, x_m : Tensor
        (M,) float64 place in the world [m]
    row_rad : Tensor
        (M,) direction of the rows, as in `synth/types/crop.py` [rad]
    spacing_m : Tensor
        (M, 2) between rows and along them [m]; along: 0 where plants touch
    closure : Tensor
        (M,) share of the ground that plants hide
    cell_m : Tensor
        (M,) float64 [m]
    """
    sin, cos = torch.sin(row_rad.double()), torch.cos(row_rad.double())
    across, along = x_m * sin - y_m * cos, x_m * cos + y_m * sin
    between, apart = spacing_m.double().unbind(1)
    trees, close = apart > 0, between < CLOSE_ROWS_M
    one = torch.ones_like(across)
    side = torch.where(trees, closure.double().sqrt(), closure.double())
    rows = strips(across, torch.where(close, one, between), side, cell_m)
    crowns = strips(along, torch.where(trees, apart, one), side, cell_m)
    wheel, gauge = WHEELS_M
    boom, tyre = TRACKS_M * one, wheel / TRACKS_M * one
    tracks = strips(across, boom, tyre, cell_m) + strips(across + gauge, boom, tyre, cell_m)
    mean = torch.where(close, 1 - 2 * tyre, closure.double())
    cover = torch.where(close, 1 - tracks, torch.where(trees, rows * crowns, rows))
    # rows fade out where they are narrower than two to three cells
    seen = torch.where(close, one, (between / cell_m - 2).clamp(0, 1))
    return mean + seen * (cover - mean), mean
