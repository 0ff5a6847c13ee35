"""The scene: the rasters of one place, opened and compared, and read when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from terraficta.finetune.tileset.drawn import parts_of, whole
from terraficta.finetune.tileset.manifest import MANIFEST, Manifest, SceneEntry, band_names, dropped_bands
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.vector import VectorLabel, is_vector, open_vector
from terraficta.synth.types.file_name import beside
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.raster import Raster, open_raster
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.stored import Stored, number_text

FOLDS = {"train": TRAIN, "test": TEST}
MASS_TOLERANCE = 1e-3
"""by how much class mass may exceed 1 in a pixel: it was stored in float32"""
IGNORED = 255
"""what many label files store for pixels that are not to be looked at"""


@dataclass(frozen=True)
class Scene:
    """One scene, its files opened and compared but their pixels unread.

    Parameters
    ----------
    entry : SceneEntry
        what the manifest says
    images : tuple[Raster, ...]
        one raster, or two where the task is change
    label : Raster | VectorLabel | None
        on the same grid, or drawn on it
    mass, fold, cloud, value : Raster | None
        rasters on the same grid, or None
    labels_from : int
        stored value of the first class
    dropped : tuple[int, ...]
        positions of bands in the images that are not read
    """

    entry: SceneEntry
    images: tuple[Raster, ...]
    label: Raster | VectorLabel | None = None
    mass: Raster | None = None
    fold: Raster | None = None
    cloud: Raster | None = None
    value: Raster | None = None
    labels_from: int = 1
    dropped: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.images[0].shape

    @property
    def files(self) -> tuple[str, ...]:
        """Names of every file of it."""
        others = (part.path for part in (self.label, self.mass, self.fold, self.cloud, self.value) if part is not None)
        return (*(image.path for image in self.images), *others)

    def stored(self, scale: float | None, offset: float | None, nodata: float | None) -> Stored:
        """How its images are stored, from what is said of all scenes and of this one."""
        own = self.entry
        scale, offset = scale if own.scale is None else own.scale, offset if own.offset is None else own.offset
        return Stored(scale, offset, nodata, self.dropped)

    def image(
        self, stored: Stored, names: Sequence[str] = (), window: Window | None = None, step: int = 1
    ) -> tuple[Tensor, Tensor]:
        """(B, H, W) float32 = stored * scale + offset, all dates stacked and 0 where not valid; (H, W) bool valid.

        Parameters
        ----------
        names : Sequence[str]
            of the bands, for messages
        window : Window | None
            part of the scene, as in all that follows; None: all of it
        step : int
            every so many pixels are read
        """
        parts = [_scaled(raster, stored, names, window, step) for raster in self.images]
        valid = torch.stack([part for _, part in parts]).all(0)
        if self.cloud is not None:
            valid &= torch.from_numpy(_values(self.cloud, window, step)[0] == 0)
        return torch.cat([part for part, _ in parts]) * valid, valid

    def label_values(self, window: Window | None = None) -> NDArray[np.int64]:
        """(H, W) as stored, the pixels that the file itself calls missing as -1."""
        if isinstance(self.label, VectorLabel):
            return self.label.values_in(window or whole(self.shape))
        assert self.label is not None
        values, seen = _values(self.label, window)
        return np.where(seen, values.astype(np.int64), -1)

    def class_mass(self, legend: Legend, window: Window | None = None) -> Tensor:
        """(K, H, W) float32; zeros where the scene has no labels."""
        part = window or whole(self.shape)
        if isinstance(self.label, VectorLabel) and (mass := self.label.mass_in(part)) is not None:
            return torch.from_numpy(mass)
        if self.label is not None:
            return self._one_hot(legend, window)
        if self.mass is not None:
            return _soft(self.mass, window)
        if self.value is not None:  # one class: a value is known
            return torch.from_numpy(np.isfinite(self.values(window)).astype(np.float32))[None]
        return torch.zeros(len(legend), part.height, part.width)

    def values(self, window: Window | None = None) -> NDArray[np.float32]:
        """(H, W) of the quantity, in its unit; NaN where it is not known."""
        if self.value is None:
            part = window or whole(self.shape)
            return np.full((part.height, part.width), np.nan, np.float32)
        stored, seen = _values(self.value, window)
        return np.where(seen, stored, np.nan).astype(np.float32)

    def stated_fold(self, window: Window | None = None) -> Tensor | None:
        """(H, W) uint8: 1 train, 2 test, 0 neither; None where the scene states none."""
        part = window or whole(self.shape)
        if self.entry.fold in FOLDS:
            return torch.full((part.height, part.width), FOLDS[self.entry.fold], dtype=torch.uint8)
        if self.fold is None:
            return None
        values, seen = _values(self.fold, window)
        fold = np.where(seen, values, 0)
        strange = np.unique(fold[(fold < 0) | (fold > TEST)])
        if len(strange):
            mend = "write 1 for train, 2 for test, 0 for neither"
            raise Refusal(self.fold.path, "fold", f"values {strange[:8].tolist()}", "0, 1 or 2", mend)
        return torch.from_numpy(fold.astype(np.uint8))

    def _one_hot(self, legend: Legend, window: Window | None) -> Tensor:
        """(K, H, W) from stored label values; refuses those outside the legend."""
        assert self.label is not None
        values, first = self.label_values(window), 1 if isinstance(self.label, VectorLabel) else self.labels_from
        missing = values == -1
        label = np.where(missing, 0, values + 1 - first)
        strange = np.unique(values[(label < 0) | (label > len(legend))])
        if len(strange):
            found = f"{'value' if len(strange) == 1 else 'values'} {', '.join(map(str, strange[:8]))}"
            unlabelled = "0 (unlabelled) or " if first == 1 else ""
            expected = f"{unlabelled}{first}..{len(legend) - 1 + first}: {', '.join(legend.classes)}"
            mend = "add the class to the legend, or set these pixels to 0"
            if strange.tolist() == [IGNORED]:
                mend = (
                    f"where {IGNORED} means unlabelled, say so in the file (gdal_edit.py -a_nodata {IGNORED}) "
                    "or set these pixels to 0; where it is a class, add it to the legend"
                )
            raise Refusal(self.label.path, "label", found, expected, mend)
        hot = torch.zeros(len(legend) + 1, *label.shape)
        return hot.scatter_(0, torch.from_numpy(label)[None], 1.0)[1:]


def open_scene(folder: Path, manifest: Manifest, n: int, sensor: Sensor) -> Scene:
    """Open the rasters of a scene and compare their heads."""
    entry, path = manifest.scenes[n], folder / MANIFEST

    def opened(key: str, name: str) -> Raster:
        return open_raster(beside(folder, name), path, f"scenes[{n}] ({entry.id}).{key}")

    keys = ("before", "after") if manifest.dates == 2 else ("image",)
    images = tuple(opened(key, name) for key, name in zip(keys, entry.images, strict=True))
    stated = Scene(entry, images).stored(manifest.scale, manifest.offset, manifest.nodata)
    images = tuple(_image(raster, manifest, stated, sensor) for raster in images)
    for raster in images:
        images[0].require_same_ground(raster, "image")
    beside_it: dict[str, Raster] = {}
    label: Raster | VectorLabel | None = None
    named = {"label": entry.label, "mass": entry.mass, "fold": entry.fold, "cloud": entry.clm, "value": entry.value}
    for role, name in named.items():
        if name is None or (role == "fold" and name in FOLDS):
            continue
        if role == "label" and is_vector(name):
            label = open_vector(
                beside(folder, name), images[0], tuple(manifest.legend), manifest.label_column,
                confidence_column=manifest.confidence_column, votes_columns=manifest.votes_columns,
                crs=manifest.label_crs,
            )  # fmt: skip
            continue
        raster = opened({"cloud": "clm"}.get(role, role), name)
        images[0].require_same_ground(raster, role)
        if role == "mass":
            if raster.count != len(manifest.legend):
                mend = "write one band a class, in the order of the legend"
                raise Refusal(raster.path, "mass", f"{raster.count} bands", f"{len(manifest.legend)} classes", mend)
        else:
            raster = raster.one_band(role, integers=role != "value")
        if role == "label":
            label = raster
        else:
            beside_it[role] = raster
    first = 1 if manifest.labels_from is None else manifest.labels_from
    return Scene(entry, images, label, labels_from=first, dropped=dropped_bands(path, manifest), **beside_it)


def require_labels_from_one(scenes: tuple[Scene, ...], legend: Legend, where: Path) -> None:
    """Refuse labels that seem to count from 0: every class but the last occurs, the last never, and 0 does.

    Asked, not guessed: a file that declares 0 as its nodata value, or `labels_from:` in tileset.yaml, is an answer.
    """
    seen: set[int] = set()
    unlabelled = total = 0
    for scene in scenes:
        if scene.label is None or isinstance(scene.label, VectorLabel):
            continue
        for part in parts_of(scene.shape):
            values = scene.label_values(part)
            seen |= set(np.unique(values).tolist()) - {-1}
            unlabelled, total = unlabelled + int((values == 0).sum()), total + values.size
    if len(legend) > 1 and seen == set(range(len(legend))):
        found = (
            f"values 0 to {len(legend) - 1}: {legend.classes[-1]} ({len(legend)}) never occurs, "
            f"while 0 fills {unlabelled / total:.0%}"
        )
        mend = (
            "write labels_from: 0 (--labels-from 0) if 0 is the first class (the labels count from 0), "
            "or labels_from: 1 if 0 means unlabelled"
        )
        raise Refusal(where, "label", found, f"0 (unlabelled) or 1..{len(legend)}", mend)


def _image(raster: Raster, manifest: Manifest, stored: Stored, sensor: Sensor) -> Raster:
    mend = "list every band of the file, in file order, under sensor.bands of tileset.yaml; sensor.drop leaves some out"
    path = Path(MANIFEST)
    names, dropped = band_names(path, manifest), dropped_bands(path, manifest)
    if dropped:
        if raster.count not in (len(names), len(names) + (raster.alpha is not None)):
            raise Refusal(raster.path, "bands", f"{raster.count} bands", f"{len(names)}, dropped ones among them", mend)
        raster = raster.without_bands(dropped)
    raster = raster.with_bands(sensor.bands, False, mend)
    raster.require_gsd(manifest.gsd_m, f"of {MANIFEST}", "write gsd_m: {found}, or correct the georeference")
    raster.require_nodata(manifest.nodata, f"as in {MANIFEST}")
    raster.require_scaling(stored, f"as in {MANIFEST}")
    radiance = [unit for unit in raster.units if unit and "sr" in unit.lower() and "w" in unit.lower()]
    if radiance and manifest.level in ("BOA", "TOA"):
        mend = "write level: RADIANCE, or convert the image to reflectance"
        raise Refusal(
            raster.path, "unit", f"{radiance[0]} in the file", f"reflectance, as level {manifest.level}", mend
        )
    return raster


def _values(
    raster: Raster, window: Window | None = None, step: int = 1
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """(H, W) as stored, and where the file lets it count."""
    with raster.opened() as file:
        values, seen = raster.numbers(file, window, _thinned(raster, window, step))
    declared = raster.nodata[raster.order[0] - 1]
    missing = raster.missing(values)[0] if declared is not None else np.zeros(seen.shape, bool)
    return values[0], seen & ~missing


def _thinned(raster: Raster, window: Window | None, step: int) -> tuple[int, int] | None:
    """(h, w) of every so many pixels of a part; None: all of them."""
    part = window or whole(raster.shape)
    return None if step == 1 else (-(-part.height // step), -(-part.width // step))


def _scaled(
    raster: Raster, stored: Stored, names: Sequence[str], window: Window | None, step: int
) -> tuple[Tensor, Tensor]:
    """(B, H, W) float32 with 0 where not valid, and (H, W) bool valid."""
    with raster.opened() as file:
        numbers, seen = raster.numbers(file, window, _thinned(raster, window, step))
    strange = ~np.isfinite(numbers) & seen
    declared = any(value is not None and np.isnan(value) for value in raster.nodata)
    if strange.any() and stored.nodata is None and not declared:
        mend = "write nodata: .nan in tileset.yaml, or fill the pixels"
        found = f"{int(strange.sum())} values NaN or infinite"
        raise Refusal(raster.path, "image", found, "numbers, as nodata is null", mend)
    missing = raster.missing(numbers, stored.nodata)
    valid = seen & ~missing.any(0)
    if window is None and not valid.any():
        _require_no_empty_bands(raster, missing, stored, names)
    scale, offset = raster.scaling(stored)
    image = np.where(valid, np.where(valid, numbers, 0).astype(np.float32) * scale + offset, 0)
    return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(valid)


def _require_no_empty_bands(raster: Raster, missing: NDArray[np.bool_], stored: Stored, names: Sequence[str]) -> None:
    """Name the bands that hold no data anywhere, where others do: water vapour bands of spectrometers."""
    empty: NDArray[np.bool_] = np.asarray(missing.all((1, 2)))
    if not empty.any() or empty.all():
        return
    which = [n for n, gone in enumerate(empty) if gone]
    said = [names[n] if n < len(names) else str(raster.order[n]) for n in which]
    mark = "missing" if stored.nodata is None else number_text(stored.nodata)
    mend = f"leave them out: drop: [{', '.join(said)}] under sensor in tileset.yaml"
    found = f"bands {', '.join(said[:12])}{' ...' if len(said) > 12 else ''} {mark} throughout"
    raise Refusal(raster.path, "bands", found, "some data in every band", mend)


def _soft(raster: Raster, window: Window | None) -> Tensor:
    """(K, H, W) as stored; refuses what is no class mass."""
    with raster.opened() as file:
        numbers, seen = raster.numbers(file, window)
    mass = torch.from_numpy(np.where(seen, numbers, 0).astype(np.float32))
    total = mass.sum(0)
    if not (mass.isfinite().all() and mass.min() >= 0 and total.max() <= 1 + MASS_TOLERANCE):
        found = f"class mass from {float(mass.min()):.3g}, summing to {float(total.max()):.3g}"
        raise Refusal(raster.path, "mass", found, "0 or more, summing to at most 1 a pixel", "rescale the mass")
    return mass
