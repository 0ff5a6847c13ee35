"""The split: which ground trains and which tests, in spatial blocks with a seam between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from rasterio.windows import Window
from torch import Tensor

from terraficta.finetune.tileset.drawn import parts_of, whole
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey

TEST_SHARE = 1 / 3
"""of the ground"""
BLOCKS_A_SIDE = 6
"""blocks along the shorter side of a typical scene: enough for every class to lie in several"""
SEAMS_A_BLOCK = 16
"""a seam is this part of a block's side, at least one pixel"""
DEALS = 64
"""random assignments of blocks that are compared"""

TRAIN, TEST = 1, 2

Address = tuple[str, int, int]
LabelOf = Callable[[Window], Tensor]
"""part of a scene -> (h, w) uint8 label, 0 unlabelled"""


@dataclass(frozen=True)
class BlockSplit:
    """A chequer of ground, every block of it wholly train or wholly test.

    Blocks are addressed on the ground (in map coordinates, where there are any), so two scenes of the same
    place never put the same ground into both folds.

    Parameters
    ----------
    block_px : int
        side of a block [px]
    seam_px : int
        width of the ground on each side of a train / test border that belongs to neither [px]
    deal : int
        which of the random assignments
    """

    block_px: int
    seam_px: int
    deal: int = 0
    _folds: dict[Address, int] = field(default_factory=dict, compare=False, repr=False)

    def blocks(self, grid: Grid, part: Window | None = None) -> tuple[list[Address], np.ndarray]:
        """The addresses of a scene's blocks, and (H, W) the position of each pixel's block among them.

        `part`: of the scene, as in all that follows; None: all of it.
        """
        part = part or whole(grid.shape)
        y, x = (np.arange(first, first + n) for first, n in ((part.row_off, part.height), (part.col_off, part.width)))
        row, column = (np.broadcast_to(n, (len(y), len(x))) for n in self._at(grid, y[:, None], x[None]))
        place, position = np.unique(np.stack([row.ravel(), column.ravel()]), axis=1, return_inverse=True)
        addresses = [(grid.crs or "", int(r), int(c)) for r, c in place.T]
        return addresses, position.reshape(row.shape)

    def addresses_at(self, grid: Grid, y: np.ndarray, x: np.ndarray) -> list[Address]:
        """The addresses of the blocks that some pixels (P,) lie in; the rest of the scene costs nothing."""
        rows, columns = self._at(grid, y, x)
        return [(grid.crs or "", r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]

    def _at(self, grid: Grid, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the block that pixels lie in, counted on the ground, however it is turned."""
        if grid.transform is None:
            north, east = y + 0.0 * x, x + 0.0 * y
        elif grid.transform.b == grid.transform.d == 0:
            # north-up grids of one place share their blocks, also where pixels are not square
            north = (grid.transform.f + (y + 0.5) * grid.transform.e) / abs(grid.transform.e) + 0 * x
            east = (grid.transform.c + (x + 0.5) * grid.transform.a) / abs(grid.transform.a) + 0 * y
        else:
            side = np.sqrt(abs(grid.transform.determinant))
            east, north = (part / side for part in grid.transform * (x + 0.5, y + 0.5))
        return np.floor(north / self.block_px).astype(np.int64), np.floor(east / self.block_px).astype(np.int64)

    def fold_of(self, address: Address) -> int:
        """TRAIN or TEST for a block."""
        if address not in self._folds:
            chance = SceneKey(self.deal, 0).at("split", *address).rng().random()
            self._folds[address] = TEST if chance < TEST_SHARE else TRAIN
        return self._folds[address]

    def __call__(self, grid: Grid, part: Window | None = None) -> Tensor:
        """(H, W) uint8 fold of a scene: 1 train, 2 test, 0 in the seam."""
        part = part or whole(grid.shape)
        y, x = max(0, part.row_off - self.seam_px), max(0, part.col_off - self.seam_px)
        below, right = (
            min(side, first + n + self.seam_px)
            for side, first, n in zip(grid.shape, (part.row_off, part.col_off), (part.height, part.width), strict=True)
        )
        addresses, position = self.blocks(grid, Window(x, y, right - x, below - y))
        fold = torch.from_numpy(np.array([self.fold_of(a) for a in addresses], dtype=np.float32)[position])
        both = torch.stack([fold == TRAIN, fold == TEST]).float()
        near = F.max_pool2d(both, 2 * self.seam_px + 1, stride=1, padding=self.seam_px)
        found = torch.where(near.sum(0) > 1, 0, fold).to(torch.uint8)
        down, across = part.row_off - y, part.col_off - x
        return found[down : down + part.height, across : across + part.width]


def deal_blocks(grids: Sequence[Grid], labels: Sequence[LabelOf], classes: int) -> BlockSplit:
    """The split of some labelled scenes in which every class is nearest to two thirds train, one third test.

    Parameters
    ----------
    grids : Sequence[Grid]
        of the scenes
    labels : Sequence[LabelOf]
        what each has for labels in a part of it
    classes : int
        K
    """
    side_px = int(np.median([min(grid.shape) for grid in grids]))
    block_px = max(2, side_px // BLOCKS_A_SIDE)
    splits = [BlockSplit(block_px, max(1, block_px // SEAMS_A_BLOCK), deal) for deal in range(DEALS)]
    counts: dict[Address, np.ndarray] = {}
    for grid, label_of in zip(grids, labels, strict=True):
        for part in parts_of(grid.shape):
            addresses, position = splits[0].blocks(grid, part)
            cells = position.ravel() * (classes + 1) + label_of(part).numpy().ravel()
            table = np.bincount(cells, minlength=len(addresses) * (classes + 1)).reshape(-1, classes + 1)[:, 1:]
            for address, row in zip(addresses, table, strict=True):
                counts[address] = counts.get(address, 0) + row
    table = np.stack(list(counts.values()))
    present = table.sum(0) > 0

    def imbalance(split: BlockSplit) -> float:
        test = np.array([split.fold_of(address) == TEST for address in counts])
        share = table[test].sum(0)[present] / table.sum(0)[present]
        return float(np.abs(share - TEST_SHARE).sum())

    return min(splits, key=imbalance)
