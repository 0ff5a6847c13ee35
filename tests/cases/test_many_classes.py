"""Legends of many classes: a band and a colour for each, and nothing else among them."""

import json
from pathlib import Path

import rasterio
import torch

from terraficta.eval.map.product import open_map
from terraficta.eval.map.unfinished import unfinished
from terraficta.synth.types.colours import distinct_colours
from terraficta.synth.types.legend import Legend

CLASSES = 40


def test_a_map_of_40_classes_has_43_bands_and_40_colours(tmp_path: Path) -> None:
    image = tmp_path / "image.tif"
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 16, "width": 16}
    with rasterio.open(image, "w", **profile) as file:
        file.write(torch.ones(1, 16, 16, dtype=torch.uint8).numpy())
    names = tuple(f"c{n}" for n in range(CLASSES))
    legend = Legend("many", names, tuple(distinct_colours(CLASSES)))
    with (
        rasterio.open(image) as source,
        unfinished(tmp_path / "map.tif", "0") as kept,
        open_map(tmp_path / "map.tif", source, legend, {}, kept) as target,
    ):
        target.write(0, 0, torch.full((CLASSES, 16, 16), 1 / CLASSES), torch.ones(16, 16, dtype=torch.bool))
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.count == 3 + CLASSES
        assert len(set(json.loads(file.tags()["colours"]))) == CLASSES
