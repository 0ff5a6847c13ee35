"""Fields of chance: unit variance, one world in every window, the same alone and in a batch."""

import pytest
import torch

from terraficta.synth.scene.world.cells import partition, voronoi
from terraficta.synth.scene.world.chance import (
    DRAW,
    SPREAD,
    STEP,
    fraction,
    hashed,
    mix,
    mix_there,
    per_scene,
    seeds_of,
    uniform,
)
from terraficta.synth.scene.world.lattice import blend, fbm, gradient_noise
from terraficta.synth.scene.world.places import Places, covered
from terraficta.synth.scene.world.window import Window


def _window(n: int, size: int = 64, cell_m: float = 10.0, origin: list[list[int]] | None = None) -> Window:
    at = None if origin is None else torch.tensor(origin)
    return Window.over(size, size, per_scene([cell_m] * n), at)


def test_gradient_noise_has_mean_0_and_variance_1() -> None:
    noise = gradient_noise(_window(8, 512), per_scene([47.0] * 8), seeds_of(range(8)))
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.02


def test_window_and_points_are_the_same_field() -> None:
    window, spacing, seed = _window(2), per_scene([173.0, 61.0]), seeds_of([3, 4])
    torch.testing.assert_close(gradient_noise(window, spacing, seed), gradient_noise(window.points(), spacing, seed),
                               atol=3e-6, rtol=0)  # fmt: skip


def test_alone_and_in_a_batch_bit_equal() -> None:
    seed = seeds_of([11, 12, 13])
    batch = fbm(_window(3), per_scene([900.0, 300.0, 77.0]), seed, 5, [0.7, 0.9, 1.0])
    alone = fbm(_window(1), per_scene([300.0]), seed[1:2], 5, [0.9])
    assert torch.equal(batch[1:2], alone)


def test_windows_overlap_to_the_last_bit() -> None:
    seed, spacing = seeds_of([5]), per_scene([333.0])
    one, two = _window(1, origin=[[0, 0]]), _window(1, origin=[[17, -20]])
    assert torch.equal(fbm(one, spacing, seed, 4)[:, 17:, :-20], fbm(two, spacing, seed, 4)[:, :-17, 20:])
    a, b = voronoi(one.points(), spacing, seed), voronoi(two.points(), spacing, seed)
    assert torch.equal(a.identity[:, 17:, :-20], b.identity[:, :-17, 20:])
    assert torch.equal(a.edge_m[:, 17:, :-20], b.edge_m[:, :-17, 20:])


def test_voronoi_edge_distance_is_a_distance() -> None:
    cells = voronoi(_window(1, 256, 1.0).points(), per_scene([80.0]), seeds_of([9]))
    assert float(cells.edge_m.min()) >= 0
    changed = cells.identity[:, :, 1:] != cells.identity[:, :, :-1]
    assert int(changed.sum()) > 100
    assert float(cells.edge_m[:, :, 1:][changed].max()) <= 1.05  # beside a neighbour: within one cell of the edge
    rise = (cells.edge_m[:, :, 1:] - cells.edge_m[:, :, :-1]).abs()
    assert float((rise[~changed] > 1.01).float().mean()) < 0.01  # 1 m a metre, but where a fourth site decides


def test_junction_identity_does_not_depend_on_the_side() -> None:
    cells = voronoi(_window(1, 256, 1.0).points(), per_scene([80.0]), seeds_of([9]))
    meeting = cells.junction_m < 1.0
    identity = cells.junction[0][:-1, :-1][meeting[0, :-1, :-1]]
    pairs = cells.junction[0][1:, 1:][meeting[0, :-1, :-1]]
    beside = cells.identity[0][:-1, :-1] != cells.identity[0][1:, 1:]
    assert int(beside[meeting[0, :-1, :-1]].sum()) > 5
    assert float((identity == pairs).float().mean()) > 0.8


def test_partition_counts_on_and_measures_to_the_ends() -> None:
    along = torch.linspace(-20, 20, 8001)
    number, distance, length = partition(along, torch.tensor(5), 0.6)
    step = number.diff()
    assert set(step.unique().tolist()) == {0, 1}
    assert float(distance.min()) >= 0
    assert bool((distance <= length / 2 + 1e-4).all())


def test_a_processor_hashes_as_any_device_does() -> None:
    """Words of numpy on a processor, torch elsewhere: the same 32 bits, whatever shape, order and sign."""
    seed = torch.randint(-(2**40), 2**62, (3, 1, 700), generator=torch.Generator().manual_seed(5))
    for h in (seed, seed.mT, torch.tensor(2**63 - 1), torch.empty(0, dtype=torch.int64)):
        assert torch.equal(mix(h), mix_there(h))
        there = mix_there(mix_there(h * SPREAD - 7 + STEP) * SPREAD + h + 2 * STEP)
        assert torch.equal(hashed(h, -7, h), there)
        assert torch.equal(uniform(h, 3), fraction(mix_there(h + 4 * DRAW)))


def test_uniform_is_uniform() -> None:
    draws = uniform(hashed(torch.tensor(1), torch.arange(100_000)))
    assert float(draws.min()) >= 0
    assert float(draws.max()) < 1
    assert abs(float(draws.mean()) - 0.5) < 0.005
    assert abs(float(draws.std()) - 12**-0.5) < 0.005


def test_blend_equals_the_reference_on_the_same_lattice() -> None:
    noise = pytest.importorskip("noise")
    size, step = 7, 1e-3
    # its gradients are of -1, 0 and 1, so that differences give them exactly
    gx = torch.tensor([[round(noise.pnoise2(i + step, float(j)) / step) for i in range(size)] for j in range(size)])
    gy = torch.tensor([[round(noise.pnoise2(float(i), j + step) / step) for i in range(size)] for j in range(size)])
    along = torch.arange(0, size - 1, 0.13)
    node = along.floor().to(torch.int64)[None]
    ours = blend(gy[None].float(), gx[None].float(), node, node, (along - node), (along - node))[0]
    theirs = torch.tensor([[noise.pnoise2(float(x), float(y)) for x in along] for y in along])
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert float(theirs.std()) > 0.1


def test_a_line_covers_its_area_at_any_cell_size() -> None:
    for cell_m in (1.0, 8.0, 30.0):
        cell = torch.full((1, 1, 1), cell_m)
        window = _window(1, 512, cell_m)
        distance = (window.x_m[:, None, :] + 0.31 * window.y_m[:, :, None]).abs().to(torch.float32) / (
            1 + 0.31**2
        ) ** 0.5
        u01 = uniform(window.cells())
        area = float(covered(distance, 3.0, cell, u01).sum()) * cell_m**2
        true = 6.0 * 512 * cell_m * (1 + 0.31**2) ** 0.5
        assert abs(area / true - 1) < 0.12
    assert not bool(covered(distance, 0.0, cell, u01).any())


def test_places_go_there_and_back() -> None:
    plane = uniform(_window(2, 32).cells())
    chosen = plane < 0.3
    cells = Places.where(chosen)
    assert torch.equal(cells.onto(cells.of(plane), 0.0), torch.where(chosen, plane, 0.0))
    assert torch.equal(cells.scene, chosen.nonzero()[:, 0])
