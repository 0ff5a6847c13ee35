"""BOA to DN of a 10-band tier 3 scene of 512 x 512 px, in Mpx x bands a second, against the bar of 20 on 2 cores."""

import time

import torch

from terraficta.synth.instrument.detector import draw_detector, record
from terraficta.synth.instrument.optics import draw_optics, margin_cells, observe
from terraficta.synth.instrument.product import to_dn
from terraficta.synth.physics.atmosphere import draw_atmosphere
from terraficta.synth.physics.sun import draw_sun
from terraficta.synth.physics.terrain_light import terrain_light
from terraficta.synth.physics.toa import toa_reflectance
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
SIZE_PX, BAR, RUNS = 512, 20.0, 5


def main() -> None:
    """Print a line an oversampling and number of threads."""
    recipe, sensor, keys = read_scene_recipe("tier3"), read_sensor("sentinel2a").pick(BANDS), [SceneKey(7, 3)]
    for factor in (1, 2):
        margin = margin_cells(sensor, recipe.instrument, factor)
        margin += -(SIZE_PX * factor + 2 * margin) % 32 // 2
        side = SIZE_PX * factor + 2 * margin
        cell_m = torch.tensor([10.0 / factor])
        generator = torch.Generator().manual_seed(0)
        boa = torch.rand(1, len(BANDS), side, side, generator=generator) * 0.4
        elevation_m = torch.rand(1, side, side, generator=generator) * 5 + 300
        for threads in (1, 2):
            torch.set_num_threads(threads)
            spent = []
            for _ in range(RUNS):
                start = time.perf_counter()
                sun, air = draw_sun(recipe.light, keys), draw_atmosphere(recipe.air, keys)
                light = terrain_light(elevation_m, cell_m, sun, recipe.light.relief)
                sky = toa_reflectance(boa, elevation_m, cell_m, sun, air, sensor, light)
                optics = draw_optics(recipe.instrument, sensor, keys)
                detector = draw_detector(recipe.instrument, optics, keys)
                signal = record(observe(sky.toa_reflectance, optics, factor, margin), detector, sun.sza_deg)
                to_dn(signal, sensor)
                spent.append(time.perf_counter() - start)
            rate = SIZE_PX**2 * len(BANDS) / sorted(spent)[RUNS // 2] / 1e6
            print(f"oversampling {factor}, {threads} thread(s): {rate:.1f} Mpx x bands/s, {rate / BAR:.2f} of the bar")


if __name__ == "__main__":
    main()
