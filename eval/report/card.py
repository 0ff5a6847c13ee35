"""The card of a map: a real map measured and explained on one page, as scenes of fiction are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from terraficta.eval.map.preview import class_colours, thin
from terraficta.eval.map.product import AHEAD, read_legend
from terraficta.eval.map.shares import STEPS
from terraficta.finetune.tileset.meanings import WORDS, understand
from terraficta.synth.card.card import make_card, write_card_data
from terraficta.synth.card.page import Picture, write_card_page
from terraficta.synth.card.review import write_review
from terraficta.synth.card.scene import REVIEW, shaded_relief
from terraficta.synth.card.sheet import Sheet
from terraficta.synth.types.grid import Grid, ground_size_m
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.raster import open_raster
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_folder

MOST_PX = 4096
"""longest side that is measured; of a larger map every n-th pixel is taken, and the card says so [px]"""
HALF = 0.5
"""part of a class's meaning from which on it counts as water, or as settled"""
CLASSES = "what the map says"


def write_map_card(path: Path, out: Path, dem: str | None = None) -> Path:
    """Write NAME.html, NAME.json and a reviewer's sheet for a map of `terraficta eval predict`.

    Parameters
    ----------
    path : Path
        of the map
    out : Path
        new or empty folder
    dem : str | None
        elevation model that covers it, any raster of heights that GDAL opens; None: the card tells no heights

    Returns
    -------
    Path
        The page

    Raises
    ------
    Refusal
        no such map, pixels whose size on the ground is not known, an elevation model that misses the map
    """
    sheet, probability = sheet_of_map(path, dem)
    card = make_card(sheet)
    shown: dict[str, Picture] = {
        CLASSES: class_colours(sheet.label, sheet.legend),
        "how probable that is, black 0 to white 1": np.repeat(probability[..., None], 3, -1),
    }
    if sheet.elevation_m is not None:
        shown |= shaded_relief(sheet.elevation_m, sheet.grid.gsd_m)
    with whole_folder(out) as partial:
        write_card_data(card, partial / f"{path.stem}.json")
        write_card_page(card, shown, CLASSES, partial / f"{path.stem}.html")
        write_review([card], partial / REVIEW)
    return out / f"{path.stem}.html"


def sheet_of_map(path: Path, dem: str | None = None) -> tuple[Sheet, NDArray[np.float32]]:
    """A map as a sheet, and the probability (H, W) of its classes."""
    legend = read_legend(path)
    with rasterio.open(path) as source:
        step = thin(max(source.shape), MOST_PX)
        height, width = (-(-side // step) for side in source.shape)
        stored = source.read([1, 1 + AHEAD.index("probability")], out_shape=(2, height, width))
        where = (source.crs, source.transform)
        tags = source.tags()
    if where[0] is None:
        mend = "map an image that has a CRS and a transform (gdal_translate -a_srs -a_ullr)"
        raise Refusal(path, "crs", "none", "a place on the ground, by which areas are told", mend)
    transform = where[1] * Affine.scale(source.width / width, source.height / height)
    sides = ground_size_m(where[0], transform, (height, width))
    if sides is None:
        raise Refusal(path, "crs", str(where[0]), "a system with a place on earth", "warp the map (gdalwarp -t_srs)")
    grid = Grid(height, width, math.sqrt(sides[0] * sides[1]), where[0].to_string(), transform)
    label = stored[0]
    count = np.bincount(label.reshape(-1), minlength=len(legend) + 1)[1 : len(legend) + 1].astype(np.float64)
    facts = {name: value for name, value in tags.items() if name not in ("legend", "colours", "AREA_OR_POINT")}
    sheet = Sheet(
        name=path.stem,
        label=label,
        legend=legend,
        grid=grid,
        share=count / max(count.sum(), 1.0),
        water=np.isin(label, _meant(legend, "water")),
        settled=np.isin(label, _meant(legend, "settlement", "building")),
        elevation_m=None if dem is None else _heights(dem, grid, where[0]),
        facts=facts | ({"measured on": f"every {step}th pixel along a side"} if step > 1 else {}),
    )
    return sheet, ((stored[1].astype(np.float32) - 1) / STEPS).clip(0, 1)


def _meant(legend: Legend, *words: str) -> list[int]:
    """Label values of the classes whose names mean mostly one of these."""
    found = []
    for number, name in enumerate(legend.classes, start=1):
        meaning = understand(name)
        if meaning is not None and sum(meaning[0][WORDS.index(word)] for word in words) >= HALF:
            found.append(number)
    return found


def _heights(dem: str, grid: Grid, crs: Any) -> NDArray[np.float32]:
    """An elevation model on the pixels of a map."""
    raster = open_raster(dem, field="dem").one_band("heights", integers=False)
    heights = np.full(grid.shape, np.nan, dtype=np.float32)
    with raster.opened() as source:
        reproject(
            rasterio.band(source, 1), heights, dst_transform=grid.transform, dst_crs=crs, dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )  # fmt: skip
    missing = float(np.isnan(heights).mean())
    if missing > 0:
        found = f"no height for {100 * missing:.1f} % of the map"
        raise Refusal(
            dem, "heights", found, "a height for every pixel", "name one that covers the map, and has no gaps"
        )
    return heights
