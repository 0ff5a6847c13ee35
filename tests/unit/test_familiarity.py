"""Familiarity: uniform over fiction itself, low for what fiction never showed, kept with the weights."""

from pathlib import Path

import pytest
import torch

from terraficta.pretrain.familiarity import Familiarity
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.pretrain.scaling import task_views
from terraficta.pretrain.stream import Batch
from terraficta.pretrain.weights import read_weights, write_weights
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import read_sensor

SMALL = ModelRecipe.from_dict(
    {"spectral": 8, "context": 8, "encoder_args": {"dims": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}}, "small"
)


def scenes(seed: int, spread: float = 0.05) -> Batch:
    """Two scenes of Landsat's bands."""
    generator, sensor = torch.Generator().manual_seed(seed), read_sensor("landsat8")
    image = (0.2 + spread * torch.randn(2, len(sensor), 32, 32, generator=generator)).clamp(0.001)
    valid = torch.ones(2, 32, 32, dtype=torch.bool)
    valid[:, :4] = False
    mass, material, uses = (
        torch.zeros(2, 24, 32, 32),
        torch.zeros(2, 32, 32, dtype=torch.int64),
        torch.zeros(2, 2, 32, 32),
    )
    return Batch(image, valid, mass, material, uses, sensor, "BOA")


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    torch.manual_seed(0)
    made = Mapper(SMALL, TERRAFICTA).eval()
    made.fit_familiarity(scenes(n) for n in range(24))
    return made


def gaussian(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)) @ torch.diag(torch.tensor([3.0] * 6))


def known() -> Familiarity:
    squared = (gaussian(20_000, 0) / 3).square().sum(1)
    return Familiarity(torch.zeros(6), torch.eye(6) / 3, torch.quantile(squared, torch.linspace(0, 1, 129)))


def test_what_is_alike_is_spread_evenly_and_what_is_not_is_at_0() -> None:
    alike = known()(gaussian(20_000, 1))
    assert float(alike.mean()) == pytest.approx(0.5, abs=0.01)
    assert [float((alike < t).float().mean()) for t in (0.1, 0.9)] == pytest.approx([0.1, 0.9], abs=0.01)
    assert float(known()(gaussian(100, 1) + 20).max()) == 0.0
    assert float(known()(torch.zeros(1, 6))) == 1.0


def test_fiction_is_familiar_to_its_own_network(mapper: Mapper) -> None:
    assert mapper.familiarity is not None
    sensor = read_sensor("landsat8")
    batch = scenes(99)
    with torch.no_grad():
        reading = mapper.read(task_views(batch.image, 2, "BOA"), sensor.centre_nm, sensor.fwhm_nm)
    found = mapper.familiarity(reading.features.permute(0, 2, 3, 1).flatten(0, 2))
    assert 0.2 < float(found.mean()) < 0.8
    with torch.no_grad():
        noise = mapper.familiarity(reading.features.permute(0, 2, 3, 1).flatten(0, 2).flip(1))
    assert float(noise.mean()) < 0.01


def test_it_lies_in_the_weights_file_and_older_files_do_without(mapper: Mapper, tmp_path: Path) -> None:
    write_weights(tmp_path / "with.safetensors", mapper, {})
    again = read_weights(tmp_path / "with.safetensors")[0].familiarity
    assert again is not None
    assert mapper.familiarity is not None
    features = torch.randn(50, mapper.width, generator=torch.Generator().manual_seed(2))
    assert again(features).numpy() == pytest.approx(mapper.familiarity(features).numpy(), abs=0.02)
    bare = Mapper(SMALL, TERRAFICTA)
    write_weights(tmp_path / "without.safetensors", bare, {})
    assert read_weights(tmp_path / "without.safetensors")[0].familiarity is None


def test_no_groups_are_refused(mapper: Mapper) -> None:
    with pytest.raises(Refusal, match="group"):
        mapper.fit_familiarity([])
