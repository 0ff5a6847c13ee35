"""Maps of several dates of one place, joined into one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window

from terraficta.eval.map.predict import Made
from terraficta.eval.map.preview import thin, write_preview
from terraficta.eval.map.product import decode, open_map, read_legend
from terraficta.pretrain.weights import weights_digest
from terraficta.synth.types.run import Run, whole_file

ROWS = 512
"""rows that are joined at once [px]"""


def same_grid(maps: Sequence[Path]) -> bool:
    """Whether maps show the same pixels of ground; those without a place never do."""
    grids = set()
    for path in maps:
        with rasterio.open(path) as file:
            if file.crs is None:
                return False
            grids.add((file.crs.to_string(), tuple(file.transform)[:6], file.shape))
    return len(grids) == 1


def join_maps(made: Sequence[Made], out: Path) -> Made:
    """One map of several dates: in each pixel the mean probability of the dates that saw it.

    Parameters
    ----------
    made : Sequence[Made]
        maps of one grid and legend
    out : Path
        GeoTIFF to write
    """
    legend = read_legend(made[0].map)
    run = Run("predict", {"joined": [str(one.map) for one in made]}, seed=0)
    counts = np.zeros(len(legend), dtype=np.int64)
    with ExitStack() as stack:
        files = [stack.enter_context(rasterio.open(one.map)) for one in made]
        about = {"TIFFTAG_SOFTWARE": "terraficta map", "map_model": files[0].tags().get("map_model", "")}
        with open_map(out, files[0], legend, about) as target:
            for y in range(0, files[0].height, ROWS):
                window = Window(0, y, files[0].width, min(ROWS, files[0].height - y))
                parts = [decode(torch.from_numpy(file.read(window=window))) for file in files]
                seen = torch.stack([part.sum(0) > 0 for part in parts]).sum(0)
                mean = torch.stack(parts).sum(0) / seen.clamp(min=1)
                target.write(y, 0, mean, seen > 0)
                counts += np.bincount(mean.argmax(0)[seen > 0].numpy(), minlength=len(legend))
    mapped = int(counts.sum())
    shares = {name: int(n) / max(mapped, 1) for name, n in zip(legend.classes, counts, strict=True)}
    with rasterio.open(out) as file:
        step = thin(max(file.shape))
        label = file.read(1, out_shape=(-(-file.height // step), -(-file.width // step)))
    write_preview(out.with_suffix(".png"), label, legend, out.stem)
    record = out.with_suffix(".run.json")
    with whole_file(record) as partial:
        content = run.record({"mapped_px": mapped, "shares": shares}, digest=weights_digest(out))
        partial.write_text(json.dumps(content, indent=1, default=str) + "\n")
    return replace(made[0], map=out, preview=out.with_suffix(".png"), record=record, shares=shares, mapped_px=mapped)
