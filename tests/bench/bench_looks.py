"""What a look costs by stage, on one core, its ground kept: seconds of processor time, of which other work steals none.

    python tests/bench/bench_looks.py [ROUNDS]

Grounds are grown once and not counted. Every round draws new looks at them and sees them; stages are the functions
that `terraficta.synth.render.see` calls, and the rest is what lies between.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from terraficta.synth import render as page
from terraficta.synth.look import draw_look, frame_of, gsd_of
from terraficta.synth.scene.ground import grow
from terraficta.synth.scene.land import draw_land
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
CASES = (("tier0", 256, 1, 8.0), ("tier1", 256, 1, 0.0), ("tier3", 256, 1, 2.0), ("atlas", 96, 4, 10.0))
"""recipe, pixels along a side, scenes at once, scenes a second that are wanted (0: none is set)"""
STAGES = (
    "palette_of", "boa_reflectance", "directional_reflectance", "terrain_light", "toa_reflectance", "observe", "record",
    "boa_correction", "to_dn", "from_dn", "pixel_truth", "tiles_of",
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


@torch.no_grad()
def look(name: str, size_px: int, count: int, rounds: int) -> tuple[float, dict[str, float]]:
    """Least seconds of a few looks at `count` grounds together, and of which stages."""
    recipe = SceneRecipe.from_dict(read_scene_recipe(name).model_dump(mode="json") | {"size_px": size_px}, where=name)
    sensor, keys = read_sensor("sentinel2a").pick(BANDS), [SceneKey(7, i) for i in range(count)]
    lands = [draw_land(recipe, key) for key in keys]
    ground = grow(recipe, lands, frame_of(recipe, sensor), [gsd_of(recipe, key, sensor) for key in keys])
    best, stages = float("inf"), {}
    for number in range(rounds + 1):  # one to warm up
        spent: dict[str, float] = {}
        with timed(page, STAGES, spent):
            start = time.process_time()
            pairs = zip(lands, keys, strict=True)
            looks = [draw_look(recipe, land, key, number, sensor=sensor) for land, key in pairs]
            spent["draw_look"] = time.process_time() - start
            page.see(recipe, ground, looks)
            took = time.process_time() - start
        if took < best:
            best, stages = took, spent | {"rest": took - sum(spent.values())}
    return best, stages


def main(rounds: int) -> None:
    """Print a column of stages a case."""
    torch.set_num_threads(1)
    columns = {case: look(*case[:3], rounds) for case in CASES}
    print(f"{'ms a scene':26s}" + "".join(f"{f'{n} {c} x {s}px':>18s}" for n, s, c, _ in CASES))
    for stage in ("draw_look", *STAGES, "rest"):
        row = [1000 * stages.get(stage, 0.0) / case[2] for case, (_, stages) in columns.items()]
        if max(row) >= 0.05:
            print(f"{stage:26s}" + "".join(f"{ms:18.1f}" for ms in row))
    print(f"{'scenes a second':26s}" + "".join(f"{case[2] / s:18.1f}" for case, (s, _) in columns.items()))
    print(f"{'wanted':26s}" + "".join(f"{case[3]:18.0f}" for case in CASES))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
