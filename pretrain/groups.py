"""Groups on disk: scenes rendered once, in half precision, for trainings that see each of them many times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import IterableDataset

from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.pretrain.stream import Batch, FictionStream
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, whole_file
from terraficta.synth.types.sensor import Band, Sensor

MASS_STEPS = 255
"""class mass is kept as a byte: 0.4 %, a tenth of a pixel's own uncertainty"""


def write_group(path: Path, batch: Batch) -> None:
    """Write a group whole: reflectance as float16 (0.05 %), other numbers as they are."""
    calibrated = batch.level in ("BOA", "TOA")
    content: dict[str, Any] = {
        "image": (batch.image.half() if calibrated else batch.image).cpu(),
        "valid": batch.valid.cpu(),
        "mass": (batch.mass * MASS_STEPS).round().to(torch.uint8).cpu(),
        "uses": (batch.uses * MASS_STEPS).round().to(torch.uint8).cpu(),
        "material": batch.material.to(torch.int32).cpu(),
        "sensor": json.dumps(asdict(batch.sensor)),
        "level": batch.level,
    }
    with whole_file(path) as partial:
        torch.save(content, partial)


def read_group(path: Path) -> Batch:
    """Read a group written by `write_group`.

    Raises
    ------
    Refusal
        for a damaged file, or one that is something else
    """
    try:
        content = torch.load(path, weights_only=True)
        sensor = json.loads(content["sensor"])
    except Exception as error:  # torch raises whatever the damage provokes
        raise Refusal(
            path, "group", type(error).__name__, "a group of scenes", "remove it; it is made again"
        ) from error
    bands = tuple(Band(**{**b, "mtf_nyquist": tuple(b["mtf_nyquist"])}) for b in sensor["bands"])
    return Batch(
        content["image"].float(), content["valid"], content["mass"].float() / MASS_STEPS, content["material"].long(),
        content["uses"].float() / MASS_STEPS, Sensor(**{**sensor, "bands": bands}), content["level"],
    )  # fmt: skip


def render_groups(
    recipe: PretrainRecipe, folder: Path, count: int, seed: int = 0, device: str = "cpu"
) -> Iterator[int]:
    """Render the groups of a recipe that a folder lacks, up to `count`; yields the number of each when it is there."""
    run = Run("groups", recipe.model_dump(mode="json"), seed)
    stream = FictionStream(recipe, seed, 0, device)
    for number in range(count):
        path = folder / f"{number:05d}.pt"
        if not path.is_file():
            write_group(path, stream.group(number))
        yield number
    run.write(folder, {"groups": count}, device=device, digest=f"{recipe.digest()}-{seed}-{count}")


class GroupStream(IterableDataset[Batch]):
    """Groups from a folder, over and over, every round in a new order.

    Parameters
    ----------
    folder : Path
        of `render_groups`
    seed, start : int
        of the order, and the first group
    stride : int
        from group to group
    """

    def __init__(self, folder: Path, seed: int, start: int, stride: int = 1) -> None:
        self.seed, self.start, self.stride = seed, start, stride
        self.paths = sorted(folder.glob("[0-9]*.pt"))
        if not self.paths:
            raise Refusal(folder, "groups", 0, "at least one group", "make some first: terraficta pretrain render")

    def group(self, number: int) -> Batch:
        """Group `number` of the endless series."""
        turn, place = divmod(number, len(self.paths))
        order = SceneKey(self.seed, turn).at("order").rng().permutation(len(self.paths))
        return read_group(self.paths[int(order[place])])

    def __iter__(self) -> Iterator[Batch]:
        number = self.start
        while True:
            yield self.group(number)
            number += self.stride
