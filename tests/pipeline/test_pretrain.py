"""Pretraining: from the generator and from a corpus, interrupted and resumed."""

import subprocess
import sys
import time
from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from terraficta.pretrain.recipe import PretrainRecipe
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
        assert torch.allclose(value, resumed[name], atol=1e-5), name


def test_from_a_corpus(tmp_path: Path) -> None:
    land = read_scene_recipe("tier1")
    write_corpus(land, seed=1, count=3, folder=tmp_path / "corpus", size_px=48)
    pretrain(TINY, tmp_path / "run", seed=3, corpus=tmp_path / "corpus")
    assert read_run(tmp_path / "run")["parents"]["corpus"] == read_run(tmp_path / "corpus")["digest"]


def test_small_tiles_are_refused(tmp_path: Path) -> None:
    write_corpus(read_scene_recipe("tier0"), seed=1, count=1, folder=tmp_path / "corpus", size_px=16)
    with pytest.raises(Refusal, match="size_px"):
        pretrain(TINY, tmp_path / "run", seed=3, corpus=tmp_path / "corpus")


class Slow(Callback):
    """A step of a tenth of a second, and an interrupt after some of them."""

    def __init__(self, steps: int | None) -> None:
        self.steps, self.seen = steps, 0

    def on_train_batch_end(self, trainer: lightning.Trainer, *rest: object, **more: object) -> None:
        time.sleep(0.1)
        self.seen += 1
        if self.seen == self.steps:
            raise KeyboardInterrupt


def test_minutes_count_earlier_sessions(tmp_path: Path) -> None:
    """Six seconds are the budget; three or more are spent before the interrupt, so what is left is three at most."""
    budget = 6.0
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        pretrain(TINY, tmp_path, seed=3, minutes=budget / 60, progress=[Slow(12)])
    before = torch.load(tmp_path / RESUME, weights_only=False)["callbacks"]["Timer"]["time_elapsed"]["train"]
    assert 1.2 < before < budget
    start = time.perf_counter()
    pretrain(TINY, tmp_path, seed=3, minutes=budget / 60, progress=[Slow(None)])
    record = read_run(tmp_path)["metrics"]
    assert budget <= record["train_s"] < budget + 4
    assert record["steps"] > 12
    assert time.perf_counter() - start < budget - before + 30


KILLED = """
import sys
from pathlib import Path
import terraficta.pretrain.task as task
sys.path.insert(0, sys.argv[2])
from test_pretrain import TINY, Slow
from datetime import timedelta
task.SAVE_EVERY = timedelta(seconds=0.3)
task.pretrain(TINY.model_copy(update={"steps": 40}), Path(sys.argv[1]), seed=3, progress=[Slow(None)])
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
