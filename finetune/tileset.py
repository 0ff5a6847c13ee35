"""The tileset: a folder of real land, read into the same `Tile` that the generator makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib import colormaps
from torch import Tensor

from finetune.manifest import MANIFEST, Manifest, SceneEntry, read_manifest, sensor_of
from finetune.plausibility import require_reflectance
from finetune.raster import Raster, open_raster
from finetune.split import TEST, TRAIN, BlockSplit, deal_blocks
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA, Crosswalk, Legend
from synth.spec.refusal import Refusal
from synth.spec.sensor import Sensor
from synth.spec.tile import Level, Tile

FOLDS = {"train": TRAIN, "test": TEST}
PIXELS_A_SCENE = 4096
"""pixels of each scene that are looked at for plausible reflectance"""
MASS_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Scene:
    """One scene, its files opened and compared but their pixels unread.

    Parameters
    ----------
    entry : what the manifest says
    images : one raster, or two where the task is change
    label, mass, fold, cloud : rasters on the same grid, or None
    """

    entry: SceneEntry
    images: tuple[Raster, ...]
    label: Raster | None = None
    mass: Raster | None = None
    fold: Raster | None = None
    cloud: Raster | None = None


@dataclass(frozen=True)
class Tileset:
    """Real land with labels: an ordered set of scenes that are read one at a time.

    Parameters
    ----------
    folder : where tileset.yaml stands
    name, about : short name; place, date, what the labels are
    sensor : the bands of one date, in file order
    legend : its own classes
    level : BOA | TOA | RADIANCE | DN
    gsd_m : ground sampling distance [m]
    scale, offset, nodata : image = stored * scale + offset; `nodata` is a stored value, or None
    dates : images a scene; 2 where the task is change
    scenes : in the order of the manifest
    crosswalk : to the legend of Terraficta, where the manifest states one

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
    scale: float
    offset: float
    nodata: float | None
    dates: int
    scenes: tuple[Scene, ...] = field(repr=False)
    crosswalk: Crosswalk | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Tile:
        """Read one scene."""
        return self._read(self.scenes[index])

    def tiles(self, fold: Literal["train", "test"] | None = None) -> Iterator[Tile]:
        """Every scene in turn, one in memory at a time; with `fold`, those that hold labels of that fold.

        The tiles of a fold keep their whole `fold` array: take the pixels of `tile.in_fold(1)` or `(2)`.
        """
        if fold is not None and fold not in FOLDS:
            raise Refusal(self.folder, "fold", fold, "train or test", "ask for one of them")
        for scene in self.scenes:
            elsewhere = scene.entry.fold in FOLDS and scene.entry.fold != fold
            if fold is not None and (elsewhere or not scene.entry.labelled):
                continue
            tile = self._read(scene)
            if fold is None or tile.in_fold(FOLDS[fold]).any():
                yield tile

    def unlabelled(self) -> Iterator[Tile]:
        """The scenes without labels."""
        return (self._read(scene) for scene in self.scenes if not scene.entry.labelled)

    @cached_property
    def blocks(self) -> BlockSplit:
        """The spatial blocks of labelled scenes that state no fold of their own."""
        mine = [scene for scene in self.scenes if scene.entry.labelled and scene.entry.fold is None]
        grids = [scene.images[0].grid(self.gsd_m) for scene in mine]
        labels = [_hard(_read_mass(self, scene)) for scene in mine]
        return deal_blocks(grids, labels, len(self.legend))

    def verify(self) -> None:
        """Read every pixel once and refuse what cannot be true; one scene in memory at a time.

        Raises
        ------
        Refusal
            truncated files, NaN without nodata, labels outside the legend, empty folds, impossible reflectance
        """
        sampled: list[Tensor] = []
        sampled_label: list[Tensor] = []
        in_fold = torch.zeros(2, dtype=torch.int64)
        for tile in self.tiles():
            values, label = _sample(tile)
            sampled += values.chunk(self.dates, dim=1)
            sampled_label += [label] * self.dates
            in_fold += torch.tensor([int(tile.in_fold(TRAIN).sum()), int(tile.in_fold(TEST).sum())])
        where = self.folder / MANIFEST
        if self.level in {"BOA", "TOA"}:
            names = self.legend.classes if self.dates == 1 else ()
            require_reflectance(where, torch.cat(sampled), torch.cat(sampled_label), self.sensor, names)
        if any(scene.entry.labelled for scene in self.scenes):
            for fold, count in zip(FOLDS, in_fold.tolist(), strict=True):
                if count == 0:
                    mend = f"give some labelled, valid pixels fold {FOLDS[fold]} ({fold}), or leave `fold:` out"
                    raise Refusal(where, "fold", f"no labelled pixel in the {fold} fold", "at least one", mend)

    def _read(self, scene: Scene) -> Tile:
        images, valid = zip(*(_read_image(self, scene, raster) for raster in scene.images), strict=True)
        whole = torch.stack(valid).all(0)
        if scene.cloud is not None:
            whole &= torch.from_numpy(scene.cloud.read()[0] == 0)
        image = torch.cat(images) * whole
        mass = _read_mass(self, scene) * whole
        entry = scene.entry
        facts: dict[str, object] = {"tileset": self.name, "dates": self.dates}
        facts |= {key: getattr(entry, key) for key in ("date_before", "date_after") if getattr(entry, key)}
        return Tile(
            id=f"{self.name}/{entry.id}", image=image, valid=whole, mass=mass,
            sensor=stack_sensor(self.sensor) if self.dates == 2 else self.sensor,
            legend=self.legend, grid=scene.images[0].grid(self.gsd_m), level=self.level,
            fold=_read_fold(self, scene), region=entry.region, date=entry.date, facts=facts,
        )  # fmt: skip


