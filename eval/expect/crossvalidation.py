"""The cross-validation: what a model says of the labels that it was not shown, whole blocks of ground at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from sklearn.model_selection import StratifiedGroupKFold

from terraficta.finetune.calibrate import soften
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.experts.fit import fit_experts, names_of
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.finetune.tileset.labels import Labels, ground_blocks
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.synth.types.tile import Tile

FOLDS = 10
"""at most: each leaves the model nine tenths of the labels, so that it is nearly the one that is judged"""
BLOCKS_A_SIDE = 6
"""blocks along the side of the ground that the labels span, as a tileset without folds is split"""
LEAST_BLOCK_PX, MOST_BLOCK_PX = 8, 128
"""side of a block [px]"""
BUFFER_PX = 4.0
"""labels so near to those that are asked are not shown: the surroundings that a model sees (5x5) and one pixel more"""
MOST_LABELS = 400
"""labels a class that are asked at most: more would tell no more, for they lie in the same blocks"""

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class CrossValidation:
    """What models said of labels that they had not seen.

    Parameters
    ----------
    probabilities : NDArray[np.float64]
        (P, K); NaN where a label could not be asked: no other block has its class
    mass : NDArray[np.float64]
        (P, K) class mass of the labels
    blocks : NDArray[np.int64]
        (P,) block of ground that each lies in
    block_px : int
        side of a block [px]; 0 where the split is random
    random : bool
        whether neighbours were dealt out at random: then this flatters
    """

    probabilities: NDArray[np.float64]
    mass: NDArray[np.float64]
    blocks: Whole
    block_px: int
    random: bool = False

    @property
    def classes(self) -> Whole:
        """(P,) the heaviest class of each label."""
        found: Whole = self.mass.argmax(1)
        return found

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(P,) which labels were asked."""
        found: NDArray[np.bool_] = np.asarray(np.isfinite(self.probabilities).all(1), dtype=bool)
        return found


def cross_validate(
    encoder: Encoder,
    tiles: Sequence[Tile],
    labels: Labels,
    meanings: Meanings,
    recipe: FinetuneRecipe,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    pretrained: bool = True,
    random: bool = False,
    evidence: Evidence | None = None,
) -> CrossValidation:
    """Fit the default head again and again without the labels of some blocks and of a buffer around, and ask it.

    Parameters
    ----------
    encoder : Encoder
        of the map model
    tiles : Sequence[Tile]
        that the labels were drawn from
    labels : Labels
        all that the map model was fitted to
    meanings : Meanings
        of the classes
    recipe : FinetuneRecipe
        that the map model was fitted by
    temperature : float
        of the map model
    random : bool
        deal labels out one by one, without blocks and buffer
    evidence : Evidence | None
        of `labels.at_most(recipe.most_labels)`, where it is known already
    """
    few = labels.at_most(MOST_LABELS)
    block_px = 0 if random else block_side_px(tiles, few)
    blocks = np.arange(len(few)) if random else patch_blocks(tiles, labels, few, block_px)
    if evidence is None or recipe.most_labels < MOST_LABELS:
        evidence = evidence_at(encoder, tiles, few)
    else:
        evidence = evidence.take(labels.at_most(recipe.most_labels).first(MOST_LABELS))
    places = ground_places_px(tiles, few)
    near = 0.0 if random else BUFFER_PX
    found = ask_by_blocks(evidence, few, blocks, places, near, encoder, meanings, recipe, seed, pretrained)
    softened = soften(torch.from_numpy(found), temperature, 1).numpy() if temperature != 1 else found
    together = _of_dates(softened, few, tiles)
    return CrossValidation(together, few.mass.double().numpy(), blocks, block_px, random)


def ask_by_blocks(
    evidence: Evidence,
    labels: Labels,
    blocks: Whole,
    places: NDArray[np.float64],
    buffer_px: float,
    encoder: Encoder,
    meanings: Meanings,
    recipe: FinetuneRecipe,
    seed: int,
    pretrained: bool = True,
) -> NDArray[np.float64]:
    """(P, K) probabilities of labels by models that saw nothing of their blocks, nor within a buffer of them."""
    classes, mass = labels.classes.numpy(), labels.mass
    names = names_of(meanings, encoder.dates) if pretrained else None
    ridge, found = ridge_head(encoder.mapper), np.full(tuple(mass.shape), np.nan)
    for learn, check in buffered_folds(classes, blocks, places, buffer_px, seed):
        shown = np.unique(classes[learn])
        check = check[np.isin(classes[check], shown)]
        if len(shown) < 2 or len(check) == 0:
            continue
        some = evidence.take(torch.from_numpy(learn))
        trees = recipe.blend.check_trees
        blend = fit_experts(some, mass[learn], ridge, meanings, names, recipe, seed, trees)
        found[check] = blend.log_probabilities(evidence.take(torch.from_numpy(check))).double().exp().numpy()
    return found


