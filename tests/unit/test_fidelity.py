"""Fidelity: variants change what they say and nothing else; planted effects are told; lines are lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tileset_maker import write_tileset

from terraficta.eval.fidelity.ablation import ablate, by_place, content_of, summarise
from terraficta.eval.fidelity.figure import spaced
from terraficta.eval.fidelity.judge import JudgeAmounts, thinned
from terraficta.eval.fidelity.slice import mean_loss, moved, random_direction, weights_between
from terraficta.eval.fidelity.variants import (
    AS_SHIPPED,
    NO_AIR,
    SEQUENCE,
    UNLEARNED,
    WHOLE,
    change_scene,
    make_variants,
)
from terraficta.eval.table import Table
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.episode import deal_episode
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import ModelRecipe, read_pretrain_recipe
from terraficta.pretrain.stream import Batch
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.run import read_run
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

SMALL = {"spectral": 8, "context": 8, "encoder_args": {"dims": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}}


def test_every_variant_differs_from_the_whole_in_what_it_names(tmp_path: Path) -> None:
    recipe = read_pretrain_recipe("small")
    variants = {v.name: v for v in make_variants(recipe, tmp_path)}
    digests = {name: tuple(content_of(s) for s in v.stages) for name, v in variants.items()}
    assert digests.pop(AS_SHIPPED) == digests[UNLEARNED] == ()
    assert len(set(digests.values())) == len(variants) - 1 > 20
    stages = variants[SEQUENCE].stages
    assert [content_of(s.model_copy(update={"steps": recipe.steps})) for s in stages] == [
        digests["tier0"][0], digests["tier1"][0], digests["tier2"][0], digests[WHOLE][0]
    ]  # fmt: skip
    assert sum(s.steps for s in stages) == recipe.steps
    for name in ("tier0", "tier1", "tier2", "no air", "no noise"):  # the same ground in another light
        for land, mine in zip(recipe.lands, variants[name].recipe.lands, strict=True):
            a, b = read_scene_recipe(land), read_scene_recipe(mine)
            assert (a.cover, a.terrain, a.time) == (b.cover, b.terrain, b.time)


def test_a_changed_scene_is_checked_and_keeps_the_rest() -> None:
    scene = read_scene_recipe("atlas")
    clear = change_scene(scene, {"air": NO_AIR})
    assert clear.air.aot550 == (0.0, 0.0)
    assert clear.air.correction == scene.air.correction
    assert clear.model_copy(update={"air": scene.air}) == scene


def planted(effect: float, noise: float = 0.002) -> list[dict[str, Any]]:
    """Rows of a whole recipe and of one without something that is worth `effect`, on five places."""
    rng, rows = np.random.default_rng(0), []
    for place, level in zip("abcde", (0.2, 0.4, 0.5, 0.6, 0.8), strict=True):
        for name, loss in ((WHOLE, 0.0), ("no air", effect)):
            score = level - loss + rng.normal(0, noise, 3)
            price = {"render_s": 2.0, "train_s": 50.0, "groups": 100, "steps": 400}
            rows.append({"variant": name, "group": "generator", "seed": 0, "tileset": place, "names": float(score[0]),
                         "ridge": score.tolist(), "default": score.tolist(),
                         "forest": [0.4], "price": price})  # fmt: skip
    return rows


def column(table: Table, name: str) -> dict[str, Any]:
    return {str(row[0]): row[table.columns.index(name)] for row in table.rows}


def test_a_planted_effect_is_told_and_none_is_not() -> None:
    sure = by_place(planted(0.05), "no air", "ridge")
    assert sure.mean == pytest.approx(-0.05, abs=0.004)
    assert sure.high < 0
    none = by_place(planted(0.0, 0.01), "no air", "ridge")
    assert none.low < 0 < none.high
    effects = summarise(planted(0.05), JudgeAmounts())[0]
    assert "*" in column(effects, "difference")["no air"]
    assert column(effects, "kWh")[WHOLE] == f"{52 * 10 / 3.6e6:.1e}"


def test_directions_are_as_long_as_the_filters() -> None:
    weights = {"w": torch.randn(5, 3, 2, 2), "b": torch.randn(5)}
    found = random_direction(weights, 0)
    assert torch.allclose(found["w"].flatten(1).norm(dim=1), weights["w"].flatten(1).norm(dim=1))
    assert float(found["b"].abs().sum()) == 0
    assert not torch.equal(found["w"], random_direction(weights, 1)["w"])
    there = moved(weights, found, 0.5)
    assert torch.allclose(there["w"] - weights["w"], 0.5 * found["w"], atol=1e-6)
    assert torch.allclose(weights_between(weights, there, 1.0)["w"], there["w"])


def test_a_loss_is_of_the_weights_asked_about_and_leaves_the_network() -> None:
    torch.manual_seed(0)
    recipe = read_pretrain_recipe("small", ["size_px=32", "episode.crop_px=32"])
    mapper = Mapper(ModelRecipe.from_dict(dict(SMALL), "small"), TERRAFICTA)
    g, sensor = torch.Generator().manual_seed(1), read_sensor("landsat8")
    mass = torch.nn.functional.one_hot(torch.randint(0, 4, (4, 32, 32), generator=g), 24).permute(0, 3, 1, 2).float()
    image = 0.2 + 0.05 * torch.randn(4, len(sensor), 32, 32, generator=g)
    batch = Batch(image.clamp(0.001), torch.ones(4, 32, 32, dtype=torch.bool), mass,
                  torch.zeros(4, 32, 32, dtype=torch.int64), torch.zeros(4, 2, 32, 32), sensor, "BOA")  # fmt: skip
    episode = deal_episode(recipe.episode.model_copy(update={"lottery": 0.0}), batch, SceneKey(0, 0))
    before = {name: value.clone() for name, value in mapper.state_dict().items()}
    here = mean_loss(mapper, before, [episode])
    there = mean_loss(mapper, moved(before, random_direction(before, 0), 1.0), [episode])
    assert here["dense"] != there["dense"]
    assert mean_loss(mapper, before, [episode]) == here
    assert all(torch.equal(before[name], value) for name, value in mapper.state_dict().items())


def test_scenes_are_left_out_evenly_and_of_both_folds(tmp_path: Path) -> None:
    tiles = list(read_tileset(write_tileset(tmp_path, scenes=6, size=48)).tiles())
    assert len(thinned(tiles, 6 * 48 * 48)) == 6
    few = thinned(tiles, 3 * 48 * 48)
    assert [t.id for t in few] == ["made/s0", "made/s2", "made/s5"]


@pytest.mark.slow
def test_an_ablation_goes_through_and_on(tmp_path: Path) -> None:
    recipe = read_pretrain_recipe("small", ["steps=4", "size_px=32", "ground_px=32", "pool=2", "memory=2"])
    recipe = recipe.model_copy(update={"model": ModelRecipe.from_dict(dict(SMALL), "small"), "lands": {"tier1": 1.0}})
    folder = write_tileset(tmp_path / "tiles")
    amounts = JudgeAmounts(test_px=200, labels_per_class=3, draws=2)

    def run() -> list[Table]:
        names = [UNLEARNED, SEQUENCE, "no air"]
        return ablate(recipe, [folder], tmp_path / "out", seeds=1, names=names, amounts=amounts, tell=lambda line: None)

    first = run()
    assert set(column(first[0], "names alone")) == {WHOLE, UNLEARNED, SEQUENCE, "no air"}
    cells = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "cells").glob("*.json")}
    assert [t.plain() for t in run()] == [t.plain() for t in first]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "cells").glob("*.json")} == cells
    record = read_run(tmp_path / "out")
    assert record["kind"] == "ablation"
    assert (tmp_path / "out" / record["figures"][0]).read_bytes()[:4] == b"\x89PNG"
    curve = {row[0]: row[1] for row in first[2].rows}
    assert list(curve) == [UNLEARNED, "tier3 (whole)", SEQUENCE]


def test_names_of_tiers_are_not_written_over_each_other() -> None:
    assert spaced([]) == []
    assert spaced([50.0, 250.0, 251.0, 252.0]) == pytest.approx([50.0, 250.0, 259.09, 268.18])
