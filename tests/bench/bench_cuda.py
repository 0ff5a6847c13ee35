"""Tiles a second on a GPU, against 2,000 of tier 1 and 500 of tier 3 (256 x 256 px x 10 bands), and its memory.

    python tests/bench/bench_cuda.py [SECONDS]

Without a GPU it says so and ends. `python -m pytest tests/test_cuda.py` holds the numbers to those of the processor.
"""

from __future__ import annotations

import sys
import time

import torch

from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
GOALS = {"tier0": None, "tier1": 2000.0, "tier2": None, "tier3": 500.0}
BATCHES = (8, 32, 128)


def main(seconds: float) -> None:
    """Print a line a tier and batch."""
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured")
        return
    print(torch.cuda.get_device_name())
    sensor = read_sensor("sentinel2a").pick(BANDS)
    for name, goal in GOALS.items():
        recipe = read_scene_recipe(name, ["size_px=256"])
        for batch in BATCHES:
            torch.cuda.reset_peak_memory_stats()
            render(recipe, [SceneKey(7, i) for i in range(batch)], sensor, "cuda")
            torch.cuda.synchronize()
            start, made = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                render(recipe, [SceneKey(7, 1000 + made + i) for i in range(batch)], sensor, "cuda")
                torch.cuda.synchronize()
                made += batch
            rate, peak_gb = made / (time.perf_counter() - start), torch.cuda.max_memory_allocated() / 1e9
            bar = "" if goal is None else f", {rate / goal:.2f} of the goal of {goal:.0f}"
            print(f"{name}, {batch} together: {rate:.1f} tiles/s{bar}, {peak_gb:.1f} GB")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
