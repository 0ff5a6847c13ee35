"""The printed sheet: a map with its legend, scale bar, heights and margin, as a picture that questions are asked of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from terraficta.synth.ask.case import Case
from terraficta.synth.ask.extracting import length
from terraficta.synth.corpus.contact_sheet import Picture, true_colour
from terraficta.synth.types.tile import Tile

MAP_PX = 640
"""least side of the map on the sheet: pixels are shown as squares of a whole number of screen pixels"""
GAP_PX, LINE_PX, COLUMN_PX, BAR_PX = 24, 24, 330, 8
"""margins, line height, width of the column beside the map, height of the scale bar [px]"""
INK, PAPER = (28, 31, 26), (250, 249, 245)


def print_sheet(case: Case) -> Image.Image:
    """The sheet of a case: classes in the colours of the legend, and beside them legend, margin and heights."""
    label = case.sheet.label
    times = zoom(label.shape)
    colours = np.array([(0, 0, 0), *case.sheet.legend.rgb()], np.uint8)[label]
    side_y, side_x = (times * side for side in label.shape)
    lines = len(case.codes)
    small = COLUMN_PX - GAP_PX
    column = 2 * LINE_PX + lines * LINE_PX + GAP_PX + small * label.shape[0] // label.shape[1] + 2 * LINE_PX
    top = GAP_PX + 2 * LINE_PX
    tall = top + max(side_y + GAP_PX + 2 * LINE_PX, column) + GAP_PX
    page = Image.new("RGB", (GAP_PX + side_x + GAP_PX + COLUMN_PX, tall), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((GAP_PX, GAP_PX), case.title, INK, ImageFont.load_default(26))
    page.paste(enlarged(colours, times), (GAP_PX, top))
    _bar(draw, case, (GAP_PX, top + side_y + GAP_PX), times)
    _column(page, draw, case, (GAP_PX + side_x + GAP_PX, top), small)
    return page


def print_picture(tile: Tile) -> Image.Image:
    """A tile as the eye would see it, as large as on its sheet."""
    return enlarged(as_bytes(true_colour(tile)), zoom(tile.grid.shape))


def zoom(shape: tuple[int, ...]) -> int:
    """Screen pixels along a pixel of the map."""
    return max(1, -(-MAP_PX // max(shape)))


def as_bytes(picture: Picture) -> NDArray[np.uint8]:
    """A picture in 0..1 in whole numbers."""
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def enlarged(picture: NDArray[np.uint8], times: int) -> Image.Image:
    """Every pixel as a square."""
    return Image.fromarray(picture.repeat(times, 0).repeat(times, 1))


def _bar(draw: ImageDraw.ImageDraw, case: Case, corner: tuple[int, int], times: int) -> None:
    x, y = corner
    long = round(case.bar_m / case.sheet.grid.gsd_m * times)
    draw.rectangle((x, y, x + long - 1, y + BAR_PX - 1), INK)
    draw.text((x, y + BAR_PX + 4), length(case.bar_m), INK, ImageFont.load_default(16))
    draw.text((x + long + GAP_PX, y - 6), "north is up", INK, ImageFont.load_default(16))


def _column(page: Image.Image, draw: ImageDraw.ImageDraw, case: Case, corner: tuple[int, int], side: int) -> None:
    (x, y), font = corner, ImageFont.load_default(16)
    draw.text((x, y), f"climate: {case.climate}", INK, font)
    y += 2 * LINE_PX
    colours = case.sheet.legend.rgb()
    for name, code in sorted(case.codes.items(), key=lambda pair: pair[1]):
        draw.rectangle((x, y, x + 17, y + 17), colours[case.sheet.legend.index(name)], INK)
        draw.text((x + 28, y), f"{code}  {name.replace('_', ' ')}", INK, font)
        y += LINE_PX
    y += GAP_PX
    ground = case.elevation_m.astype(np.float64)
    low, high = float(ground.min()), float(ground.max())
    shade = as_bytes(((ground - low) / max(high - low, 1e-9)).astype(np.float32))
    size = (side, max(1, side * shade.shape[0] // shade.shape[1]))
    page.paste(Image.fromarray(shade).resize(size, Image.Resampling.NEAREST).convert("RGB"), (x, y))
    draw.text((x, y + size[1] + 4), f"heights: black {low:.1f} m, white {high:.1f} m", INK, font)
