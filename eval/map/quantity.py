"""The map of a quantity: one band of numbers in its own unit, on the grid of the image."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window
from torch import Tensor

from terraficta.eval.map.predict import Made, require_free, sampled, stored_of_run
from terraficta.eval.map.product import place_of
from terraficta.eval.map.source import open_source
from terraficta.eval.map.windows import Windows
from terraficta.finetune.map_model import MODEL
from terraficta.finetune.regression import read_value_model
from terraficta.pretrain.weights import weights_digest
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, read_run, whole_file
from terraficta.synth.types.stored import Stored


def predict_quantity(
    run_folder: Path,
    images: Sequence[str | Path],
    out: Path,
    *,
    scene: str | None = None,
    stored: Stored | None = None,
    windows: Windows | None = None,
    inputs: Sequence[str | Path] = (),
    overwrite: bool = False,
    tell: Callable[[float], None] = lambda share: None,
) -> Made:
    """Map a quantity on an image of any size as a COG of float32, NaN where there is no image; see `predict_image`.

    Parameters
    ----------
    run_folder : Path
        of `terraficta finetune run` on a tileset with `task: value`
    images : Sequence[str | Path]
        one GeoTIFF
    out : Path
        GeoTIFF to write; beside it comes .run.json
    scene : str | None
        id of the tile that the image is of
    stored : Stored | None
        how the image's numbers are stored; None: as in the tileset that the run was fitted on
    windows : Windows | None
        how the image is cut
    inputs : Sequence[str | Path]
        further files that must not be written over
    overwrite : bool
        whether a file that stands at `out` may be replaced, though it is no map by this model
    tell : Callable[[float], None]
        called with the share that is done
    """
    if out.suffix.lower() not in {".tif", ".tiff"}:
        raise Refusal(out, "out", out.suffix or "no suffix", ".tif", "name a GeoTIFF")
    model, parent, digest = read_value_model(run_folder), read_run(run_folder), weights_digest(run_folder / MODEL)
    require_free(out, [*images, *inputs, run_folder / MODEL], digest, overwrite)
    how, cut = stored or stored_of_run(run_folder, parent), windows or Windows()
    run = Run(
        "predict", {"images": [str(p) for p in images], "stored": vars(how), "windows": vars(cut)}, seed=0,
        parents={"map_model": digest},
    )  # fmt: skip
    encoder, total, count = model.encoder, 0.0, 0
    with open_source(images, how, encoder.sensor, encoder.dates, stored is not None) as source:
        name, (height, width) = scene or str(images[0]), source.shape
        if name not in encoder.by_scene:
            model = replace(model, encoder=encoder.with_scene(name, sampled(source)))
        high, wide = min(cut.size_px, height), min(cut.size_px, width)

        def predict(corners: Sequence[tuple[int, int]]) -> Tensor:
            seen, valid = zip(*(source.read(y, x, high, wide) for y, x in corners), strict=True)
            return model(torch.stack(seen), torch.stack(valid), [name] * len(seen))[:, None]

        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(out) as partial, TemporaryDirectory(prefix=".map-", dir=out.parent) as folder:
            flat = Path(folder) / "flat.tif"
            with rasterio.open(flat, "w", **_profile(source.first)) as target:
                target.descriptions = (model.quantity,)
                target.update_tags(quantity=model.quantity, map_model=digest)
                for y, x, piece in cut.strips(height, width, predict):
                    valid = source.read(y, x, *piece.shape[1:])[1].numpy()
                    values = np.where(valid, piece[0].numpy(), np.nan).astype(np.float32)
                    target.write(values[None], window=Window(x, y, values.shape[1], values.shape[0]))
                    total, count = total + float(np.nansum(values, dtype=np.float64)), count + int(valid.sum())
                    tell((y + values.shape[0]) * (x + values.shape[1]) / (height * width))
            copy_raster(flat, partial, driver="COG", compress="DEFLATE", predictor="YES", bigtiff="IF_SAFER")
    record = out.with_suffix(".run.json")
    with whole_file(record) as partial:
        metrics = {"mapped_px": count, "mean": total / count if count else None}
        content = run.record(metrics, quantity=model.quantity, digest=weights_digest(out))
        partial.write_text(json.dumps(content | {"parent_record": parent}, indent=1, default=str) + "\n")
    return Made(out, None, record, {}, count, None)


def _profile(source: Any) -> dict[str, Any]:
    """Of a single band on the grid of an open dataset."""
    return {
        "driver": "GTiff", "dtype": "float32", "count": 1, "nodata": np.nan, "height": source.height,
        "width": source.width, "tiled": True, "blockxsize": 256, "blockysize": 256, "BIGTIFF": "IF_SAFER",
        **place_of(source),
    }  # fmt: skip
