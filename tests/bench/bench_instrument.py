"""Speed of the instrument: 10 Sentinel-2 bands, 512 x 512, from fine cells to stored numbers.

Run: python tests/bench/bench_instrument.py

The whole chain of tier 3 has to make 20 Mpx x bands a second on two cores, so its last part must not take more than a
third of that: 60. CPU seconds are told beside wall seconds, because a busy machine stretches only these.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from terraficta.synth.instrument.detector import draw_detector, record
from terraficta.synth.instrument.optics import draw_optics, margin_cells, observe
from terraficta.synth.instrument.product import to_dn
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import InstrumentRecipe
from terraficta.synth.types.sensor import read_sensor

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
RECIPE = InstrumentRecipe(psf=1, noise=1, striping=1, misregistration_px=0.3, quantise=True)
SIZE_PX, FACTOR, ROUNDS, BAR = 512, 2, 7, 60.0


def best_of(work: Callable[[], object]) -> tuple[float, float]:
    """Least wall and CPU seconds of a few rounds."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def main() -> None:
    """Time each part and the chain of them, on as many threads as OMP_NUM_THREADS or else the cores allow."""
    sensor, keys = read_sensor("sentinel2a").pick(BANDS), [SceneKey(7, 0)]
    margin = margin_cells(sensor, RECIPE, FACTOR)
    side = SIZE_PX * FACTOR + 2 * margin
    toa = torch.rand(1, len(BANDS), side, side, generator=torch.Generator().manual_seed(1))
    optics = draw_optics(RECIPE, sensor, keys)
    detector, sza_deg = draw_detector(RECIPE, optics, keys), torch.tensor([40.0])
    signal = observe(toa, optics, FACTOR, margin)
    recorded = record(signal, detector, sza_deg)
    parts: dict[str, Callable[[], object]] = {
        "observe": lambda: observe(toa, optics, FACTOR, margin),
        "record": lambda: record(signal, detector, sza_deg),
        "to_dn": lambda: to_dn(recorded, sensor),
        "all": lambda: to_dn(record(observe(toa, optics, FACTOR, margin), detector, sza_deg), sensor),
    }
    amount = len(BANDS) * SIZE_PX**2 / 1e6
    for name, work in parts.items():
        work()
        wall_s, cpu_s = best_of(work)
        bar = f"   (bar {BAR:.0f} a second on two cores: {amount / wall_s / BAR:.1f} x)" if name == "all" else ""
        print(f"{name:8s} {amount / wall_s:6.0f} Mpx x bands a second, {amount / cpu_s:6.0f} a CPU second{bar}")


if __name__ == "__main__":
    main()