def buffered_folds(
    classes: Whole, blocks: Whole, places: NDArray[np.float64], buffer_px: float, seed: int, folds: int = FOLDS
) -> Iterator[tuple[Whole, Whole]]:
    """Splits of labels (learn, check): whole blocks are checked, and none is learnt from within a buffer of them.

    Parameters
    ----------
    classes, blocks : NDArray[np.int64]
        (P,) of labels
    places : NDArray[np.float64]
        (P, 3) scene, and position on the ground [px]
    buffer_px : float
        distance [px]; 0: none
    """
    count = min(folds, len(np.unique(blocks)), int(np.bincount(classes).max()))
    if count < 2:
        return
    split = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for learn, check in split.split(classes, classes, blocks):
        if len(check) == 0:
            continue
        if buffer_px > 0:
            far, _ = cKDTree(places[check]).query(places[learn])
            learn = learn[far > buffer_px]
        yield learn, check


def block_side_px(tiles: Sequence[Tile], labels: Labels) -> int:
    """Side of the blocks: a sixth of the ground that labels span, within bounds [px]."""
    places = ground_places_px(tiles, labels)
    spans = [np.ptp(places[places[:, 0] == scene, 1:], axis=0).mean() for scene in np.unique(places[:, 0])]
    return int(np.clip(np.median(spans) / BLOCKS_A_SIDE, LEAST_BLOCK_PX, MOST_BLOCK_PX))


def ground_places_px(tiles: Sequence[Tile], labels: Labels) -> NDArray[np.float64]:
    """(P, 3) of each label: number of its place (far apart for different ones), row and column on the ground [px]."""
    found = np.zeros((len(labels), 3))
    systems: dict[object, int] = {}
    for t, tile in enumerate(tiles):
        mine = (labels.tile == t).numpy()
        y, x = labels.y[mine].numpy() + 0.5, labels.x[mine].numpy() + 0.5
        transform = tile.grid.transform
        if transform is not None:
            side = np.sqrt(abs(transform.determinant))
            east, north = (
                transform.a * x + transform.b * y + transform.c,
                transform.d * x + transform.e * y + transform.f,
            )
            y, x = north / side, east / side
        system = tile.id if transform is None else tile.grid.crs
        found[mine, 0] = 1e9 * systems.setdefault(system, len(systems))
        found[mine, 1], found[mine, 2] = y, x
    return found


def patch_blocks(tiles: Sequence[Tile], labels: Labels, few: Labels, block_px: int) -> Whole:
    """(P,) block of each of `few` labels; a patch of touching labels no larger than a block is not cut.

    Parameters
    ----------
    labels : Labels
        all, among them `few`
    """
    blocks = ground_blocks(tiles, few, block_px)
    for t, tile in enumerate(tiles):
        mine = np.flatnonzero((few.tile == t).numpy())
        if len(mine) == 0:
            continue
        every = labels.of(t)
        y, x, wide = every.y.numpy(), every.x.numpy(), tile.grid.width_px
        pixels, patches = patches_of(y, x, wide)
        small = _extents(patches, pixels // wide, pixels % wide) <= block_px
        own = patches[np.searchsorted(pixels, few.y[mine].numpy() * wide + few.x[mine].numpy())]
        for patch in np.unique(own[small[own]]):
            rows = mine[own == patch]
            blocks[rows] = blocks[rows[0]]
    return blocks


def patches_of(y: Whole, x: Whole, wide: int) -> tuple[Whole, Whole]:
    """(Q,) the different ones among pixels of a raster so many px wide, y * wide + x ascending, and (Q,) their patch.

    Pixels that touch, also at a corner, are of one patch; what lies between labels is never looked at.
    """
    pixels = np.unique(y * wide + x)
    column, ends = pixels % wide, []
    for down, across in ((0, 1), (1, -1), (1, 0), (1, 1)):
        inside = np.flatnonzero((column + across >= 0) & (column + across < wide))
        there = np.searchsorted(pixels, pixels[inside] + down * wide + across).clip(max=len(pixels) - 1)
        touch = pixels[there] == pixels[inside] + down * wide + across
        ends.append(np.stack([inside[touch], there[touch]]))
    a, b = np.concatenate(ends, 1)
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(len(pixels), len(pixels)))
    return pixels, connected_components(graph, directed=False)[1].astype(np.int64)


def _extents(patches: Whole, y: Whole, x: Whole) -> Whole:
    """(N,) longer side of each patch [px]."""
    count = int(patches.max()) + 1
    sides = []
    for place in (y, x):
        least, most = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
        np.minimum.at(least, patches, place)
        np.maximum.at(most, patches, place)
        sides.append(most - least + 1)
    return np.maximum(*sides)


def _of_dates(probabilities: NDArray[np.float64], labels: Labels, tiles: Sequence[Tile]) -> NDArray[np.float64]:
    """The same, pixels of several dates of one place with the mean of what was said of each date."""
    grids = {t: (tile.grid.crs, tile.grid.transform, tile.grid.shape) for t, tile in enumerate(tiles)}
    if len(set(grids.values())) == len(tiles) or any(tile.grid.transform is None for tile in tiles):
        return probabilities
    pixels: dict[object, list[int]] = {}
    for row, (t, y, x) in enumerate(labels.pixels()):
        pixels.setdefault((grids[t], y, x), []).append(row)
    found = probabilities.copy()
    for rows in pixels.values():
        found[rows] = probabilities[rows].mean(0)
    return found
