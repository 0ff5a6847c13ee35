"""Explanation: relevance is conserved, attributions are complete, and a network that looks at one band is found out."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from terraficta.eval.explain.relevance import RelevanceMode
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

pytest.importorskip("captum")
from terraficta.eval.explain.attribution import METHODS, explain  # noqa: E402
from terraficta.eval.explain.study import KEPT, located, scrambled  # noqa: E402


class OneBand(nn.Module):
    """A stand-in for a network: class 1 is where one band is bright, whatever the others do."""

    def __init__(self, band: int) -> None:
        super().__init__()
        self.band = band

    def forward(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        score = functional.silu(2 * views[:, 0, self.band]) + 0.1 * views[:, 0, self.band]
        return torch.stack([-score, score, torch.zeros_like(score)], 1)


def tile() -> tuple[Tile, Tensor]:
    """A bright square in the second band, in noise; and where it is."""
    g = torch.Generator().manual_seed(0)
    image = 0.2 + 0.01 * torch.randn(4, 32, 32, generator=g)
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[8:18, 10:24] = True
    image[1, mask] += 0.1
    sensor = read_sensor("sentinel2a").pick(["B02", "B03", "B04", "B08"])
    legend = Legend("three", ("a", "b", "c"), ("#000000",) * 3)
    mass = torch.stack([(~mask).float(), mask.float(), torch.zeros(32, 32)])
    everywhere = torch.ones(32, 32, dtype=torch.bool)
    return Tile("t", image, everywhere, mass, sensor, legend, Grid(32, 32, 10.0), "BOA"), mask


@pytest.mark.parametrize("method", METHODS)
def test_the_band_and_the_place_are_found(method: str) -> None:
    made, mask = tile()
    found = explain(OneBand(1), made, made.image, 1).maps[method]  # type: ignore[arg-type]
    assert float(found[[0, 2, 3]].abs().sum()) == 0.0
    if method != "saliency":  # whose gradient says where more would matter, not what there is
        assert located(found.sum(0), mask, signed=True) > 0.99
        other = explain(OneBand(0), made, made.image, 1).maps[method]  # type: ignore[arg-type]
        assert 0.4 < located(other.sum(0), mask, signed=True) < 0.6


def test_integrated_gradients_sum_to_what_they_explain() -> None:
    made, _ = tile()
    found = explain(OneBand(1), made, made.image, 1)  # type: ignore[arg-type]
    total = found.score - found.baseline_score
    assert float(found.maps["integrated gradients"].sum()) == pytest.approx(total, rel=0.02)


def test_relevance_is_conserved_without_biases() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.GELU(), nn.Conv2d(8, 8, 1, bias=False), nn.SiLU(), nn.Flatten(),
        nn.LayerNorm(8 * 6 * 6, bias=False), nn.Linear(8 * 6 * 6, 1, bias=False),
    ).double()  # fmt: skip
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    with RelevanceMode():
        layers(x).sum().backward()
    assert x.grad is not None
    assert float((x.grad * x).sum()) == pytest.approx(float(layers(x).sum()), rel=1e-9)
    x.grad = None
    layers(x).sum().backward()
    assert x.grad is not None
    assert abs(float((x.grad * x).sum()) - float(layers(x).sum())) > 1e-3  # plain gradient times input is not


def test_the_mode_changes_no_value_and_ends() -> None:
    x = torch.randn(5, 7)
    norm = nn.LayerNorm(7)
    with RelevanceMode():
        inside = [functional.silu(x), functional.gelu(x), norm(x)]
    outside = [functional.silu(x), functional.gelu(x), norm(x)]
    for a, b in zip(inside, outside, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_scrambled_bands_keep_their_values_and_lose_their_place() -> None:
    made, mask = tile()
    image = torch.cat([made.image, made.image])
    found = scrambled(image, 1, SceneKey(0, 0))
    assert torch.equal(found[1 : 1 + KEPT], image[1 : 1 + KEPT])
    assert torch.equal(found[5].flatten().sort().values, image[5].flatten().sort().values)
    assert located(image[5], mask, True) > 0.99
    assert 0.35 < located(found[5], mask, True) < 0.65
