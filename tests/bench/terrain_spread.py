"""How like real land the terrains are: figures of form and of rivers, ours beside those of real elevation models.

    python tests/bench/terrain_spread.py DEM_FOLDER [scenes a kind]

Every figure is computed by the same code at the same cell size, over windows of the same size, for our terrains (by
style, the fluvial ones by relief) and for every GeoTIFF of the folder whose cells are fine enough. A star marks a
median outside the spread (5 to 95 %) of all real windows.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from terraficta.synth.scene.terrain.drainage import accumulate, fill_depressions, steepest, step_length
from terraficta.synth.scene.terrain.plan import draw_terrain_plan
from terraficta.synth.scene.terrain.terrain import grow_terrain
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import STYLES, TerrainRecipe

WINDOW = 128
"""cells along a window's side"""
SCALES = ((90.0, 0.25), (50.0, 0.15), (30.0, 0.1), (5.0, 0.01))
"""cell size [m], and the catchment from which a stream is counted [km2]: some 30, 60, 110 and 400 cells"""
MOST_WINDOWS = 12
"""windows taken of one elevation model, evenly spread"""
RELIEFS = {"plain": (20.0, 60.0), "hills": (100.0, 250.0), "mountains": (500.0, 900.0)}
FIGURES = {
    "hyps": "hypsometric integral",
    "skew": "skewness of the heights",
    "slope": "median slope [deg]",
    "slope95": "95th percentile of slope [deg]",
    "beta": "power spectrum ~ wavenumber^-beta",
    "dens": "drainage density [km-1]",
    "hack": "Hack exponent",
    "hackc": "Hack coefficient [km^(1-2h)]",
    "R_B": "Horton ratio of stream numbers",
    "R_L": "of stream lengths",
    "R_A": "of catchments",
}

Plane = NDArray[np.float64]


