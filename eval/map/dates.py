"""Maps of several dates of one place, joined into one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import rasterio
import torch
from rasterio.windows import Window

from terraficta.eval.map.predict import Made
from terraficta.eval.map.preview import thin, write_preview
from terraficta.eval.map.product import decode, open_map, read_legend
from terraficta.eval.map.trust import BANDS, decode_familiarity, trust_file
from terraficta.eval.map.unfinished import content_key, unfinished
from terraficta.pretrain.weights import weights_digest
from terraficta.synth.types.run import Run, whole_file

ROWS = 512
"""rows that are joined at once [px]"""
FAMILIARITY = 1 + BANDS.index("familiarity")
"""number of that band of a file of trust"""


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
    with ExitStack() as stack:
        files = [stack.enter_context(rasterio.open(one.map)) for one in made]
        trusts = [stack.enter_context(rasterio.open(trust_file(one.map))) for one in made]
        read = [file.name for file in (*files, *trusts)]
        about = {"TIFFTAG_SOFTWARE": "terraficta map", "map_model": files[0].tags().get("map_model", "")}
        kept = stack.enter_context(unfinished(out, content_key(read, about)))
        with open_map(out, files[0], legend, about, kept) as target:
            for y in range(target.pieces * ROWS, files[0].height, ROWS):
                window = Window(0, y, files[0].width, min(ROWS, files[0].height - y))
                parts = [decode(torch.from_numpy(file.read(window=window))) for file in files]
                seen = torch.stack([part.sum(0) > 0 for part in parts]).sum(0)
                mean = torch.stack(parts).sum(0) / seen.clamp(min=1)
                own = torch.stack([decode_familiarity(file.read(FAMILIARITY, window=window)) for file in trusts])
                target.write(y, 0, mean, seen > 0, own.nanmean(0))
        mapped, familiarity = int(target.counts.sum()), target.familiarity
        shares = {n: c / max(mapped, 1) for n, c in zip(legend.classes, target.counts.tolist(), strict=True)}
    with rasterio.open(out) as file:
        step = thin(max(file.shape))
        label = file.read(1, out_shape=(-(-file.height // step), -(-file.width // step)))
    write_preview(out.with_suffix(".png"), label, legend, out.stem)
    record = out.with_suffix(".run.json")
    with whole_file(record) as partial:
        content = run.record({"mapped_px": mapped, "shares": shares}, digest=weights_digest(out))
        partial.write_text(json.dumps(content, indent=1, default=str) + "\n")
    return replace(
        made[0], map=out, preview=out.with_suffix(".png"), record=record, shares=shares, mapped_px=mapped,
        familiarity=familiarity,
    )  # fmt: skip
