"""The labels: the few pixels that a run may see, drawn by address from the train fold."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.finetune.tileset.split import TEST, TRAIN, BlockSplit
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

WINDOW_PX = 256
"""side of the windows in which land is looked at: for its labels, for unlabelled pixels, and to be mapped [px]"""
MOST_SEEN_PX = 8 * WINDOW_PX**2
"""ground that windows of unlabelled pixels cover in all [px]; of larger places some is left out"""


@dataclass(frozen=True)
class Labels:
    """Labelled pixels of some tiles.

    Parameters
    ----------
    tile, y, x : Tensor
        (P,) int64; position among the tiles, and pixel
    mass : Tensor
        (P, K) float32 class mass, weights kept
    legend : Legend
        K classes
    wanted : int | Literal['all']
        pixels asked for a class, or "all"
    """

    tile: Tensor
    y: Tensor
    x: Tensor
    mass: Tensor
    legend: Legend
    wanted: int | Literal["all"]

    def __len__(self) -> int:
        return len(self.tile)

    @property
    def classes(self) -> Tensor:
        """(P,) int64: the heaviest class of each pixel."""
        return self.mass.argmax(1)

    def counts(self) -> dict[str, int]:
        """Pixels a class."""
        number = torch.bincount(self.classes, minlength=len(self.legend)).tolist()
        return dict(zip(self.legend.classes, number, strict=True))

    def short(self) -> dict[str, int]:
        """Classes that had fewer pixels than wanted, and how many they gave."""
        if self.wanted == "all":
            return {name: count for name, count in self.counts().items() if count == 0}
        return {name: count for name, count in self.counts().items() if count < int(self.wanted)}

    def pixels(self) -> list[tuple[int, int, int]]:
        """(tile, y, x) of every label."""
        return list(zip(self.tile.tolist(), self.y.tolist(), self.x.tolist(), strict=True))

    def of(self, tile: int) -> Labels:
        """Those of one tile."""
        return self.take(torch.nonzero(self.tile == tile)[:, 0])

    def take(self, rows: Tensor) -> Labels:
        """Some of them, by position."""
        return replace(self, tile=self.tile[rows], y=self.y[rows], x=self.x[rows], mass=self.mass[rows])

    def at_most(self, per_class: int) -> Labels:
        """The first of every class, as a smaller draw with the same seed would give."""
        return self.take(self.first(per_class))

    def first(self, per_class: int) -> Tensor:
        """Which of them are the first of their class, by position."""
        position = torch.zeros(len(self), dtype=torch.int64)
        for k in range(len(self.legend)):
            mine = self.classes == k
            position[mine] = torch.arange(int(mine.sum()))
        return torch.nonzero(position < per_class)[:, 0]

    def sparse(self, tile: int, shape: tuple[int, int]) -> Tensor:
        """(K, H, W) class mass of one tile with these labels and no others."""
        mine = self.of(tile)
        mass = torch.zeros(len(self.legend), *shape)
        mass[:, mine.y, mine.x] = mine.mass.T
        return mass

    def gather(self, images: Sequence[Tensor]) -> Tensor:
        """(P, C): what each labelled pixel has in (C, H, W) arrays, one a tile."""
        columns = [images[t][:, y, x] for t, y, x in self.pixels()]
        return torch.stack(columns)


def draw_labels(tiles: Iterable[Tile], per_class: int | Literal["all"], seed: int) -> Labels:
    """Draw labelled pixels of the train fold, the same for every arm of a comparison.

    Every pixel has an addressed random rank within its tile and class, so a larger draw holds the smaller one.
    A class takes the first-ranked pixel of every tile, then the second-ranked, so it is spread over the scenes.

    Parameters
    ----------
    tiles : Iterable[Tile]
        read once, in turn
    per_class : int | Literal['all']
        pixels a class; a class that has fewer gives all; "all" takes every one
    seed : int
        of the draw

    Raises
    ------
    Refusal
        a number below 1, no tiles, or no labelled pixel in the train fold
    """
    if per_class != "all" and per_class < 1:
        raise Refusal("--labels-per-class", "number", per_class, "1 or more, or all", "ask for at least one label")
    legend: Legend | None = None
    found: list[np.ndarray] = []  # rows of (tile, y, x, class, rank within tile and class, chance)
    masses: list[Tensor] = []
    chances: list[np.ndarray] = []
    for t, tile in enumerate(tiles):
        legend = tile.legend
        y, x, mass = _labelled(tile)
        chance = _chance(SceneKey(seed, 0).at("labels", tile.id).rng(), tile.grid.shape, y, x)
        rows, kept = _ranked(t, y, x, mass.argmax(1).numpy(), chance, per_class)
        found.append(rows)
        masses.append(mass[torch.from_numpy(kept)])
        chances.append(chance[kept])
    if legend is None or sum(map(len, found)) == 0:
        raise Refusal("tiles", "labels", "no labelled pixel in the train fold", "at least one", "check fold and label")
    rows, mass, chance = np.concatenate(found), torch.cat(masses), np.concatenate(chances)
    order = np.lexsort((chance, rows[:, 4], rows[:, 3]))
    rows, mass = rows[order], mass[torch.from_numpy(order)]
    if per_class != "all":
        first = np.searchsorted(rows[:, 3], rows[:, 3], side="left")
        few = np.arange(len(rows)) - first < per_class
        rows, mass = rows[few], mass[torch.from_numpy(few)]
    tile_index, y, x = torch.from_numpy(rows[:, :3].T.copy())
    return Labels(tile_index, y, x, mass, legend, per_class)


def draw_pixels(tiles: Sequence[Tile], count: int, seed: int) -> Labels:
    """Draw pixels that are not of the test fold, labelled or not, as labels without mass.

    They come from a few windows of the ground: a network that is asked about them sees no more than that.

    Parameters
    ----------
    count : int
        pixels at most, as many from each window

    Raises
    ------
    Refusal
        no tile has a valid pixel outside its test fold
    """
    windows = [
        (t, y, x)
        for t, tile in enumerate(tiles)
        for y in range(0, tile.grid.shape[0], WINDOW_PX)
        for x in range(0, tile.grid.shape[1], WINDOW_PX)
    ]
    rng = SceneKey(seed, 0).at("pixels").rng()
    found: list[Tensor] = []  # rows of (tile, y, x)
    seen = 0
    for number in rng.permutation(len(windows)):
        t, y, x = windows[number]
        seen_here = tiles[t].crop(y, x, WINDOW_PX, WINDOW_PX)
        part = seen_here.valid
        if seen_here.fold is not None:
            part = part & (seen_here.fold != TEST)
        place = torch.nonzero(part)
        if len(place) == 0:
            continue
        order = torch.from_numpy(rng.permutation(len(place)))
        inside = place[order] + torch.tensor([y, x])
        found.append(torch.cat([torch.full((len(inside), 1), t), inside], 1))
        seen += part.numel()
        if seen >= MOST_SEEN_PX:
            break
    if not found:
        found_none = "no valid pixel outside the test fold"
        raise Refusal("tiles", "pixels", found_none, "at least one", "check fold and nodata")
    share = max(1, count // len(found))
    rows = torch.cat([some[:share] for some in found])
    legend = tiles[0].legend
    return Labels(rows[:, 0], rows[:, 1], rows[:, 2], torch.zeros(len(rows), len(legend)), legend, "all")


def _labelled(tile: Tile) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """(P,) rows and columns of the labelled pixels of the train fold, row by row, and (P, K) their class mass."""
    rows, columns, masses = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [torch.zeros(0, len(tile.legend))]
    for top, left, part in tile.parts(labelled=True):
        y, x = part.in_fold(TRAIN).nonzero().numpy().T
        rows.append(y + top)
        columns.append(x + left)
        masses.append(part.mass[:, y, x].T)
    y, x, mass = np.concatenate(rows), np.concatenate(columns), torch.cat(masses)
    order = np.lexsort((x, y))
    return y[order], x[order], mass[torch.from_numpy(order)]


def _chance(rng: np.random.Generator, shape: tuple[int, int], y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(P,) what pixels (rows ascending) have in a field of uniform numbers (H, W), drawn some rows at once."""
    found = np.empty(len(y))
    for top in range(0, int(y.max(initial=-1)) + 1, WINDOW_PX):
        field = rng.random((min(WINDOW_PX, shape[0] - top), shape[1]))
        first, last = np.searchsorted(y, [top, top + WINDOW_PX])
        found[first:last] = field[y[first:last] - top, x[first:last]]
    return found


