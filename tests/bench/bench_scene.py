"""How fast ground is drawn: fields against the scalar C library `noise`, and a whole ground against its limit.

    python tests/bench/bench_scene.py [SCENES]

Ratios above 1 pass. The ground's limit is 0.25 s a scene of 512 x 512 cells on two cores: two processes of one thread.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import torch

from terraficta.synth.scene.cover.landcover import grow_landcover
from terraficta.synth.scene.cover.plan import draw_cover_plan
from terraficta.synth.scene.terrain.plan import draw_terrain_plan
from terraficta.synth.scene.terrain.terrain import grow_terrain
from terraficta.synth.scene.world.chance import per_scene, seeds_of
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe

SIDE = 512
GROUND_LIMIT_S = 0.25
FIELD_LIMIT = 10.0


def best_s(work: Callable[[], object], rounds: int = 5) -> float:
    """Shortest of several rounds [s]."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def fields() -> None:
    """Pixels a second of fBm, over those of noise.pnoise2 with as many octaves."""
    try:
        import noise
    except ImportError:
        print("noise is not installed (pip install noise): no peer to compare with")
        return
    window = Window.over(SIDE, SIDE, torch.full((4,), 10.0))
    seed, spacing, side = seeds_of(range(4)), per_scene([2560.0] * 4), 128
    for octaves in (1, 4, 8):

        def theirs(count: int = octaves) -> None:
            for y in range(side):
                for x in range(side):
                    noise.pnoise2(x * 0.013, y * 0.013, count)

        ours = 4 * SIDE * SIDE / best_s(lambda n=octaves: fbm(window, spacing, seed, n, 0.8))  # type: ignore[misc]
        peer = side * side / best_s(theirs)
        print(f"fbm, {octaves} octaves: {ours / 1e6:.0f} Mpx/s, {ours / peer:.1f} x pnoise2 (limit {FIELD_LIMIT:g} x)")


def ground(task: tuple[int, int, int]) -> tuple[float, float]:
    """Seconds and peak MiB of `count` grounds in this process, after a warm-up."""
    first, count, side = task
    torch.set_num_threads(1)

    def grow(keys: list[SceneKey]) -> None:
        with torch.inference_mode():
            plans = [draw_terrain_plan(TerrainRecipe(), key) for key in keys]
            terrain = grow_terrain(plans, side, side, torch.full((len(keys),), 10.0))
            grow_landcover(CoverRecipe(), terrain, [draw_cover_plan(CoverRecipe(), key) for key in keys])

    grow([SceneKey(1, 0)])
    start = time.perf_counter()
    for part in range(0, count, 4):
        grow([SceneKey(2, first + part + i) for i in range(min(4, count - part))])
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def grounds(scenes: int) -> None:
    """Seconds a scene on two processes, over the limit; and memory by the number of cells."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        start = [(0, scenes // 2, SIDE), (scenes // 2, scenes - scenes // 2, SIDE)]
        took = max(seconds for seconds, _ in pool.map(ground, start)) / scenes
    ratio = GROUND_LIMIT_S / took
    print(f"ground {SIDE}^2: {took:.3f} s a scene on 2 cores, {ratio:.2f} x as fast as the limit of {GROUND_LIMIT_S} s")
    for side in (256, 512, 1024):
        with context.Pool(1, maxtasksperchild=1) as pool:
            ((seconds, peak),) = pool.map(ground, [(0, 4, side)])
        a_cell = peak * 2**20 / (4 * side * side)
        print(
            f"4 grounds {side}^2: {seconds / 4:.3f} s each on one core, peak {peak:.0f} MiB, {a_cell:.0f} bytes a cell"
        )


if __name__ == "__main__":
    fields()
    grounds(int(sys.argv[1]) if len(sys.argv) > 1 else 32)
