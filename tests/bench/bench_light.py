"""Speed of the light: 10 Sentinel-2 bands, 512 x 512, from surface reflectance to the aperture, as in tier 3.

Run: python tests/bench/bench_light.py

The whole chain from ground to stored numbers has to make 20 Mpx x bands a second on two cores. CPU seconds are told
beside wall seconds, because a busy machine stretches only these.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from terraficta.synth.physics.atmosphere import draw_atmosphere
from terraficta.synth.physics.correction import boa_correction
from terraficta.synth.physics.sun import draw_sun
from terraficta.synth.physics.terrain_light import terrain_light
from terraficta.synth.physics.toa import toa_reflectance
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import AirRecipe, LightRecipe
from terraficta.synth.types.sensor import read_sensor

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
AIR = AirRecipe(
    aot550=(0.1, 0.4), water_vapour_cm=(1, 3), ozone_cm=(0.3, 0.3), rayleigh=1, adjacency=1, haze=(0.05, 0.15),
    clouds=(0.05, 0.15), correction="imperfect",
)  # fmt: skip
SIZE_PX, ROUNDS = 512, 7


def best_of(work: Callable[[], object]) -> tuple[float, float]:
    """Least wall and CPU seconds of a few rounds."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


@torch.inference_mode()
def main() -> None:
    """Time each part for pixels as they are, and for four fine cells a pixel."""
    sensor, keys = read_sensor("sentinel2a").pick(BANDS), [SceneKey(7, 0)]
    sun, air = draw_sun(LightRecipe(sza_deg=(40, 40)), keys), draw_atmosphere(AIR, keys)
    for factor in (1, 2):
        side, cell_m = SIZE_PX * factor, torch.tensor([10.0 / factor])
        boa = torch.rand(1, len(BANDS), side, side, generator=torch.Generator().manual_seed(1)) * 0.5
        rough = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(2)) * 300
        elevation_m = torch.nn.functional.interpolate(rough, size=(side, side), mode="bicubic")[:, 0]
        light = terrain_light(elevation_m, cell_m, sun)
        product = boa[..., :SIZE_PX, :SIZE_PX].contiguous()
        parts: dict[str, Callable[[], object]] = {
            "terrain_light": lambda z=elevation_m, c=cell_m: terrain_light(z, c, sun),
            "toa_reflectance": lambda b=boa, z=elevation_m, c=cell_m, i=light: toa_reflectance(
                b, z, c, sun, air, sensor, i
            ),
            "boa_correction": lambda p=product: boa_correction(p, sun, air, sensor, AIR, torch.tensor([10.0])),
        }
        for name, work in parts.items():
            work()
            wall_s, cpu_s = best_of(work)
            amount = len(BANDS) * SIZE_PX**2 / 1e6
            print(
                f"{factor}x {name:16s} {amount / wall_s:6.0f} Mpx x bands a second, {amount / cpu_s:6.0f} a CPU second"
            )


if __name__ == "__main__":
    main()
