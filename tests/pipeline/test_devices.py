"""Several processes that pretrain one network: as one process that takes the mean of their episodes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lightning
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Timer
from torch.utils.data import DataLoader, IterableDataset

from terraficta.pretrain.episode import Episode
from terraficta.pretrain.loss import episode_loss
from terraficta.pretrain.precision import fast_precision
from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.pretrain.task import EpisodeStream, PretrainTask, Source
from terraficta.pretrain.weights import WEIGHTS, read_weights
from terraficta.synth.types.run import read_run

STEPS, SEED = 4, 3
TINY = {
    "name": "tiny", "about": "a network and lands as small as they come", "lands": {"tier0": 1.0}, "size_px": 32,
    "ground_px": 32, "looks": 2, "pool": 2, "steps": STEPS, "reuse": 2, "memory": 2, "episode": {"scenes": 2},
    "model": {"spectral": 8, "context": 8, "encoder_args": {"dims": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}},
}  # fmt: skip


class Pairs(IterableDataset[tuple[Episode, ...]]):
    """What two processes are dealt, side by side."""

    def __init__(self, recipe: PretrainRecipe) -> None:
        self.streams = [EpisodeStream(recipe, SEED, 0, Source(), "cpu", (rank, 2)) for rank in (0, 1)]

    def __iter__(self):
        return zip(*self.streams, strict=True)


class Both(PretrainTask):
    """One process that learns from both."""

    def training_step(self, batch: tuple[Episode, ...], batch_idx: int) -> torch.Tensor:
        lone = [super(Both, self).training_step(episode, batch_idx) for episode in batch[:1]]
        rest = [episode_loss(self.mapper, e, self.recipe.rehearsal, self.recipe.dense)["loss"] for e in batch[1:]]
        return torch.stack(lone + rest).mean()

    def transfer_batch_to_device(self, batch: object, device: torch.device, dataloader_idx: int) -> object:
        return batch


@pytest.mark.slow
def test_two_processes_learn_as_one_that_takes_the_mean(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    words = ["-m", "terraficta", "pretrain", "run", "--recipe", str(tmp_path / "tiny.yaml"), "--seed", str(SEED),
             "--out", str(tmp_path / "run"), "--device", "cpu", "--devices", "2"]  # fmt: skip
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=600, env={**os.environ})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count(WEIGHTS) == 1, "only the first process speaks"
    together = read_weights(tmp_path / "run" / WEIGHTS)[0].state_dict()
    metrics = read_run(tmp_path / "run")["metrics"]
    assert (metrics["steps"], metrics["devices"]) == (STEPS, 2), json.dumps(metrics)

    recipe = PretrainRecipe.from_dict(TINY, "tiny")
    torch.manual_seed(SEED)
    task = Both(recipe, Timer())
    trainer = lightning.Trainer(
        max_steps=STEPS, accelerator="cpu", devices=1, precision=fast_precision("cpu"), gradient_clip_val=1.0,
        callbacks=[task._timer], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(task, DataLoader(Pairs(recipe), batch_size=None))
    alone = dict(task.mean.named_parameters())
    torch.manual_seed(SEED)
    start = dict(PretrainTask(recipe, Timer()).mean.named_parameters())
    assert any(not torch.allclose(value, start[name]) for name, value in alone.items())
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=2e-3, atol=2e-5), name
