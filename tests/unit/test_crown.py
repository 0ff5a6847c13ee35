"""Crowns: objects in small cells, statistics in large ones, and the same mean height in both."""

import pytest
import torch

from synth.scene.crown import SHOWN_M, crowned, seen
from synth.scene.fractal import Window
from synth.spec.legend import TERRAFICTA

KINDS = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "mangrove", "plantation", "orchard")


def stand(kind: str, cell_m: float, size: int = 256, height_m: float = 20.0) -> torch.Tensor:
    window = Window.over(size, size, torch.tensor([cell_m]))
    cover = torch.full((1, size, size), TERRAFICTA.index(kind), dtype=torch.uint8)
    return crowned(window, cover, torch.full((1, size, size), height_m))


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_height_does_not_hang_on_the_cell(kind: str) -> None:
    for cell_m in (0.5, 1.0, 2.0, 4.0, 8.0):
        assert abs(float(stand(kind, cell_m).mean()) / 20.0 - 1) < 0.08, (kind, cell_m)


def test_large_cells_show_no_crowns() -> None:
    assert torch.equal(stand("deciduous_forest", SHOWN_M[1]), torch.full((1, 256, 256), 20.0))
    assert float(stand("deciduous_forest", 0.5).std()) > 3.0
    assert float(seen(torch.tensor([0.5]))) == 1.0


def test_other_ground_has_no_crowns() -> None:
    assert torch.equal(stand("grassland", 0.5, height_m=0.0), torch.zeros(1, 256, 256))


def test_crowns_are_the_same_in_every_window() -> None:
    cover = torch.full((1, 64, 64), TERRAFICTA.index("needleleaf_forest"), dtype=torch.uint8)
    tall = torch.full((1, 64, 64), 15.0)
    one, two = (
        crowned(Window.over(64, 64, torch.tensor([0.5]), torch.tensor([origin])), cover, tall)
        for origin in ([0, 0], [16, 32])
    )
    assert torch.equal(one[:, 16:, 32:], two[:, :-16, :-32])
    assert len(one.unique()) > 1000
