"""The price of a corpus: seconds a stage, tiles a second and bytes a tile, measured on this machine."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from terraficta.synth import render as page
from terraficta.synth.corpus.catalogue import collection_id, item_file
from terraficta.synth.corpus.geotiff import write_tile
from terraficta.synth.corpus.order import TILES_A_TASK, asked_recipe, placed
from terraficta.synth.types.device import one_thread, pick_device
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.run import WATTS_PER_CPU_CORE
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor

STAGES: dict[str, tuple[str, ...]] = {
    "draw and grow": ("draw_land", "grow"),
    "palette": ("draw_look", "palette_of"),
    "reflectance": ("boa_reflectance", "directional_reflectance"),
    "light and air": ("terrain_light", "toa_reflectance", "boa_correction"),
    "camera": ("observe", "record", "to_dn", "from_dn"),
    "truth": ("pixel_truth", "tiles_of"),
}
"""functions of the page of `render` that each stage is made of"""
ALL_STAGES = (*STAGES, "write")
"""in the order of the work"""
PAPER_TILES = 10_000_000
"""a corpus as large as anybody has asked for, priced on paper"""
ITEM_LINK_BYTES = 120
"""a line in a list of items, as written"""


@dataclass(frozen=True)
class Price:
    """What a tile costs.

    Parameters
    ----------
    recipe : str
        its name
    size_px, bands : int
        of a tile; bands in the mean
    stage_s : dict[str, float]
        processor seconds of one core a tile, by the names in `ALL_STAGES` [s]
    tile_bytes, book_bytes : float
        of a tile's files, and of what all books together say of it
    counted : int
        tiles that were measured
    device : str
        where
    wall_s : float
        wall seconds a tile of one process, writing included [s]
    """

    recipe: str
    size_px: int
    bands: float
    stage_s: dict[str, float]
    tile_bytes: float
    book_bytes: float
    counted: int
    device: str
    wall_s: float

    @property
    def core_s(self) -> float:
        """Processor seconds of one core a tile [s]."""
        return sum(self.stage_s.values())

    def on_paper(self, tiles: int = PAPER_TILES) -> dict[str, float]:
        """Core-hours, energy, bytes and sizes of the books of a corpus of so many tiles, from these figures.

        Parameters
        ----------
        tiles : int
            how many
        """
        core_h = tiles * self.core_s / 3600
        return {
            "core_hours": core_h,
            "energy_kwh": core_h * WATTS_PER_CPU_CORE / 1000,
            "terabytes": tiles * self.tile_bytes / 1e12,
            "books_gigabytes": tiles * self.book_bytes / 1e9,
            "catalogue_gigabytes": tiles * ITEM_LINK_BYTES / 1e9,
        }


def price_of(
    recipe: SceneRecipe, count: int = 4, sensor: str | Sensor | None = None, size_px: int | None = None,
    device: str = "auto", seed: int = 7,
) -> Price:  # fmt: skip
    """Make some tiles as a corpus does, and say what each stage took; they are not kept.

    Processor time is counted, which other work on the machine steals nothing of, but slows where it shares caches; on a
    GPU wall time is, after each stage has been waited for. As many are made together as in a corpus. One tile goes
    before, to warm up.

    Parameters
    ----------
    recipe : SceneRecipe
        which scenes
    count : int
        how many tiles are measured
    sensor : str | Sensor | None
        one for all, in place of the recipe's
    size_px : int | None
        side of a tile, in place of the recipe's
    device : str
        auto, cpu or cuda
    seed : int
        of the world

    Error
    -----
    Scenes differ: the deviation between single tiles is about a third of their mean, so that four tiles are known to
    about a sixth.
    """
    recipe = asked_recipe(recipe, sensor if isinstance(sensor, str) else None, size_px)
    device = pick_device(device)
    own = sensor if isinstance(sensor, Sensor) else None
    spent: dict[str, float] = {}
    sizes, bands, books = [], [], 0
    with tempfile.TemporaryDirectory() as folder, one_thread():
        _some(recipe, [SceneKey(seed, 0)], own, Path(folder) / "first", device, dict.fromkeys(ALL_STAGES, 0.0))
        spent, started = dict.fromkeys(ALL_STAGES, 0.0), time.perf_counter()
        for first in range(0, count, TILES_A_TASK):
            keys = [SceneKey(seed, index) for index in range(first, min(first + TILES_A_TASK, count))]
            for size, book, wide in _some(recipe, keys, own, Path(folder) / str(first), device, spent):
                sizes.append(size)
                bands.append(wide)
                books += book
        wall_s = (time.perf_counter() - started) / count
    per_tile = {name: seconds / count for name, seconds in spent.items()}
    mean_size, mean_bands = sum(sizes) / count, sum(bands) / count
    return Price(recipe.name, recipe.size_px, mean_bands, per_tile, mean_size, books / count, count, device, wall_s)


def _some(
    recipe: SceneRecipe, keys: Sequence[SceneKey], sensor: Sensor | None, folder: Path, device: str,
    spent: dict[str, float],
) -> list[tuple[int, int, int]]:  # fmt: skip
    """Make and write the tiles of a task of a corpus; adds to the stages. Returns of each its bytes, those of its
    lines in the books, and its bands."""
    clock = _clock(device)
    begun, inside = clock(), dict.fromkeys(STAGES, 0.0)
    with _timed(inside, clock):
        tiles = [dates[0] for dates in page.render_dates(recipe, keys, sensor, device, dates=1)]
    inside["reflectance"] += max(clock() - begun - sum(inside.values()), 0.0)
    for name, seconds in inside.items():
        spent[name] += seconds
    start, made = clock(), []
    for tile, key in zip(tiles, keys, strict=True):
        own = folder / tile.id
        own.mkdir(parents=True)
        tile = placed(tile, key.index)
        sums = write_tile(tile, own)
        sums |= item_file(tile, own, collection_id(recipe, key.seed), key.index)
        lines = len(repr(dict(tile.facts))) + sum(len(name) + 64 + 2 + len(tile.id) + 8 for name in sums)
        made.append((sum(path.stat().st_size for path in own.iterdir()), lines, len(tile.sensor)))
    spent["write"] += clock() - start
    return made


def _clock(device: str) -> Callable[[], float]:
    """Processor time of this thread, or wall time when the GPU has done what it was given."""
    if device == "cpu":
        return time.thread_time

    def waited() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return waited


@contextmanager
def _timed(spent: dict[str, float], clock: Callable[[], float]) -> Iterator[None]:
    """Add the time of the functions that the page of `render` calls to their stages."""
    stage_of = {name: stage for stage, names in STAGES.items() for name in names}
    whole = {name: getattr(page, name) for name in stage_of}

    def watched(name: str) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            start = clock()
            try:
                return whole[name](*args, **options)
            finally:
                spent[stage_of[name]] += clock() - start

        return run

    for name in whole:
        setattr(page, name, watched(name))
    try:
        yield
    finally:
        for name, work in whole.items():
            setattr(page, name, work)


def price_table(prices: Sequence[Price]) -> str:
    """A table in Markdown: one column a recipe."""
    heads = [f"{p.recipe}, {p.size_px} px, {p.bands:.0f} bands" for p in prices]
    rows: list[tuple[str, list[str]]] = [
        (f"{name} [ms]", [f"{1000 * p.stage_s[name]:.0f}" for p in prices]) for name in ALL_STAGES
    ]
    paper = [p.on_paper() for p in prices]
    rows += [
        ("**tiles a second and core**", [f"**{1 / p.core_s:.2f}**" for p in prices]),
        ("kB a tile", [f"{p.tile_bytes / 1e3:.0f}" for p in prices]),
        ("10 million tiles: core-hours", [f"{own['core_hours']:,.0f}" for own in paper]),
        ("kWh (10 W a core)", [f"{own['energy_kwh']:,.0f}" for own in paper]),
        ("TB of tiles", [f"{own['terabytes']:.1f}" for own in paper]),
        ("GB of books", [f"{own['books_gigabytes']:.0f}" for own in paper]),
    ]
    lines = ["| |" + "".join(f" {head} |" for head in heads), "|---|" + "---|" * len(prices)]
    lines += [f"| {name} |" + "".join(f" {cell} |" for cell in cells) for name, cells in rows]
    return "\n".join(lines)


def machine() -> str:
    """What was measured on, in a few words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__.partition('+')[0]}"
