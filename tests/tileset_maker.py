"""Makes small tilesets on disk for the tests: ground of three classes, as Sentinel-2 might see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio.transform import from_origin

BANDS = ["B02", "B03", "B04", "B08", "B11"]
SPECTRA = np.array([[0.03, 0.05, 0.03, 0.35, 0.15], [0.05, 0.06, 0.04, 0.02, 0.01], [0.10, 0.14, 0.18, 0.25, 0.32]])
LEGEND = ["forest", "water", "soil"]


def write_raster(path: Path, values: np.ndarray, **more: Any) -> Path:
    """Write (B, H, W) or (H, W) as GeoTIFF in UTM 33N at 10 m."""
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    profile: dict[str, Any] = {"crs": "EPSG:32633", "transform": from_origin(500000, 5800000, 10, 10)} | more
    with rasterio.open(path, "w", "GTiff", width, height, count, dtype=values.dtype, **profile) as file:
        file.write(values)
    return path


def draw_ground(seed: int, size: int = 48, patch: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """(B, H, W) reflectance and (H, W) label of square patches."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 3, (size // patch, size // patch))
    cells.flat[:3] = [0, 1, 2]
    label = cells.repeat(patch, 0).repeat(patch, 1)
    image = SPECTRA[label].transpose(2, 0, 1) * rng.normal(1, 0.08, (1, size, size)) + rng.normal(
        0, 0.004, (5, size, size)
    )
    return image, (label + 1).astype(np.uint8)


def write_tileset(folder: Path, scenes: int = 2, size: int = 48, **changes: Any) -> Path:
    """A sound tileset; `changes` replace keys of its manifest (None removes one)."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for n in range(scenes):
        image, label = draw_ground(n, size)
        stored = np.clip(np.round(image * 1e4), 1, 65535).astype(np.uint16)
        where = {"transform": from_origin(500000 + 10 * size * n, 5800000, 10, 10)}
        write_raster(folder / f"image{n}.tif", stored, **where)
        write_raster(folder / f"label{n}.tif", label, **where)
        fold = np.zeros((size, size), np.uint8)
        fold[:, : size // 2 - 2], fold[:, size // 2 + 2 :] = 1, 2
        write_raster(folder / f"fold{n}.tif", fold, **where)
        entries.append({"id": f"s{n}", "image": f"image{n}.tif", "label": f"label{n}.tif", "fold": f"fold{n}.tif"})
    manifest: dict[str, Any] = {
        "name": "made", "about": "fabricated for a test", "source": "none", "licence": "none",
        "sensor": {"like": "sentinel2a", "bands": BANDS}, "gsd_m": 10.0, "level": "BOA",
        "scale": 0.0001, "offset": 0.0, "nodata": 0, "legend": LEGEND, "scenes": entries,
    }  # fmt: skip
    manifest |= changes
    return write_manifest(folder, manifest)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> Path:
    """Write tileset.yaml, leaving out keys that are None save nodata."""
    kept = {key: value for key, value in manifest.items() if value is not None or key == "nodata"}
    (folder / "tileset.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))
    return folder


def read_manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest as plain data, to be broken."""
    content: dict[str, Any] = yaml.safe_load((folder / "tileset.yaml").read_text())
    return content