def read_tileset(folder: str | Path, verify: bool = True) -> Tileset:
    """Open a tileset; by default every pixel is looked at once, and lies are refused.

    Parameters
    ----------
    folder : that holds tileset.yaml
    verify : False opens and compares the files' heads only; pixels are then checked when a scene is read

    Raises
    ------
    Refusal
        names the file, the field, what was found and how to mend it
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    path = folder / MANIFEST
    legend = Legend(manifest.name, tuple(manifest.legend), tuple(manifest.colours or _colours(len(manifest.legend))))
    sensor = sensor_of(path, manifest)
    scenes = tuple(_open_scene(folder, manifest, n, sensor) for n in range(len(manifest.scenes)))
    tileset = Tileset(
        folder=folder, name=manifest.name, about=manifest.about, sensor=sensor, legend=legend, level=manifest.level,
        gsd_m=manifest.gsd_m, scale=manifest.scale, offset=manifest.offset, nodata=manifest.nodata,
        dates=manifest.dates, scenes=scenes, crosswalk=_crosswalk(path, manifest, legend),
    )  # fmt: skip
    if verify:
        tileset.verify()
    return tileset


def stack_sensor(sensor: Sensor) -> Sensor:
    """The 2B bands of a before / after stack, named before/B1 .. after/B1."""
    bands = tuple(replace(band, name=f"{when}/{band.name}") for when in ("before", "after") for band in sensor.bands)
    return replace(sensor, bands=bands)


def one_date(sensor: Sensor, dates: int) -> Sensor:
    """The bands of one date of a stack, by their own names."""
    bands = sensor.bands[: len(sensor) // dates]
    return replace(sensor, bands=tuple(replace(band, name=band.name.split("/")[-1]) for band in bands))


def _crosswalk(path: Path, manifest: Manifest, legend: Legend) -> Crosswalk | None:
    if manifest.crosswalk is None:
        return None
    try:
        return Crosswalk.from_names(legend, TERRAFICTA, manifest.crosswalk)
    except Refusal as refusal:
        raise Refusal(path, f"crosswalk: {refusal.field}", refusal.found, refusal.expected, refusal.mend) from refusal


def _colours(classes: int) -> list[str]:
    table = colormaps["tab20"]
    rgb = [tuple(round(255 * part) for part in table(k % 20)[:3]) for k in range(classes)]
    return ["#%02x%02x%02x" % triple for triple in rgb]  # noqa: UP031


def _open_scene(folder: Path, manifest: Manifest, n: int, sensor: Sensor) -> Scene:
    """Open the rasters of a scene and compare their heads."""
    entry, path = manifest.scenes[n], folder / MANIFEST

    def opened(key: str, name: str) -> Raster:
        return open_raster(folder / name, path, f"scenes[{n}] ({entry.id}).{key}")

    keys = ("before", "after") if manifest.dates == 2 else ("image",)
    images = tuple(opened(key, name) for key, name in zip(keys, entry.images, strict=True))
    for raster in images:
        _require_image(raster, manifest, sensor)
        images[0].require_same_ground(raster, "image")
    images[0].grid(manifest.gsd_m)
    beside: dict[str, Raster] = {}
    for role, name in {"label": entry.label, "mass": entry.mass, "fold": entry.fold, "cloud": entry.clm}.items():
        if name is None or (role == "fold" and name in FOLDS):
            continue
        raster = beside[role] = opened({"cloud": "clm"}.get(role, role), name)
        images[0].require_same_ground(raster, role)
        if role != "mass":
            raster.require_one_band_of_integers(role)
        elif raster.count != len(manifest.legend):
            mend = "write one band a class, in the order of the legend"
            raise Refusal(raster.path, "mass", f"{raster.count} bands", f"{len(manifest.legend)} classes", mend)
    return Scene(entry, images, **beside)


def _require_image(raster: Raster, manifest: Manifest, sensor: Sensor) -> None:
    if raster.count != len(sensor):
        mend = "list every band of the file, in file order, under sensor.bands of tileset.yaml"
        raise Refusal(raster.path, "image", f"{raster.count} bands", f"{len(sensor)}, as sensor.bands says", mend)
    declared, stated = raster.nodata, manifest.nodata
    if declared is None or np.isnan(declared) or (stated is not None and declared == stated):
        return
    mend = f"write nodata: {declared:g} in tileset.yaml, or take it out of the file (gdal_edit -unsetnodata)"
    raise Refusal(raster.path, "nodata", f"{declared:g} in the file", f"{stated} as in tileset.yaml", mend)


def _read_image(tileset: Tileset, scene: Scene, raster: Raster) -> tuple[Tensor, Tensor]:
    """(B, H, W) float32 with 0 where not valid, and (H, W) bool valid."""
    stored = raster.read()
    missing = ~np.isfinite(stored)
    if missing.any() and tileset.nodata is None:
        mend = "write nodata: .nan in tileset.yaml, or fill the pixels"
        raise Refusal(
            raster.path, "image", f"{int(missing.sum())} values NaN or infinite", "numbers, as nodata is null", mend
        )
    if tileset.nodata is not None and not np.isnan(tileset.nodata):
        equal = stored == tileset.nodata
        # a dark band may well measure 0, so a nodata of 0 means a pixel with no data in any band
        missing |= equal.all(0) if tileset.nodata == 0 else equal
    valid = ~missing.any(0)
    image = np.where(valid, stored.astype(np.float32) * np.float32(tileset.scale) + np.float32(tileset.offset), 0)
    return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(valid)


def _read_mass(tileset: Tileset, scene: Scene) -> Tensor:
    """(K, H, W) float32 class mass of a scene; zeros where it has no labels."""
    classes, shape = len(tileset.legend), scene.images[0].shape
    if scene.label is not None:
        label = scene.label.read()[0].astype(np.int64)
        strange = np.unique(label[(label < 0) | (label > classes)])
        if len(strange):
            found = f"{'value' if len(strange) == 1 else 'values'} {', '.join(map(str, strange[:8]))}"
            expected = f"0 (unlabelled) or 1..{classes}: {', '.join(tileset.legend.classes)}"
            mend = "add the class to the legend, or set these pixels to 0"
            raise Refusal(scene.label.path, "label", found, expected, mend)
        mass = torch.zeros(classes + 1, *shape).scatter_(0, torch.from_numpy(label)[None], 1.0)
        return mass[1:]
    if scene.mass is not None:
        mass = torch.from_numpy(scene.mass.read().astype(np.float32))
        total = mass.sum(0)
        if not (mass.isfinite().all() and mass.min() >= 0 and total.max() <= 1 + MASS_TOLERANCE):
            found = f"class mass from {float(mass.min()):.3g}, summing to {float(total.max()):.3g}"
            raise Refusal(scene.mass.path, "mass", found, "0 or more, summing to at most 1 a pixel", "rescale the mass")
        return mass
    return torch.zeros(classes, *shape)


def _read_fold(tileset: Tileset, scene: Scene) -> Tensor | None:
    """(H, W) uint8: 1 train, 2 test, 0 neither; None where the scene has no labels and no fold."""
    shape = scene.images[0].shape
    if scene.fold is not None:
        fold = scene.fold.read()[0]
        strange = np.unique(fold[(fold < 0) | (fold > TEST)])
        if len(strange):
            mend = "write 1 for train, 2 for test, 0 for neither"
            raise Refusal(scene.fold.path, "fold", f"values {strange[:8].tolist()}", "0, 1 or 2", mend)
        return torch.from_numpy(fold.astype(np.uint8))
    if scene.entry.fold is not None:
        return torch.full(shape, FOLDS[scene.entry.fold], dtype=torch.uint8)
    if scene.entry.labelled:
        return tileset.blocks(scene.images[0].grid(tileset.gsd_m))
    return None


def _hard(mass: Tensor) -> Tensor:
    weight, best = mass.max(0)
    return torch.where(weight > 0, best + 1, 0).to(torch.uint8)


def _sample(tile: Tile) -> tuple[Tensor, Tensor]:
    """Some valid pixels of a tile: (P, B) values and (P,) label."""
    pixels = tile.valid.flatten().nonzero()[:, 0]
    if len(pixels) > PIXELS_A_SCENE:
        chosen = SceneKey(0, 0).at("sample", tile.id).rng().choice(len(pixels), PIXELS_A_SCENE, replace=False)
        pixels = pixels[torch.from_numpy(np.sort(chosen))]
    return tile.image.flatten(1)[:, pixels].T, tile.label().flatten()[pixels]
