"""The price of a corpus: seconds a stage, tiles a second and bytes a tile, measured on this machine."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from terraficta.synth import render as page
from terraficta.synth.corpus.catalogue import collection_id, item_file
from terraficta.synth.corpus.geotiff import write_tile
from terraficta.synth.corpus.order import asked_recipe, placed
from terraficta.synth.look import draw_look, frame_of, gsd_of, sensor_of
from terraficta.synth.scene.ground import grow
from terraficta.synth.scene.land import draw_land
from terraficta.synth.types.device import one_thread, pick_device
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.run import WATTS_PER_CPU_CORE
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor

STAGES: dict[str, tuple[str, ...]] = {
    "palette": ("palette_of",),
    "reflectance": ("boa_reflectance", "directional_reflectance"),
    "light and air": ("terrain_light", "toa_reflectance", "boa_correction"),
    "camera": ("observe", "record", "to_dn", "from_dn"),
    "truth": ("pixel_truth", "tiles_of"),
}
"""functions of the page of `render` that each stage of a look is made of"""
ALL_STAGES = ("draw and grow", *STAGES, "write")
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
    GPU wall time is, after each stage has been waited for. One tile goes before, to warm up.

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
    spent = dict.fromkeys(ALL_STAGES, 0.0)
    sizes, bands, books = [], [], 0
    with tempfile.TemporaryDirectory() as folder, one_thread():
        for index in range(-1, count):
            if index == 0:
                spent = dict.fromkeys(ALL_STAGES, 0.0)
                started = time.perf_counter()
            key = SceneKey(seed, max(index, 0))
            own = sensor if isinstance(sensor, Sensor) else sensor_of(recipe, key)
            size, book = _one(recipe, key, own, Path(folder) / str(index), device, spent)
            if index >= 0:
                sizes.append(size)
                bands.append(len(own))
                books += book
    wall_s = (time.perf_counter() - started) / count
    per_tile = {name: seconds / count for name, seconds in spent.items()}
    mean_size, mean_bands = sum(sizes) / count, sum(bands) / count
    return Price(recipe.name, recipe.size_px, mean_bands, per_tile, mean_size, books / count, count, device, wall_s)


@torch.no_grad()
def _one(
    recipe: SceneRecipe, key: SceneKey, sensor: Sensor, folder: Path, device: str, spent: dict[str, float]
) -> tuple[int, int]:
    """Make and write one tile; adds to the stages, and returns its bytes and those of its lines in the books."""
    clock = _clock(device)
    start = clock()
    land = draw_land(recipe, key)
    ground = grow(recipe, [land], frame_of(recipe, sensor), [gsd_of(recipe, key, sensor)], 1, device)
    spent["draw and grow"] += clock() - start
    begun, inside = clock(), dict.fromkeys(STAGES, 0.0)
    with _timed(inside, clock):
        look = draw_look(recipe, land, key, sensor=sensor)
        inside["palette"] += clock() - begun
        tile = page.see(recipe, ground, [look])[0]
    rest = clock() - begun - sum(inside.values())
    for name, seconds in inside.items():
        spent[name] += seconds
    spent["reflectance"] += max(rest, 0.0)
    start = clock()
    folder.mkdir()
    tile = replace(placed(tile, key.index), id=f"{key.seed}-{key.index:06d}")
    sums = write_tile(tile, folder)
    sums |= item_file(tile, folder, collection_id(recipe, key.seed), key.index)
    spent["write"] += clock() - start
    lines = len(repr(dict(tile.facts))) + sum(len(name) + 64 + 2 + len(tile.id) + 8 for name in sums)
    return sum(path.stat().st_size for path in folder.iterdir()), lines


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
