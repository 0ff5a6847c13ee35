"""The benchmark: the same labels and test pixels for every arm, rows that are never computed twice."""

import math
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import timm
import torch
from tileset_maker import read_manifest_of, write_manifest, write_tileset

from terraficta.eval.benchmark import benchmark
from terraficta.eval.benchmark.arms import LOGISTIC_GRID, PIXEL_ARMS, Fitted
from terraficta.eval.benchmark.benchmark import run_benchmark, run_cell
from terraficta.eval.benchmark.filters import read_filters
from terraficta.eval.benchmark.findings import findings
from terraficta.eval.benchmark.ground import Ground, read_ground
from terraficta.eval.benchmark.lineup import encoder_reading, make_arms, masked_reading, random_reading
from terraficta.eval.benchmark.masked import pretrain_masked
from terraficta.eval.benchmark.networks import (
    FrozenArm,
    NetworkArm,
    WideForestArm,
    at_pixels,
    blend_head,
    closed_head,
    names_head,
    ridges,
)
from terraficta.eval.benchmark.pixels import Pixels, fold_pixels
from terraficta.eval.benchmark.readings import Read, Reader
from terraficta.eval.benchmark.recipe import BenchmarkRecipe, GoalRecipe, LadderRecipe, read_benchmark_recipe
from terraficta.eval.benchmark.resample import cells_of, interval, miou, resampled
from terraficta.eval.benchmark.store import CELLS, COLUMNS, ROWS, Ledger
from terraficta.eval.benchmark.summary import Interval, summarise
from terraficta.eval.benchmark.workers import Workers
from terraficta.eval.map.windows import Windows
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.context import band_pairs
from terraficta.finetune.encoder import Encoder
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
    "boosting": ({"max_depth": 3, "n_estimators": 20},),
}
SMALL = "{spectral: 16, context: 8, encoder_args: {dims: [8, 8, 8, 8], depths: [1, 1, 1, 1]}}"
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

    def prepare(self, ground: Ground, labels: Labels) -> None:
        """Nothing."""

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        assert labels is not None
        self.seen.append((tiles, labels))
        return Fitted(lambda pixels: torch.tensor([1.0, 0.0, 0.0])[:, None].expand(3, sum(map(len, pixels))))


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


def test_rows_of_other_weights_or_test_pixels_are_made_anew_and_none_is_lost(made: Path, tmp_path: Path) -> None:
    recipe = FAST.model_copy(update={"arms": ("spy",), "seeds": 2})
    first, second = Spy(weights="001e05"), Spy(weights="bbb")
    run_benchmark([made], recipe, {"spy": first}, tmp_path)
    assert Ledger(tmp_path).rows["weights"].tolist() == ["001e05"] * 2
    run_benchmark([made], recipe, {"spy": second}, tmp_path)
    assert Ledger(tmp_path).rows["weights"].tolist() == ["bbb"] * 2
    run_benchmark([made], recipe, {"spy": first}, tmp_path)  # back again: the cells are there
    assert Ledger(tmp_path).rows["weights"].tolist() == ["001e05"] * 2
    assert (len(first.seen), len(second.seen)) == (2, 2)
    run_benchmark([made], recipe.model_copy(update={"test_pixels": 50}), {"spy": first}, tmp_path)
    assert Ledger(tmp_path).rows["n_test"].tolist() == [50, 50]
    assert len(list((tmp_path / CELLS).iterdir())) == 6


