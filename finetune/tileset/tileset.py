"""The tileset: a folder of real land, read into the same `Tile` that the generator makes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rasterio.windows import Window
from torch import Tensor

from terraficta.finetune.tileset.manifest import MANIFEST, read_manifest, sensor_of
from terraficta.finetune.tileset.meanings import Meanings, propose_meanings
from terraficta.finetune.tileset.plausibility import require_reflectance
from terraficta.finetune.tileset.scene import FOLDS, Scene, open_scene, require_labels_from_one
from terraficta.finetune.tileset.split import TEST, TRAIN, BlockSplit, deal_blocks
from terraficta.finetune.tileset.unread import MOST_NUMBERS, UnreadTile
from terraficta.synth.types.colours import distinct_colours
from terraficta.synth.types.file_name import files_of
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.raster import tell_notes
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Level, Tile

log = logging.getLogger("terraficta")
PIXELS_A_SCENE = 4096
"""pixels of each scene that are looked at for plausible reflectance"""
VALUE, KNOWN = "value", "known"
"""layer of a tile that holds a quantity, and the one class of such a tileset: pixels where it is known"""


@dataclass(frozen=True)
class Tileset:
    """Real land with labels: an ordered set of scenes that are read one at a time.

    Parameters
    ----------
    folder : Path
        where tileset.yaml stands
    name, about : str
        short name; place, date, what the labels are
    sensor : Sensor
        the bands of one date, in file order
    legend : Legend
        its own classes
    level : Level
        BOA | TOA | RADIANCE | DN
    gsd_m : float
        ground sampling distance [m]
    scale, offset, nodata : float | None
        image = stored * scale + offset, None where each file declares its own; `nodata` is a stored value, or None. A
        scene may have a scale and offset of its own
    dates : int
        images a scene; 2 where the task is change
    scenes : tuple[Scene, ...]
        in the order of the manifest
    labels_from : int | None
        stored value of the first class; None: not stated, so that labels from 0 are asked about
    quantity : str | None
        what the layer `value` of its tiles holds, with its unit; None where classes are mapped
    meanings : Meanings
        of its classes in the legend of Terraficta: as the manifest states, else proposed from their names

    Examples
    --------
    >>> tileset = read_tileset("tilesets/slovenia")     # doctest: +SKIP
    >>> [tile.id for tile in tileset.tiles("train")]    # doctest: +SKIP
    ['slovenia/20150711', 'slovenia/20150830', 'slovenia/20150909']
    """

    folder: Path
    name: str
    about: str
    sensor: Sensor
    legend: Legend
    level: Level
    gsd_m: float
    scale: float | None
    offset: float | None
    nodata: float | None
    dates: int
    scenes: tuple[Scene, ...] = field(repr=False)
    meanings: Meanings = field(repr=False)
    labels_from: int | None = None
    quantity: str | None = None

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Tile:
        """Read one scene."""
        return self._read(self.scenes[index])

    def tiles(self, fold: Literal["train", "test"] | None = None, unread: bool = False) -> Iterator[Tile]:
        """Every scene in turn, one in memory at a time; with `fold`, those that hold labels of that fold.

        The tiles of a fold keep their whole `fold` array: take the pixels of `tile.in_fold(1)` or `(2)`.

        Parameters
        ----------
        fold : Literal['train', 'test'] | None
            which
        unread : bool
            whether tiles that together are too large for memory may hold no pixels, see `UnreadTile`
        """
        read = self._unread if unread and self.large else self._read
        if fold is not None and fold not in FOLDS:
            raise Refusal(self.folder, "fold", fold, "train or test", "ask for one of them")
        for scene in self.scenes:
            elsewhere = scene.entry.fold in FOLDS and scene.entry.fold != fold
            if fold is not None and (elsewhere or not scene.entry.labelled):
                continue
            tile = read(scene)
            if fold is None or any(bool(part.in_fold(FOLDS[fold]).any()) for _, _, part in tile.parts(labelled=True)):
                yield tile

    @property
    def large(self) -> bool:
        """Whether all scenes together are too large for memory."""
        pixels = sum(scene.shape[0] * scene.shape[1] for scene in self.scenes)
        return pixels * len(self.sensor) * self.dates > MOST_NUMBERS

    def unlabelled(self) -> Iterator[Tile]:
        """The scenes without labels."""
        return (self._read(scene) for scene in self.scenes if not scene.entry.labelled)

    @property
    def dropped(self) -> tuple[int, ...]:
        """Positions of bands in the images that are not read."""
        return self.scenes[0].dropped

    @property
    def files(self) -> list[Path]:
        """Every file that it stands on, its manifest first."""
        names = (name for scene in self.scenes for name in scene.files)
        return [self.folder / MANIFEST, *dict.fromkeys(path for name in names for path in files_of(name))]

    @cached_property
    def blocks(self) -> BlockSplit:
        """The spatial blocks of labelled scenes that state no fold of their own."""
        mine = [scene for scene in self.scenes if scene.entry.labelled and scene.entry.fold is None]
        grids = [scene.images[0].grid(self.gsd_m) for scene in mine]

        def label_of(scene: Scene, part: Window) -> Tensor:
            return _hard(scene.class_mass(self.legend, part))

        return deal_blocks(grids, [partial(label_of, scene) for scene in mine], len(self.legend))

    def verify(self) -> None:
        """Read every pixel once and refuse what cannot be true; one scene in memory at a time, or a part of one.

        Raises
        ------
        Refusal
            truncated files, NaN without nodata, labels outside the legend, empty folds, impossible reflectance
        """
        sampled: list[Tensor] = []
        sampled_label: list[Tensor] = []
        in_fold = torch.zeros(2, dtype=torch.int64)
        for tile in self.tiles(unread=True):
            for y, x, part in tile.parts():
                values, label = _sample(part, (y, x), part.grid.height_px / tile.grid.height_px)
                sampled += values.chunk(self.dates, dim=1)
                sampled_label += [label] * self.dates
                in_fold += torch.tensor([int(part.in_fold(TRAIN).sum()), int(part.in_fold(TEST).sum())])
        where = self.folder / MANIFEST
        self.require_counted_labels()
        _tell_flat_bands(where, torch.cat(sampled), self.sensor)
        if self.level in {"BOA", "TOA"}:
            names = self.legend.classes if self.dates == 1 and self.quantity is None else ()
            require_reflectance(where, torch.cat(sampled), torch.cat(sampled_label), self.sensor, names)
        labelled = [scene.entry for scene in self.scenes if scene.entry.labelled]
        all_train = all(entry.fold == "train" for entry in labelled)  # said on purpose: nothing is kept for a test
        if labelled:
            for fold, count in zip(FOLDS, in_fold.tolist(), strict=True):
                if count == 0 and not (fold == "test" and all_train):
                    mend = f"give some labelled, valid pixels fold {FOLDS[fold]} ({fold}), or leave `fold:` out"
                    raise Refusal(where, "fold", f"no labelled pixel in the {fold} fold", "at least one", mend)

    def require_counted_labels(self) -> None:
        """Refuse labels that seem to count from 0, unless the manifest says from where they count."""
        if self.labels_from is None:
            require_labels_from_one(self.scenes, self.legend, self.folder / MANIFEST)

    def _read(self, scene: Scene, part: Window | None = None, step: int = 1) -> Tile:
        """A scene or a part of it in memory; of every so many pixels only the image counts."""
        names = [band.name for band in self.sensor.bands]
        image, valid = scene.image(scene.stored(self.scale, self.offset, self.nodata), names, part, step)
        known = self._known(scene)
        if step > 1:
            nothing = torch.zeros(len(self.legend), *valid.shape)
            grid = replace(known["grid"], height_px=valid.shape[0], width_px=valid.shape[1], crs=None, transform=None)
            return Tile(**known | {"grid": grid}, image=image, valid=valid, mass=nothing)
        fold = scene.stated_fold(part)
        if fold is None and scene.entry.labelled:
            fold = self.blocks(known["grid"], part)
        layers = {} if self.quantity is None else {VALUE: torch.from_numpy(scene.values(part))}
        mass = scene.class_mass(self.legend, part) * valid
        if part is not None:
            known["grid"] = known["grid"].window(part.row_off, part.col_off, part.height, part.width)
        return Tile(**known, image=image, valid=valid, mass=mass, fold=fold, layers=layers)

    def _unread(self, scene: Scene) -> Tile:
        def has_labels(part: Window) -> bool:
            return scene.entry.labelled and bool((scene.class_mass(self.legend, part) > 0).any())

        return UnreadTile(partial(self._read, scene), has_labels, **self._known(scene))

    def _known(self, scene: Scene) -> dict[str, Any]:
        """Of a tile, what needs no pixel to be read."""
        entry = scene.entry
        facts: dict[str, object] = {"tileset": self.name, "dates": self.dates}
        facts |= {key: getattr(entry, key) for key in ("date_before", "date_after") if getattr(entry, key)}
        return {
            "id": f"{self.name}/{entry.id}", "legend": self.legend, "grid": scene.images[0].grid(self.gsd_m),
            "sensor": stack_sensor(self.sensor) if self.dates == 2 else self.sensor, "level": self.level,
            "region": entry.region, "date": entry.date, "facts": facts,
        }  # fmt: skip


def read_tileset(folder: str | Path, verify: bool = True) -> Tileset:
    """Open a tileset; by default every pixel is looked at once, and lies are refused.

    Parameters
    ----------
    folder : str | Path
        that holds tileset.yaml
    verify : bool
        False opens and compares the files' heads only; pixels are then checked when a scene is read

    Raises
    ------
    Refusal
        names the file, the field, what was found and how to mend it
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    path = folder / MANIFEST
    classes = tuple(manifest.legend) if manifest.quantity is None else (KNOWN,)
    legend = Legend(manifest.name, classes, tuple(manifest.colours or distinct_colours(len(classes))))
    sensor = sensor_of(path, manifest)
    scenes = tuple(open_scene(folder, manifest, n, sensor) for n in range(len(manifest.scenes)))
    tileset = Tileset(
        folder=folder, name=manifest.name, about=manifest.about, sensor=sensor, legend=legend, level=manifest.level,
        gsd_m=manifest.gsd_m, scale=manifest.scale, offset=manifest.offset, nodata=manifest.nodata,
        dates=manifest.dates, scenes=scenes, 
        meanings=propose_meanings(legend.classes, manifest.means, manifest.shares, path),
        labels_from=manifest.labels_from, quantity=manifest.quantity,
    )  # fmt: skip
    tell_notes([image for scene in scenes for image in scene.images])
    if verify:
        tileset.verify()
    return tileset


