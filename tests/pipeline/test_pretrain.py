"""Pretraining: from the generator and from a corpus, interrupted and resumed."""

import subprocess
import sys
import time
from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from terraficta.pretrain.groups import read_group, render_groups
from terraficta.pretrain.recipe import PretrainRecipe, read_pretrain_recipe
from terraficta.pretrain.stream import FictionStream
from terraficta.pretrain.task import RESUME, pretrain
from terraficta.pretrain.weights import WEIGHTS, read_weights
from terraficta.synth.corpus.corpus import write_corpus
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run
from terraficta.synth.types.scene_recipe import read_scene_recipe

TINY = PretrainRecipe.from_dict(
    {
        "name": "tiny",
        "about": "a network and lands as small as they come",
        "lands": {"tier1": 1.0},
        "size_px": 32,
        "ground_px": 32,
        "looks": 2,
        "pool": 2,
        "steps": 6,
        "reuse": 3,
        "memory": 2,
        "model": {"spectral": 8, "context": 8, "encoder_args": {"dims": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}},
        "episode": {"scenes": 2},
    },
    "tiny",
)


class Interrupt(Callback):
    def on_train_batch_end(self, trainer: lightning.Trainer, *rest: object, **more: object) -> None:
        if trainer.global_step == 3:
            raise KeyboardInterrupt


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return read_weights(path)[0].state_dict()


def test_weights_are_gone_on_from_and_those_of_another_network_refused(tmp_path: Path) -> None:
    first = pretrain(TINY, tmp_path / "first", seed=3)
    still = TINY.model_copy(update={"steps": 1, "learning_rate": 0.0})
    second = pretrain(still, tmp_path / "second", seed=4, weights=first)
    for name, value in weights_of(first).items():
        torch.testing.assert_close(weights_of(second)[name], value)
    assert read_run(second.parent)["parents"]["weights"] is not None
    wide = TINY.model_copy(update={"model": TINY.model.model_copy(update={"spectral": 16})})
    with pytest.raises(Refusal, match="network"):
        pretrain(wide, tmp_path / "third", weights=first)
    assert not (tmp_path / "third" / WEIGHTS).exists()


def test_the_weights_that_ship_are_of_the_standard_network() -> None:
    assert read_weights()[0].recipe.digest() == read_pretrain_recipe("standard").model.digest()


def test_run_and_its_record(tmp_path: Path) -> None:
    path = pretrain(TINY, tmp_path / "run", seed=3)
    record = read_run(tmp_path / "run")
    assert record["metrics"]["steps"] == 6
    assert record["recipe"]["name"] == "tiny"
    assert all(torch.isfinite(value).all() for value in weights_of(path).values())


def test_interrupted_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = weights_of(pretrain(TINY, tmp_path / "whole", seed=3))
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        pretrain(TINY, tmp_path / "broken", seed=3, progress=[Interrupt()])
    assert (tmp_path / "broken" / RESUME).is_file()
    assert not (tmp_path / "broken" / WEIGHTS).exists()
    resumed = weights_of(pretrain(TINY, tmp_path / "broken", seed=3))
    assert not (tmp_path / "broken" / RESUME).exists()
    for name, value in whole.items():
        assert torch.allclose(value, resumed[name], rtol=2e-3, atol=1e-5), name  # a step of float16


def test_from_a_corpus(tmp_path: Path) -> None:
    land = read_scene_recipe("tier1")
    write_corpus(land, seed=1, count=3, folder=tmp_path / "corpus", size_px=48)
    pretrain(TINY, tmp_path / "run", seed=3, corpus=tmp_path / "corpus")
    assert read_run(tmp_path / "run")["parents"]["corpus"] == read_run(tmp_path / "corpus")["digest"]


def test_small_tiles_are_refused(tmp_path: Path) -> None:
    write_corpus(read_scene_recipe("tier0"), seed=1, count=1, folder=tmp_path / "corpus", size_px=16)
    with pytest.raises(Refusal, match="size_px"):
        pretrain(TINY, tmp_path / "run", seed=3, corpus=tmp_path / "corpus")


class Clock(Callback):
    """A clock on which every step takes ten seconds; it breaks off after some of them."""

    def __init__(self, steps: int | None) -> None:
        self.steps, self.now, self.seen = steps, 0.0, 0

    def monotonic(self) -> float:
        return self.now

    def on_train_batch_start(self, *rest: object, **more: object) -> None:
        self.now += 10.0

    def on_train_batch_end(self, *rest: object, **more: object) -> None:
        self.seen += 1
        if self.seen == self.steps:
            raise KeyboardInterrupt


def test_minutes_count_earlier_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute is six steps, of which the first session made four."""
    first, second = Clock(4), Clock(None)
    monkeypatch.setattr("lightning.pytorch.callbacks.timer.time", first)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        pretrain(TINY, tmp_path, seed=3, minutes=1.0, progress=[first])
    monkeypatch.setattr("lightning.pytorch.callbacks.timer.time", second)
    pretrain(TINY, tmp_path, seed=3, minutes=1.0, progress=[second])
    record = read_run(tmp_path)["metrics"]
    assert (second.seen, record["steps"], record["train_s"]) == (2, 6, 60.0)


def test_groups_are_rendered_once(tmp_path: Path) -> None:
    """A training from rendered groups: nothing is rendered again, and what was read is what was rendered."""
    assert list(render_groups(TINY, tmp_path / "groups", 2, seed=3)) == [0, 1]
    before = (tmp_path / "groups" / "00000.pt").stat().st_mtime_ns
    assert list(render_groups(TINY, tmp_path / "groups", 3, seed=3)) == [0, 1, 2]
    assert (tmp_path / "groups" / "00000.pt").stat().st_mtime_ns == before
    fresh, kept = FictionStream(TINY, 3, 0, "cpu").group(1), read_group(tmp_path / "groups" / "00001.pt")
    assert kept.sensor == fresh.sensor
    assert torch.allclose(kept.image, fresh.image, rtol=1e-3, atol=1e-4)
    assert (kept.mass - fresh.mass).abs().max() < 0.003
    assert torch.equal(kept.material, fresh.material)
    pretrain(TINY, tmp_path / "run", seed=3, groups=tmp_path / "groups")
    assert read_run(tmp_path / "run")["parents"]["groups"] == read_run(tmp_path / "groups")["digest"]
    (tmp_path / "groups" / "00002.pt").write_bytes(b"PK half a file")
    with pytest.raises(Refusal, match="made again"):
        read_group(tmp_path / "groups" / "00002.pt")


class Slow(Callback):
    """A tenth of a second a step."""

    def on_train_batch_end(self, *rest: object, **more: object) -> None:
        time.sleep(0.1)


KILLED = """
import sys
from pathlib import Path
import terraficta.pretrain.task as task
sys.path.insert(0, sys.argv[2])
from test_pretrain import TINY, Slow
from datetime import timedelta
task.SAVE_EVERY = timedelta(seconds=0.3)
task.pretrain(TINY.model_copy(update={"steps": 40}), Path(sys.argv[1]), seed=3, progress=[Slow()])
"""


def test_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    """kill -9 gives a run no time to say goodbye."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)])
    try:
        end = time.monotonic() + 120
        while not (tmp_path / RESUME).is_file() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    step = int(torch.load(tmp_path / RESUME, weights_only=False)["global_step"])
    assert 0 < step < 40
    first: list[int] = []

    class First(Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *rest: object, **more: object) -> None:
            first.append(trainer.global_step)

    pretrain(TINY.model_copy(update={"steps": step + 2}), tmp_path, seed=3, progress=[First()])
    assert first == [step + 1, step + 2]
