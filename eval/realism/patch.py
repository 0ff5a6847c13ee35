"""The patch: a small square of an image, and the figures that a classifier may tell fiction from real land by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.tile import Tile

SIDE_PX = 32
"""of a patch"""
MOST = 400
"""patches of a side that are looked at"""
BANDS = 7
"""evenly picked, those of NDVI beside them: more say little else"""
NDVI_NM = (850.0, 660.0)
"""near infrared and red [nm]"""
STRETCH = (0.02, 0.98)
"""quantiles of a scene between which uncalibrated numbers are compared"""


@dataclass(frozen=True)
class Patches:
    """Patches of some tiles.

    Parameters
    ----------
    image : Tensor
        (P, B, SIDE_PX, SIDE_PX) reflectance, or where that is not known the scene's own 0..1
    tile : NDArray[np.int64]
        (P,) which tile each is of
    bands : tuple[str, ...]
        names of the B bands
    centre_nm : tuple[float, ...]
        of the bands [nm]
    """

    image: Tensor
    tile: NDArray[np.int64]
    bands: tuple[str, ...]
    centre_nm: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: NDArray[np.int64]) -> Patches:
        """Some of them."""
        return replace(self, image=self.image[torch.from_numpy(rows)], tile=self.tile[rows])

    def ndvi(self) -> Tensor:
        """(P, h, w) normalised difference of the bands nearest to 850 and 660 nm."""
        near = [min(range(len(self.bands)), key=lambda n: abs(self.centre_nm[n] - goal)) for goal in NDVI_NM]
        nir, red = (self.image[:, n].clamp(min=0) for n in near)
        return (nir - red) / (nir + red).clamp(min=1e-3)


def cut_patches(tiles: Sequence[Tile], pooled: int = 1, most: int = MOST) -> Patches:
    """Patches without missing pixels, at random from all tiles.

    Parameters
    ----------
    pooled : int
        pixels that are averaged along a side first: what a coarser camera would see
    most : int
        patches
    """
    first = tiles[0]
    evenly = np.linspace(0, len(first.sensor) - 1, BANDS).round().astype(int).tolist()
    red_and_nir = [int((first.sensor.centre_nm - goal).abs().argmin()) for goal in NDVI_NM]
    bands = sorted({*evenly, *red_and_nir})
    parts, of = [], []
    for number, tile in enumerate(tiles):
        image, valid = _seen(tile, bands, pooled)
        squares = image.unfold(1, SIDE_PX, SIDE_PX).unfold(2, SIDE_PX, SIDE_PX).flatten(1, 2).transpose(0, 1)
        whole = valid.unfold(0, SIDE_PX, SIDE_PX).unfold(1, SIDE_PX, SIDE_PX).flatten(0, 1).flatten(1).all(1)
        parts.append(squares[whole])
        of.append(np.full(int(whole.sum()), number, dtype=np.int64))
    image, tile_of = torch.cat(parts), np.concatenate(of)
    rows = SceneKey(0, len(image)).at("patches").rng().permutation(len(image))[:most]
    names = tuple(first.sensor.bands[b].name for b in bands)
    centre = tuple(float(first.sensor.centre_nm[b]) for b in bands)
    return Patches(image, tile_of, names, centre).take(np.sort(rows))


def _seen(tile: Tile, bands: list[int], pooled: int) -> tuple[Tensor, Tensor]:
    image, valid = tile.image[bands].float(), tile.valid
    if tile.level not in ("BOA", "TOA"):
        known = image[:, valid][:, ::17]
        low, high = (torch.quantile(known, q, dim=1)[:, None, None] for q in STRETCH)
        image = ((image - low) / (high - low).clamp(min=1e-6)).clamp(-0.2, 1.2)
    if pooled > 1:
        image = functional.avg_pool2d(image[None], pooled)[0]
        valid = functional.avg_pool2d(valid[None, None].float(), pooled)[0, 0] > 0.999
    return image, valid


def figures_of(patches: Patches) -> tuple[NDArray[np.float64], list[str]]:
    """(P, F) level, spread, roughness, tail and correlation of bands, and what each is called."""
    flat = patches.image.flatten(2)
    level, spread = flat.median(2).values, flat.std(2)
    step = (patches.image[..., 1:, :] - patches.image[..., :-1, :]).abs().mean((2, 3))
    far = (patches.image[..., 8:, :] - patches.image[..., :-8, :]).abs().mean((2, 3))
    tail = flat.quantile(0.95, dim=2) - level
    centred = (flat - flat.mean(2, keepdim=True)) / spread[..., None].clamp(min=1e-6)
    alike = centred @ centred.transpose(1, 2) / (flat.shape[2] - 1)
    a, b = torch.triu_indices(flat.shape[1], flat.shape[1], 1)
    parts = {"level": level, "spread": spread, "roughness": step / far.clamp(min=1e-6),
             "tail": tail / spread.clamp(min=1e-6)}  # fmt: skip
    names = [f"{kind} of {band}" for kind in parts for band in patches.bands]
    names += [f"correlation of {patches.bands[i]} and {patches.bands[j]}" for i, j in zip(a, b, strict=True)]
    return torch.cat([*parts.values(), alike[:, a, b]], 1).double().numpy(), names
