"""Drainage: water always flows down to an outlet; sums by pointer jumping equal sums by walking."""

import pytest
import torch
from terrain_maker import draw_plans
from torch import Tensor

from terraficta.synth.scene.terrain.drainage import (
    Drainage,
    accumulate,
    climb,
    fill_depressions,
    first_below,
    steepest,
    step_length,
)
from terraficta.synth.scene.terrain.ground import near_nodes
from terraficta.synth.scene.terrain.rivers import CHANNEL_KM2, grow_drainage, node_spacing, wander
from terraficta.synth.scene.terrain.valleys import HALF, SIDE, gather_rivers, lay_valleys
from terraficta.synth.scene.world.chance import per_scene, seeds_of
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TerrainRecipe


def _rough(n: int = 2, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    height = fbm(Window.over(size, size, per_scene([1.0] * n)), per_scene([9.0] * n), seeds_of(range(n)), 3, 0.5)
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


def _rivers(index: int, middle: tuple[int, int] = (0, 0)) -> tuple[Drainage, Tensor]:
    """One scene's rivers, and the nodes among which its window lies."""
    plans = draw_plans(TerrainRecipe(), [SceneKey(5, index)])
    window = Window.over(256, 256, per_scene([20.0]), torch.tensor([middle]))
    spacing = node_spacing([plan.form for plan in plans], window)
    places = wander(window, spacing, plans)
    drainage = grow_drainage(plans, [places], spacing)[0]
    node, nodes = near_nodes(places, drainage).node, drainage.elevation_m.shape[1]
    within = torch.zeros(nodes, nodes, dtype=torch.bool)
    (top, bottom), (left, right) = ((int(v.min()), int(v.max())) for v in (node // nodes, node % nodes))
    within[top - 1 : bottom + 2, left - 1 : right + 2] = True
    return drainage, within.flatten()[None]


@pytest.mark.parametrize("middle", [(0, 0), (-5000, 3000)])
def test_every_channel_falls_all_the_way_down(middle: tuple[int, int]) -> None:
    for index in range(12):
        drainage, within = _rivers(index, middle)
        height, receiver, area = drainage.elevation_m.flatten(1), drainage.receiver, drainage.area_km2.flatten(1)
        below = height.gather(1, receiver)
        ends = receiver == torch.arange(receiver.shape[1])
        channel = (area >= CHANNEL_KM2) & ~ends & within
        assert int(channel.sum()) > 50
        assert bool((below < height)[channel].all())
        assert bool((area.gather(1, receiver) >= area)[channel].all())  # rivers only gain water


def test_water_comes_to_rest_in_a_lake_or_leaves_the_block() -> None:
    for index in range(12):
        drainage, within = _rivers(index)
        nodes = drainage.elevation_m.shape[1]
        receiver, own = drainage.receiver, torch.arange(nodes * nodes)
        assert not bool((receiver == own)[within & ~drainage.valley].any())  # a land drains to its lines
        for _ in range(14):  # 2^14 nodes on: no path is as long
            receiver = receiver.gather(1, receiver)
        assert torch.equal(drainage.receiver.gather(1, receiver), receiver)  # arrived: no circles
        row, column = receiver // nodes, receiver % nodes
        rim = (row == 0) | (row == nodes - 1) | (column == 0) | (column == nodes - 1)
        assert bool((drainage.lake.gather(1, receiver) | rim)[within].all())


def test_lattice_rivers_only_grow() -> None:
    """Over a hundred lands: every line runs down, gains water, and ends in a lake or at the rim."""
    plans = draw_plans(TerrainRecipe(), [SceneKey(5, i) for i in range(6)])
    valleys = lay_valleys(torch.tensor([[-5, 7]] * 6), 10, plans, torch.full((6,), 10**6))
    height = valleys.height_m.flatten(1)
    moving = valleys.receiver != torch.arange(valleys.receiver.shape[1])
    assert not bool((moving & ~valleys.line).any())
    assert bool((height.gather(1, valleys.receiver) < height)[moving].all())
    rivers = gather_rivers(valleys, valleys.line.to(torch.int64))
    assert bool((rivers.gather(1, valleys.receiver) >= rivers)[moving].all())
    lakes = valleys.lake.sum(1).to(torch.float32) / (11 * 21)
    assert 0.0 < float(lakes.mean()) < 0.15
    wet = valleys.line & (height < valleys.lake_m)
    assert bool(wet[valleys.lake].all())  # water stands there
    assert bool(wet.gather(1, valleys.receiver)[wet].all())  # and reaches down the lines to where it came from


def test_blocks_of_the_lattice_agree() -> None:
    plans = draw_plans(TerrainRecipe(), [SceneKey(5, i) for i in range(3)])
    inflow = torch.full((3,), 500)
    one = lay_valleys(torch.tensor([[-3, 2]] * 3), 3, plans, inflow)
    two = lay_valleys(torch.tensor([[0, 0]] * 3), 4, plans, inflow)
    shared, other = slice(3 * HALF + 1, 3 * SIDE), slice(1, 3 * HALF)
    for name in ("height_m", "source", "most", "line", "lake"):
        first, second = (getattr(v, name).reshape(v.height_m.shape) for v in (one, two))
        assert torch.equal(first[:, shared, : 2 * SIDE], second[:, other, 2 * SIDE : 4 * SIDE]), name
