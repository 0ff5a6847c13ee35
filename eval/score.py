"""The score of a map: how it stands on the labelled pixels of the test fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import torch
from rich.console import Group
from rich.table import Table

from terraficta.eval.benchmark.networks import at_pixels
from terraficta.eval.benchmark.pixels import fold_pixels
from terraficta.eval.map.product import decode, read_legend
from terraficta.eval.metrics import Scores, Tally
from terraficta.finetune.map_model import read_map_model
from terraficta.finetune.tileset.split import TEST
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile


def score_run(folder: Path, tileset: Tileset, device: str = "cpu") -> Tally:
    """Tally a fine-tuned model on every test scene; only windows that hold test pixels are mapped."""
    model = read_map_model(folder, device)
    if model.legend.classes != tileset.legend.classes:
        _refuse_legend(folder, model.legend.classes, tileset)
    tally = Tally(len(tileset.legend))

    def network(image: torch.Tensor, valid: torch.Tensor, scenes: list[str]) -> torch.Tensor:
        return model(image, valid=valid, scenes=scenes)

    for tile in tileset.tiles("test"):
        model.encoder.require_sensor(tile.sensor)
        for pixels in fold_pixels([tile], TEST, 0, tile.id):
            tally.add(at_pixels(network, pixels), pixels.mass)
    return _counted(tally, tileset)


def score_map(path: Path, tileset: Tileset, scene: str | None = None) -> Tally:
    """Tally a map of one scene on that scene's test fold. Pixels that the map leaves out count as wrong.

    Raises
    ------
    Refusal
        another legend, another grid, or no labelled test pixel
    """
    legend = read_legend(path)
    if legend.classes != tileset.legend.classes:
        _refuse_legend(path, legend.classes, tileset)
    tile = find_scene(tileset, scene)
    with rasterio.open(path) as source:
        same = (source.height, source.width) == tile.grid.shape
        if same and tile.grid.crs is not None and source.crs is not None:
            same = source.crs.to_string() == tile.grid.crs and source.transform.almost_equals(tile.grid.transform)
        if not same:
            expected = f"{tile.grid.shape} of scene {tile.id}, {tile.grid.crs}"
            found = f"{(source.height, source.width)}, {source.crs}"
            raise Refusal(path, "grid", found, expected, "name the scene that was mapped with --scene")
        stored = torch.from_numpy(source.read(out_dtype=np.uint8))
    tally = Tally(len(legend))
    for pixels in fold_pixels([tile], TEST, 0, tile.id):
        bytes_there = stored[:, pixels.y, pixels.x]
        probabilities, missing = decode(bytes_there), bytes_there[0] == 0
        others = 1 - pixels.mass[:, missing] / pixels.mass[:, missing].sum(0)
        probabilities[:, missing] = others / others.sum(0).clamp(min=1)
        tally.add(probabilities, pixels.mass)
    return _counted(tally, tileset)


def find_scene(tileset: Tileset, scene: str | None) -> Tile:
    """A scene by its id; the first one for None."""
    ids = [entry.entry.id for entry in tileset.scenes]
    if scene is not None and scene not in ids:
        known = ", ".join(ids[:12]) + (" ..." if len(ids) > 12 else "")
        raise Refusal(tileset.folder, "scene", scene, f"one of {known}", "use an id of tileset.yaml")
    return tileset[0 if scene is None else ids.index(scene)]


def score_tables(scores: Scores, classes: tuple[str, ...]) -> Group:
    """The scores as two small tables."""
    whole = Table("score", "value", box=None, pad_edge=False)
    for name in ("accuracy", "miou", "macro_f1", "ece", "nll", "brier", "weight"):
        value = getattr(scores, name)
        whole.add_row(
            "labelled test pixels" if name == "weight" else name,
            f"{value:,.0f}" if name == "weight" else f"{value:.4f}",
        )
    single = Table("class", "IoU", box=None, pad_edge=False)
    for name, value in zip(classes, scores.iou, strict=True):
        single.add_row(name, f"{value:.4f}" if value == value else "neither labelled nor mapped")
    return Group(whole, "", single)


def _counted(tally: Tally, tileset: Tileset) -> Tally:
    if float(tally.confusion.sum()) == 0:
        mend = "score a scene that holds test pixels"
        raise Refusal(tileset.folder, "fold", "no labelled pixel in the test fold", "at least one", mend)
    return tally


def _refuse_legend(where: Path, found: tuple[str, ...], tileset: Tileset) -> None:
    mend = "score against the tileset that the model was fitted on, or one with the same legend"
    raise Refusal(where, "legend", ", ".join(found), ", ".join(tileset.legend.classes), mend)
