"""The place as context: spherical harmonics of where pixels lie, fine enough for one scene, for a head to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.warp import transform as moved

from terraficta.eval.location.harmonics import harmonics
from terraficta.finetune.tileset.labels import Labels
from terraficta.synth.types.grid import GEOGRAPHIC
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

DEGREES = 11
"""of the harmonics; over a scene they differ as polynomials do, the more finely the higher"""
KEPT = 1e-5
"""share of the largest deviation below which a direction is rounding: harmonics of neighbours are almost alike"""
ALONG = 12
"""places along each side of a tile that the deviations are learnt from"""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PlaceEncoder:
    """Spherical harmonics in directions of falling deviation over some ground, each of unit deviation.

    Parameters
    ----------
    mean : Floats
        (F,) of the harmonics
    direction : Floats
        (F, E)
    """

    mean: Floats
    direction: Floats

    @classmethod
    def of(cls, tiles: Sequence[Tile]) -> PlaceEncoder:
        """Fit on places spread evenly over tiles; no label is looked at.

        Raises
        ------
        Refusal
            a tile without coordinates
        """
        seen = np.concatenate([_on_sphere(tile, *_spread(tile)) for tile in tiles])
        mean = seen.mean(0)
        _, deviation, direction = np.linalg.svd((seen - mean) / np.sqrt(len(seen)), full_matrices=False)
        kept = deviation > KEPT * deviation[0]
        return cls(mean, direction[kept].T / deviation[kept])

    def at(self, tiles: Sequence[Tile], labels: Labels) -> NDArray[np.float32]:
        """(P, E) of pixels of tiles, in their order."""
        found = np.zeros((len(labels), self.direction.shape[1]), dtype=np.float32)
        for t in torch.unique(labels.tile).tolist():
            mine = (labels.tile == t).numpy()
            place = _on_sphere(tiles[t], labels.y.numpy()[mine], labels.x.numpy()[mine])
            found[mine] = (place - self.mean) @ self.direction
        return found


def _spread(tile: Tile) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of places over a tile."""
    rows, columns = (np.linspace(0, side - 1, ALONG).round().astype(np.int64) for side in tile.grid.shape)
    return np.repeat(rows, ALONG), np.tile(columns, ALONG)


def _on_sphere(tile: Tile, y: NDArray[np.int64], x: NDArray[np.int64]) -> Floats:
    """(P, F) harmonics of pixels."""
    if tile.grid.transform is None or tile.grid.crs is None:
        mend = "leave the place out, or give the file a georeference (gdal_edit.py -a_srs, -a_ullr)"
        raise Refusal(tile.id, "crs", "no coordinates", "a coordinate reference system", mend)
    east, north = tile.grid.transform * (x + 0.5, y + 0.5)
    longitude, latitude = moved(tile.grid.crs, GEOGRAPHIC, east.tolist(), north.tolist())
    found: Floats = harmonics(torch.tensor(longitude), torch.tensor(latitude), DEGREES).numpy()
    return found
