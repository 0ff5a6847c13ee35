"""Readings: what a network or filter bank says of a tileset's pixels, computed once and shared by arms and draws."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from terraficta.eval.benchmark.ground import Ground
from terraficta.eval.benchmark.pixels import Pixels, labels_of
from terraficta.eval.location.context import PlaceEncoder
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.tileset.labels import Labels
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.tile import Tile

REVISION = 2
"""raised where code changes what evidence holds, so that older readings on disk are not taken for new ones"""

Read = Callable[[Sequence[Tile], Labels], Evidence]
"""(tiles, P pixels of them) -> their evidence"""
Learn = Callable[[Sequence[Tile], Sequence[Tile]], Read]
"""(tiles of the train fold, others whose images will be read too) -> how to read them; looks at no label"""


@dataclass
class Reader:
    """Reads pixels of tilesets; what was foreseen is read in one pass and kept on disk by its content.

    Parameters
    ----------
    name : str
        what reads
    digest : str
        of all that the reading hangs on beside the tileset: weights, recipe
    learn : Learn
        ties it to the images of a tileset
    folder : Path | None
        where readings are kept; None: in memory alone
    """

    name: str
    digest: str
    learn: Learn
    folder: Path | None = None
    _read: tuple[Sequence[Tile], Read] | None = field(default=None, init=False, repr=False)
    _kept: tuple[str, _Kept] | None = field(default=None, init=False, repr=False)
    _asked: tuple[Sequence[Tile], Sequence[Pixels], Evidence] | None = field(default=None, init=False, repr=False)

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Read the test pixels and those labels, unless that was done before."""
        content = self._content(ground, labels)
        if self._kept is not None and self._kept[0] == content:
            return
        path = None if self.folder is None else self.folder / f"{content}.pt"
        if path is not None and path.is_file():
            self._kept = content, _Kept(ground, labels, *torch.load(path, weights_only=False))
            return
        read = self._reading(ground.blind, [pixels.tile for pixels in ground.test])
        tested = read([pixels.tile for pixels in ground.test], labels_of(ground.test))
        labelled = read(ground.blind, labels)
        self._kept = content, _Kept(ground, labels, tested, labelled)
        if path is not None:
            with whole_file(path) as partial:
                torch.save((tested, labelled), partial)

    def at(self, tiles: Sequence[Tile], labels: Labels) -> Evidence:
        """Evidence of labels of tiles, in their order."""
        if self._kept is not None and self._kept[1].ground.blind is tiles:
            rows = self._kept[1].rows(labels)
            if rows is not None:
                return self._kept[1].labelled.take(rows)
        return self._reading(tiles, [])(tiles, labels)

    def of(self, tiles: Sequence[Tile], pixels: Sequence[Pixels]) -> Evidence:
        """Evidence of test pixels, tile after tile, by what was learnt of the images of `tiles`; the last is kept."""
        if self._kept is not None and self._kept[1].ground.blind is tiles and self._kept[1].ground.test is pixels:
            return self._kept[1].tested
        if self._asked is None or self._asked[0] is not tiles or self._asked[1] is not pixels:
            seen = [own.tile for own in pixels]
            self._asked = tiles, pixels, self._reading(tiles, seen)(seen, labels_of(pixels))
        return self._asked[2]

    def _reading(self, tiles: Sequence[Tile], others: Sequence[Tile]) -> Read:
        if self._read is None or self._read[0] is not tiles:
            self._read = tiles, self.learn(tiles, others)
        return self._read[1]

    def _content(self, ground: Ground, labels: Labels) -> str:
        place = torch.stack([labels.tile, labels.y, labels.x]).numpy().tobytes()
        text = f"{REVISION} {self.name} {self.digest} {ground.protocol} ".encode()
        return hashlib.blake2b(text + place, digest_size=8).hexdigest()


@dataclass
class PlacedReader:
    """A reader that tells a head the place of every pixel beside what it reads there.

    Parameters
    ----------
    reader : Reader
        what it reads
    """

    reader: Reader
    _fitted: tuple[Sequence[Tile], PlaceEncoder] | None = field(default=None, init=False, repr=False)

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Read the test pixels and those labels, unless that was done before."""
        self._encoder(ground.blind)
        self.reader.prepare(ground, labels)

    def at(self, tiles: Sequence[Tile], labels: Labels) -> Evidence:
        """Evidence of labels of tiles, with their places."""
        return _with_context(self.reader.at(tiles, labels), self._encoder(tiles).at(tiles, labels))

    def of(self, tiles: Sequence[Tile], pixels: Sequence[Pixels]) -> Evidence:
        """Evidence of test pixels, with their places."""
        place = self._encoder(tiles).at([own.tile for own in pixels], labels_of(pixels))
        return _with_context(self.reader.of(tiles, pixels), place)

    def _encoder(self, tiles: Sequence[Tile]) -> PlaceEncoder:
        if self._fitted is None or self._fitted[0] is not tiles:
            self._fitted = tiles, PlaceEncoder.of(tiles)
        return self._fitted[1]


def _with_context(evidence: Evidence, more: NDArray[np.float32]) -> Evidence:
    return replace(evidence, context=np.concatenate([evidence.context, more], axis=1))


class _Kept:
    """The readings of one ground, found again by place."""

    def __init__(self, ground: Ground, labels: Labels, tested: Evidence, labelled: Evidence) -> None:
        self.ground, self.tested, self.labelled = ground, tested, labelled
        self._places = _places(labels)
        self._order = np.argsort(self._places)

    def rows(self, labels: Labels) -> torch.Tensor | None:
        """Where some labels stand among the labelled; None where one of them was not foreseen."""
        wanted, known = _places(labels), self._places[self._order]
        at = np.searchsorted(known, wanted).clip(0, len(known) - 1)
        return torch.from_numpy(self._order[at]) if bool((known[at] == wanted).all()) else None


def _places(labels: Labels) -> NDArray[np.int64]:
    """One number a pixel; tiles are less than 2^24 pixels wide and high."""
    found: NDArray[np.int64] = (labels.tile * 2**48 + labels.y * 2**24 + labels.x).numpy()
    return found
