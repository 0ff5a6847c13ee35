"""The slice: the loss of pretraining along lines through the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from terraficta.eval.experiment import Experiment
from terraficta.eval.table import Table
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.pretrain.episode import Episode, deal_episode
from terraficta.pretrain.groups import GroupStream
from terraficta.pretrain.loss import episode_loss
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.pretrain.stream import Batch, FictionStream
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.run import read_run, whole_file

matplotlib.use("Agg")
KIND = "slice"
ACROSS = (-1.0, -0.6, -0.3, -0.15, -0.05, 0.0, 0.05, 0.15, 0.3, 0.6, 1.0)
"""steps along a random direction; 1 changes every filter by its own length"""
ALONG = (-0.1, 0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1)
"""steps from random weights (0) to the trained ones (1)"""
Weights = Mapping[str, Tensor]


def random_direction(weights: Weights, seed: int) -> dict[str, Tensor]:
    """A direction in which every filter is as long as that of the weights; biases and gains stay.

    Source
    ------
    Li et al. 2018, Visualizing the loss landscape of neural nets, arXiv 1712.09913, section 4
    """
    chance = torch.Generator().manual_seed(SceneKey(seed, 0).at("direction").field_seed())
    found = {}
    for name, value in weights.items():
        if value.ndim < 2:
            found[name] = torch.zeros_like(value)
            continue
        drawn = torch.randn(value.shape, generator=chance)
        axes = tuple(range(1, value.ndim))
        long, own = (v.square().sum(axes, keepdim=True).sqrt() for v in (value, drawn))
        found[name] = drawn * long / own.clamp(min=1e-12)
    return found


def weights_between(a: Weights, b: Weights, t: float) -> dict[str, Tensor]:
    """Weights on the line from a (t = 0) to b (t = 1).

    Examples
    --------
    >>> weights_between({"w": torch.tensor([0.0])}, {"w": torch.tensor([4.0])}, 0.25)["w"].item()
    1.0
    """
    return {name: torch.lerp(a[name].float(), b[name].float(), t) for name in a}


def moved(weights: Weights, direction: Weights, step: float) -> dict[str, Tensor]:
    """Weights a step away."""
    return {name: value + step * direction[name] for name, value in weights.items()}


@torch.no_grad()
def mean_loss(mapper: Mapper, weights: Weights, episodes: Sequence[Episode]) -> dict[str, float]:
    """Mean losses of episodes under some weights: "episode" and "dense"; the mapper is left as it was."""
    mine = copy.deepcopy(mapper).eval()
    mine.load_state_dict(dict(weights))
    losses = [episode_loss(mine, episode, 1.0, 1.0) for episode in episodes]
    return {name: float(np.mean([float(loss[name]) for loss in losses])) for name in ("episode", "dense")}


def deal(recipe: PretrainRecipe, groups: Path | None, count: int, seed: int) -> list[Episode]:
    """Episodes that pretraining did not see: of groups on disk, or straight from the generator; no lottery looks."""
    batches: list[Batch]
    if groups is not None:
        stream = GroupStream(groups, seed, 0)
        batches = [stream.group(n) for n in range(count)]
    else:
        fiction = FictionStream(recipe, seed, 0, "cpu")
        batches = [fiction.group(n) for n in fiction.first_looks(count)]
    plain = recipe.episode.model_copy(update={"lottery": 0.0})
    return [deal_episode(plain, batch, SceneKey(seed, n).at("slice")) for n, batch in enumerate(batches)]


def study_slice(
    out: Path,
    *,
    weights: Path | None = None,
    groups: Path | None = None,
    count: int = 8,
    directions: int = 2,
    seed: int = 9,
    tell: Callable[[str], None] = print,
) -> list[Table]:
    """The loss across the weights in random directions, and along the line from random weights to them."""
    mapper, record = read_weights(weights)
    recipe = PretrainRecipe.from_dict(record["recipe"], where=weights or SHIPPED)
    digest = weights_digest(weights or SHIPPED)
    source = None if groups is None else read_run(groups).get("digest")
    plan: dict[str, Any] = {"weights": digest, "groups": source, "count": count, "seed": seed}
    experiment = Experiment(out, KIND, plan | {"directions": directions}, seed, {"weights": digest})
    trained = {name: value.clone() for name, value in mapper.state_dict().items()}
    start = fresh_mapper(FinetuneRecipe(name="random", about="unlearned", model=mapper.recipe), seed).state_dict()
    episodes: list[Episode] = []

    def loss_of(some: Callable[[float], Weights], step: float) -> dict[str, Any]:
        if not episodes:
            episodes.extend(deal(recipe, groups, count, seed))
        return mean_loss(mapper, some(step), episodes)

    ways: dict[str, tuple[Sequence[float], Callable[[float], Weights]]] = {
        f"across {n + 1}": (ACROSS, partial(moved, trained, random_direction(trained, n))) for n in range(directions)
    }
    ways["random to trained"] = ALONG, partial(weights_between, start, trained)
    lines: dict[str, list[tuple[float, dict[str, float]]]] = {}
    for name, (steps, some) in ways.items():
        key = plan | {"line": name}
        lines[name] = [(t, experiment.cell(key | {"step": t}, partial(loss_of, some, t))) for t in steps]
        tell(name)
    tables = [slice_table(lines, count)]
    draw_slices(lines, out / "slices.png")
    experiment.write(tables, ["slices.png"], points=sum(len(line) for line in lines.values()))
    return tables


def slice_table(lines: Mapping[str, Sequence[tuple[float, Mapping[str, float]]]], count: int) -> Table:
    """Every point of every line."""
    rows: list[list[object]] = [
        [name, step, loss["episode"], loss["dense"]] for name, line in lines.items() for step, loss in line
    ]
    note = (
        f"Mean losses of {count} episodes that pretraining did not see. Across: random directions in which each filter "
        "changes by its own length times the step. Random to trained: 0 is random weights, 1 the trained ones."
    )
    return Table("Slices through the loss", note, ["line", "step", "few labels", "names"], rows)


def draw_slices(lines: Mapping[str, Sequence[tuple[float, Mapping[str, float]]]], path: Path) -> None:
    """A panel across, a panel along."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    across, along = figure.subplots(1, 2)
    for name, line in lines.items():
        axis = across if name.startswith("across") else along
        steps = [step for step, _ in line]
        for kind, style in (("episode", "-"), ("dense", "--")):
            axis.plot(steps, [loss[kind] for _, loss in line], style, marker="o", ms=3, lw=1.2,
                      label=f"{name}, {'few labels' if kind == 'episode' else 'names'}")  # fmt: skip
    across.set(title="across the weights", xlabel="step [lengths of a filter]", ylabel="loss")
    along.set(title="from random to trained", xlabel="step", ylabel="loss")
    for axis in (across, along):
        axis.legend(frameon=False, fontsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=90, format="png")
