"""The network, its inputs, and the episodic head."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from terraficta.pretrain.head import fit_ridge
from terraficta.pretrain.loss import soft_cross_entropy
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.precision import autocast, fast_precision
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.pretrain.scaling import CLIP, VIEWS, BandRange, Scaling
from terraficta.pretrain.weights import WEIGHTS, read_weights, write_weights
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    torch.manual_seed(0)
    return Mapper(ModelRecipe(), TERRAFICTA).eval()


@pytest.mark.parametrize("bands", [1, 3, 13, 218])
def test_any_bands_any_size(mapper: Mapper, bands: int) -> None:
    centre = torch.linspace(420, 2400, bands)
    features = mapper.features(torch.randn(2, VIEWS, bands, 50, 37), centre, torch.full((bands,), 20.0))
    assert features.shape == (2, mapper.width, 50, 37)
    assert torch.isfinite(features).all()


def test_order_of_bands_does_not_matter(mapper: Mapper) -> None:
    views, centre, width = torch.randn(1, VIEWS, 6, 32, 32), torch.linspace(450, 2200, 6), torch.linspace(10, 100, 6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    plain = mapper.features(views, centre, width)
    shuffled = mapper.features(views[:, :, order], centre[order], width[order])
    assert torch.allclose(plain, shuffled, atol=1e-3)


def test_wavelength_matters(mapper: Mapper) -> None:
    views, width = torch.randn(1, VIEWS, 4, 32, 32), torch.full((4,), 30.0)
    blue = mapper.features(views, torch.tensor([450.0, 560, 660, 840]), width)
    swir = mapper.features(views, torch.tensor([450.0, 560, 660, 1600]), width)
    assert (blue - swir).abs().mean() > 1e-3


@pytest.mark.parametrize("width", [6, 70])
def test_ridge_is_the_closed_form(width: int) -> None:
    """Against the normal equations, solved the other way round: as ordinary least squares on stacked rows."""
    torch.manual_seed(1)
    x, k = torch.randn(40, width, dtype=torch.float64), 3
    mass = torch.eye(k, dtype=torch.float64)[torch.arange(40) % k]
    mass = mass[torch.randperm(40)]
    penalty = torch.tensor(0.3, dtype=torch.float64)
    head = fit_ridge(x, mass, penalty, torch.tensor(1.0))
    weight = (mass / mass.sum(0).sqrt()).sum(1)
    weight = weight / weight.sum()
    xc, yc = x - weight @ x, mass - weight @ mass
    root = weight.sqrt()[:, None]
    rows = torch.cat([xc * root, penalty.sqrt() * torch.eye(width, dtype=torch.float64)])
    goal = torch.cat([yc * root, torch.zeros(width, k, dtype=torch.float64)])
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


def test_views_of_a_scene_by_itself() -> None:
    """Haze and gain over one of two scenes move the common view of it, and leave its own view as it was."""
    image = torch.rand(5, 40, 40) * 0.3
    hazy = image * 0.8 + 0.1
    common = Scaling.of_pixels(torch.cat([image.flatten(1), hazy.flatten(1)], 1), "BOA")
    clear, veiled = (common.with_own(BandRange.of_image(x))(x) for x in (image, hazy))
    assert clear.shape == (VIEWS, 5, 40, 40)
    assert (clear[0] - veiled[0]).abs().mean() > 0.1
    assert torch.allclose(clear[2], veiled[2], atol=1e-4)


def test_shape_view_ignores_brightness() -> None:
    """A spectrum at half the light has the same shape; an uncalibrated one is stretched first, so gain does nothing."""
    image = torch.rand(4, 30, 30) * 0.5 + 0.1
    scale = Scaling.of_pixels(image.flatten(1), "BOA")
    assert torch.allclose(scale(image)[3], scale(image * 0.5)[3], atol=1e-4)
    assert scale(image)[3].mean(0).abs().max() < 1e-4, "no brightness is left in it"
    raw = Scaling.of_pixels(image.flatten(1) * 200, "DN")(image * 200)
    assert torch.allclose(raw[3], Scaling.of_pixels(image.flatten(1), "DN")(image)[3], atol=1e-4)


def test_asked_pixels_are_those_of_the_whole_image(mapper: Mapper) -> None:
    """Features, logits and their gradients at some pixels: as if the whole image had been read and they were picked."""
    views, centre = torch.randn(2, VIEWS, 5, 40, 33), torch.tensor([480.0, 560, 660, 840, 1610])
    at = torch.cat([torch.tensor([0, 32, 39 * 33, 40 * 33 - 1]), torch.randperm(2 * 40 * 33)[:500]])
    some, whole = mapper.read(views, centre, centre / 20, at), mapper.read(views, centre, centre / 20)
    for part, every in ((some.features, whole.features), (some.logits, whole.logits)):
        assert torch.allclose(part, every.permute(0, 2, 3, 1).flatten(0, 2)[at], atol=2e-4)
    weight = torch.randn_like(some.features)
    grads = []
    for features in (some.features, whole.features.permute(0, 2, 3, 1).flatten(0, 2)[at]):
        mapper.zero_grad()
        (features * weight).sum().backward()
        grads.append([p.grad.clone() for p in mapper.parameters() if p.grad is not None])
    mapper.zero_grad()
    assert len(grads[0]) > 20
    for one, other in zip(*grads, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_weights_round_trip(mapper: Mapper, tmp_path: Path) -> None:
    write_weights(tmp_path / WEIGHTS, mapper, {"seed": 1})
    again, record = read_weights(tmp_path / WEIGHTS)
    views, centre = torch.randn(1, VIEWS, 3, 32, 32), torch.tensor([480.0, 560, 660])
    plain, halved = (m.read(views, centre, centre / 20) for m in (mapper, again))
    assert torch.allclose(plain.features, halved.features, atol=0.03), "float16 keeps three digits"
    assert (plain.logits - halved.logits).abs().max() < 0.03
    assert again.recipe.model_dump(mode="json") == mapper.recipe.model_dump(mode="json")
    assert record == {"seed": 1}


def test_broken_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no such file"):
        read_weights(tmp_path / "none.safetensors")
    write_weights(tmp_path / WEIGHTS, Mapper(ModelRecipe(), TERRAFICTA), {})
    content = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(Refusal, match="copy it again"):
        read_weights(tmp_path / "cut.safetensors")
    torch.save({"weights": {}}, tmp_path / "old.pt")
    with pytest.raises(Refusal, match="pretrain with this version"):
        read_weights(tmp_path / "old.pt")
    with safe_open(tmp_path / WEIGHTS, "pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del tensors["log_penalty"]
    save_file(tensors, tmp_path / "fewer.safetensors", metadata=about)
    with pytest.raises(Refusal, match="another shape"):
        read_weights(tmp_path / "fewer.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(Refusal, match="another kind of file"):
        read_weights(tmp_path / "other.safetensors")


def test_precision_of_this_machine(mapper: Mapper) -> None:
    """The faster arithmetic is used where there is one, and says the same within the three digits of bfloat16."""
    assert fast_precision("cuda") == "bf16-mixed"
    views, centre = torch.randn(1, VIEWS, 4, 32, 32), torch.tensor([480.0, 560, 660, 840])
    with torch.no_grad():
        exact = mapper.read(views, centre, centre / 20)
        with autocast("cpu"):
            fast = mapper.read(views, centre, centre / 20)
        with torch.autocast("cpu", torch.bfloat16):
            coarse = mapper.read(views, centre, centre / 20)
    assert torch.equal(fast.features, exact.features) == (fast_precision("cpu") == "32-true")
    assert coarse.features.dtype == torch.float32
    assert (coarse.features - exact.features).abs().mean() < 0.03