def open_tileset(folder: str | Path) -> Tileset:
    """Open a tileset without looking at its images; its labels are, for what they count from."""
    tileset = read_tileset(folder, verify=False)
    tileset.require_counted_labels()
    return tileset


def _tell_flat_bands(where: Path, values: Tensor, sensor: Sensor) -> None:
    """Say which bands hold one and the same value throughout (P, B), where others do not."""
    if len(values) < 2:
        return
    flat = values.amin(0) == values.amax(0)
    names = [band.name for band, same in zip(sensor.bands, flat.tolist(), strict=True) if same]
    if names and len(names) < len(sensor):
        text = ", ".join(names)
        log.warning("%s: bands that hold one value throughout: %s (leave them out with sensor: drop:)", where, text)


def stack_sensor(sensor: Sensor) -> Sensor:
    """The 2B bands of a before / after stack, named before/B1 .. after/B1."""
    bands = tuple(replace(band, name=f"{when}/{band.name}") for when in ("before", "after") for band in sensor.bands)
    return replace(sensor, bands=bands)


def one_date(sensor: Sensor, dates: int) -> Sensor:
    """The bands of one date of a stack, by their own names."""
    bands = sensor.bands[: len(sensor) // dates]
    return replace(sensor, bands=tuple(replace(band, name=band.name.split("/")[-1]) for band in bands))


def _hard(mass: Tensor) -> Tensor:
    weight, best = mass.max(0)
    return torch.where(weight > 0, best + 1, 0).to(torch.uint8)


def _sample(tile: Tile, corner: tuple[int, int], share: float) -> tuple[Tensor, Tensor]:
    """Some valid pixels of a tile, or of a part of one that starts at a corner: (P, B) values and (P,) label."""
    pixels, most = tile.valid.flatten().nonzero()[:, 0], max(1, round(PIXELS_A_SCENE * share))
    if len(pixels) > most:
        address = ("sample", tile.id, *(corner if share < 1 else ()))
        chosen = SceneKey(0, 0).at(*address).rng().choice(len(pixels), most, replace=False)
        pixels = pixels[torch.from_numpy(np.sort(chosen))]
    return tile.image.flatten(1)[:, pixels].T, tile.label().flatten()[pixels]
