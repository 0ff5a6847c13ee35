"""The network, its inputs, and the episodic head."""

from pathlib import Path

import pytest
import torch

from terraficta.pretrain.head import fit_ridge
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.objective import soft_cross_entropy
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.pretrain.scaling import CLIP, Scaling
from terraficta.pretrain.weights import read_weights, write_weights
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    torch.manual_seed(0)
    return Mapper(ModelRecipe(), TERRAFICTA).eval()


@pytest.mark.parametrize("bands", [1, 3, 13, 218])
def test_any_bands_any_size(mapper: Mapper, bands: int) -> None:
    centre = torch.linspace(420, 2400, bands)
    features = mapper.features(torch.randn(2, 2, bands, 50, 37), centre, torch.full((bands,), 20.0))
    assert features.shape == (2, mapper.width, 50, 37)
    assert torch.isfinite(features).all()


def test_order_of_bands_does_not_matter(mapper: Mapper) -> None:
    views, centre, width = torch.randn(1, 2, 6, 32, 32), torch.linspace(450, 2200, 6), torch.linspace(10, 100, 6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    plain = mapper.features(views, centre, width)
    shuffled = mapper.features(views[:, :, order], centre[order], width[order])
    assert torch.allclose(plain, shuffled, atol=1e-3)


def test_wavelength_matters(mapper: Mapper) -> None:
    views, width = torch.randn(1, 2, 4, 32, 32), torch.full((4,), 30.0)
    blue = mapper.features(views, torch.tensor([450.0, 560, 660, 840]), width)
    swir = mapper.features(views, torch.tensor([450.0, 560, 660, 1600]), width)
    assert (blue - swir).abs().mean() > 1e-3


def test_ridge_is_the_closed_form() -> None:
    """Against the normal equations, solved the other way round: as ordinary least squares on stacked rows."""
    torch.manual_seed(1)
    x, k = torch.randn(40, 6, dtype=torch.float64), 3
    mass = torch.eye(k, dtype=torch.float64)[torch.arange(40) % k]
    mass = mass[torch.randperm(40)]
    penalty = torch.tensor(0.3, dtype=torch.float64)
    head = fit_ridge(x, mass, penalty, torch.tensor(1.0))
    weight = (mass / mass.sum(0).sqrt()).sum(1)
    weight = weight / weight.sum()
    xc, yc = x - weight @ x, mass - weight @ mass
    root = weight.sqrt()[:, None]
    rows = torch.cat([xc * root, penalty.sqrt() * torch.eye(6, dtype=torch.float64)])
    goal = torch.cat([yc * root, torch.zeros(6, k, dtype=torch.float64)])
    assert torch.allclose(head.weight, torch.linalg.lstsq(rows, goal).solution, atol=1e-8)


def test_ridge_separates_what_is_separable_and_passes_gradients() -> None:
    torch.manual_seed(2)
    centres = torch.randn(4, 16) * 3
    label = torch.arange(80) % 4
    x = (centres[label] + 0.1 * torch.randn(80, 16)).requires_grad_()
    head = fit_ridge(x[:20], torch.eye(4)[label[:20]], torch.tensor(0.1), torch.tensor(5.0))
    logs = head.log_probabilities(x[20:])
    assert (logs.argmax(1) == label[20:]).all()
    logs[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[:20].abs().sum() > 0


def test_soft_cross_entropy_counts_only_mass() -> None:
    logs = torch.log_softmax(torch.randn(1, 3, 2, 2), 1)
    mass = torch.zeros(1, 3, 2, 2)
    mass[0, 1, 0, 0] = 1.0
    mass[0, :, 1, 1] = torch.tensor([0.25, 0.0, 0.25])
    expected = -(logs[0, 1, 0, 0] + 0.25 * logs[0, 0, 1, 1] + 0.25 * logs[0, 2, 1, 1]) / 1.5
    assert torch.allclose(soft_cross_entropy(logs, mass), expected)


def test_relative_view_ignores_gain_and_offset() -> None:
    image = torch.rand(5, 40, 40)
    gain, offset = torch.rand(5, 1, 1) * 9 + 1, torch.randn(5, 1, 1)
    scale = Scaling.of_pixels(image.flatten(1), "DN")
    other = Scaling.of_pixels((image * gain + offset).flatten(1), "DN")
    assert torch.allclose(scale(image)[0], other(image * gain + offset)[0], atol=1e-4)
    assert (scale(image)[1] == 0).all()


def test_flat_band_does_not_explode() -> None:
    image = torch.cat([torch.full((1, 20, 20), 3.0), torch.rand(1, 20, 20)])
    views = Scaling.of_pixels(image.flatten(1), "BOA")(image)
    assert torch.isfinite(views).all()
    assert views[0].abs().max() <= CLIP


def test_weights_round_trip(mapper: Mapper, tmp_path: Path) -> None:
    write_weights(tmp_path / "weights.pt", mapper, {"seed": 1})
    again, record = read_weights(tmp_path / "weights.pt")
    views, centre = torch.randn(1, 2, 3, 32, 32), torch.tensor([480.0, 560, 660])
    assert torch.equal(mapper.features(views, centre, centre / 20), again.features(views, centre, centre / 20))
    assert record == {"seed": 1}


def test_broken_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no such file"):
        read_weights(tmp_path / "none.pt")
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(Refusal, match="copy it again"):
        read_weights(tmp_path / "cut.pt")
    write_weights(tmp_path / "old.pt", Mapper(ModelRecipe(), TERRAFICTA), {})
    content = torch.load(tmp_path / "old.pt", weights_only=True)
    del content["weights"]["log_penalty"]
    torch.save(content, tmp_path / "old.pt")
    with pytest.raises(Refusal, match="another shape"):
        read_weights(tmp_path / "old.pt")
    torch.save({"other": 1}, tmp_path / "other.pt")
    with pytest.raises(Refusal, match="another kind of file"):
        read_weights(tmp_path / "other.pt")