def test_a_tileset_that_lacks_no_cell_is_not_read(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = FAST.model_copy(update={"arms": ("spy",)})
    run_benchmark([made], recipe, {"spy": Spy()}, tmp_path)
    before = (tmp_path / ROWS).read_bytes()
    monkeypatch.setattr(benchmark, "read_ground", None)  # any call would fail
    run_benchmark([made], recipe, {"spy": Spy()}, tmp_path)
    assert (tmp_path / ROWS).read_bytes() == before


def test_a_smaller_draw_lies_within_the_one_that_is_kept(made: Path) -> None:
    ground = read_ground(made, 100)
    ground.every_label(20, range(2))
    for per_class, seed in ((5, 0), (20, 1), (7, 1)):
        kept, drawn = ground.labels(per_class, seed), draw_labels(ground.train, per_class, seed)
        assert kept.pixels() == drawn.pixels()
        assert torch.equal(kept.mass, drawn.mass)
        assert kept.wanted == drawn.wanted


def test_labels_come_from_a_bounded_area_and_smaller_land_is_as_before(made: Path) -> None:
    whole, wide, narrow = (read_ground(made, 100, 0, area) for area in (0, 10_000_000, 1))
    assert whole.protocol == wide.protocol != narrow.protocol
    assert whole.labels(20, 0).pixels() == wide.labels(20, 0).pixels()
    labels = narrow.labels(20, 0)
    assert len(narrow.train) == 1 < len(whole.train)  # a scene is one window
    assert labels.counts() == {"forest": 20, "water": 20, "soil": 20}
    assert sum(map(len, narrow.test)) == 100


@pytest.mark.slow
def test_tilesets_shared_out_among_processes_give_the_same_table(made: Path, tmp_path: Path) -> None:
    folders = [made, write_tileset(tmp_path / "other", scenes=3)]
    manifest = read_manifest_of(folders[1])
    write_manifest(folders[1], {**manifest, "name": "other"})
    changes = ["arms=[logistic, location]", "labels_per_class=[2, 5]", "seeds=2", "test_pixels=100", "ladder=null"]
    recipe = read_benchmark_recipe("quick", changes)
    make = partial(make_arms, recipe, None, "cpu")
    one = run_benchmark(folders, recipe, make().arms, tmp_path / "one").rows
    told: list[tuple[str, int, int]] = []
    work = Workers(recipe, make, tmp_path / "two", 2)
    two = run_benchmark(folders, recipe, make().arms, tmp_path / "two", lambda *line: told.append(line), work).rows
    timed = ["seconds", "fit_s", "predict_s", "shared_s"]
    pd.testing.assert_frame_equal(one.drop(columns=timed), two.drop(columns=timed))
    assert [done for _, done, _ in told] == list(range(1, 17))
    broken = Workers(recipe, partial(make_arms, recipe, tmp_path / "none", "cpu"), tmp_path / "three", 2)
    with pytest.raises(BrokenProcessPool):
        run_benchmark(folders, recipe, make().arms, tmp_path / "three", work=broken)


class Weary(Spy):
    """Gives up in the middle of its third cell."""

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        found = super().fit(tiles, labels, seed, meanings)
        if len(self.seen) == 3:
            raise KeyboardInterrupt
        return found


def test_an_interrupt_loses_one_cell(made: Path, tmp_path: Path) -> None:
    recipe = FAST.model_copy(update={"arms": ("spy",), "seeds": 4})
    with pytest.raises(KeyboardInterrupt):
        run_benchmark([made], recipe, {"spy": Weary()}, tmp_path)
    assert len(Ledger(tmp_path).rows) == 2
    rested = Spy()
    run_benchmark([made], recipe, {"spy": rested}, tmp_path)
    assert len(rested.seen) == 2


def test_what_an_arm_cannot_do_is_noted_and_stops_nothing(made: Path, tmp_path: Path) -> None:
    recipe = FAST.model_copy(update={"arms": ("names", "logistic"), "labels_per_class": (0, 5), "seeds": 1})

    class Nameless(Spy):
        def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
            raise Refusal("names", "legend", "class 1", "words", "name the classes")

    ledger = run_benchmark([made], recipe, {"names": Nameless(), "logistic": PIXEL_ARMS["logistic"]}, tmp_path)
    assert ledger.rows["arm"].tolist() == ["logistic"]
    assert [(s["arm"], s["labels_per_class"]) for s in ledger.skipped] == [("names", 0)]
    assert "name the classes" in Ledger(tmp_path).skipped[0]["reason"]


def test_readings_are_made_once_for_all_draws_and_arms_and_found_on_disk(made: Path, tmp_path: Path) -> None:
    quick = read_finetune_recipe("quick")
    mapper = fresh_mapper(quick, 0)
    learnt: list[int] = []

    def learn(tiles: Sequence[Tile], others: Sequence[Tile]) -> Read:
        learnt.append(len(tiles))
        return encoder_reading(mapper)(tiles, others)

    def run(out: Path) -> pd.DataFrame:
        reader = Reader("fiction", "abc", learn, tmp_path / "readings")
        arms = {name: FrozenArm(name, reader, blend_head(mapper, quick), quick, "abc") for name in ("default", "ridge")}
        recipe = FAST.model_copy(update={"arms": ("default", "ridge"), "labels_per_class": (3, 5), "test_pixels": 200})
        return run_benchmark([made], recipe, arms, out).rows

    rows = run(tmp_path / "a")
    wide = WideForestArm("forest-wide", Reader("fiction", "abc", learn, tmp_path / "readings"), grid=QUICK["forest"])
    row, _ = run_cell(read_ground(made, 200), wide, 5, seed=1)
    assert row["accuracy"] > 0.9
    learnt.pop()
    assert len(rows) == 8
    assert len(learnt) == 1
    again = run(tmp_path / "b")
    assert len(learnt) == 1
    assert again["miou"].tolist() == rows["miou"].tolist()
    alone = FrozenArm("default", Reader("fiction", "abc", learn), blend_head(mapper, quick), quick, "abc")
    row, _ = run_cell(read_ground(made, 200), alone, 5, seed=1)  # nothing was foreseen
    assert row["miou"] == pytest.approx(rows[(rows["arm"] == "default") & (rows["seed"] == 1)]["miou"].iloc[-1])


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
                ("scratch", -0.3, [0.01, 0, -0.01]), ("full", 0.0, [0.1, 0, -0.1]),
            )
            for s, value in enumerate(easy)
        ]
    )  # fmt: skip
    found = summarise(rows).set_index("arm")
    assert set(found["baseline"]) == {"forest"}
    assert found.loc["default", "gain"] == pytest.approx(0.04)
    assert found["verdict"].to_dict() == {
        "default": "helps", "forest": "", "full": "even", "logistic": "hurts", "scratch": "hurts",
    }  # fmt: skip
    assert found["best"].idxmax() == "default"


