"""The arms: each maps easy ground, says what it chose, and takes the weights that it should."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import timm
import torch
from benchmark_maker import FAST, QUICK
from tileset_maker import read_manifest_of, write_manifest, write_tileset

from terraficta.eval.benchmark.arms import PIXEL_ARMS
from terraficta.eval.benchmark.benchmark import run_benchmark, run_cell
from terraficta.eval.benchmark.filters import read_filters
from terraficta.eval.benchmark.ground import read_ground
from terraficta.eval.benchmark.lineup import encoder_reading, make_arms, masked_reading, random_reading
from terraficta.eval.benchmark.masked import pretrain_masked
from terraficta.eval.benchmark.networks import (
    FrozenArm,
    NetworkArm,
    at_pixels,
    blend_head,
    closed_head,
    names_head,
    ridges,
)
from terraficta.eval.benchmark.pixels import Pixels, fold_pixels
from terraficta.eval.benchmark.readings import Reader
from terraficta.eval.benchmark.recipe import read_benchmark_recipe
from terraficta.eval.benchmark.summary import summarise
from terraficta.eval.map.windows import Windows
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.pretrain.weights import SHIPPED, weights_digest
from terraficta.synth.types.refusal import Refusal

SMALL = "{spectral: 16, context: 8, encoder_args: {dims: [8, 8, 8, 8], depths: [1, 1, 1, 1]}}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tileset(tmp_path_factory.mktemp("benchmark") / "made")


def test_names_stand_alone_without_labels_and_the_others_do_not(made: Path, tmp_path: Path) -> None:
    recipe = FAST.model_copy(update={"arms": ("names", "logistic"), "labels_per_class": (0, 5), "seeds": 2})
    assert list(recipe.cells()) == [(0, 0, "names"), (5, 0, "logistic"), (5, 1, "logistic")]
    mapper = fresh_mapper(read_finetune_recipe("quick"), 0)
    quick = read_finetune_recipe("quick")
    reader = Reader("fiction", "abc", encoder_reading(mapper), tmp_path / "readings")
    arms = {
        "names": FrozenArm("names", reader, blend_head(mapper, quick), quick, "abc", names_head(mapper, quick)),
        **PIXEL_ARMS,
    }
    lines: list[str] = []
    rows = run_benchmark([made], recipe, arms, tmp_path, lambda line, done, total: lines.append(line)).rows
    assert rows[["arm", "labels_per_class", "n_train"]].to_numpy().tolist() == [
        ["names", 0, 0], ["logistic", 5, 15], ["logistic", 5, 15],
    ]  # fmt: skip
    assert lines[1].startswith("made means water: water 1.00")
    summary = summarise(rows).set_index("arm")
    assert summary.loc["names", "verdict"] == ""


@pytest.mark.parametrize("name", list(QUICK))
def test_simple_arms_map_easy_ground_and_state_their_choice(made: Path, name: str) -> None:
    row, detail = run_cell(read_ground(made, 500), replace(PIXEL_ARMS[name], grid=QUICK[name]), 10, seed=0)
    assert row["accuracy"] > 0.9
    assert row["miou"] > 0.8
    assert row["n_train"] == 30
    assert row["n_test"] == 500
    assert row["choice"]
    assert row["iou_water"] > 0.8
    assert math.isfinite(row["ece_calibrated"])
    assert sum(mass for *_, mass in detail["blocks"]) == pytest.approx(500)
    assert sum(value for key, value in row.items() if key.startswith("px_")) == pytest.approx(500)
    assert 0 < row["ece_class"] < 0.5
    assert row["coverage"] >= row["worst_coverage"] > 0.5


def test_a_class_without_labels_keeps_its_place_among_the_columns(made: Path) -> None:
    ground = read_ground(made, 0)
    labels = draw_labels(ground.train, 5, 0)
    two = labels.take(torch.nonzero(labels.classes != 1)[:, 0])
    forest = replace(PIXEL_ARMS["forest"], grid=QUICK["forest"])
    found = forest.fit(ground.blind, two, 0, ground.tileset.meanings).probabilities(ground.test[:1])
    assert found.shape[0] == 3
    assert float(found[1].abs().max()) == 0
    assert torch.allclose(found.sum(0), torch.ones(found.shape[1], dtype=found.dtype))
    one = labels.take(torch.nonzero(labels.classes == 2)[:, 0])
    found = PIXEL_ARMS["logistic"].fit(ground.blind, one, 0, ground.tileset.meanings).probabilities(ground.test[:1])
    assert float(found[2].min()) == 1


def test_random_filters_and_masked_reconstruction_learn_from_images_alone(made: Path, tmp_path: Path) -> None:
    recipe = FAST.model_copy(update={"arms": ("filters", "masked", "random"), "test_pixels": 200})
    small = ["full.steps=6", "full.crop_px=16", f"model={SMALL}"]
    tuning = read_finetune_recipe("benchmark", small)
    arms = {
        "filters": FrozenArm("filters", Reader("filters", "", read_filters), closed_head(ridges(), tuning), tuning),
        "masked": FrozenArm(
            "masked", Reader("masked", "", masked_reading(tuning)), closed_head(ridges(), tuning), tuning
        ),
        "random": FrozenArm(
            "random", Reader("random", "", random_reading(tuning)), closed_head(ridges(), tuning), tuning
        ),
    }
    rows = run_benchmark([made], recipe, arms, tmp_path).rows
    assert (rows["accuracy"] > 0.7).all(), rows[["arm", "accuracy"]]
    ground = read_ground(made, 200)
    encoder = Encoder.fit(fresh_mapper(tuning, 0), ground.blind)
    losses = pretrain_masked(encoder, ground.blind, tuning.full.model_copy(update={"steps": 60}), 0)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_an_encoder_starts_from_the_timm_weights_that_a_user_has(made: Path, tmp_path: Path) -> None:
    published, file = timm.create_model("convnext_atto"), tmp_path / "atto.pth"
    torch.save(published.state_dict(), file)
    adapt = tmp_path / "short.yaml"
    adapt.write_text("name: short\nabout: ''\nfull: {steps: 2, crop_px: 32, batch: 2, calibration_share: 0.0}\n")
    recipe = FAST.model_copy(update={"arms": ("imagenet", "scratch"), "seeds": 1, "adapt": str(adapt)})
    arms = make_arms(recipe, None, "cpu", imagenet=file).arms
    own, start = arms["imagenet"], published.stages[2].blocks[0].conv_dw.weight
    assert isinstance(own, NetworkArm)
    encoder = fresh_mapper(own.recipe, 0).encoder
    assert torch.equal(encoder.stages_2.blocks[0].conv_dw.weight, start)
    rows = run_benchmark([made], recipe, arms, tmp_path / "out").rows.set_index("arm")
    assert rows.loc["imagenet", "weights"] == weights_digest(file)
    assert rows.loc["scratch", "weights"] == "none"
    assert rows["miou"].between(0, 1).all()
    assert rows.loc["imagenet", "nll"] != rows.loc["scratch", "nll"]
    with pytest.raises(Refusal, match="no such file"):
        make_arms(recipe, None, "cpu", imagenet=tmp_path / "none.pth")


def test_change_is_mapped_like_anything_else(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "change", scenes=1, task="change")
    manifest = read_manifest_of(folder)
    scene = manifest["scenes"][0]
    with rasterio.open(folder / scene["image"]) as after:  # what happened to even ground
        image, profile = after.read(), after.profile
    with rasterio.open(folder / "before.tif", "w", **profile) as before:
        before.write(np.broadcast_to(image.min((1, 2), keepdims=True), image.shape).copy())
    manifest["scenes"] = [{**scene, "before": "before.tif", "after": scene["image"]}]
    del manifest["scenes"][0]["image"]
    write_manifest(folder, manifest)
    recipe = FAST.model_copy(update={"arms": ("logistic", "ridge", "default"), "seeds": 1})
    arms = {"logistic": PIXEL_ARMS["logistic"]}
    arms |= {name: NetworkArm(name, name, read_finetune_recipe("quick"), None) for name in ("ridge", "default")}
    rows = run_benchmark([folder], recipe, arms, tmp_path / "out").rows
    assert (rows["accuracy"] > 0.8).all()


def test_a_network_is_asked_only_where_there_are_pixels(made: Path) -> None:
    tile = read_ground(made, 0).train[0]
    pixels = fold_pixels([tile], 2, 0, "all")[0]
    few = Pixels(tile, pixels.y[:3], pixels.x[:3], pixels.mass[:, :3])
    asked: list[int] = []

    def network(image: torch.Tensor, valid: torch.Tensor, scenes: list[str]) -> torch.Tensor:
        asked.append(len(image))
        return image[:, :3]

    found = at_pixels(network, few, Windows(16, 4))
    assert torch.allclose(found, tile.image[:3, few.y, few.x], atol=1e-6)
    assert sum(asked) <= 4


def test_arms_that_need_weights_take_those_that_ship() -> None:
    learned = make_arms(FAST.model_copy(update={"arms": ("full", "forest")}), None, "cpu")
    assert learned.arms["full"].weights == learned.weights == weights_digest(SHIPPED)
    assert make_arms(FAST.model_copy(update={"arms": ("forest",)}), None, "cpu").weights is None
    with pytest.raises(Refusal, match="no such file"):
        make_arms(FAST.model_copy(update={"arms": ("full",)}), Path("nowhere"), "cpu")
    with pytest.raises(Refusal, match="forest-context"):
        make_arms(FAST.model_copy(update={"arms": ("florest",)}), None, "cpu")
    asked = make_arms(FAST.model_copy(update={"arms": ("imagenet", "forest")}), None, "cpu")
    assert list(asked.arms) == ["forest"]
    assert "--imagenet" in asked.missing["imagenet"]
    assert set(read_benchmark_recipe("standard").arms) == {
        "names", "default", "ridge", "random", "masked", "full", "scratch", "imagenet", "forest", "forest-context",
        "forest-ratios", "forest-wide", "logistic", "boosting", "filters", "location",
    }  # fmt: skip
