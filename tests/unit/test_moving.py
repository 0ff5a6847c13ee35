"""Moving weights: what a training may change, and what it leaves behind."""

import pytest
import torch

from terraficta.finetune.moving import DECODER, moving
from terraficta.finetune.recipe import FullRecipe
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.synth.types.legend import TERRAFICTA

SMALL = ModelRecipe.from_dict(
    {"spectral": 16, "context": 16, "encoder_args": {"dims": [16, 16, 16, 16], "depths": [1, 1, 1, 1]}}, "small"
)
BANDS = torch.tensor([480.0, 560.0, 660.0]), torch.full((3,), 60.0)


@pytest.fixture
def mapper() -> Mapper:
    torch.manual_seed(0)
    return Mapper(SMALL, TERRAFICTA).eval()


def step(mapper: Mapper, recipe: FullRecipe) -> int:
    """One step of training; how many numbers it could move."""
    views = torch.randn(1, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with moving(mapper, recipe) as chosen:
        for parameter in mapper.parameters():
            parameter.grad = None
        mapper.features(views, *BANDS).square().mean((0, 2, 3))[::3].sum().backward()
        torch.optim.SGD(chosen, lr=100.0).step()
        return sum(parameter.numel() for parameter in chosen)


@pytest.mark.parametrize("kind", ["all", "decoder", "lora"])
def test_a_training_moves_what_it_may(mapper: Mapper, kind: str) -> None:
    before = {name: value.clone() for name, value in mapper.state_dict().items()}
    count = step(mapper, FullRecipe.from_dict({"moving": kind, "rank": 2}, "test"))
    after = mapper.state_dict()
    assert after.keys() == before.keys(), "of the usual shape again"
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any(name.startswith(("dense.", "used.", "log_")) for name in moved)
    if kind == "decoder":
        assert all(name.startswith(DECODER) for name in moved)
    if kind == "lora":
        assert count < 0.35 * sum(p.numel() for p in mapper.parameters())
        for name in moved:
            change = torch.linalg.svdvals((after[name] - before[name]).flatten(1))
            assert change[2] <= max(1e-3 * change[0], 1e-6), name  # the second: rounding of the weight itself


def test_low_rank_begins_as_it_was(mapper: Mapper) -> None:
    views = torch.randn(1, 4, 3, 32, 32)
    with torch.no_grad():
        plain = mapper.features(views, *BANDS)
        with moving(mapper, FullRecipe(moving="lora")):
            assert torch.equal(mapper.features(views, *BANDS), plain)
        assert torch.equal(mapper.features(views, *BANDS), plain)
