"""The benchmark: the same labels and test pixels for every arm, rows that are never computed twice."""

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from benchmark_maker import FAST, QUICK
from tileset_maker import read_manifest_of, write_manifest, write_tileset

from terraficta.eval.benchmark import benchmark
from terraficta.eval.benchmark.arms import PIXEL_ARMS, Fitted
from terraficta.eval.benchmark.benchmark import run_benchmark, run_cell
from terraficta.eval.benchmark.ground import Ground, read_ground
from terraficta.eval.benchmark.lineup import encoder_reading, make_arms
from terraficta.eval.benchmark.networks import (
    FrozenArm,
    WideForestArm,
    blend_head,
)
from terraficta.eval.benchmark.readings import Read, Reader
from terraficta.eval.benchmark.recipe import read_benchmark_recipe
from terraficta.eval.benchmark.store import CELLS, ROWS, Ledger
from terraficta.eval.benchmark.workers import Workers
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import Labels, draw_labels
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile


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


class Weary(Spy):
    """Gives up in the middle of its third cell."""

    def fit(self, tiles: Sequence[Tile], labels: Labels | None, seed: int, meanings: Meanings) -> Fitted:
        found = super().fit(tiles, labels, seed, meanings)
        if len(self.seen) == 3:
            raise KeyboardInterrupt
        return found


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
