"""The GPU makes what the processor makes: integers equal, stored numbers within 1; and its price can be asked."""

import pytest
import torch

from terraficta.synth.corpus.price import price_of
from terraficta.synth.instrument.product import to_dn
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
SENSOR = read_sensor("sentinel2a")


@pytest.mark.parametrize("name", ["tier0", "tier1", "tier2", "tier3"])
def test_integers_are_equal_and_numbers_within_one(name: str) -> None:
    recipe, keys = read_scene_recipe(name, ["size_px=64"]), [SceneKey(7, i) for i in range(4)]
    here = render(recipe, keys, SENSOR, "cpu")
    there = render(recipe, keys, SENSOR, "cuda")
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.image.is_cuda
        assert torch.equal(ours.label(), theirs.label().cpu())
        for layer, values in ours.layers.items():
            if not values.dtype.is_floating_point:
                assert torch.equal(values, theirs.layers[layer].cpu()), layer
        apart = (to_dn(ours.image, SENSOR).int() - to_dn(theirs.image, SENSOR).cpu().int()).abs()
        assert int(apart.max()) <= 1


def test_the_price_is_of_the_device() -> None:
    price = price_of(read_scene_recipe("tier1"), 2, SENSOR, 64, "cuda")
    assert price.device == "cuda"
    assert price.core_s > 0
