"""Boxes for detectors: pictures of tiles with their buildings, as COCO and as YOLO have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from terraficta.synth.corpus.contact_sheet import true_colour
from terraficta.synth.corpus.corpus import read_corpus
from terraficta.synth.corpus.manifest import TEST_EVERY
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_folder
from terraficta.synth.types.tile import Tile

PARTS = ("train", "val")
"""every third scene is for validation, as in the tilesets of a corpus"""
NAMES = ("building",)
"""categories: COCO counts them from 1, YOLO from 0"""


@dataclass(frozen=True)
class Pictured:
    """A tile as a detector reads it.

    Parameters
    ----------
    name : str
        of the picture, without ending
    part : str
        train or val
    width_px, height_px : int
        of the picture [px]
    boxes : list[tuple[int, int, int, int]]
        (x0, y0, x1, y1) of each building; ends lie outside [px]
    """

    name: str
    part: str
    width_px: int
    height_px: int
    boxes: list[tuple[int, int, int, int]]


def write_detection(corpus: Path, out: Path) -> dict[str, int]:
    """Write the tiles of a corpus for detectors.

    The folder holds `images/PART/ID.png` (true colour, 8 bit), `annotations/instances_PART.json` in COCO's format,
    `labels/PART/ID.txt` in YOLO's (class, x and y of the middle, width, height, over the size of the picture; an empty
    file where nothing stands) and YOLO's `data.yaml`.

    Parameters
    ----------
    corpus : Path
        made with `building` among `truth.layers`
    out : Path
        new or empty folder

    Returns
    -------
    dict[str, int]
        {"images", "boxes"}

    Raises
    ------
    Refusal
        tiles without boxes

    Source
    ------
    T.-Y. Lin et al. 2014, doi:10.1007/978-3-319-10602-1_48; J. Redmon et al. 2016, arXiv:1506.02640, section 2, for
    boxes relative to the picture.
    """
    with whole_folder(out) as partial:
        for part in PARTS:
            (partial / "images" / part).mkdir(parents=True)
            (partial / "labels" / part).mkdir(parents=True)
        (partial / "annotations").mkdir()
        made = list(_pictures(corpus, partial))
        for part in PARTS:
            own = [one for one in made if one.part == part]
            path = partial / "annotations" / f"instances_{part}.json"
            path.write_text(json.dumps(coco(own), indent=1) + "\n")
        names = "\n".join(f"  {number}: {name}" for number, name in enumerate(NAMES))
        (partial / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/val\nnames:\n{names}\n")
    return {"images": len(made), "boxes": sum(len(one.boxes) for one in made)}


def coco(made: list[Pictured]) -> dict[str, Any]:
    """Pictures and their boxes in COCO's format: [x, y, width, height] in pixels, areas in pixels."""
    annotations: list[dict[str, Any]] = []
    for number, one in enumerate(made, start=1):
        for x0, y0, x1, y1 in one.boxes:
            wide, tall = x1 - x0, y1 - y0
            corners = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "bbox": [x0, y0, wide, tall],
                 "area": wide * tall, "iscrowd": 0, "segmentation": corners}
            )  # fmt: skip
    images = [
        {"id": number, "file_name": f"{one.name}.png", "width": one.width_px, "height": one.height_px}
        for number, one in enumerate(made, start=1)
    ]
    categories = [{"id": number, "name": name, "supercategory": "none"} for number, name in enumerate(NAMES, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def yolo(one: Pictured) -> str:
    """The lines of a picture's label file.

    Examples
    --------
    >>> yolo(Pictured("a", "train", 100, 50, [(10, 5, 30, 15)]))
    '0 0.20000000 0.20000000 0.20000000 0.20000000\\n'
    """
    wide, tall = one.width_px, one.height_px
    lines = []
    for x0, y0, x1, y1 in one.boxes:
        numbers = ((x0 + x1) / 2 / wide, (y0 + y1) / 2 / tall, (x1 - x0) / wide, (y1 - y0) / tall)
        lines.append("0 " + " ".join(f"{number:.8f}" for number in numbers) + "\n")
    return "".join(lines)


def _pictures(corpus: Path, folder: Path) -> Iterator[Pictured]:
    for tile in read_corpus(corpus):
        one = _pictured(tile)
        pixels = (true_colour(tile).clip(0, 1) * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / one.part / f"{one.name}.png")
        (folder / "labels" / one.part / f"{one.name}.txt").write_text(yolo(one))
        yield one


def _pictured(tile: Tile) -> Pictured:
    if "boxes" not in tile.facts:
        mend = "make the corpus with --set 'truth.layers=[building]'"
        raise Refusal(tile.id, "boxes", "none", "boxes of buildings among the facts", mend)
    part = PARTS[int(tile.facts["index"]) % TEST_EVERY == TEST_EVERY - 1]
    boxes = [(x0, y0, x1, y1) for _, y0, x0, y1, x1 in tile.facts["boxes"]]
    height_px, width_px = tile.grid.shape
    return Pictured(tile.id, part, width_px, height_px, boxes)
