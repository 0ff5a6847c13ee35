"""The contact sheet: what tiles look like, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.synth.types.run import whole_file
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

Picture = NDArray[np.float32]
"""(H, W, 3) in 0..1"""
COLUMNS = ("true colour", "false colour (near infrared, red, green)", "heaviest class", "shaded relief")
NEAR_INFRARED_NM = (750.0, 1300.0)


def write_contact_sheet(tiles: Sequence[Tile], path: Path) -> None:
    """Write a PNG with one row a tile: true colour, false colour, classes, shaded relief.

    What a tile does not have (a near-infrared band, an elevation) stays empty.
    """
    rows, side_in = len(tiles), 2.6
    figure = Figure(figsize=(len(COLUMNS) * side_in, rows * (side_in + 0.1) + 0.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, len(COLUMNS), squeeze=False)
    for axis, title in zip(axes[0], COLUMNS, strict=True):
        axis.set_title(title, fontsize=8)
    for row, tile in zip(axes, tiles, strict=True):
        pictures = (true_colour(tile), false_colour(tile), class_colours(tile), relief(tile))
        for axis, picture in zip(row, pictures, strict=True):
            axis.set_axis_off()
            if picture is not None:
                axis.imshow(picture, interpolation="nearest")
        caption = f"{tile.id}   {tile.sensor.name}, {len(tile.sensor)} bands, {tile.grid.gsd_m:g} m, {tile.level}"
        note = row[0].text(0, -0.03, caption, transform=row[0].transAxes, fontsize=7, va="top")
        note.set_in_layout(False)  # it may run under the next picture
    present = sorted({int(k) for tile in tiles for k in tile.label().unique() if k > 0})
    legend = tiles[0].legend
    patches = [Patch(color=legend.colours[k - 1], label=legend.classes[k - 1].replace("_", " ")) for k in present]
    figure.legend(handles=patches, loc="outside lower center", ncol=8, fontsize=7, frameon=False)
    with whole_file(path) as partial:
        canvas.print_figure(partial, dpi=110, metadata={"Software": None})


def true_colour(tile: Tile) -> Picture:
    """Red, green and blue, or what comes nearest."""
    return _stretched(tile, list(tile.sensor.reading_order()))


def false_colour(tile: Tile) -> Picture | None:
    """Near infrared, red, green: vegetation is red. None where the sensor sees no near infrared."""
    infrared = _near_infrared(tile.sensor)
    if infrared is None:
        return None
    red, green, _ = tile.sensor.reading_order()
    return _stretched(tile, [infrared, red, green])


def class_colours(tile: Tile) -> Picture:
    """The heaviest class of every pixel in the legend's colour; black where unlabelled."""
    table = np.array([(0, 0, 0), *tile.legend.rgb()], np.float32) / 255
    return table[tile.label().cpu().numpy()]


def hillshade(elevation_m: Tensor, gsd_m: float) -> Picture:
    """Relief lit from the north-west at 45 degrees, (H, W, 3)."""
    down, right = torch.gradient(elevation_m.double().cpu(), spacing=gsd_m)
    steep = (down**2 + right**2 + 1).sqrt()
    # towards the light: (east, south, up) = (-1, -1, sqrt 2) / 2; the normal is (-right, -down, 1) / steep
    light = ((right + down) / 2 + 0.5**0.5) / steep
    return np.repeat(light.clamp(0, 1).numpy().astype(np.float32)[..., None], 3, axis=-1)


def relief(tile: Tile) -> Picture | None:
    """Shaded relief; None where the tile has no elevation."""
    elevation_m = tile.layers.get("elevation_m")
    return None if elevation_m is None else hillshade(elevation_m, tile.grid.gsd_m)


def _near_infrared(sensor: Sensor) -> int | None:
    distance = (sensor.centre_nm - 850).abs()
    best = int(distance.argmin())
    low, high = NEAR_INFRARED_NM
    return best if low <= sensor.bands[best].centre_nm <= high else None


def _stretched(tile: Tile, bands: list[int]) -> Picture:
    """Three bands between the common 1st and 99th percentile of the ground, brightened as an eye expects.

    Clouds, which have no label, do not count: they would leave the ground black.
    """
    values = tile.image[bands].permute(1, 2, 0).float().cpu().numpy()
    ground = (tile.label() > 0).cpu().numpy()
    low, high = np.percentile(values[ground] if ground.any() else values, (1, 99))
    return (((values - low) / max(high - low, 1e-6)).clip(0, 1) ** 0.7).astype(np.float32)
