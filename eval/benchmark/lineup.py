"""The line-up: the arms that a recipe names, with the weights that some of them stand on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terraficta.eval.benchmark.arms import CHANGE_ARMS, PIXEL_ARMS, Arm
from terraficta.eval.benchmark.filters import FILTERS, POOLED_PX, read_filters
from terraficta.eval.benchmark.masked import pretrain_masked
from terraficta.eval.benchmark.networks import (
    FrozenArm,
    NetworkArm,
    WideForestArm,
    blend_head,
    closed_head,
    names_head,
    ridges,
)
from terraficta.eval.benchmark.readings import Learn, PlacedReader, Read, Reader
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import evidence_at
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import FinetuneRecipe, read_finetune_recipe
from terraficta.finetune.tileset.labels import Labels
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

ON_FICTION = ("names", "default", "default-place", "ridge", "full")
"""arms that stand on the weights of a pretraining on fiction; one is told the place of every pixel too"""
WITHOUT_FICTION = ("random", "masked", "scratch", "imagenet", "filters", "forest-wide")
"""the same network from other starts, random filters, and a forest on what the default head sees beside its network"""
SIMPLE_ARMS = PIXEL_ARMS | CHANGE_ARMS
"""arms without a network"""
NAMES = (*ON_FICTION, *WITHOUT_FICTION, *SIMPLE_ARMS)
FIRST_SEED = 0
"""of the random weights that `random` and `masked` start from: one start a tileset, which all draws share"""
NO_IMAGENET = "no timm weights were given (--imagenet FILE)"


@dataclass(frozen=True)
class Arms:
    """Arms by name, and the pretraining that some of them stand on.

    Parameters
    ----------
    arms : Mapping[str, Arm]
        by name
    weights : str | None
        digest of the weights; None without
    record : dict[str, Any] | None
        run record of the pretraining; None without
    missing : Mapping[str, str]
        arms that were asked for and cannot be made, and why
    """

    arms: Mapping[str, Arm]
    weights: str | None = None
    record: dict[str, Any] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


def make_arms(
    recipe: BenchmarkRecipe,
    weights: Path | None,
    device: str,
    *,
    imagenet: Path | None = None,
    readings: Path | None = None,
) -> Arms:
    """The arms that a recipe names; those that train share network, steps, crops and everything but the start.

    Parameters
    ----------
    recipe : BenchmarkRecipe
        names and budgets
    weights : Path | None
        of a pretraining on fiction; None: those that ship
    device : str
        "cpu" or "cuda", for arms that train
    imagenet : Path | None
        file of timm weights of the encoder as published; None: the arm `imagenet` is left out, and said to be
    readings : Path | None
        folder that keeps what networks say of pixels; None: in memory

    Raises
    ------
    Refusal
        an unknown arm, or one that needs weights where there are none
    """
    for name in recipe.arms:
        if name not in NAMES:
            raise Refusal("--arms", "arm", name, f"among {', '.join(NAMES)}", "correct the name")
    tuning = read_finetune_recipe(recipe.adapt)
    learned = weights is not None or any(name in ON_FICTION for name in recipe.arms)
    mapper, record = read_weights(weights) if learned else (None, None)
    digest = weights_digest(weights or SHIPPED) if mapper is not None else "none"
    if mapper is not None:
        tuning = tuning.model_copy(update={"model": mapper.recipe})  # the same network, unlearned
    made: dict[str, Arm] = {}
    missing: dict[str, str] = {}
    reader = None if mapper is None else Reader("fiction", digest, encoder_reading(mapper), readings)
    for name in recipe.arms:
        if name in SIMPLE_ARMS:
            made[name] = SIMPLE_ARMS[name]
        elif name in ON_FICTION:
            assert mapper is not None
            assert reader is not None
            made[name] = _on_fiction(name, mapper, reader, tuning, digest, device)
        elif name == "forest-wide":
            made[name] = WideForestArm(name, reader or Reader("random", "", random_reading(tuning), readings))
        elif name == "imagenet" and imagenet is None:
            missing[name] = NO_IMAGENET
        else:
            made[name] = _without_fiction(name, tuning, device, imagenet, readings)
    return Arms(made, None if mapper is None else digest, record, missing)


def _on_fiction(
    name: str, mapper: Mapper, reader: Reader, tuning: FinetuneRecipe, digest: str, device: str
) -> Arm:  # fmt: skip
    if name == "full":
        return NetworkArm(name, "full", tuning, mapper, digest, device)
    head = closed_head({"ridge": ridge_head(mapper)}, tuning) if name == "ridge" else blend_head(mapper, tuning)
    told = PlacedReader(reader) if name == "default-place" else reader
    return FrozenArm(name, told, head, tuning, digest, names_head(mapper, tuning) if name == "names" else None)


def _without_fiction(
    name: str, tuning: FinetuneRecipe, device: str, imagenet: Path | None, readings: Path | None
) -> Arm:  # fmt: skip
    if name == "scratch":
        return NetworkArm(name, "full", tuning, None, "none", device)
    if name == "imagenet":
        assert imagenet is not None
        if not imagenet.is_file():
            raise Refusal(imagenet, "--imagenet", "no such file", "timm weights of the encoder", "check the path")
        model = tuning.model.model_copy(update={"encoder_args": {}, "pretrained": str(imagenet)})
        return NetworkArm(
            name, "full", tuning.model_copy(update={"model": model}), None, weights_digest(imagenet), device
        )
    if name == "filters":
        text = f"{FILTERS} {POOLED_PX}"
        return FrozenArm(name, Reader(name, text, read_filters, readings), closed_head(ridges(), tuning), tuning)
    learn = random_reading(tuning) if name == "random" else masked_reading(tuning)
    return FrozenArm(name, Reader(name, tuning.digest(), learn, readings), closed_head(ridges(), tuning), tuning)


def encoder_reading(mapper: Mapper) -> Learn:
    """Readings of a mapper as it is."""

    def learn(tiles: Sequence[Tile], others: Sequence[Tile]) -> Read:
        return _reading(Encoder.fit(mapper, tiles).with_tiles(others))

    return learn


def random_reading(recipe: FinetuneRecipe) -> Learn:
    """Readings of a mapper with random weights."""
    return lambda tiles, others: encoder_reading(fresh_mapper(recipe, FIRST_SEED))(tiles, others)


def masked_reading(recipe: FinetuneRecipe) -> Learn:
    """Readings of a mapper that painted in hidden patches of the images that it is given, labelled or not."""

    def learn(tiles: Sequence[Tile], others: Sequence[Tile]) -> Read:
        mapper = copy.deepcopy(fresh_mapper(recipe, FIRST_SEED))
        encoder = Encoder.fit(mapper, tiles).with_tiles(others)
        by_id = {tile.id: tile for tile in (*tiles, *others)}
        pretrain_masked(encoder, list(by_id.values()), recipe.full, FIRST_SEED)
        return _reading(encoder)

    return learn


def _reading(encoder: Encoder) -> Read:
    def read(tiles: Sequence[Tile], labels: Labels) -> Any:
        return evidence_at(encoder.with_tiles(tiles), tiles, labels)

    return read
