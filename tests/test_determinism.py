"""The same scene is the same bytes, however it is made; the same ground lies under every tier and sensor."""

import pytest
import torch

from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

KEYS = [SceneKey(5, index) for index in range(4)]


def small(name: str) -> SceneRecipe:
    return read_scene_recipe(name).model_copy(update={"size_px": 32})


def same(one: Tile, two: Tile) -> bool:
    layers = all(torch.equal(one.layers[name], two.layers[name]) for name in one.layers)
    return torch.equal(one.image, two.image) and torch.equal(one.mass, two.mass) and layers and one.id == two.id


def test_alone_in_a_batch_and_in_any_order() -> None:
    for tier in ("tier0", "tier1", "tier2", "tier3"):
        batch = render(small(tier), KEYS)
        alone = [render(small(tier), [key])[0] for key in KEYS]
        backwards = render(small(tier), KEYS[::-1])[::-1]
        for index in range(len(KEYS)):
            assert same(batch[index], alone[index]), f"{tier}, scene {index}: alone and in a batch differ"
            assert same(batch[index], backwards[index]), f"{tier}, scene {index}: order matters"


def test_however_many_are_grown_and_seen_together(monkeypatch: pytest.MonkeyPatch) -> None:
    together = render(small("tier3"), KEYS)
    monkeypatch.setattr("terraficta.synth.scene.world.window.CELLS_AT_ONCE", 1)
    monkeypatch.setattr("terraficta.synth.look.CELLS_AT_ONCE", 1)
    by_scene = render(small("tier3"), KEYS)
    monkeypatch.setattr("terraficta.synth.look.GROWN_AT_ONCE", 1)
    alone = render(small("tier3"), KEYS)
    for index in range(len(KEYS)):
        assert same(together[index], by_scene[index])
        assert same(together[index], alone[index])


def test_the_number_of_threads_does_not_matter() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = render(small("tier3"), KEYS[:2])
        torch.set_num_threads(2)
        two = render(small("tier3"), KEYS[:2])
    finally:
        torch.set_num_threads(threads)
    assert all(same(a, b) for a, b in zip(one, two, strict=True))


def test_same_ground_in_every_tier() -> None:
    sensor = read_sensor("landsat8")
    tiers = [render(small(tier), KEYS, sensor) for tier in ("tier0", "tier1", "tier2", "tier3")]
    for index in range(len(KEYS)):
        first = tiers[0][index]
        for tier in tiers[1:]:
            assert torch.equal(first.layers["elevation_m"], tier[index].layers["elevation_m"])
            clear = tier[index].mass.sum(0) > 0
            assert torch.equal(first.mass[:, clear], tier[index].mass[:, clear])


def test_same_ground_under_every_sensor() -> None:
    recipe = small("tier3").model_copy(update={"gsd_m": (20.0, 20.0)})
    one, two = (render(recipe, KEYS, read_sensor(name)) for name in ("sentinel2a", "superdove"))
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.layers["elevation_m"], b.layers["elevation_m"])
        both = (a.mass.sum(0) > 0) & (b.mass.sum(0) > 0)
        assert torch.equal(a.mass[:, both], b.mass[:, both])


def test_another_seed_is_another_land() -> None:
    one, two = (render(small("tier0"), [SceneKey(seed, 0)])[0] for seed in (1, 2))
    assert not torch.equal(one.mass, two.mass)
