"""The page of a place: its map, how good it is expected to be, what it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.eval.expect.expectation import Expectation
from terraficta.eval.map.predict import Made
from terraficta.eval.map.preview import natural_colour, thin
from terraficta.eval.provenance import read_link, walk
from terraficta.eval.report.atlas import PICTURE_PX, data_uri, plates_of
from terraficta.eval.report.pages import write_page
from terraficta.finetune.fitting import Fitting
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.synth.types.legend import Legend

PAGE = "report.html"
TEMPLATE = "place.html"
MOST_MAPS = 6
"""maps that are shown on the page at most"""
STRONGEST = 55
"""of a cell's colour, where all of a class lies in it [%]"""
DOT_PX = 2
"""by how much a label is widened in the picture, so that it is seen [px]"""


def write_place_report(
    folder: Path,
    land: Tileset,
    fitting: Fitting,
    made: Sequence[Made],
    expectation: Expectation | None,
    lines: Sequence[str],
    notes: Sequence[str],
) -> Path:
    """Write `report.html` of a mapped place; the page needs nothing else, online or off.

    Parameters
    ----------
    folder : Path
        that holds the run `model`
    land : Tileset
        what was mapped
    fitting : Fitting
        the map model, its tiles and labels
    made : Sequence[Made]
        the maps
    expectation : Expectation | None
        what they are expected to be worth; None without labels
    lines, notes : Sequence[str]
        the three lines; what was taken from files or guessed
    """
    plates = []
    for one in made[:MOST_MAPS]:
        found, _ = plates_of(read_link(one.map))
        plates += found
    content = {
        "name": land.name, "about": land.about, "lines": [_halves(line) for line in lines], "notes": list(notes),
        "plates": plates, "more": len(made) - len(plates), "where_labels": _labels_picture(fitting),
        "chain": walk([read_link(folder / "model"), read_link(made[0].map)]),
        "legend": list(zip(land.legend.classes, land.legend.colours, strict=True)),
        "e": None if expectation is None else _numbers(expectation, land, made),
        "familiarity": None if made[0].familiarity is None else f"{made[0].familiarity:.2f}",
        "maps": [str(one.map) for one in made], "model": str(folder / "model"),
        "written": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    }  # fmt: skip
    write_page(TEMPLATE, folder / PAGE, **content)
    return folder / PAGE


def _halves(line: str) -> tuple[str, str]:
    """A line as its heading and what is said."""
    head, _, rest = line.partition(": ")
    return head, rest


def _numbers(e: Expectation, land: Tileset, made: Sequence[Made]) -> dict[str, Any]:
    """What the page shows of an expectation, as text."""
    area_km2 = made[0].mapped_px * land.gsd_m**2 / 1e6
    rows = []
    for k, (name, colour) in enumerate(zip(land.legend.classes, land.legend.colours, strict=True)):
        share = e.share[k]
        rows.append({
            "name": name, "colour": colour, "labels": e.labels[k], "judged": e.judged[k],
            "mapped": f"{100 * e.mapped[k]:.1f} %",
            "land": "–" if not np.isfinite(share) else f"{100 * share:.1f} ± {100 * e.share_se[k]:.1f} %",
            "area": "–" if not np.isfinite(share) else f"{_area(share * area_km2)} ± {_area(e.share_se[k] * area_km2)}",
            "producer": _share(e.producer[k] if e.told and e.judged[k] else float("nan")),
            "user": _share(e.user[k] if e.told and e.judged[k] else float("nan")),
        })  # fmt: skip
    table = [(name, [_cell(e.confusion[j], j, i) for i in range(len(e.classes))]) for j, name in enumerate(e.classes)]
    return {
        "told": e.told, "accuracy": _share(e.accuracy), "interval": [_share(v) for v in e.accuracy_interval],
        "miou": f"{e.miou:.2f}", "miou_interval": [f"{v:.2f}" for v in e.miou_interval],
        "blocks": e.blocks, "block_m": f"{e.block_m:.0f}", "random": e.random, "warnings": e.warnings,
        "rows": rows, "table": table, "area_km2": _area(area_km2),
    }  # fmt: skip


def _cell(row: NDArray[np.float64], j: int, i: int) -> dict[str, Any]:
    """One cell of the confusion matrix: its share of the class, and how strongly it is shaded."""
    value = float(row[i] / row.sum()) if row.sum() > 0 else float("nan")
    strength = 0 if not np.isfinite(value) else round(STRONGEST * value)
    return {"text": _share(value), "strength": strength, "tone": "help" if i == j else "hurt"}


def _share(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.0%}"


def _area(km2: float) -> str:
    """An area in km2 as a person reads it."""
    return f"{km2:.1f}" if km2 >= 10 else f"{km2:.3f}"


def _labels_picture(fitting: Fitting) -> str | None:
    """The first image with its labels in the colours of their classes, as a data URI; None without labels."""
    if fitting.labels is None:
        return None
    t = int(torch.bincount(fitting.labels.tile).argmax())
    tile = fitting.tiles[t]
    step = thin(max(tile.grid.shape), PICTURE_PX)
    picture = natural_colour(*tile.thinned(step), tile.sensor.reading_order())
    mine, grown = fitting.labels.of(t), max(1, PICTURE_PX // max(picture.shape[:2]))
    y, x = (place // step * grown + grown // 2 for place in (mine.y, mine.x))
    return data_uri(_dotted(picture.repeat(grown, 0).repeat(grown, 1), y, x, mine.classes, tile.legend))


def _dotted(picture: NDArray[np.uint8], y: Tensor, x: Tensor, classes: Tensor, legend: Legend) -> NDArray[np.uint8]:
    """Dots in the colours of classes, rimmed in white, on a picture (H, W, 4)."""
    height, width = picture.shape[:2]
    colours = np.array([[*rgb, 255] for rgb in legend.rgb()], dtype=np.uint8)
    for reach, rim in ((DOT_PX + 1, True), (DOT_PX, False)):
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                rows, columns = (y + dy).clamp(0, height - 1).numpy(), (x + dx).clamp(0, width - 1).numpy()
                picture[rows, columns] = 255 if rim else colours[classes.numpy()]
    return picture
