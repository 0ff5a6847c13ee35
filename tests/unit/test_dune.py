"""Dunes: lee sides at the angle of repose, heights by the law of their spacing."""

import math

import pytest
import torch

from terraficta.synth.scene.terrain.dune import POWER, REPOSE, TALL, Dunes, draw_dunes, heap_barchans, heap_rows
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey

SEED = torch.tensor([4711])


def _heaped(kind: str, blows_deg: float = 30.0, cell_m: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Height, and its gradient (2, H, W), of 600 x 600 cells of full-grown dunes that are 100 m apart."""
    at = Window.over(600, 600, torch.tensor([cell_m]))
    work = heap_barchans if kind == "barchan" else heap_rows
    height = work(at, [Dunes(kind, blows_deg, 100.0, 6.0)], SEED, torch.ones(at.shape))[0]
    return height, torch.stack(torch.gradient(height, spacing=cell_m))


@pytest.mark.parametrize("kind", ["barchan", "transverse", "linear"])
def test_slip_faces_lie_at_the_angle_of_repose_and_nothing_is_steeper(kind: str) -> None:
    height, rise = _heaped(kind)
    slope = rise.square().sum(0).sqrt()
    high = slope[height > 1.0]
    assert float(slope.max()) < 1.15 * REPOSE
    assert float(high.quantile(0.97)) == pytest.approx(REPOSE, rel=0.08)


@pytest.mark.parametrize("blows_deg", [0.0, 75.0, 200.0])
@pytest.mark.parametrize("kind", ["barchan", "transverse"])
def test_slip_faces_look_downwind(kind: str, blows_deg: float) -> None:
    _, rise = _heaped(kind, blows_deg)
    steep = rise.square().sum(0).sqrt() > 0.58
    fall = -rise[:, steep].mean(1)
    angle = math.radians(blows_deg)
    along = float(fall[0] * math.cos(angle) + fall[1] * math.sin(angle)) / float(fall.norm())
    assert along > 0.97


def test_between_dunes_the_ground_is_flat_and_no_dune_is_too_tall() -> None:
    for kind in ("barchan", "transverse", "linear"):
        height, _ = _heaped(kind)
        assert float((height == 0).float().mean()) > 0.1
        assert 3.0 < float(height.max()) <= 6.0 + 1e-4


def test_crests_are_one_spacing_apart() -> None:
    height, _ = _heaped("transverse", 0.0, 5.0)
    spectrum = torch.fft.rfft(height - height.mean(), dim=0).abs().square().mean(1)
    wave = torch.arange(10, 60)  # waves of 300 to 50 m in 3 km
    middle = float((spectrum[wave] * wave).sum() / spectrum[wave].sum())
    assert 3000.0 / middle == pytest.approx(100.0, rel=0.15)


def test_height_follows_from_spacing() -> None:
    dunes = [draw_dunes(SceneKey(2, i)) for i in range(300)]
    spacing, height = (torch.tensor([getattr(d, name) for d in dunes]).log() for name in ("spacing_m", "height_m"))
    spread = spacing - spacing.mean()
    power = float((spread * height).sum() / spread.square().sum())
    assert power == pytest.approx(POWER, abs=0.05)
    assert float((height - math.log(TALL) - POWER * spacing).abs().max()) < math.log(1.36)
    assert {d.kind for d in dunes} == {"barchan", "transverse", "linear"}


def test_without_sand_no_dunes() -> None:
    at = Window.over(64, 64, torch.tensor([2.0]))
    for work in (heap_rows, heap_barchans):
        assert float(work(at, [Dunes("linear", 10.0, 100.0, 6.0)], SEED, torch.zeros(at.shape)).max()) < 1e-2
