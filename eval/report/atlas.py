"""The atlas: land, its labels, its map and the map's doubt, side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from matplotlib import colormaps
from matplotlib.image import imsave
from numpy.typing import NDArray
from torch import Tensor

from terraficta.eval.map.preview import class_colours, natural_colour, thin
from terraficta.eval.map.product import AHEAD, encode, read_legend
from terraficta.eval.map.source import open_source
from terraficta.eval.map.windows import Windows
from terraficta.eval.metrics import Scores, Tally
from terraficta.eval.provenance import Link
from terraficta.finetune.map_model import MapModel, read_map_model
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.split import TEST
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Band, Sensor
from terraficta.synth.types.stored import Stored
from terraficta.synth.types.tile import Tile

SCENES = 3
"""scenes of a tileset that are shown at most"""
LARGEST_PX = 1024
"""larger scenes are shown around their test pixels, in a window of this side [px]"""
PICTURE_PX = 640
"""longest side of a picture in the page [px]"""


@dataclass(frozen=True)
class Plate:
    """One scene as a page shows it.

    Parameters
    ----------
    title, about : str
        what is seen
    pictures : tuple[tuple[str, str], ...]
        (caption, PNG as data URI)
    legend : tuple[tuple[str, str, float], ...]
        (class, colour, share of the map)
    scores : Scores | None
        on the test pixels in sight; None where there are none
    """

    title: str
    about: str
    pictures: tuple[tuple[str, str], ...]
    legend: tuple[tuple[str, str, float], ...]
    scores: Scores | None = None


def plates_of(link: Link) -> tuple[list[Plate], str]:
    """The plates of a fine-tuning run or a map, and what stands in their way, if anything does."""
    if link.stage == "finetune" and link.place:
        return _of_finetune(link)
    if link.stage == "predict" and link.place:
        return _of_map(link)
    return [], ""


def _of_finetune(link: Link) -> tuple[list[Plate], str]:
    stated = link.record.get("tileset") or {}
    folder = Path(str(stated.get("folder") if isinstance(stated, Mapping) else stated))
    if not (folder / MANIFEST).is_file():
        return [], f"The tileset of {link.place} is not at {folder}, so its maps are not drawn."
    model, tileset = read_map_model(link.place), read_tileset(folder, verify=False)
    found = []
    for tile in tileset.tiles("test"):
        found.append(plate_of_tile(_in_sight(tile), model, f"{link.recipe.get('name', '')} {_how(link)}".strip()))
        if len(found) == SCENES:
            break
    return found, ""


def _how(link: Link) -> str:
    head, labels = link.record.get("head"), link.record.get("labels_per_class")
    return f"head {head}, {labels} labels a class" if head and labels else ""


def _in_sight(tile: Tile) -> Tile:
    """A window around the middle of the test pixels, where a scene is large."""
    height, width = tile.grid.shape
    if max(height, width) <= LARGEST_PX:
        return tile
    rows, columns = torch.nonzero(tile.in_fold(TEST), as_tuple=True)
    high, wide = min(height, LARGEST_PX), min(width, LARGEST_PX)
    y = int((rows.median() - high // 2).clamp(0, height - high))
    x = int((columns.median() - wide // 2).clamp(0, width - wide))
    return tile.crop(y, x, high, wide)


def plate_of_tile(tile: Tile, model: MapModel, about: str) -> Plate:
    """Map a tile and draw it beside its label."""
    probabilities = _mapped(tile, model)
    tally = Tally(len(tile.legend))
    inside = tile.in_fold(TEST)
    tally.add(probabilities[:, inside], tile.mass[:, inside])
    stored = (encode(probabilities) * tile.valid).numpy()
    captions = {
        "image": natural_colour(tile.image, tile.valid, tile.sensor.reading_order()),
        "label": class_colours(tile.label().numpy(), tile.legend),
    }
    return _plate(tile.id, about, captions, stored, tile.legend, tally.scores() if bool(inside.any()) else None)


def _mapped(tile: Tile, model: MapModel) -> Tensor:
    windows, (height, width) = Windows(), tile.grid.shape
    high, wide = min(windows.size_px, height), min(windows.size_px, width)
    found = torch.zeros(len(model.legend), height, width)

    def predict(corners: Any) -> Tensor:
        views = [(slice(y, y + high), slice(x, x + wide)) for y, x in corners]
        images = torch.stack([tile.image[:, rows, columns] for rows, columns in views])
        valids = torch.stack([tile.valid[view] for view in views])
        return model(images, tile.sensor, valids, [tile.id] * len(views))

    for y, x, piece in windows.strips(height, width, predict):
        found[:, y : y + piece.shape[1], x : x + piece.shape[2]] = piece
    return found


def _of_map(link: Link) -> tuple[list[Plate], str]:
    path = Path(link.place.removesuffix(".run.json") + ".tif")
    images = [str(image) for image in link.recipe.get("images", [])]
    if not path.is_file():
        return [], f"The map {path} is not there any more."
    legend = read_legend(path)
    with rasterio.open(path) as file:
        step = thin(max(file.shape), PICTURE_PX)
        bands = [AHEAD.index(name) + 1 for name in ("class", "probability", "entropy")]
        stored = file.read(bands, out_shape=(3, -(-file.height // step), -(-file.width // step)))
    captions: dict[str, NDArray[np.uint8]] = {}
    sensor, missing = _sensor(link.recipe), ""
    if sensor is None:
        missing = f"The record of {path} does not say which bands the image has, so the image is not drawn."
    else:
        try:
            stated, how = bool(link.recipe.get("stated")), Stored(**link.recipe["stored"])
            with open_source(images, how, sensor, len(images), stated) as source:
                image, valid = source.read(0, 0, *source.shape, step=step)
            captions["image"] = natural_colour(image, valid, sensor.reading_order())
        except Refusal as refusal:
            missing = f"The image of {path} is not drawn: {refusal}"
    return [_plate(path.stem, "the whole map", captions, stored, legend, None)], missing


def _sensor(recipe: Mapping[str, Any]) -> Sensor | None:
    """The bands of one date, as a prediction records them."""
    bands = [Band(**band) for band in recipe.get("bands", [])]
    return Sensor("recorded", tuple(bands), float(recipe["gsd_m"])) if bands else None


def _plate(
    title: str,
    about: str,
    captions: dict[str, NDArray[np.uint8]],
    stored: NDArray[np.uint8],
    legend: Legend,
    scores: Scores | None,
) -> Plate:
    doubt = (np.clip(stored[2].astype(float) - 1, 0, 250) / 250 * 255).astype(np.uint8)
    shaded = (colormaps["PuBuGn"](doubt) * 255).astype(np.uint8)
    shaded[stored[0] == 0, 3] = 0
    captions = captions | {"map": class_colours(stored[0], legend), "doubt (entropy)": shaded}
    counts = np.bincount(stored[0].reshape(-1), minlength=len(legend) + 1)[1 : len(legend) + 1]
    shares = counts / max(int(counts.sum()), 1)
    entries = zip(legend.classes, legend.colours, shares.tolist(), strict=True)
    return Plate(
        title, about, tuple((name, data_uri(picture)) for name, picture in captions.items()),
        tuple((name.replace("_", " "), colour, share) for name, colour, share in entries), scores,
    )  # fmt: skip


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W, 4), thinned to the size of a page, as a PNG inside the page."""
    step = thin(max(picture.shape[:2]), PICTURE_PX)
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(picture[::step, ::step]), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
