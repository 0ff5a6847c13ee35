"""The Lightning task: how a mapper is pretrained."""

from __future__ import annotations

import copy
import logging
import math
import os
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, Timer
from torch.utils.data import DataLoader, IterableDataset

from terraficta.pretrain.curve import CurveKeeper
from terraficta.pretrain.episode import Episode, deal_episode
from terraficta.pretrain.familiarity import GROUPS
from terraficta.pretrain.groups import GroupStream
from terraficta.pretrain.loss import episode_loss
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.precision import fast_precision
from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.pretrain.stream import Batch, CorpusStream, FictionStream, group_loader
from terraficta.pretrain.weights import WEIGHTS, read_weights, weights_digest, write_weights
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, read_run

RESUME = "resume.ckpt"
"""what an interrupted run goes on from"""
SAVE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Source:
    """Where scenes come from: folders win over the generator.

    Parameters
    ----------
    corpus : Path | None
        folder of tiles
    groups : Path | None
        folder of groups that were rendered before
    workers : int
        processes that render ahead, of the generator; 0 renders in this one
    """

    corpus: Path | None = None
    groups: Path | None = None
    workers: int = 0

    def loader(self, recipe: PretrainRecipe, seed: int, start: int, device: str, stride: int = 1) -> DataLoader[Batch]:
        """Groups of scenes from number `start` on, every one or one in so many."""
        if self.groups is not None:
            return group_loader(GroupStream(self.groups, seed, start, stride), 0)
        if self.corpus is not None:
            return group_loader(CorpusStream(self.corpus, recipe, seed, start, stride), 0)
        where = "cpu" if self.workers else device
        return group_loader(FictionStream(recipe, seed, start, where, stride=stride), self.workers)

    def parents(self) -> dict[str, str | None]:
        """Digests of the runs that made the folders, by role."""
        folders = {"corpus": self.corpus, "groups": self.groups}
        return {role: read_run(folder).get("digest") for role, folder in folders.items() if folder is not None}