def _spectrum(height: Plane) -> float:
    """Exponent of the radial power spectrum, plane taken off and Hann window laid on, from 4 cells to a third."""
    size = len(height)
    y, x = np.mgrid[:size, :size] - 0.5 * (size - 1)
    flat = height - height.mean()
    flat = flat - y * (flat * y).sum() / (y * y).sum() - x * (flat * x).sum() / (x * x).sum()
    power = np.abs(np.fft.fft2(flat * np.hanning(size)[:, None] * np.hanning(size))) ** 2
    wave = np.fft.fftfreq(size)
    ring = np.round(np.hypot(wave[:, None], wave) * size).astype(int).ravel()
    mean = np.bincount(ring, power.ravel()) / np.maximum(np.bincount(ring), 1)
    k = np.arange(3, size // 4)
    return -float(np.polyfit(np.log(k), np.log(np.asarray(mean)[k] + 1e-12), 1)[0])


def _upstream(receiver: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Length of the longest way down to each cell [cells]."""
    length = torch.zeros_like(step)
    moving = receiver != torch.arange(len(receiver))
    below, drop = receiver[moving], step[moving]
    while True:
        longer = length.scatter_reduce(0, below, length[moving] + drop, "amax")
        if torch.equal(longer, length):
            return length
        length = longer


def _strahler(receiver: torch.Tensor, stream: torch.Tensor) -> torch.Tensor:
    """Order of each stream cell, 0 elsewhere. Source: A. Strahler 1957, doi:10.1029/TR038i006p00913."""
    order = stream.to(torch.int64)
    moving = stream & (receiver != torch.arange(len(receiver)))
    below = receiver[moving]
    while True:
        above = torch.zeros_like(order).scatter_reduce(0, below, order[moving], "amax")
        equal = torch.zeros_like(order).scatter_add(0, below, (order[moving] == above[below]).to(torch.int64))
        new = torch.where(stream, torch.maximum(above + (equal >= 2).to(torch.int64), stream.to(torch.int64)), 0)
        if torch.equal(new, order):
            return order
        order = new


def figures(height: Plane, cell_m: float, stream_km2: float) -> dict[str, float]:
    """The figures of one square window without gaps; NaN where it has too few streams."""
    rise_y, rise_x = np.gradient(height, cell_m)
    slope = np.degrees(np.arctan(np.hypot(rise_y, rise_x)))
    spread = height - height.mean()
    found = {
        "hyps": float((height.mean() - height.min()) / max(np.ptp(height), 1e-6)),
        "skew": float((spread**3).mean() / max((spread**2).mean(), 1e-12) ** 1.5),
        "slope": float(np.median(slope)),
        "slope95": float(np.percentile(slope, 95)),
        "beta": _spectrum(height),
    }
    size = len(height)
    ground = torch.tensor(height)[None]
    rim = torch.ones_like(ground, dtype=torch.bool)
    rim[:, 1:-1, 1:-1] = False
    receiver = steepest(fill_depressions(ground, rim, step=1e-5), rim)
    area = accumulate(receiver, torch.ones_like(receiver))[0]
    step = step_length(receiver, size)[0].double()
    receiver = receiver[0]
    area_km2 = area * (cell_m**2 * 1e-6)
    stream = (area_km2 >= stream_km2) & ~rim.flatten()
    found["dens"] = float(step[stream].sum() * cell_m / (size * size * cell_m**2) * 1e3)
    length_km = _upstream(receiver, step) * cell_m * 1e-3
    known = stream & (length_km > 0)
    found["hack"] = found["hackc"] = math.nan
    if int(known.sum()) > 30:
        hack, log_c = np.polyfit(np.log(area_km2[known].numpy()), np.log(length_km[known].numpy()), 1)
        found["hack"], found["hackc"] = float(hack), float(np.exp(log_c))
    return found | _horton(receiver, stream, step, area_km2)


def _horton(
    receiver: torch.Tensor, stream: torch.Tensor, step: torch.Tensor, area_km2: torch.Tensor
) -> dict[str, float]:
    """Ratios of numbers, lengths and catchments from order to order, by regression over three orders or more."""
    order = _strahler(receiver, stream)
    ends = stream & (order[receiver] != order)
    top = int(order.max())
    if top < 3:
        return dict.fromkeys(("R_B", "R_L", "R_A"), math.nan)
    count: list[float] = []
    length: list[float] = []
    area: list[float] = []
    for k in range(1, top + 1):
        last = ends & (order == k)
        count.append(max(float(last.sum()), 1.0))
        length.append(float(step[order == k].sum()) / count[-1])
        area.append(float(area_km2[last].mean()) if bool(last.any()) else math.nan)
    pairs: dict[str, tuple[int, list[float]]] = {"R_B": (-1, count), "R_L": (1, length), "R_A": (1, area)}
    rank = np.arange(top)
    return {name: float(np.exp(sign * np.polyfit(rank, np.log(v), 1)[0])) for name, (sign, v) in pairs.items()}


def real_windows(path: Path, cell_m: float) -> tuple[list[Plane], float]:
    """Windows of an elevation model at about this cell size, without gaps, and their true cell size."""
    with rasterio.open(path) as source:
        height = source.read(1).astype(np.float64)
        if source.nodata is not None:
            height[height == source.nodata] = np.nan
        own = abs(source.transform.a)
        if source.crs is not None and source.crs.is_geographic:
            middle = math.radians(0.5 * (source.bounds.top + source.bounds.bottom))
            own *= 111_320.0 * math.sqrt(math.cos(middle))
    factor = max(round(cell_m / own), 1)
    if abs(math.log(own * factor / cell_m)) > 0.25:
        return [], own
    rows, columns = (v // factor for v in height.shape)
    height = height[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).mean((1, 3))
    found = []
    for top in np.linspace(0, rows - WINDOW, rows // WINDOW, dtype=int) if rows >= WINDOW else ():
        for left in np.linspace(0, columns - WINDOW, columns // WINDOW, dtype=int) if columns >= WINDOW else ():
            window = height[top : top + WINDOW, left : left + WINDOW]
            if np.isfinite(window).all():
                found.append(window)
    return found[:: max(1, -(-len(found) // MOST_WINDOWS))], own * factor


def our_windows(style: str, relief_m: tuple[float, float], cell_m: float, scenes: int) -> list[Plane]:
    """Terrains of one style and relief."""
    recipe = TerrainRecipe(styles=(style,), relief_m=relief_m)
    plans = [draw_terrain_plan(recipe, SceneKey(2026, index)) for index in range(scenes)]
    cell = torch.full((scenes,), cell_m, dtype=torch.float64)
    return list(grow_terrain(plans, WINDOW, WINDOW, cell).elevation_m.double().numpy())


def _row(name: str, rows: list[dict[str, float]], low: dict[str, float], high: dict[str, float]) -> str:
    cells = []
    for figure in FIGURES:
        values = [r[figure] for r in rows if math.isfinite(r[figure])]
        middle = float(np.median(values)) if values else math.nan
        outside = bool(low) and not low[figure] <= middle <= high[figure]
        cells.append(f"{middle:8.2f}{'*' if outside and values else ' '}")
    return f"{name:<22}{len(rows):>4}" + "".join(cells)


def main(folder: Path, scenes: int) -> None:
    """Print one table a scale."""
    torch.set_num_threads(1)
    for name, meaning in FIGURES.items():
        print(f"{name:<8}{meaning}")
    for cell_m, stream_km2 in SCALES:
        print(f"\n{cell_m:g} m cells, {WINDOW} x {WINDOW}, streams from {stream_km2:g} km2; medians over windows")
        print(f"{'':<22}{'n':>4}" + "".join(f"{name:>8} " for name in FIGURES))
        real = []
        for path in sorted(folder.glob("*.tif")):
            windows, own = real_windows(path, cell_m)
            if windows:
                rows = [figures(w, own, stream_km2) for w in windows]
                real += rows
                print(_row(f"{path.stem} {own:.0f} m", rows, {}, {}))
        low, high = (
            {k: float(np.nanpercentile([r[k] for r in real], at)) if real else math.nan for k in FIGURES}
            for at in (5, 95)
        )
        for label, spread in (("real 5 %", low), ("real 95 %", high)):
            print(_row(label, [spread], {}, {}))
        kinds = [("fluvial " + name, "fluvial", span) for name, span in RELIEFS.items()]
        kinds += [(style, style, TerrainRecipe().relief_m) for style in STYLES if style != "fluvial"]
        for name, style, span in kinds:
            rows = [figures(w, cell_m, stream_km2) for w in our_windows(style, span, cell_m, scenes)]
            print(_row(name, rows, low, high), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12)