def _detail(arm: str, labels: int, seed: int, blocks: list[list[float]], tileset: str = "t") -> dict[str, object]:
    key = {"tileset": tileset, "arm": arm, "labels_per_class": labels, "seed": seed}
    return {**key, "classes": ["a", "b"], "blocks": blocks, "reliability": [[], [], []]}


def test_miou_of_confusions_is_that_of_the_tally() -> None:
    assert miou(np.array([[5.0, 5.0, 0], [0, 10.0, 0], [0, 0, 0]])) == pytest.approx((5 / 10 + 10 / 15) / 2)


def test_an_interval_over_blocks_is_wide_where_blocks_differ_and_paired_where_arms_err_alike() -> None:
    sure = [[b, k, k, 50.0] for b in range(8) for k in range(2)]
    even = (
        [[b, 0, 0, 50.0] for b in range(8)] + [[b, 1, 0, 20.0] for b in range(8)] + [[b, 1, 1, 30.0] for b in range(8)]
    )
    patchy = [[b, 1, 0, 80.0 * (b < 2)] for b in range(8)] + [[b, 0, 0, 50.0] for b in range(8)]
    patchy += [[b, 1, 1, 30.0 + 50.0 * (b >= 2)] for b in range(8)]
    details = [
        _detail(arm, 5, s, own)
        for arm, own in (("x", sure), ("y", even), ("z", patchy), ("w", patchy))
        for s in range(3)
    ]
    arms = cells_of(details)["t", 5]
    found = resampled(arms, "t")
    width = {arm: np.diff(interval(values))[0] for arm, values in found.items()}
    assert width["x"] == pytest.approx(0)
    assert width["y"] == pytest.approx(0)
    assert width["z"] > 0.1
    assert interval(found["z"] - found["w"]) == (0.0, 0.0)


def test_findings_tell_promises_losses_rare_classes_and_what_forests_need() -> None:
    good = [[b, k, k, 50.0 if k == 0 else 1.0] for b in range(6) for k in range(2)]
    bad = [[b, 0, 0, 40.0] for b in range(6)] + [[b, 0, 1, 10.0] for b in range(6)] + [[b, 1, 1, 1.0] for b in range(6)]
    rows, details = [], []
    for tileset, better in (("up", "default"), ("down", "forest")):
        for labels in (5, 10, 25):
            for arm in ("default", "forest", "location"):
                for seed in range(3):
                    own = good if arm == better or (arm == "forest" and labels == 25) else bad
                    detail = _detail(arm, labels, seed, own, tileset)
                    table = cells_of([detail])[tileset, labels][arm].confusion.sum((0, 1))
                    row = {
                        "tileset": tileset,
                        "arm": arm,
                        "labels_per_class": labels,
                        "seed": seed,
                        "miou": miou(table),
                    }
                    row |= {"n_test": 306, "px_a": 300, "px_b": 6, "iou_a": 0.9, "iou_b": 0.4, "content": "x"}
                    row |= dict.fromkeys(("fit_s", "predict_s", "seconds", "shared_s"), 1.0)
                    rows.append(row)
                    details.append(detail)
    recipe = FAST.model_copy(
        update={
            "goals": (GoalRecipe(labels=5, goal=0.5, minimum=-1.0, most_lost=-0.05),),
            "ladder": LadderRecipe(labels=10, forests=("forest",), counts=(5, 10, 25)),
        }
    )
    ledger = _Made(pd.DataFrame(rows), details)
    tables = {table.title: table for table in findings(ledger, recipe)}  # type: ignore[arg-type]
    promised = tables["What was promised"].rows[0]
    assert promised[-1].startswith("minimum met, goal missed; 0 lies within the interval; lost more than 0.05 in down")
    worth = {row[:2]: row for row in tables["What fiction was worth"].rows}
    row = worth["default less the best simple arm", 5]
    assert row[5:8] == (1, 1, "down")
    assert {line[0] for line in tables["Every losing cell"].rows} == {"down"}
    assert [line[0] for line in tables["Rare classes"].rows] == ["up: b", "down: b"]
    needs = {line[0]: line[2] for line in tables["Label efficiency"].rows}
    assert needs == {"up": "25", "down": "5 or fewer"}
    leaks = {line[:2]: line[-1] for line in tables["Does the split leak?"].rows}
    assert leaks["up", 5] == "leak suspected"  # the forest is as bad as places alone
    assert leaks["down", 5] == "no"


@dataclass
class _Made:
    """What findings ask of a ledger."""

    made: pd.DataFrame
    details: list[dict[str, object]]
    skipped: tuple[dict[str, object], ...] = ()

    @property
    def rows(self) -> pd.DataFrame:
        return self.made.reindex(columns=[*dict.fromkeys([*COLUMNS, *self.made.columns])])
