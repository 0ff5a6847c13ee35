"""Pixels: some places in a tile, and what a per-pixel classifier may know of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.finetune.context import band_pairs, normalised_differences
from terraficta.finetune.tileset.labels import Labels
from terraficta.finetune.tileset.tileset import one_date
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

Features = Literal["spectra", "context", "ratios", "difference", "magnitude", "location"]

CONTEXT_PX = 5
"""side of the neighbourhood whose mean and standard deviation `context` adds [px]"""
FAR_PX = 4096
"""distance between tiles that have no place on earth: more than any of them is wide [px]"""
CHUNK = 8_000_000
"""numbers gathered at once [floats]: 32 MB"""


class Pixels:
    """Some pixels of a tile, with features that are computed once and kept.

    Parameters
    ----------
    tile : Tile
        that they lie in
    y, x : Tensor
        (n,) rows and columns
    mass : Tensor
        (K, n) class mass that is known of them
    """

    def __init__(self, tile: Tile, y: Tensor, x: Tensor, mass: Tensor) -> None:
        self.tile, self.y, self.x, self.mass = tile, y, x, mass

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def spectra(self) -> NDArray[np.float32]:
        """(n, B): the pixel itself."""
        return self.tile.image[:, self.y, self.x].T.contiguous().numpy()

    @cached_property
    def context(self) -> NDArray[np.float32]:
        """(n, 3 B): the pixel, and mean and standard deviation of the valid pixels in 5x5 around it."""
        height, width = self.tile.grid.shape
        reach = CONTEXT_PX // 2
        dy, dx = (v.reshape(-1) for v in torch.meshgrid(*[torch.arange(-reach, reach + 1)] * 2, indexing="ij"))
        step = max(1, CHUNK // (len(dy) * len(self.tile.sensor)))
        parts = []
        for y, x in zip(self.y.split(step), self.x.split(step), strict=True):
            ny, nx = y[:, None] + dy, x[:, None] + dx
            inside = (ny >= 0) & (ny < height) & (nx >= 0) & (nx < width)
            ny, nx = ny.clamp(0, height - 1), nx.clamp(0, width - 1)
            weight = (inside & self.tile.valid[ny, nx]).float()
            weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
            around = self.tile.image[:, ny, nx]  # (B, n, 25)
            mean = (around * weight).sum(-1)
            spread = ((around - mean[..., None]).square() * weight).sum(-1).sqrt()
            parts.append(torch.cat([mean, spread]).T)
        return np.concatenate([self.spectra, torch.cat(parts).numpy()], axis=1)

    @cached_property
    def ratios(self) -> NDArray[np.float32]:
        """(n, 3 B + pairs): the context, and normalised differences of band pairs."""
        dates = self.tile.dates
        pairs = band_pairs(one_date(self.tile.sensor, dates), dates)
        found = normalised_differences(torch.from_numpy(self.spectra), pairs)
        return np.concatenate([self.context, found.numpy()], axis=1)

    @cached_property
    def location(self) -> NDArray[np.float32]:
        """(n, 2): where the pixel lies on the ground, in pixels; tiles without a place lie far from each other."""
        transform, y, x = self.tile.grid.transform, self.y.double().numpy(), self.x.double().numpy()
        if transform is None:
            first = zlib.crc32(self.tile.id.encode()) % 4096 * FAR_PX
            return np.stack([y + first, x], axis=1).astype(np.float32)
        side = np.sqrt(abs(transform.determinant))
        east, north = (part / side for part in transform * (x + 0.5, y + 0.5))
        return np.stack([north, east], axis=1).astype(np.float32)

    @cached_property
    def difference(self) -> NDArray[np.float32]:
        """(n, B): after less before, each date in spreads from its own mean: haze and season of a whole image are out.

        Raises
        ------
        Refusal
            a tile of one date
        """
        if self.tile.dates != 2:
            mend = "benchmark it on a tileset with task: change"
            raise Refusal(self.tile.id, "dates", 1, "two, before and after", mend)
        every = self.tile.image[:, self.tile.valid]
        mean, spread = every.mean(1, keepdim=True), every.std(1, keepdim=True).clamp(min=1e-6)
        before, after = ((torch.from_numpy(self.spectra).T - mean) / spread).chunk(2)
        return (after - before).T.contiguous().numpy()

    @cached_property
    def magnitude(self) -> NDArray[np.float32]:
        """(n, 1): length of the change vector."""
        return np.linalg.norm(self.difference, axis=1, keepdims=True)


def label_features(tiles: Sequence[Tile], labels: Labels, kind: Features) -> NDArray[np.float32]:
    """(P, F) features of drawn labels, in their order."""
    found: NDArray[np.float32] | None = None
    for number, tile in enumerate(tiles):
        mine = np.flatnonzero(labels.tile.numpy() == number)
        if len(mine) == 0:
            continue
        some = getattr(Pixels(tile, labels.y[mine], labels.x[mine], labels.mass[mine].T), kind)
        found = np.empty((len(labels), some.shape[1]), dtype=np.float32) if found is None else found
        found[mine] = some
    if found is None:
        raise Refusal("labels", "number", 0, "at least one label", "ask for more labels")
    return found


def features_of(pixels: Sequence[Pixels], kind: Features) -> NDArray[np.float32]:
    """(n, F) features of pixels, tile after tile."""
    found: NDArray[np.float32] = np.concatenate([getattr(own, kind) for own in pixels])
    return found


def fold_pixels(tiles: Sequence[Tile], fold: int, most: int, name: str) -> list[Pixels]:
    """The labelled pixels of a fold; where there are more than `most`, a plain random sample of that size.

    The sample hangs on `name` alone, so every arm, seed and number of labels is scored on the same pixels.
    `most` = 0 takes all.
    """
    where = [torch.nonzero(tile.in_fold(fold), as_tuple=True) for tile in tiles]
    sizes = [len(y) for y, _ in where]
    total = sum(sizes)
    if 0 < most < total:
        rng = SceneKey(zlib.crc32(name.encode()), 0).at("sample", fold, most).rng()
        chosen = torch.from_numpy(np.sort(rng.choice(total, size=most, replace=False)))
        first = np.cumsum([0, *sizes])
        inside = [chosen[(chosen >= a) & (chosen < b)] - a for a, b in zip(first[:-1], first[1:], strict=True)]
        where = [(y[rows], x[rows]) for (y, x), rows in zip(where, inside, strict=True)]
    return [Pixels(tile, y, x, tile.mass[:, y, x]) for tile, (y, x) in zip(tiles, where, strict=True) if len(y)]


def labels_of(pixels: Sequence[Pixels]) -> Labels:
    """What is known of pixels as labels: `tile` numbers the groups of pixels, `mass` is whole."""
    legend = pixels[0].tile.legend
    return Labels(
        torch.cat([torch.full((len(own),), n) for n, own in enumerate(pixels)]),
        torch.cat([own.y for own in pixels]), torch.cat([own.x for own in pixels]),
        torch.cat([own.mass.T for own in pixels]), legend, "all",
    )  # fmt: skip
