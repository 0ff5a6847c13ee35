"""What a look costs by stage, on one core, its ground kept: seconds of processor time, of which other work steals none.

    python tests/bench/bench_looks.py [ROUNDS]

Ground is grown once and not counted. Stages are the functions that `terraficta.synth.render` calls; what is left is
tiles, layers and records.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from terraficta.synth import render as page
from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
CASES = (("tier0", 256, 1, 8.0), ("tier1", 256, 1, 0.0), ("tier3", 256, 1, 2.0), ("atlas", 96, 4, 10.0))
"""recipe, pixels along a side, scenes at once, scenes a second that are wanted (0: none is set)"""
STAGES = (
    "draw_palette", "boa_reflectance", "directional_reflectance", "terrain_light", "draw_atmosphere",
    "toa_reflectance", "draw_optics", "draw_detector", "observe", "record", "boa_correction", "to_dn", "from_dn",
    "material_code", "ground_truth",
)  # fmt: skip


@contextmanager
def timed(owner: Any, names: tuple[str, ...], spent: dict[str, float]) -> Iterator[None]:
    """Add the processor seconds of some functions of a module or class to `spent`."""
    whole = {name: getattr(owner, name) for name in names}

    def watched(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return work(*args, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.process_time() - start

        return run

    for name, work in whole.items():
        setattr(owner, name, watched(name, work))
    try:
        yield
    finally:
        for name, work in whole.items():
            setattr(owner, name, work)


@contextmanager
def kept_ground(day: Any) -> Iterator[None]:
    """Looks at one day's ground in place of growing it."""
    grow, page.land_on = page.land_on, lambda *_: day
    try:
        yield
    finally:
        page.land_on = grow


@torch.inference_mode()
def look(name: str, size_px: int, count: int, rounds: int) -> tuple[float, dict[str, float]]:
    """Least seconds of a few looks at `count` scenes together, and of which stages."""
    recipe = SceneRecipe.from_dict(read_scene_recipe(name).model_dump(mode="json") | {"size_px": size_px}, where=name)
    sensor, keys = read_sensor("sentinel2a").pick(BANDS), [SceneKey(7, i) for i in range(count)]
    frame = page.Frame.of(recipe, sensor)
    cell_m = torch.full((count,), sensor.gsd_m / frame.factor)
    terrain = page.grow_terrain(recipe.terrain, keys, frame.side, frame.side, cell_m, "cpu")
    grids = [frame.grid(terrain, n, sensor.gsd_m, None) for n in range(count)]
    day = page.land_on(recipe, terrain, keys, 0, None)
    best, stages = float("inf"), {}
    with kept_ground(day):
        for _ in range(rounds + 1):  # one to warm up
            spent: dict[str, float] = {}
            with timed(page, STAGES, spent), timed(LandCover, ("abundance",), spent):
                start = time.process_time()
                page._see(recipe, keys, sensor, frame, terrain, 0, grids, "cpu", None)
                took = time.process_time() - start
            if took < best:
                best, stages = took, spent | {"rest": took - sum(spent.values())}
    return best, stages


def main(rounds: int) -> None:
    """Print a column of stages a case."""
    torch.set_num_threads(1)
    columns = {case: look(*case[:3], rounds) for case in CASES}
    print(f"{'ms a scene':26s}" + "".join(f"{f'{n} {c} x {s}px':>18s}" for n, s, c, _ in CASES))
    for stage in (*STAGES, "abundance", "rest"):
        row = [1000 * stages.get(stage, 0.0) / case[2] for case, (_, stages) in columns.items()]
        if max(row) >= 0.05:
            print(f"{stage:26s}" + "".join(f"{ms:18.1f}" for ms in row))
    print(f"{'scenes a second':26s}" + "".join(f"{case[2] / s:18.1f}" for case, (s, _) in columns.items()))
    print(f"{'wanted':26s}" + "".join(f"{case[3]:18.0f}" for case in CASES))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
