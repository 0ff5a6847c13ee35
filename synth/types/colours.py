"""Colours for classes that have none: as many as there are classes, as far apart as eyes can tell."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# M. Okabe, K. Ito 2008, Color Universal Design; without black, which is taken for missing ground
SAFE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
"""told apart by colour-blind eyes as well; the first that are dealt"""
STEPS = 18
"""levels of red, green and blue that further colours are chosen from"""
LIGHTNESS = (25.0, 92.0)
"""of CIELAB: darker and lighter colours are taken for missing ground"""
DULLEST = 12.0
"""chroma of CIELAB below which a colour is a grey"""


@lru_cache
def distinct_colours(count: int) -> tuple[str, ...]:
    """`count` colours '#rrggbb', each as far as can be from those before it (CIELAB), after seven safe ones.

    Examples
    --------
    >>> len(set(distinct_colours(40)))
    40
    """
    levels = np.linspace(0, 255, STEPS).round()
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    lab = _lab(grid)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    usable = (lab[:, 0] >= LIGHTNESS[0]) & (lab[:, 0] <= LIGHTNESS[1]) & (chroma >= DULLEST)
    grid, lab = grid[usable], lab[usable]
    chosen = [*SAFE[:count]]
    far = np.full(len(grid), np.inf)
    for colour in _lab(np.array([[int(c[n : n + 2], 16) for n in (1, 3, 5)] for c in SAFE], float)):
        far = np.minimum(far, ((lab - colour) ** 2).sum(1))
    while len(chosen) < count:
        best = int(far.argmax())
        red, green, blue = (int(v) for v in grid[best])
        chosen.append(f"#{red:02x}{green:02x}{blue:02x}")
        far = np.minimum(far, ((lab - lab[best]) ** 2).sum(1))
    return tuple(chosen)


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB (N, 3) of sRGB (N, 3) in 0..255 (IEC 61966-2-1, white D65)."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
