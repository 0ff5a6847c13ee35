"""Grounds: kept and read back they are the same, alone or in a batch; looks at one ground differ, and it stays."""

from pathlib import Path

import pytest
import torch

from terraficta.synth.look import draw_look, frame_of, gsd_of, sensor_of
from terraficta.synth.render import render, render_dates, see
from terraficta.synth.scene.ground import Ground, grow, join
from terraficta.synth.scene.land import draw_land
from terraficta.synth.store import GroundStore, ground_name
from terraficta.synth.types.frame import Frame
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

KEYS = [SceneKey(5, index) for index in range(3)]
SENSOR = read_sensor("landsat8")


def recipe(name: str = "tier3", *changes: str) -> SceneRecipe:
    return read_scene_recipe(name, ["size_px=32", *changes])


def same(one: Ground, two: Ground) -> bool:
    planes = ("cell_m", "elevation_m", "slope")
    alike = all(torch.equal(getattr(one, name), getattr(two, name)) for name in planes)
    for a, b in zip(one.days, two.days, strict=True):
        alike &= all(torch.equal(p, q) for p, q in zip(a.cover.planes(), b.cover.planes(), strict=True))
        alike &= a.facts == b.facts and a.moments == b.moments
    return alike and one.facts == two.facts and one.lands == two.lands and one.grids == two.grids


def grounds(store: GroundStore, content: SceneRecipe, keys: list[SceneKey], dates: int = 1) -> Ground:
    return store.grounds(content, keys, frame_of(content, SENSOR), [30.0] * len(keys), dates)


def test_kept_on_disk_read_back_and_alone_or_together(tmp_path: Path) -> None:
    content = recipe("tier3", "time={dates: 2}", "events=[{kind: burn, dose: [0.9, 0.9]}]")
    first = GroundStore(tmp_path)
    batch = grounds(first, content, KEYS, 2)
    assert first.grown == 3
    assert same(batch, grounds(first, content, KEYS, 2))
    again = GroundStore(tmp_path)
    assert same(batch, grounds(again, content, KEYS, 2))
    assert again.grown == 0
    alone = join([grounds(GroundStore(), content, [key], 2) for key in KEYS])
    assert same(batch, alone)
    assert same(batch.scene(1), alone.scene(1))


def test_a_damaged_file_is_grown_again(tmp_path: Path) -> None:
    content = recipe()
    whole = grounds(GroundStore(tmp_path), content, KEYS[:1])
    path = next(tmp_path.rglob("*.pt"))
    path.write_bytes(path.read_bytes()[:1000])
    store = GroundStore(tmp_path)
    assert same(whole, grounds(store, content, KEYS[:1]))
    assert store.grown == 1
    assert GroundStore(tmp_path).grounds(content, KEYS[:1], frame_of(content, SENSOR), [30.0]).facts == whole.facts


def test_memory_keeps_the_newest() -> None:
    store, content = GroundStore(most=2), recipe("tier0")
    for key in (KEYS[0], KEYS[1], KEYS[0], KEYS[2], KEYS[0], KEYS[1]):
        grounds(store, content, [key])
    assert store.grown == 4


def test_the_name_tells_all_that_matters_and_nothing_else() -> None:
    frame = Frame.around(32, 2, 0)

    def name(content: SceneRecipe, key: SceneKey = KEYS[0], gsd_m: float = 10.0) -> str:
        return ground_name(content, key, frame, gsd_m, 1)

    assert name(recipe("tier0")) == name(recipe("tier3"))
    assert name(recipe("tier3", "light.relief=0.5")) == name(recipe())
    others = [name(recipe("tier3", "cover.water=[0.2,0.2]")), name(recipe(), KEYS[1]), name(recipe(), gsd_m=20.0)]
    assert len({name(recipe()), *others}) == 4


def test_render_is_draw_grow_look_see() -> None:
    content = recipe()
    tiles = render(content, KEYS)
    for key, tile in zip(KEYS, tiles, strict=True):
        sensor = sensor_of(content, key)
        land = draw_land(content, key)
        ground = grow(content, [land], frame_of(content, sensor), [gsd_of(content, key, sensor)])
        assert see(content, ground, [draw_look(content, land, key)])[0] == tile


def test_looks_differ_over_one_ground() -> None:
    content = recipe("tier3", "air.clouds=[0.0,0.0]")
    ground = grounds(GroundStore(), content, KEYS)
    seen = []
    for number in range(3):
        looks = [
            draw_look(content, land, key, number, sensor=SENSOR) for land, key in zip(ground.lands, KEYS, strict=True)
        ]
        seen.append(see(content, ground, looks))
    for one, two in ((0, 1), (1, 2)):
        for a, b in zip(seen[one], seen[two], strict=True):
            assert torch.equal(a.mass, b.mass)
            assert not torch.equal(a.image, b.image)
            assert a.id != b.id
            assert a.facts["sza_deg"] != b.facts["sza_deg"]


def test_a_part_of_a_ground_is_the_same_land() -> None:
    content = recipe("tier0")
    ground = GroundStore().grounds(content, KEYS[:2], Frame.around(64, 2, 32), [10.0, 10.0])
    part = ground.window(16, 8, 32, 0)
    looks = [draw_look(content, land, key, sensor=SENSOR) for land, key in zip(ground.lands, KEYS, strict=False)]
    whole, piece = see(content, ground, looks), see(content, part, looks)
    for a, b in zip(whole, piece, strict=True):
        assert torch.equal(a.mass[:, 16:48, 8:40], b.mass)
        assert torch.allclose(a.image[:, 16:48, 8:40], b.image, atol=1e-6)
    with pytest.raises(Refusal, match="window"):
        ground.window(40, 0, 32, 0)


def test_tiles_train() -> None:
    tile = render_dates(recipe("tier0"), KEYS[0])[0][0]
    weight = torch.ones(len(tile.sensor), requires_grad=True)
    (tile.image * weight[:, None, None]).sum().backward()
    assert weight.grad is not None
