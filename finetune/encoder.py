"""The encoder: a mapper tied to one tileset's bands and scaling, from product units to features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from terraficta.finetune.tileset.labels import WINDOW_PX, Labels
from terraficta.finetune.tileset.tileset import one_date
from terraficta.pretrain.model import Mapper, Reading
from terraficta.pretrain.precision import autocast
from terraficta.pretrain.scaling import SAMPLE_PX, BandRange, Scaling, spread_pixels
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Level, Tile

MARGIN_PX = 32
"""context around a window: one step of the coarsest scale of the encoder [px]"""
SAME_BAND_NM = 20.0
"""how far a band may lie from the one that a model was fitted on; Sentinel-2A and 2B differ by up to 16 nm"""


@dataclass(frozen=True)
class Encoder:
    """From images of one tileset to features.

    Parameters
    ----------
    mapper : Mapper
        the network
    scaling : Scaling
        of the bands, (T, B) for T dates, over all scenes together
    by_scene : Mapping[str, BandRange]
        spread of the bands over single scenes, (T, B), by tile id
    sensor : Sensor
        B bands of one date
    level : Level
        BOA | TOA | RADIANCE | DN
    dates : int
        T, 1 or 2

    Notes
    -----
    For two dates the features are |after - before|, and each date is scaled by itself: a difference in haze or season
    that covers the whole image is no change of the land. With the features of both dates beside it the ridge mapped
    change at mIoU .64 / .87 / .89 on taizhou (5 / 25 / 100 labels a class), without them at .85 / .92 / .94.
    """

    mapper: Mapper
    scaling: Scaling
    sensor: Sensor
    level: Level
    dates: int = 1
    by_scene: Mapping[str, BandRange] = field(default_factory=dict)

    @classmethod
    def fit(cls, mapper: Mapper, tiles: Iterable[Tile]) -> Encoder:
        """Fit the scaling on all pixels of some tiles that are not test pixels, labelled or not.

        Each scene also gets a range of its own, from all its pixels: no label is looked at, and the unlabelled pixels
        of the land to be mapped are there for every method to use.
        """
        tiles = list(tiles)
        if not tiles:
            raise Refusal("tiles", "images", "none", "at least one tile of the train fold", "check the folds")
        dates, first = tiles[0].dates, tiles[0]
        samples = [spread_pixels(tile, (1, None)) for tile in tiles]
        scaling = by_date(Scaling.of_pixels(torch.cat([known for known, _ in samples], 1), first.level), dates)
        found = cls(mapper, scaling, one_date(first.sensor, dates), first.level, dates)
        return found._with({tile.id: every for tile, (_, every) in zip(tiles, samples, strict=True)})

    def with_tiles(self, tiles: Iterable[Tile]) -> Encoder:
        """The same, with the ranges of more scenes; those that are known already stay."""
        return self._with({t.id: spread_pixels(t, (None,))[0] for t in tiles if t.id not in self.by_scene})

    def _with(self, pixels: Mapping[str, Tensor]) -> Encoder:
        """The same, with the ranges of scenes, from pixels (T*B, P) of each; of a scene without any all is 0."""
        own = {
            scene: BandRange.of_pixels(some if some.shape[1] else some.new_zeros(len(some), 1))
            for scene, some in pixels.items()
        }
        ranges = {scene: one.unflatten(self.dates).to(self.device) for scene, one in own.items()}
        return replace(self, by_scene={**self.by_scene, **ranges})

    def with_scene(self, scene: str, pixels: Tensor) -> Encoder:
        """The same, with the range of one more scene, from pixels (T*B, P) of it."""
        few = pixels[:, :: max(1, pixels.shape[1] // SAMPLE_PX)]
        own = BandRange.of_pixels(few).unflatten(self.dates).to(self.device)
        return replace(self, by_scene={**self.by_scene, scene: own})

    def scaling_of(self, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None) -> Scaling:
        """The scaling of images (N, T*B, H, W), (T, B) in common and (N, T, B) of their own.

        An image of no known scene is taken for a whole scene.
        """
        own = []
        for n in range(len(image)):
            known = None if scenes is None else self.by_scene.get(scenes[n])
            if known is None:
                known = BandRange.of_image(image[n], None if valid is None else valid[n]).unflatten(self.dates)
            own.append(known.to(self.device))
        return self.scaling.with_own(BandRange.stack(own))

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.mapper.parameters()).device

    def to(self, device: torch.device | str) -> Encoder:
        """The same on a device; the network itself is moved, not copied."""
        ranges = {scene: own.to(device) for scene, own in self.by_scene.items()}
        return replace(self, mapper=self.mapper.to(device), scaling=self.scaling.to(device), by_scene=ranges)

    def require_sensor(self, sensor: Sensor) -> None:
        """Refuse an image whose bands are not those that the model was fitted on."""
        mine = [(band.name, band.centre_nm) for band in self.sensor.bands] * self.dates
        found = [(band.name.split("/")[-1], band.centre_nm) for band in sensor.bands]
        same = len(mine) == len(found) and all(
            abs(a - b) <= SAME_BAND_NM for (_, a), (_, b) in zip(mine, found, strict=True)
        )
        if not same:
            said, wanted = (", ".join(f"{name} {nm:.0f} nm" for name, nm in bands) for bands in (found, mine))
            mend = "hand over the same bands in the same order, or fine-tune on a tileset with these bands"
            raise Refusal(sensor.name, "bands", said, wanted, mend)

    def views(self, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None) -> Tensor:
        """Images (N, T*B, H, W) in product units to network input (N, T, V, B, H, W); missing pixels are average.

        `scenes` names the tile that each image was cut from.
        """
        scaling = self.scaling_of(image, valid, scenes)
        dated = image.to(self.device).unflatten(1, (self.dates, -1))
        if valid is not None:
            average = scaling.common.centre[..., None, None].to(dated)
            dated = torch.where(valid.to(self.device)[:, None, None], dated, average)
        views: Tensor = scaling(dated)
        return views

    def difference(self, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None) -> Tensor:
        """Images (N, 2 B, H, W) of two dates to after less before and its length (N, B + 1, H, W).

        Each date is in spreads from its own median over the scene.
        """
        own = self.scaling_of(image, valid, scenes).own
        dated = own.relative(image.to(self.device).unflatten(1, (self.dates, -1)).clone())
        apart = dated[:, 1] - dated[:, 0]
        return torch.cat([apart, apart.norm(dim=1, keepdim=True)], 1)

    def features(self, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None) -> Tensor:
        """Images (N, T*B, H, W) in product units, cut from `scenes`, to features (N, D, H, W)."""
        return self.read(image, valid, scenes).features

    def read(self, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None) -> Reading:
        """Features (N, D, H, W), and logits (N, K, H, W) of the classes of fiction, (N, 2 K, H, W) for two dates.

        In the fast precision of the machine, unless gradients are asked for: training chooses its own.
        """
        views = self.views(image, valid, scenes)
        if torch.is_grad_enabled():
            return self._read(views)
        with autocast(self.device.type):
            return self._read(views)

    def _read(self, views: Tensor) -> Reading:
        centre_nm, fwhm_nm = self.sensor.centre_nm.to(self.device), self.sensor.fwhm_nm.to(self.device)
        reading = self.mapper.read(views.flatten(0, 1), centre_nm, fwhm_nm)
        if self.dates == 1:
            return reading
        before, after = reading.features.unflatten(0, (-1, 2)).unbind(1)
        logits, uses = (part.unflatten(0, (-1, 2)).flatten(1, 2) for part in (reading.logits, reading.uses))
        return Reading((after - before).abs(), logits, uses)

    @torch.no_grad()
    def at(self, tiles: Sequence[Tile], labels: Labels) -> Tensor:
        """(P, D) features of labelled pixels; only windows that hold labels are computed."""
        self.mapper.eval()
        found = torch.empty(len(labels), 0)
        for part in labelled_parts(tiles, labels):
            features = self.features(part.image, part.valid, [part.scene])[0].flatten(1).cpu()
            if found.shape[1] == 0:
                found = torch.empty(len(labels), len(features))
            found[part.which] = features[:, part.place].T
        return found


def by_date(scaling: Scaling, dates: int) -> Scaling:
    """(T*B,) to (T, B)."""
    return replace(scaling, common=scaling.common.unflatten(dates), own=scaling.own.unflatten(dates))


@dataclass(frozen=True)
class LabelledPart:
    """A part of a tile that holds labels, with context around them.

    Parameters
    ----------
    image : Tensor
        (1, B, h, w) in product units
    valid : Tensor
        (1, h, w) bool
    scene : str
        id of the tile
    which : Tensor
        (p,) int64 which of all labels lie here
    place : Tensor
        (p,) int64 flat position of each in the part
    """

    image: Tensor
    valid: Tensor
    scene: str
    which: Tensor
    place: Tensor


def labelled_parts(tiles: Sequence[Tile], labels: Labels) -> Iterator[LabelledPart]:
    """Parts of tiles that hold labels; the rest is never looked at.

    Raises
    ------
    Refusal
        no label at all
    """
    if len(labels) == 0:
        raise Refusal("labels", "number", 0, "at least one label", "ask for more labels")
    for t in torch.unique(labels.tile).tolist():
        tile, mine = tiles[t], torch.nonzero(labels.tile == t)[:, 0]
        y, x = labels.y[mine], labels.x[mine]
        for rows, columns, inside in _windows_of(tile.grid.shape, y, x):
            part = tile.crop(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
            place = (y[inside] - rows.start) * part.grid.width_px + x[inside] - columns.start
            yield LabelledPart(part.image[None], part.valid[None], tile.id, mine[inside], place)


def _windows_of(shape: tuple[int, int], y: Tensor, x: Tensor) -> list[tuple[slice, slice, Tensor]]:
    """Windows with margin that hold pixels, and which pixels lie in each; a small image is one window."""
    if max(shape) <= WINDOW_PX + 2 * MARGIN_PX:
        return [(slice(0, shape[0]), slice(0, shape[1]), torch.arange(len(y)))]
    cells, which = torch.unique(torch.stack([y, x], 1) // WINDOW_PX, dim=0, return_inverse=True)

    def span(cell: int, size: int) -> slice:
        return slice(max(0, cell * WINDOW_PX - MARGIN_PX), min(size, (cell + 1) * WINDOW_PX + MARGIN_PX))

    return [
        (span(row, shape[0]), span(column, shape[1]), torch.nonzero(which == n)[:, 0])
        for n, (row, column) in enumerate(cells.tolist())
    ]
