"""The sheet: a scene or a map as planes that can be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraficta.synth.labels.use import uses_of
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, Legend
from terraficta.synth.types.tile import Tile

LAYERS = ("elevation_m", "surface_m", "building")
"""layers of truth that a card reads, where they are there"""


@dataclass(frozen=True, eq=False)
class Sheet:
    """What a card is made of. All planes (H, W), rows from the north.

    Parameters
    ----------
    name : str
        of the scene or the map
    label : NDArray[np.uint8]
        class + 1; 0: not known
    legend : Legend
        of the label
    grid : Grid
        where the pixels lie, and how large they are
    share : NDArray[np.float64]
        (K,) of the known area that each class covers; sums to 1
    water, settled : NDArray[np.bool_]
        what counts as open water, and as settlement
    elevation_m, surface_m : NDArray[np.float32] | None
        height of the ground, and of the water where any stands on it [m]
    building : NDArray[np.int32] | None
        numbers of buildings, 0 elsewhere
    key : SceneKey | None
        of fiction, by which its places are named; None: a map of real land, whose places have names already
    facts : Mapping[str, Any]
        what was drawn, or what is said of the map
    """

    name: str
    label: NDArray[np.uint8]
    legend: Legend
    grid: Grid
    share: NDArray[np.float64]
    water: NDArray[np.bool_]
    settled: NDArray[np.bool_]
    elevation_m: NDArray[np.float32] | None = None
    surface_m: NDArray[np.float32] | None = None
    building: NDArray[np.int32] | None = None
    key: SceneKey | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) [px]."""
        return self.grid.shape

    @property
    def pixel_ha(self) -> float:
        """Area of a pixel [ha]."""
        return self.grid.gsd_m**2 / 10_000.0

    def class_at(self, y_px: int, x_px: int) -> str | None:
        """Name of the class of a pixel; None where it is not known."""
        k = int(self.label[y_px, x_px])
        return self.legend.classes[k - 1] if k else None


def sheet_of_tile(tile: Tile) -> Sheet:
    """A tile of fiction in our own legend as a sheet."""
    mass = tile.mass.double().cpu()
    total = float(mass.sum())
    layers = {name: tile.layers[name].cpu().numpy() for name in LAYERS if name in tile.layers}
    seed, index = tile.facts.get("seed"), tile.facts.get("index")
    label = tile.label().cpu().numpy()
    return Sheet(
        name=tile.id,
        label=label,
        legend=tile.legend,
        grid=tile.grid,
        share=(mass.sum((1, 2)) / max(total, 1e-12)).numpy(),
        water=label == TERRAFICTA.index("water") + 1,
        settled=uses_of(tile.mass, tile.grid.gsd_m)[0].cpu().numpy() > 0,
        key=None if seed is None or index is None else SceneKey(int(seed), int(index)),
        facts=tile.facts,
        **layers,
    )
