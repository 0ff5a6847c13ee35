"""Patches: what a class covers, in how many pieces, and what it borders on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terraficta.synth.card.sheet import Sheet

EIGHT = np.ones((3, 3), dtype=np.int8)
"""pixels that touch at a corner belong together"""


@dataclass(frozen=True)
class ClassArea:
    """What a class covers.

    Parameters
    ----------
    name, colour : str
        of the class
    share : float
        of the known area
    area_ha : float
        by class mass, so that parts of pixels count [ha]
    patches : int
        connected pieces of the map, by eight neighbours
    largest_ha, mean_ha : float
        size of a patch [ha]
    edge_m_ha : float
        length of its borders over its mapped area [m ha-1]
    """

    name: str
    colour: str
    share: float
    area_ha: float
    patches: int
    largest_ha: float
    mean_ha: float
    edge_m_ha: float


@dataclass(frozen=True)
class Border:
    """Two classes that lie side by side.

    Parameters
    ----------
    a, b : str
        the classes
    length_m : float
        of their common border along pixel edges [m]
    share_a, share_b : float
        of all borders of each with another class
    """

    a: str
    b: str
    length_m: float
    share_a: float
    share_b: float


def class_areas(sheet: Sheet) -> list[ClassArea]:
    """Every class that covers anything, the largest first."""
    edges = border_lengths_m(sheet)
    known_ha = float((sheet.label > 0).sum()) * sheet.pixel_ha
    rows = []
    for k in np.flatnonzero(sheet.share > 0):
        sizes_ha = patch_sizes(sheet.label == k + 1) * sheet.pixel_ha
        mapped_ha = float(sizes_ha.sum())
        rows.append(
            ClassArea(
                name=sheet.legend.classes[k],
                colour=sheet.legend.colours[k],
                share=float(sheet.share[k]),
                area_ha=float(sheet.share[k]) * known_ha,
                patches=len(sizes_ha),
                largest_ha=float(sizes_ha.max(initial=0.0)),
                mean_ha=mapped_ha / max(len(sizes_ha), 1),
                edge_m_ha=float(edges[k].sum()) / mapped_ha if mapped_ha else 0.0,
            )
        )
    return sorted(rows, key=lambda row: -row.share)


def borders(sheet: Sheet) -> list[Border]:
    """Every pair of classes that lie side by side, the longest border first."""
    edges = border_lengths_m(sheet)
    whole = edges.sum(1)
    names = sheet.legend.classes
    pairs = [(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(edges, 1)), strict=True)]
    rows = [
        Border(names[i], names[j], float(edges[i, j]), float(edges[i, j] / whole[i]), float(edges[i, j] / whole[j]))
        for i, j in pairs
    ]
    return sorted(rows, key=lambda row: -row.length_m)


def patch_sizes(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pixels of each connected piece of a mask (H, W)."""
    number, count = ndimage.label(mask, structure=EIGHT)
    return np.bincount(number.reshape(-1), minlength=count + 1)[1:]


def border_lengths_m(sheet: Sheet) -> NDArray[np.float64]:
    """(K, K) length of the borders between classes, symmetric, 0 along the diagonal [m]."""
    count = len(sheet.legend) + 1
    edges = np.zeros((count, count))
    code = sheet.label.astype(np.int64)
    for first, second in ((code[:-1], code[1:]), (code[:, :-1], code[:, 1:])):
        pairs = (first * count + second).reshape(-1)
        edges += np.bincount(pairs, minlength=count * count).reshape(count, count)
    edges = (edges + edges.T) * sheet.grid.gsd_m
    np.fill_diagonal(edges, 0.0)
    return edges[1:, 1:]


def middle(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel of a mask that is nearest to its centre of mass."""
    y, x = np.nonzero(mask)
    nearest = int(((y - y.mean()) ** 2 + (x - x.mean()) ** 2).argmin())
    return int(y[nearest]), int(x[nearest])
