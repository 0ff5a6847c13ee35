"""The benchmark: the same labels and test pixels for every arm, rows that are never computed twice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from tileset_maker import read_manifest_of, write_manifest, write_tileset

from terraficta.eval.benchmark.arms import LOGISTIC_GRID, PIXEL_ARMS, Fitted
from terraficta.eval.benchmark.benchmark import ROWS, Ledger, read_ground, run_benchmark, run_cell
from terraficta.eval.benchmark.networks import NetworkArm, at_pixels, make_arms
from terraficta.eval.benchmark.pixels import Pixels, fold_pixels
from terraficta.eval.benchmark.recipe import BenchmarkRecipe, read_benchmark_recipe
from terraficta.eval.benchmark.summary import Interval, summarise
from terraficta.eval.map.windows import Windows
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.context import band_pairs
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import Labels, draw_labels
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.pretrain.weights import SHIPPED, weights_digest
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

QUICK = {
    "forest": ({"n_estimators": 20}, {"n_estimators": 25}),
    "forest-context": ({"n_estimators": 20},),
    "forest-ratios": ({"n_estimators": 20},),
    "extra-trees": ({"n_estimators": 20},),
    "logistic": LOGISTIC_GRID,
}
FAST = BenchmarkRecipe(name="test", about="", arms=("logistic",), labels_per_class=(5,), seeds=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tileset(tmp_path_factory.mktemp("benchmark") / "made")


@dataclass
class Spy:
    """An arm that writes down what it is given, and always says the first class."""

    name: str = "spy"
    weights: str = "none"
    seen: list[tuple[Sequence[Tile], Labels]] = field(default_factory=list)

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        assert labels is not None
        self.seen.append((tiles, labels))
        return Fitted(lambda pixels: torch.tensor([1.0, 0.0, 0.0])[:, None].expand(3, len(pixels)))


def test_an_arm_sees_drawn_labels_of_the_train_fold_and_no_other(made: Path) -> None:
    spy, other = Spy(), Spy(name="other")
    ground = read_ground(made, 0)
    for arm in (spy, other):
        run_cell(ground, arm, 5, seed=3)
    tiles, labels = spy.seen[0]
    assert len(labels) == 15
    for tile, y, x in labels.pixels():
        assert ground.train[tile].fold is not None
        assert ground.train[tile].fold[y, x] == 1
    assert all(float(tile.mass.sum()) == 0 for tile in tiles)
    assert labels.pixels() == other.seen[0][1].pixels()


def test_test_pixels_are_those_of_the_test_fold_and_a_sample_is_the_same_every_time(made: Path) -> None:
    ground = read_ground(made, 0)
    assert sum(len(p) for p in ground.test) == sum(int(t.in_fold(2).sum()) for t in ground.train)
    few, again = (read_ground(made, 100).test for _ in range(2))
    assert sum(len(p) for p in few) == 100
    assert all(torch.equal(a.y, b.y) and torch.equal(a.x, b.x) for a, b in zip(few, again, strict=True))
    assert all(bool((p.tile.fold[p.y, p.x] == 2).all()) for p in few if p.tile.fold is not None)


def test_context_is_mean_and_deviation_of_the_valid_pixels_around(made: Path) -> None:
    tile = read_ground(made, 0).train[0]
    valid = tile.valid.clone()
    valid[10, 11] = False
    tile = replace(tile, valid=valid)
    y, x = torch.tensor([10, 0]), torch.tensor([10, 0])
    found = Pixels(tile, y, x, torch.zeros(3, 2)).context
    around = tile.image[:, 8:13, 8:13].reshape(5, -1).double()[:, valid[8:13, 8:13].reshape(-1)]
    corner = tile.image[:, :3, :3].reshape(5, -1).double()
    for row, some in zip(found, (around, corner), strict=True):
        assert row[5:10] == pytest.approx(some.mean(1).numpy(), abs=1e-5)
        assert row[10:] == pytest.approx(some.std(1, correction=0).numpy(), abs=1e-5)
    assert found[0, :5] == pytest.approx(tile.image[:, 10, 10].numpy())


def test_ratios_are_normalised_differences_whatever_the_numbers(made: Path) -> None:
    tile = read_ground(made, 0).train[0]
    image = tile.image.clone()
    image[1, 10, 10], image[2, 10, 10], image[3, 10, 10] = -0.01, -0.02, 0.3
    pixels = Pixels(replace(tile, image=image), torch.tensor([10, 20]), torch.tensor([10, 20]), torch.zeros(3, 2))
    found = pixels.ratios
    pairs = band_pairs(tile.sensor)
    assert found.shape == (2, 15 + 10)
    assert np.array_equal(found[:, :15], pixels.context)
    for n, (a, b) in enumerate(pairs):
        x, y = (np.maximum(pixels.spectra[:, band], 0) for band in (a, b))
        assert found[:, 15 + n] == pytest.approx((x - y) / np.maximum(x + y, 1e-6), abs=1e-6)
    assert found[0, 15 + pairs.index((1, 2))] == 0
    assert found[0, 15 + pairs.index((1, 3))] == -1
    stored = Pixels(replace(tile, image=image * 1e4), pixels.y, pixels.x, pixels.mass).ratios
    assert stored[:, 15:] == pytest.approx(found[:, 15:], abs=1e-5)


def test_names_stand_alone_without_labels_and_the_others_do_not(made: Path, tmp_path: Path) -> None:
    recipe = FAST.model_copy(update={"arms": ("names", "logistic"), "labels_per_class": (0, 5), "seeds": 2})
    assert list(recipe.cells()) == [(0, 0, "names"), (5, 0, "logistic"), (5, 1, "logistic")]
    mapper = fresh_mapper(read_finetune_recipe("quick"), 0)
    arms = {"names": NetworkArm("names", "default", read_finetune_recipe("quick"), mapper, "abc"), **PIXEL_ARMS}
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
    assert np.sum(detail["confusion"]) == pytest.approx(500)


def test_a_class_without_labels_keeps_its_place_among_the_columns(made: Path) -> None:
    ground = read_ground(made, 0)
    labels = draw_labels(ground.train, 5, 0)
    two = labels.take(torch.nonzero(labels.classes != 1)[:, 0])
    forest = replace(PIXEL_ARMS["forest"], grid=QUICK["forest"])
    found = forest.fit(ground.blind, two, 0, ground.tileset.meanings).probabilities(ground.test[0])
    assert found.shape[0] == 3
    assert float(found[1].abs().max()) == 0
    assert torch.allclose(found.sum(0), torch.ones(found.shape[1], dtype=found.dtype))
    one = labels.take(torch.nonzero(labels.classes == 2)[:, 0])
    found = PIXEL_ARMS["logistic"].fit(ground.blind, one, 0, ground.tileset.meanings).probabilities(ground.test[0])
    assert float(found[2].min()) == 1


def test_rows_that_are_there_are_not_computed_again(made: Path, tmp_path: Path) -> None:
    arm = Spy()
    recipe = FAST.model_copy(update={"arms": ("spy",)})
    run_benchmark([made], recipe, {"spy": arm}, tmp_path)
    assert len(arm.seen) == 2
    before = (tmp_path / ROWS).read_bytes()
    run_benchmark([made], recipe, {"spy": arm}, tmp_path)
    assert len(arm.seen) == 2
    assert (tmp_path / ROWS).read_bytes() == before
    ledger = run_benchmark([made], recipe.model_copy(update={"seeds": 3}), {"spy": arm}, tmp_path)
    assert len(arm.seen) == 3
    assert len(ledger.rows) == 3
    assert ledger.rows["seed"].tolist() == [0, 1, 2]


def test_rows_of_other_weights_or_other_test_pixels_are_refused(made: Path, tmp_path: Path) -> None:
    recipe = FAST.model_copy(update={"arms": ("spy",), "seeds": 1})
    run_benchmark([made], recipe, {"spy": Spy(weights="001e05")}, tmp_path)
    assert Ledger(tmp_path).rows["weights"].tolist() == ["001e05"]
    with pytest.raises(Refusal, match="choose a new --out"):
        run_benchmark([made], recipe, {"spy": Spy(weights="bbb")}, tmp_path)
    with pytest.raises(Refusal, match="protocol"):
        run_benchmark([made], recipe.model_copy(update={"test_pixels": 50}), {"spy": Spy(weights="001e05")}, tmp_path)


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
    learned = make_arms(FAST.model_copy(update={"arms": ("synthetic", "forest")}), None, "cpu")
    assert learned.arms["synthetic"].weights == learned.weights == weights_digest(SHIPPED)
    assert make_arms(FAST.model_copy(update={"arms": ("forest",)}), None, "cpu").weights is None
    with pytest.raises(Refusal, match="no such file"):
        make_arms(FAST.model_copy(update={"arms": ("synthetic",)}), Path("nowhere"), "cpu")
    with pytest.raises(Refusal, match="forest-context"):
        make_arms(FAST.model_copy(update={"arms": ("florest",)}), None, "cpu")
    assert set(read_benchmark_recipe("standard").arms) == {
        "names", "default", "ridge", "scratch", "synthetic", "forest", "forest-context", "forest-ratios",
        "extra-trees", "logistic",
    }  # fmt: skip


def test_interval_against_the_table_of_student() -> None:
    found = Interval.of(pd.Series([0.4, 0.5, 0.6]))
    assert found.mean == pytest.approx(0.5)
    assert found.high - found.mean == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert math.isnan(Interval.of(pd.Series([0.4])).low)


def test_gain_is_paired_by_draw_and_losses_are_told() -> None:
    easy = np.array([0.1, 0.5, 0.9])  # draws differ far more than arms
    rows = pd.DataFrame(
        [
            {"tileset": "t", "labels_per_class": 5, "seed": s, "arm": arm, "miou": value + gain + wiggle[s]}
            for arm, gain, wiggle in (
                ("forest", 0.0, [0, 0, 0]), ("logistic", -0.05, [0, 0, 0]), ("default", 0.04, [0.001, 0, -0.001]),
                ("scratch", -0.3, [0.01, 0, -0.01]), ("synthetic", 0.0, [0.1, 0, -0.1]),
            )
            for s, value in enumerate(easy)
        ]
    )  # fmt: skip
    found = summarise(rows).set_index("arm")
    assert set(found["baseline"]) == {"forest"}
    assert found.loc["default", "gain"] == pytest.approx(0.04)
    assert found["verdict"].to_dict() == {
        "default": "helps", "forest": "", "logistic": "hurts", "scratch": "hurts", "synthetic": "even",
    }  # fmt: skip
    assert found["best"].idxmax() == "default"