def _ranked(
    t: int, y: np.ndarray, x: np.ndarray, classes: np.ndarray, chance: np.ndarray, per_class: int | Literal["all"]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (tile, y, x, class, rank) of a tile, at most `per_class` a class, and which pixels they are."""
    order = np.lexsort((chance, classes))
    sorted_classes = classes[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_classes, sorted_classes, side="left")
    kept = order if per_class == "all" else order[rank < per_class]
    rank = rank if per_class == "all" else rank[rank < per_class]
    rows = np.stack([np.full(len(kept), t), y[kept], x[kept], classes[kept], rank], axis=1).astype(np.int64)
    return rows, kept


def ground_blocks(tiles: Sequence[Tile], labels: Labels, block_px: int = 32) -> NDArray[np.int64]:
    """(P,) block of ground that each label lies in: what cross-validation must not split.

    By map coordinates where a tile is georeferenced, so that several dates of one place share their blocks. Else by
    region where the tileset tells several apart (tiles of a region may overlap), else by blocks within each tile.
    """
    split = BlockSplit(block_px, seam_px=0)
    by_region = len({tile.region for tile in tiles}) > 2
    numbers: dict[Hashable, int] = {}
    found = np.zeros(len(labels), dtype=np.int64)
    for t, tile in enumerate(tiles):
        mine = np.flatnonzero(labels.tile.numpy() == t)
        addresses = split.addresses_at(tile.grid, labels.y[mine].numpy(), labels.x[mine].numpy())
        for p, place in zip(mine, addresses, strict=True):
            address: Hashable = place
            if tile.grid.transform is None:
                address = tile.region if by_region else (tile.id, place)
            found[p] = numbers.setdefault(address, len(numbers))
    return found
