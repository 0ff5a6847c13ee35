"""The scene: the rasters of one place, opened and compared, and read when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terraficta.finetune.tileset.manifest import MANIFEST, Manifest, SceneEntry
from terraficta.finetune.tileset.reader import Raster, open_raster
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor

FOLDS = {"train": TRAIN, "test": TEST}
MASS_TOLERANCE = 1e-3
"""by how much class mass may exceed 1 in a pixel: it was stored in float32"""


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

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.images[0].shape

    def image(self, scale: float, offset: float, nodata: float | None) -> tuple[Tensor, Tensor]:
        """(B, H, W) float32 = stored * scale + offset, all dates stacked and 0 where not valid; (H, W) bool valid."""
        parts = [_scaled(raster, scale, offset, nodata) for raster in self.images]
        valid = torch.stack([part for _, part in parts]).all(0)
        if self.cloud is not None:
            valid &= torch.from_numpy(self.cloud.read()[0] == 0)
        return torch.cat([part for part, _ in parts]) * valid, valid

    def class_mass(self, legend: Legend) -> Tensor:
        """(K, H, W) float32; zeros where the scene has no labels."""
        if self.label is not None:
            return _one_hot(self.label, legend)
        if self.mass is not None:
            return _soft(self.mass)
        return torch.zeros(len(legend), *self.shape)

    def stated_fold(self) -> Tensor | None:
        """(H, W) uint8: 1 train, 2 test, 0 neither; None where the scene states none."""
        if self.entry.fold in FOLDS:
            return torch.full(self.shape, FOLDS[self.entry.fold], dtype=torch.uint8)
        if self.fold is None:
            return None
        fold = self.fold.read()[0]
        strange = np.unique(fold[(fold < 0) | (fold > TEST)])
        if len(strange):
            mend = "write 1 for train, 2 for test, 0 for neither"
            raise Refusal(self.fold.path, "fold", f"values {strange[:8].tolist()}", "0, 1 or 2", mend)
        return torch.from_numpy(fold.astype(np.uint8))


def open_scene(folder: Path, manifest: Manifest, n: int, sensor: Sensor) -> Scene:
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


def _scaled(raster: Raster, scale: float, offset: float, nodata: float | None) -> tuple[Tensor, Tensor]:
    """(B, H, W) float32 with 0 where not valid, and (H, W) bool valid."""
    stored = raster.read()
    missing = ~np.isfinite(stored)
    if missing.any() and nodata is None:
        mend = "write nodata: .nan in tileset.yaml, or fill the pixels"
        raise Refusal(
            raster.path, "image", f"{int(missing.sum())} values NaN or infinite", "numbers, as nodata is null", mend
        )
    if nodata is not None and not np.isnan(nodata):
        equal = stored == nodata
        # a dark band may well measure 0, so a nodata of 0 means a pixel with no data in any band
        missing |= equal.all(0) if nodata == 0 else equal
    valid = ~missing.any(0)
    image = np.where(valid, stored.astype(np.float32) * np.float32(scale) + np.float32(offset), 0)
    return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(valid)


def _one_hot(raster: Raster, legend: Legend) -> Tensor:
    """(K, H, W) from stored label values; refuses those outside the legend."""
    label = raster.read()[0].astype(np.int64)
    strange = np.unique(label[(label < 0) | (label > len(legend))])
    if len(strange):
        found = f"{'value' if len(strange) == 1 else 'values'} {', '.join(map(str, strange[:8]))}"
        expected = f"0 (unlabelled) or 1..{len(legend)}: {', '.join(legend.classes)}"
        raise Refusal(raster.path, "label", found, expected, "add the class to the legend, or set these pixels to 0")
    return torch.zeros(len(legend) + 1, *raster.shape).scatter_(0, torch.from_numpy(label)[None], 1.0)[1:]


def _soft(raster: Raster) -> Tensor:
    """(K, H, W) as stored; refuses what is no class mass."""
    mass = torch.from_numpy(raster.read().astype(np.float32))
    total = mass.sum(0)
    if not (mass.isfinite().all() and mass.min() >= 0 and total.max() <= 1 + MASS_TOLERANCE):
        found = f"class mass from {float(mass.min()):.3g}, summing to {float(total.max()):.3g}"
        raise Refusal(raster.path, "mass", found, "0 or more, summing to at most 1 a pixel", "rescale the mass")
    return mass
