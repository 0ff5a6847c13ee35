"""Every recipe that is shipped can be read, is whole, and draws land that is possible."""

from pathlib import Path

import pytest
import torch
import yaml

from terraficta.eval.benchmark.recipe import read_benchmark_recipe
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.pretrain.recipe import read_pretrain_recipe
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import read_scene_recipe

ROOT = Path(__file__).resolve().parents[1]
READERS = {
    "synth": read_scene_recipe,
    "pretrain": read_pretrain_recipe,
    "finetune": read_finetune_recipe,
    "eval": read_benchmark_recipe,
}
PLACES = {"eval": "eval/benchmark"}
SHIPPED = [
    (storey, path)
    for storey in READERS
    for path in sorted((ROOT / PLACES.get(storey, storey) / "recipes").glob("*.yaml"))
]


@pytest.mark.parametrize(("storey", "path"), SHIPPED, ids=lambda x: x if isinstance(x, str) else x.stem)
def test_recipe_reads(storey: str, path: Path) -> None:
    recipe = READERS[storey](path.stem)
    assert recipe.name == path.stem
    assert recipe.about
    assert yaml.safe_load(path.read_text())["name"] == path.stem


@pytest.mark.parametrize("name", [path.stem for storey, path in SHIPPED if storey == "synth"])
def test_land_is_possible(name: str) -> None:
    recipe = read_scene_recipe(name).model_copy(update={"size_px": 32})
    for tile in render(recipe, [SceneKey(3, index) for index in range(3)]):
        assert torch.isfinite(tile.image).all()
        mass = tile.mass.sum(0)
        assert bool(((mass - 1).abs() < 1e-5).logical_or(mass == 0).all()), "fractions sum to 1, or cloud hides them"
        visible = tile.image[tile.sensor.centre_nm < 900]
        assert -0.2 < float(visible.median()) < 1.2
        assert tile.level == ("TOA" if recipe.air.correction == "none" else "BOA")


def test_pretraining_lands_exist() -> None:
    for storey, path in SHIPPED:
        if storey == "pretrain":
            for land in read_pretrain_recipe(path.stem).lands:
                read_scene_recipe(land)
