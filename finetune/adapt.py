"""Adaptation: a few labels make a mapper a map model of a real place."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from lightning.pytorch.callbacks import Callback

from terraficta.finetune.calibrate import fit_temperature, soften, spatial_folds
from terraficta.finetune.conformal import fit_sets
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.experts.fit import UNLABELLED, fit_blend, names_alone, names_of
from terraficta.finetune.head import FittedHead, fit_head, logistic_head, ridge_head
from terraficta.finetune.labelled import MOST, Labelled
from terraficta.finetune.map_model import MapModel
from terraficta.finetune.recipe import FinetuneRecipe, HeadKind
from terraficta.finetune.task import shorter, train_whole
from terraficta.finetune.tileset.labels import Labels, draw_pixels, ground_blocks
from terraficta.finetune.tileset.meanings import Meanings, propose_meanings
from terraficta.pretrain.head import Head
from terraficta.pretrain.model import Mapper
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile


def fresh_mapper(recipe: FinetuneRecipe, seed: int) -> Mapper:
    """A mapper with random weights, the same for the same seed: training from scratch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SceneKey(seed, 0).at("fresh").field_seed())
        return Mapper(recipe.model, TERRAFICTA).eval()


def adapt(
    tiles: Sequence[Tile],
    labels: Labels | None,
    mapper: Mapper | Encoder,
    recipe: FinetuneRecipe,
    *,
    head: HeadKind = "default",
    meanings: Meanings | None = None,
    pretrained: bool = True,
    seed: int = 0,
    device: str = "cpu",
    progress: Sequence[Callback] = (),
    evidence: Evidence | None = None,
) -> MapModel:
    """Make a map model from labels drawn from tiles.

    Parameters
    ----------
    tiles : Sequence[Tile]
        of the train fold; their class mass is not looked at, only `labels` is
    labels : Labels | None
        drawn from these tiles; None: names alone make the map
    mapper : Mapper | Encoder
        pretrained or fresh; left as it is. An `Encoder` brings its scaling along, to be shared by many fits
    recipe : FinetuneRecipe
        how
    head : HeadKind
        "default": names (without them a ridge) and a forest on context and features, together; "ridge": that alone;
        "linear": logistic regression on frozen features; "full": every weight, starting from the ridge head
    meanings : Meanings | None
        of the legend's classes, for the default head; None: proposed from their names
    pretrained : bool
        whether the mapper has seen fiction: "full" then trains gently, and "default" asks what names mean
    seed : int
        of cross-validation and training
    evidence : Evidence | None
        of `labels.at_most(recipe.most_labels)`, for the default head, where it is known already

    Raises
    ------
    Refusal
        fewer than two classes among the labels; no labels, and names that tell no classes apart
    """
    meanings = meanings or propose_meanings(tiles[0].legend.classes)
    if labels is None:
        if not pretrained:
            mend = "give weights, or draw labels"
            raise Refusal("labels", "number", 0, "weights of a pretraining, where names alone make the map", mend)
        encoder = (mapper if isinstance(mapper, Encoder) else Encoder.fit(mapper, tiles)).to(device)
        rest = evidence_at(encoder, tiles, draw_pixels(tiles, UNLABELLED, seed))
        fitted = names_alone(rest, meanings, encoder.dates, ridge_head(encoder.mapper), recipe)
        return MapModel(encoder, fitted, tiles[0].legend).to(device)
    if len(torch.unique(labels.classes)) < 2:
        raise Refusal("labels", "classes", labels.counts(), "labels of at least two classes", "draw more labels")
    encoder = (mapper if isinstance(mapper, Encoder) else Encoder.fit(mapper, tiles)).to(device)
    if head == "full":
        rate = recipe.full.learning_rate if pretrained else recipe.full.scratch_learning_rate
        encoder, fitted = _train(encoder, tiles, labels, recipe, rate, seed, progress)
        few = labels.at_most(MOST)
        return MapModel(encoder, fitted, labels.legend, Labelled.of(few, tiles, encoder.at(tiles, few))).to(device)
    few = labels.at_most(recipe.most_labels)
    if head == "default":
        evidence, blocks = evidence or evidence_at(encoder, tiles, few), ground_blocks(tiles, few)
        names = names_of(meanings, encoder.dates) if pretrained else None
        fitted = fit_blend(evidence, few.mass, blocks, ridge_head(encoder.mapper), meanings, names, recipe, seed)
        return MapModel(encoder, fitted, labels.legend, Labelled.of(few, tiles, evidence.features)).to(device)
    candidates = {"ridge": ridge_head(encoder.mapper)}
    if head == "linear":
        candidates = {f"C={c:g}": logistic_head(c) for c in recipe.linear.penalties}
    features = encoder.at(tiles, few)
    fitted = fit_head(candidates, features, few.mass, ground_blocks(tiles, few), recipe, seed)
    return MapModel(encoder, fitted, labels.legend, Labelled.of(few, tiles, features)).to(device)


def _train(
    encoder: Encoder,
    tiles: Sequence[Tile],
    labels: Labels,
    recipe: FinetuneRecipe,
    rate: float,
    seed: int,
    progress: Sequence[Callback],
) -> tuple[Encoder, FittedHead]:
    """Train all weights; temperature and sets come from a shorter training that half of the labels were held from."""

    def trained(some: Labels, short: bool) -> tuple[Encoder, Head]:
        few = some.at_most(recipe.most_labels)
        start = ridge_head(encoder.mapper)(encoder.at(tiles, few), few.mass)
        mine = replace(encoder, mapper=copy.deepcopy(encoder.mapper))
        mine.mapper.familiarity = None  # its features will not be those of pretraining
        budget = shorter(recipe.full) if short else recipe.full
        return mine, train_whole(mine, start, tiles, some, budget, rate, seed, () if short else progress)

    temperature, sets = 1.0, None
    if recipe.full.calibration_share > 0:
        few = labels.at_most(recipe.most_labels)
        splits = list(spatial_folds(few.classes.numpy(), ground_blocks(tiles, few), seed, folds=2))
        if splits:
            learn, check = (few.take(torch.from_numpy(rows)) for rows in splits[0])
            mine, head = trained(learn, short=True)
            unseen = head.log_probabilities(mine.at(tiles, check)).exp().T
            temperature = fit_temperature(unseen, check.mass.T, recipe.temperature_doubt)
            sets = fit_sets(soften(unseen, temperature), check.classes, recipe.coverage)
    mine, head = trained(labels, short=False)
    return mine, FittedHead(head, temperature, f"{recipe.full.steps} steps", sets)
