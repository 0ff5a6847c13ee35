"""Domains: the tiles of one region, season or date, dealt into plots to learn from and plots to be tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from terraficta.finetune.tileset.labels import Labels
from terraficta.finetune.tileset.split import BLOCKS_A_SIDE, TEST, TRAIN, BlockSplit
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

By = Literal["region", "date", "season"]
SEASONS = ("winter", "spring", "summer", "autumn")
"""of the northern hemisphere, three months each from December on"""
LEARN_SHARE = 1 / 3
"""of the tiles of a domain: few teach enough pixels, and a test of a gap needs many plots"""
LEAST_PX = 12
"""labelled pixels that a plot needs"""


@dataclass(frozen=True)
class Plot:
    """Ground that is scored as one: a scene, or a block of one.

    Parameters
    ----------
    name : str
        of it
    tile : Tile
        where it lies
    mask : Tensor
        (H, W) bool, its labelled pixels
    """

    name: str
    tile: Tile
    mask: Tensor


@dataclass(frozen=True)
class Domain:
    """A region, season or date.

    Parameters
    ----------
    name : str
        of it
    learn, check : list[Plot]
        that share no ground
    """

    name: str
    learn: list[Plot]
    check: list[Plot]

    def tiles(self) -> list[Tile]:
        """Those to learn from, each once."""
        return list({id(plot.tile): plot.tile for plot in self.learn}.values())


def season_of(date: str | None) -> str | None:
    """The season of a date such as 2018-07-05; a word stays as it is.

    Examples
    --------
    >>> season_of("2018-07-05"), season_of("2018-12-24"), season_of("fall"), season_of(None)
    ('summer', 'winter', 'fall', None)
    """
    if date is None or not date[:4].isdigit():
        return date
    return SEASONS[int(date.split("-")[1]) % 12 // 3]


def domain_name(tile: Tile, by: By) -> str | None:
    """Which domain a tile is of; None where it does not say."""
    return {"region": tile.region, "date": tile.date, "season": season_of(tile.date)}[by]


def make_domains(tiles: Sequence[Tile], by: By, least: int = 3, most: int = 12) -> list[Domain]:
    """Domains of labelled tiles, the largest first.

    Where every tile has both folds, they part it: plots to learn from are tiles, those to be tested on blocks of their
    test fold. Else whole tiles are dealt by address, a third of them to learn from.

    Parameters
    ----------
    by : By
        what tells domains apart
    least : int
        plots of each kind that a domain needs
    most : int
        plots of each kind that are used

    Raises
    ------
    Refusal
        fewer than two domains
    """
    known: dict[str, list[Tile]] = {}
    for tile in tiles:
        name = domain_name(tile, by)
        if name is not None and int((tile.valid & (tile.mass.sum(0) > 0)).sum()) >= LEAST_PX:
            known.setdefault(name, []).append(tile)
    within = all(_has_both(tile) for own in known.values() for tile in own)
    made = []
    for name, own in sorted(known.items(), key=lambda item: (-len(item[1]), item[0])):
        learn, check = _parted(own) if within else _dealt(name, own, least)
        if len(check) >= least and (within or len(learn) >= least):
            made.append(Domain(name, _spread(learn, most), _spread(check, most)))
    if len(made) < 2:
        found = ", ".join(f"{name} {len(own)}" for name, own in known.items()) or f"no tile with a {by}"
        mend = f"give scenes a {by}, ask by something else, or for fewer plots"
        raise Refusal("tiles", by, found, f"two or more, of {2 * least} tiles each", mend)
    return made


def _has_both(tile: Tile) -> bool:
    return tile.fold is not None and all(int(tile.in_fold(fold).sum()) >= LEAST_PX for fold in (TRAIN, TEST))


def _parted(tiles: Sequence[Tile]) -> tuple[list[Plot], list[Plot]]:
    learn = [Plot(tile.id, tile, tile.in_fold(TRAIN)) for tile in tiles]
    check = []
    for tile in tiles:
        split = BlockSplit(max(2, min(tile.grid.shape) // BLOCKS_A_SIDE), 0)
        addresses, position = split.blocks(tile.grid)
        for number, address in enumerate(addresses):
            mask = tile.in_fold(TEST) & torch.from_numpy(position == number)
            if int(mask.sum()) >= LEAST_PX:
                check.append(Plot(" ".join(str(part) for part in address), tile, mask))
    return learn, check


def _dealt(name: str, tiles: Sequence[Tile], least: int) -> tuple[list[Plot], list[Plot]]:
    order = SceneKey(0, 0).at("deal", name).rng().permutation(len(tiles))
    whole = [replace(tiles[i], fold=None) for i in order]  # dealt anew: a fold of the tileset says nothing here
    plots = [Plot(tile.id, tile, tile.valid & (tile.mass.sum(0) > 0)) for tile in whole]
    learn = max(least, round(len(plots) * LEARN_SHARE))
    return plots[:learn], plots[learn:]


def _spread(plots: list[Plot], most: int) -> list[Plot]:
    """At most so many, evenly from all."""
    if len(plots) <= most:
        return plots
    return [plots[int(n)] for n in np.linspace(0, len(plots) - 1, most).round()]


@dataclass(frozen=True)
class Sample:
    """Some pixels of plots.

    Parameters
    ----------
    tiles : list[Tile]
        each once
    labels : Labels
        pixels of these tiles, with what is known of them
    plot : Tensor
        (P,) int64 which plot each pixel is of
    """

    tiles: list[Tile]
    labels: Labels
    plot: Tensor


def sample_plots(plots: Sequence[Plot], per_plot: int, seed: int) -> Sample:
    """So many labelled pixels of every plot at random, by the area of classes, as a map has them."""
    tiles = list({id(plot.tile): plot.tile for plot in plots}.values())
    places = {id(tile): n for n, tile in enumerate(tiles)}
    parts: list[tuple[Tensor, ...]] = []
    for number, plot in enumerate(plots):
        y, x = plot.mask.nonzero(as_tuple=True)
        rng = SceneKey(seed, 0).at("plot", plot.tile.id, plot.name).rng()
        rows = torch.from_numpy(np.sort(rng.choice(len(y), min(per_plot, len(y)), replace=False)))
        own = torch.full((len(rows),), places[id(plot.tile)])
        parts.append((own, y[rows], x[rows], plot.tile.mass[:, y[rows], x[rows]].T, torch.full_like(own, number)))
    tile, y, x, mass, plot_of = (torch.cat(column) for column in zip(*parts, strict=True))
    return Sample(tiles, Labels(tile, y, x, mass, plots[0].tile.legend, "all"), plot_of)
