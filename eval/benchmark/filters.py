"""Random convolutional features: patches of the images themselves as filters, never trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from terraficta.finetune.encoder import labelled_parts
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.tileset.labels import Labels
from terraficta.pretrain.scaling import BandRange, Scaling
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.tile import Tile

FILTERS = 256
"""patches that are filters"""
PATCH_PX = 3
"""their side, as in Rolf et al. [px]"""
POOLED_PX = (5, 15)
"""sides of the neighbourhoods over which responses are averaged [px]; theirs is a whole image of 1 km"""
LEAST_VARIANCE = 1e-3
"""added to the variances of patches before whitening, as a share of their mean: flat ground has no texture"""
MOST_PATCHES = 4096
"""patches that the whitening is learnt from"""


@dataclass(frozen=True)
class FilterBank:
    """A bank of random patches.

    Parameters
    ----------
    range : BandRange
        (B,) by which bands are standardised
    filters : Tensor
        (FILTERS, B, 3, 3) whitened patches
    bias : Tensor
        (FILTERS,) response to the mean patch

    Source
    ------
    Rolf et al. 2021 (MOSAIKS), doi 10.1038/s41467-021-24638-z: patches of 3 x 3, whitened, a rectifier, an average.
    Departures: features are of a pixel's surroundings of two sizes in place of a whole image; 256 filters in place of
    8192; any number of bands.
    """

    range: BandRange
    filters: Tensor
    bias: Tensor

    @classmethod
    def learn(cls, tiles: Sequence[Tile], seed: int = 0) -> FilterBank:
        """From images of the train fold, without a label; patches that touch missing pixels are left out."""
        spread = Scaling.fit(tiles, fold=1).common
        rng, patches = SceneKey(seed, 0).at("patches").rng(), []
        each = max(1, MOST_PATCHES // len(tiles))
        for tile in tiles:
            image = spread.relative(tile.image.clone())
            whole = functional.max_pool2d((~tile.valid)[None, None].float(), PATCH_PX, 1)[0, 0] == 0
            if tile.fold is not None:
                whole &= tile.fold[1:-1, 1:-1] != 2
            place = torch.nonzero(whole)
            if len(place) == 0:
                continue
            for y, x in place[torch.from_numpy(rng.integers(len(place), size=each))].tolist():
                patches.append(image[:, y : y + PATCH_PX, x : x + PATCH_PX].reshape(-1))
        found = torch.stack(patches)
        mean = found.mean(0)
        centred = found - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / max(1, len(found) - 1))
        scale = (values.clamp(min=0) + LEAST_VARIANCE * values.clamp(min=0).mean()).rsqrt()
        whiten = vectors @ torch.diag(scale) @ vectors.T
        chosen = torch.from_numpy(rng.integers(len(found), size=FILTERS))
        unit = functional.normalize(centred[chosen] @ whiten, dim=1) @ whiten
        return cls(spread, unit.view(FILTERS, -1, PATCH_PX, PATCH_PX), -unit @ mean)

    def features(self, image: Tensor, valid: Tensor) -> Tensor:
        """Images (N, B, H, W) and (N, H, W) valid to (N, 2 x FILTERS, H, W); missing pixels are average ground."""
        centre = self.range.centre[:, None, None]
        scaled = self.range.relative(torch.where(valid[:, None], image, centre))
        edges = functional.pad(scaled, [PATCH_PX // 2] * 4, mode="replicate")
        response = functional.conv2d(edges, self.filters, self.bias).relu_()
        return torch.cat([_averaged(response, side) for side in POOLED_PX], 1)


def _averaged(x: Tensor, side: int) -> Tensor:
    """Mean over a square around each pixel, down and then across: 2 sides of work in place of a square."""
    down = functional.avg_pool2d(x, (side, 1), 1, (side // 2, 0), count_include_pad=False)
    return functional.avg_pool2d(down, (1, side), 1, (0, side // 2), count_include_pad=False)


def read_filters(tiles: Sequence[Tile], others: Sequence[Tile]) -> _FilterReading:
    """Learn a bank of the train fold's images; `Learn` of a `Reader`."""
    return _FilterReading(FilterBank.learn(tiles))


class _FilterReading:
    """Features of pixels, each with zero mean and unit variance over the first pixels that are asked for."""

    def __init__(self, bank: FilterBank) -> None:
        self._bank = bank
        self._scale: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def __call__(self, tiles: Sequence[Tile], labels: Labels) -> Evidence:
        found = torch.empty(len(labels), len(POOLED_PX) * FILTERS)
        for part in labelled_parts(tiles, labels):
            features = self._bank.features(part.image, part.valid)[0].flatten(1)
            found[part.which] = features[:, part.place].T
        if self._scale is None:
            self._scale = found.mean(0), found.std(0).clamp(min=1e-6)
        mean, spread = self._scale
        return Evidence((found - mean) / spread, None, None, np.zeros((len(labels), 0), np.float32))
