"""Drainage: water always flows down to an outlet; sums by pointer jumping equal sums by walking."""

import torch

from synth.scene.drainage import accumulate, climb, fill_depressions, first_below, steepest, step_length
from synth.scene.fractal import Window, fbm, per_scene, words
from synth.scene.landform import draw_landform
from synth.scene.river_system import CHANNEL_KM2, grow_drainage
from synth.spec.key import SceneKey
from synth.spec.recipe import TerrainRecipe


def _rough(n: int = 2, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    height = fbm(Window.over(size, size, per_scene([1.0] * n)), per_scene([9.0] * n), words(range(n)), 3, 0.5)
    outlet = torch.zeros_like(height, dtype=torch.bool)
    outlet[:, 0, size // 2] = True
    return height, outlet


def test_filled_ground_drains_and_is_never_lowered() -> None:
    height, outlet = _rough()
    filled = fill_depressions(height, outlet)
    assert bool((filled >= height).all())
    assert bool((filled > height).any())
    receiver = steepest(filled, outlet)
    own = torch.arange(receiver.shape[1])
    assert bool(((receiver == own) == outlet.flatten(1)).all())


def test_sums_along_rivers_equal_walking() -> None:
    height, outlet = _rough(1, 16)
    receiver = steepest(fill_depressions(height, outlet), outlet)
    area = accumulate(receiver, torch.ones_like(receiver))[0]
    rise = torch.rand(receiver.shape, generator=torch.Generator().manual_seed(1))
    gained = climb(receiver, rise)[0]
    marked = torch.zeros_like(receiver, dtype=torch.bool)
    marked[0, ::17] = True
    below = first_below(receiver, marked)[0]
    counted = torch.zeros_like(area)
    down = receiver[0].tolist()
    for start in range(len(down)):
        at, total, met = start, 0.0, -1
        while True:
            counted[at] += 1
            met = at if met < 0 and bool(marked[0, at]) else met
            total += float(rise[0, at])
            if down[at] == at:
                break
            at = down[at]
        assert abs(float(gained[start]) - total) < 1e-3
        assert int(below[start]) == met
    assert torch.equal(area, counted)


def test_outlets_gather_all_the_water() -> None:
    height, outlet = _rough()
    receiver = steepest(fill_depressions(height, outlet), outlet)
    area = accumulate(receiver, torch.ones_like(receiver))
    assert area[outlet.flatten(1)].tolist() == [1024, 1024]
    assert float(step_length(receiver, 32)[outlet.flatten(1)].max()) == 0


def test_every_channel_falls_all_the_way_to_an_outlet() -> None:
    keys = [SceneKey(5, i) for i in range(12)]
    forms = [draw_landform(TerrainRecipe(), key) for key in keys]
    drainage = grow_drainage(forms, Window.over(256, 256, per_scene([20.0] * 12)), keys)
    height, receiver, area = drainage.elevation_m.flatten(1), drainage.receiver, drainage.area_km2.flatten(1)
    below = height.gather(1, receiver)
    outlet = receiver == torch.arange(receiver.shape[1])
    channel = (area >= CHANNEL_KM2) & ~outlet
    assert bool((below < height)[channel].all())
    assert bool((area.gather(1, receiver) >= area)[channel].all())  # rivers only gain water
