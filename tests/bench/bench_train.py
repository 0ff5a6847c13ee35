"""Speed of a training step: 4 scenes of 96 px as in the standard recipe, by part, on one thread.

Run: python tests/bench/bench_train.py [recipe changes, e.g. episode.crop_px=96]

A step has to take .10 s or less. CPU seconds are told, because a busy machine stretches wall seconds; median of many
steps, because episodes differ in bands and tasks. Scenes are rendered first, which takes a minute.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from terraficta.pretrain.episode import deal_episode
from terraficta.pretrain.loss import episode_loss
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.precision import autocast, fast_precision
from terraficta.pretrain.recipe import read_pretrain_recipe
from terraficta.pretrain.stream import FictionStream
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA

GOAL_S = 0.10
GROUPS, WARM, STEPS = 4, 4, 40


def main() -> None:
    """Print one row a part."""
    torch.set_num_threads(1)
    recipe = read_pretrain_recipe("standard", ["ground_px=96", "pool=1", "looks=1", *sys.argv[1:]])
    stream = FictionStream(recipe, 0, 0, "cpu")
    groups = [stream.group(number) for number in range(GROUPS)]
    mapper = Mapper(recipe.model, TERRAFICTA)
    optimiser = torch.optim.AdamW(mapper.parameters(), lr=1e-3, fused=True)
    seconds: dict[str, list[float]] = {"deal": [], "forward and loss": [], "backward": [], "optimiser": []}
    for step in range(WARM + STEPS):
        marks = [time.process_time()]
        episode = deal_episode(recipe.episode, groups[step % GROUPS], SceneKey(0, step).at("episode"))
        marks.append(time.process_time())
        with autocast("cpu"):
            loss = episode_loss(mapper, episode, recipe.rehearsal, recipe.dense)["loss"]
        marks.append(time.process_time())
        loss.backward()
        marks.append(time.process_time())
        torch.nn.utils.clip_grad_norm_(mapper.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        marks.append(time.process_time())
        if step >= WARM:
            for part, start, end in zip(seconds.values(), marks, marks[1:], strict=False):
                part.append(end - start)
    for name, part in seconds.items():
        print(f"{name:18s} {statistics.median(part):.3f} s")
    whole = statistics.median(map(sum, zip(*seconds.values(), strict=True)))
    print(f"{'step':18s} {whole:.3f} s, {whole / GOAL_S:.2f} of the goal, in {fast_precision('cpu')}")


if __name__ == "__main__":
    main()
