"""Pretraining: from the generator and from a corpus, interrupted and resumed."""

from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.pretrain.task import RESUME, pretrain
from terraficta.pretrain.weights import read_weights
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
    assert not (tmp_path / "broken" / "weights.pt").exists()
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