class EpisodeStream(IterableDataset[Episode]):
    """Episodes from a rolling memory of scene groups.

    Step t deals an episode from one of the `memory` newest groups, chosen by the address of t, so that a run that
    resumes at step t meets the episodes that it would have met.

    Where several processes train together, process r of w deals episode w t + r at step t, from groups r, w + r, ... of
    its own memory: no scene is rendered twice, and all of them together see w times as many.

    Parameters
    ----------
    recipe : PretrainRecipe
        memory, reuse and episodes
    seed, start : int
        of the stream, and its first step
    source : Source
        of the scenes
    device : str
        where episodes are dealt
    place : tuple[int, int] | None
        number of this process among so many; None: as it is when the first episode is asked for
    """

    def __init__(
        self, recipe: PretrainRecipe, seed: int, start: int, source: Source, device: str,
        place: tuple[int, int] | None = None,
    ):  # fmt: skip
        self.recipe, self.seed, self.start, self.device = recipe, seed, start, device
        self.source, self.place = source, place
        self.oldest = max(0, start // recipe.reuse - recipe.memory + 1)
        self.memory: deque[Batch] = deque(maxlen=recipe.memory)

    def __iter__(self) -> Iterator[Episode]:
        rank, ranks = self.place or place_of_process()
        groups = iter(self.source.loader(self.recipe, self.seed, self.oldest * ranks + rank, self.device, ranks))
        memory = self.memory
        memory.clear()
        newest = self.oldest - 1
        step = self.start
        while True:
            while newest < step // self.recipe.reuse:
                memory.append(next(groups).to(self.device))
                newest += 1
            key = SceneKey(self.seed, step * ranks + rank).at("episode")
            pick = int(key.at("group").rng().integers(len(memory)))
            yield deal_episode(self.recipe.episode, memory[pick], key)
            step += 1


def place_of_process() -> tuple[int, int]:
    """Number of this process among those that train together, and how many these are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class PretrainTask(lightning.LightningModule):
    """One optimisation of a mapper over episodes.

    Parameters
    ----------
    recipe : PretrainRecipe
        the whole of it
    timer : Timer
        its duration is the budget, over which the learning rate falls to zero; without one, recipe.steps is
    """

    def __init__(self, recipe: PretrainRecipe, timer: Timer) -> None:
        super().__init__()
        self.recipe = recipe
        self.mapper = Mapper(recipe.model, TERRAFICTA)
        self.mean = copy.deepcopy(self.mapper).requires_grad_(False)
        """running mean of the weights: what is kept"""
        self.running: dict[str, float] = {}
        self.made_of: dict[str, str] = {}
        """what the run is made of, so that an interrupted one goes on with the same"""
        self._timer = timer

    def elapsed_s(self) -> float:
        """Training time of this run so far, earlier sessions included [s]."""
        return self._timer.time_elapsed()

    def progress(self) -> float:
        """0 at the start of the run, 1 at its end."""
        remaining = self._timer.time_remaining()
        if remaining is None:
            return self.global_step / self.recipe.steps
        return self.elapsed_s() / (self.elapsed_s() + max(remaining, 0.0))

    def _agreed(self, progress: float) -> float:
        """The same number for all processes, whose clocks differ: else their networks would drift apart."""
        if place_of_process()[1] == 1:
            return progress
        mean = self.trainer.strategy.reduce(torch.tensor(progress, device=self.device), reduce_op="mean")
        return float(mean)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.mapper.parameters(), lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay, fused=True
        )

    def training_step(self, episode: Episode, batch_idx: int) -> torch.Tensor:
        warm = min(1.0, (self.global_step + 1) / self.recipe.warmup_steps)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self._agreed(self.progress()))))
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.recipe.learning_rate * warm * max(fall, 0.01)
        losses = episode_loss(self.mapper, episode, self.recipe.rehearsal, self.recipe.dense)
        for name, value in losses.items():
            if name == "dense" and not bool(episode.mass.any()):
                continue
            now = float(value.detach())
            self.running[name] = 0.98 * self.running.get(name, now) + 0.02 * now
            self.log(name, self.running[name], prog_bar=True)
        return losses["loss"]

    def optimizer_step(self, *args: Any, **more: Any) -> None:
        step = self.global_step
        super().optimizer_step(*args, **more)
        follow(self.mean, self.mapper, mean_decay(self.recipe.averaging, step))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["running"] = self.running
        checkpoint["made_of"] = self.made_of

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.running = checkpoint["running"]

    def transfer_batch_to_device(self, batch: Episode, device: torch.device, dataloader_idx: int) -> Episode:
        return batch  # episodes are dealt on the device


def made_of(recipe: PretrainRecipe, seed: int, source: Source) -> dict[str, str]:
    """What an interrupted run must find again to go on: all but its budget."""
    same = recipe.model_copy(update={"steps": 1}).digest()
    return {"recipe": same, "seed": str(seed)} | {role: str(digest) for role, digest in source.parents().items()}


def require_same_run(resume: Path, kept: dict[str, str], now: dict[str, str]) -> None:
    """Refuse to go on with an interrupted run that was made of something else."""
    for name in sorted(kept.keys() | now.keys() if kept else ()):
        if kept.get(name) != now.get(name):
            mend = "go on with the same recipe, seed and source, or name another --out"
            raise Refusal(resume, name, f"{now.get(name)} now", f"{kept.get(name)}, as the run began", mend)


def mean_decay(averaging: float, step: int) -> float:
    """Decay of the running mean at a step: short at first, so that the random start is soon forgotten."""
    return min(averaging, step / (step + 10.0))


@torch.no_grad()
def follow(mean: torch.nn.Module, module: torch.nn.Module, decay: float) -> None:
    """Move the parameters of `mean` toward those of a module of the same shape."""
    torch._foreach_lerp_(list(mean.parameters()), [p.detach() for p in module.parameters()], 1.0 - decay)


def pretrain(
    recipe: PretrainRecipe,
    folder: Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    corpus: Path | None = None,
    groups: Path | None = None,
    weights: Path | None = None,
    workers: int = 0,
    device: str = "cpu",
    devices: int = 1,
    progress: list[Callback] | None = None,
    overwrite: bool = False,
) -> Path:
    """Pretrain, or go on where an interrupted run in `folder` stopped; returns the path of the weights.

    Parameters
    ----------
    folder : Path
        gets weights.safetensors, run.json, curve.csv, and resume.ckpt while it runs
    minutes : float | None
        budget of wall time; None: recipe.steps
    corpus, groups : Path | None
        folder of tiles, or of groups that were rendered before; None: straight from the generator
    weights : Path | None
        of an earlier pretraining of the same network, to start from; None: random ones
    workers : int
        processes that render ahead; 0 renders in this one
    device : str
        "cpu" or "cuda"
    devices : int
        processes that train together, one a GPU or sharing the cores of a CPU; every step takes an episode of each.
        From the second on they are started with the same words as this one, so call it from a command
    overwrite : bool
        whether finished weights in `folder` may be replaced

    Raises
    ------
    Refusal
        finished weights, or an interrupted run of another recipe, seed or source
    """
    if (folder / WEIGHTS).is_file() and not (folder / RESUME).is_file() and not overwrite:
        mend = "name another --out, or add --overwrite to replace them"
        raise Refusal(folder / WEIGHTS, "--out", "weights of a finished run", "a new folder", mend)
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(seed)
    if workers or devices > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices - workers))
    source = Source(corpus, groups, workers)
    parents = source.parents() | ({} if weights is None else {"weights": weights_digest(weights)})
    run = Run("pretrain", recipe.model_dump(mode="json"), seed, parents)
    timer = Timer(None if minutes is None else timedelta(minutes=minutes))
    task = PretrainTask(recipe, timer)
    task.made_of = made_of(recipe, seed, source) | ({"devices": str(devices)} if devices > 1 else {})
    if weights is not None:
        task.made_of["weights"] = weights_digest(weights)
        before, _ = read_weights(weights)
        if before.recipe.digest() != recipe.model.digest():
            mend = "name a recipe with that network, or leave --weights out"
            raise Refusal(weights, "network", before.recipe.digest(), f"{recipe.model.digest()}, the recipe's", mend)
        for module in (task.mapper, task.mean):
            module.load_state_dict(before.state_dict())
    resume = folder / RESUME
    start = 0
    if resume.is_file():
        kept = torch.load(resume, map_location="cpu", weights_only=False)
        require_same_run(resume, kept.get("made_of", {}), task.made_of)
        start = int(kept["global_step"])
    episodes = EpisodeStream(recipe, seed, start, source, device)
    keeper = ModelCheckpoint(
        folder, Path(RESUME).stem, train_time_interval=SAVE_EVERY, save_on_exception=True, enable_version_counter=False
    )
    trainer = lightning.Trainer(
        max_steps=recipe.steps if minutes is None else -1,
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_find_unused_parameters_true",
        precision=fast_precision(device),
        gradient_clip_val=1.0,
        callbacks=[timer, *(progress or []), CurveKeeper(folder), keeper],
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        default_root_dir=folder,
    )
    loader = DataLoader(episodes, batch_size=None)
    trainer.fit(task, loader, ckpt_path=resume if start else None)
    if not trainer.is_global_zero:
        return folder / WEIGHTS
    metrics = {"steps": trainer.global_step, "devices": devices, "train_s": round(task.elapsed_s(), 1), **task.running}
    record = run.record(metrics, device=device, digest=f"{recipe.digest()}-{seed}-{trainer.global_step}")
    task.mean.fit_familiarity(list(episodes.memory)[-GROUPS:])
    write_weights(folder / WEIGHTS, task.mean, record)
    run.write(folder, metrics, device=device, digest=record["digest"])
    resume.unlink(missing_ok=True)
    return folder / WEIGHTS
