"""Adaptation: a few labels make a mapper a map model of a real place."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from lightning.pytorch.callbacks import Callback

from terraficta.finetune.calibrate import fit_temperature, spatial_folds
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.head import FittedHead, fit_head, logistic_head, ridge_head
from terraficta.finetune.map_model import MapModel
from terraficta.finetune.recipe import FinetuneRecipe, HeadKind
from terraficta.finetune.task import shorter, train_whole
from terraficta.finetune.tileset.labels import Labels, ground_blocks
from terraficta.pretrain.head import Head
from terraficta.pretrain.model import Mapper
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile


def fresh_mapper(recipe: FinetuneRecipe, seed: int) -> Mapper:
    """A mapper with random weights, the same for the same seed: training from scratch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SceneKey(seed, 0).at("fresh").word())
        return Mapper(recipe.model, TERRAFICTA).eval()


def adapt(
    tiles: Sequence[Tile],
    labels: Labels,
    mapper: Mapper | Encoder,
    recipe: FinetuneRecipe,
    *,
    head: HeadKind = "ridge",
    pretrained: bool = True,
    seed: int = 0,
    device: str = "cpu",
    progress: Sequence[Callback] = (),
) -> MapModel:
    """Make a map model from labels drawn from tiles.

    Parameters
    ----------
    tiles : of the train fold; their class mass is not looked at, only `labels` is
    labels : drawn from these tiles
    mapper : pretrained or fresh; left as it is. An `Encoder` brings its scaling along, to be shared by many fits
    recipe : how
    head : "ridge": closed form, no gradient step; "linear": logistic regression on frozen features;
        "full": every weight, starting from the ridge head
    pretrained : whether the mapper's weights are worth a gentle learning rate; matters for "full" only
    seed : of cross-validation and training

    Raises
    ------
    Refusal
        fewer than two classes among the labels
    """
    if len(torch.unique(labels.classes)) < 2:
        raise Refusal("labels", "classes", labels.counts(), "labels of at least two classes", "draw more labels")
    encoder = (mapper if isinstance(mapper, Encoder) else Encoder.fit(mapper, tiles)).to(device)
    if head == "full":
        rate = recipe.full.learning_rate if pretrained else recipe.full.scratch_learning_rate
        encoder, fitted = _train(encoder, tiles, labels, recipe, rate, seed, progress)
        return MapModel(encoder, fitted, labels.legend).to(device)
    few = labels.at_most(recipe.most_labels)
    candidates = {"ridge": ridge_head(encoder.mapper)}
    if head == "linear":
        candidates = {f"C={c:g}": logistic_head(c) for c in recipe.linear.penalties}
    fitted = fit_head(candidates, encoder.at(tiles, few), few.mass, ground_blocks(tiles, few), recipe, seed)
    return MapModel(encoder, fitted, labels.legend).to(device)


def _train(
    encoder: Encoder,
    tiles: Sequence[Tile],
    labels: Labels,
    recipe: FinetuneRecipe,
    rate: float,
    seed: int,
    progress: Sequence[Callback],
) -> tuple[Encoder, FittedHead]:
    """Train all weights; the temperature comes from a shorter training that half of the labels were held from."""

    def trained(some: Labels, short: bool) -> tuple[Encoder, Head]:
        few = some.at_most(recipe.most_labels)
        start = ridge_head(encoder.mapper)(encoder.at(tiles, few), few.mass)
        mine = replace(encoder, mapper=copy.deepcopy(encoder.mapper))
        budget = shorter(recipe.full) if short else recipe.full
        return mine, train_whole(mine, start, tiles, some, budget, rate, seed, () if short else progress)

    temperature = 1.0
    if recipe.full.calibration_share > 0:
        few = labels.at_most(recipe.most_labels)
        splits = list(spatial_folds(few.classes.numpy(), ground_blocks(tiles, few), seed, folds=2))
        if splits:
            learn, check = (few.take(torch.from_numpy(rows)) for rows in splits[0])
            mine, head = trained(learn, short=True)
            held_out = head.log_probabilities(mine.at(tiles, check)).exp()
            temperature = fit_temperature(held_out.T, check.mass.T, recipe.temperature_doubt)
    mine, head = trained(labels, short=False)
    return mine, FittedHead(head, temperature, f"{recipe.full.steps} steps")
