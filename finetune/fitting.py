"""The fitting: a tileset and some of its labels, or samples, give a model on disk, with the record of how."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.callbacks import Callback

from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.map_model import MODEL, MapModel, write_map_model
from terraficta.finetune.recipe import FinetuneRecipe, HeadKind, ValueHead
from terraficta.finetune.regression import ValueModel, fit_values, sample_values, write_value_model
from terraficta.finetune.tileset.labels import Labels, draw_labels
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.weights import read_weights, weights_digest
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, whole_folder
from terraficta.synth.types.tile import Tile

STAGE = "finetune"
"""what run.json says of a model of ours"""


@dataclass(frozen=True)
class Fitting:
    """A map model, and what it was fitted to.

    Parameters
    ----------
    model : MapModel
        as it stands in the folder
    tiles : list[Tile]
        of the train fold
    labels : Labels | None
        drawn from them; None: names alone
    recipe : FinetuneRecipe
        how
    evidence : Evidence | None
        of `labels.at_most(recipe.most_labels)`, with the default head: what a cross-validation need not read again
    """

    model: MapModel
    tiles: list[Tile]
    labels: Labels | None
    recipe: FinetuneRecipe
    evidence: Evidence | None = None


def fit_tileset(
    tileset: Tileset,
    out: Path,
    recipe: FinetuneRecipe,
    *,
    number: int | Literal["all"] = "all",
    head: HeadKind = "default",
    weights: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    replaced: str | None = None,
    progress: Sequence[Callback] = (),
) -> Fitting:
    """Draw labels from the train fold of a tileset, fit a map model, write model.pt and run.json.

    Parameters
    ----------
    tileset : Tileset
        opened
    out : Path
        new folder
    recipe : FinetuneRecipe
        how
    number : int | Literal['all']
        labelled pixels a class; 0: names alone
    head : HeadKind
        as in `adapt`
    weights : str | None
        a file in place of those that ship; "none": random ones
    seed : int
        of the draw of labels, and of training
    replaced : str | None
        stage of a run that may stand at `out`, and is replaced

    Raises
    ------
    Refusal
        no labels where some are asked for, or labels of a single class
    """
    mapper, pretraining = start_mapper(weights, recipe, seed)
    tiles = train_tiles(tileset, number, head)
    with whole_folder(out, replaced) as partial:
        parents = {"weights": (pretraining or {}).get("digest"), "tileset": manifest_digest(tileset)}
        record = Run(STAGE, recipe.model_dump(mode="json"), seed, parents)
        labels = None if number == 0 else draw_labels(tiles, number, seed)
        encoder = Encoder.fit(mapper, tiles).to(device)
        evidence = None
        if labels is not None and head == "default" and len(torch.unique(labels.classes)) > 1:
            evidence = evidence_at(encoder, tiles, labels.at_most(recipe.most_labels))
        model = adapt(
            tiles, labels, encoder, recipe, head=head, meanings=tileset.meanings, pretrained=weights != "none",
            seed=seed, device=device, progress=progress, evidence=evidence,
        )  # fmt: skip
        write_map_model(partial, model)
        counts = {} if labels is None else labels.counts()
        metrics = {"labels": counts, "temperature": model.temperature, "choice": model.choice}
        record.write(
            partial, metrics, device=device, digest=weights_digest(partial / MODEL), head=head,
            labels_per_class=number, weights=weights or "shipped", weights_record=pretraining,
            tileset=about_tileset(tileset),
        )  # fmt: skip
    return Fitting(model, tiles, labels, recipe, evidence)


def train_tiles(tileset: Tileset, number: int | Literal["all"], head: HeadKind) -> list[Tile]:
    """The tiles of the train fold; all tiles where names alone must do and none is labelled.

    Large ones hold no pixels: what is fitted looks at windows with labels, and at some that are drawn.

    Raises
    ------
    Refusal
        a trained head without labels, or a tileset without any
    """
    tiles = list(tileset.tiles("train", unread=True))
    if number == 0 and head != "default":
        raise Refusal("--head", "head", f"{head} without labels", "default", "draw labels, or leave --head out")
    if not tiles and number == 0 and len(tileset.legend):
        tiles = list(tileset.tiles(unread=True))
    if not tiles:
        mend = "name a tileset with a legend and labels"
        raise Refusal(tileset.folder, "label", "no labels", "labelled pixels in the train fold", mend)
    return tiles


@dataclass(frozen=True)
class ValueFitting:
    """A model of a quantity, and to how many samples it was fitted."""

    model: ValueModel
    samples: int


def fit_tileset_values(
    tileset: Tileset,
    out: Path,
    recipe: FinetuneRecipe,
    *,
    number: int | Literal["all"],
    head: ValueHead,
    weights: str | None = None,
    seed: int = 0,
    replaced: str | None = None,
) -> ValueFitting:
    """Draw samples of a quantity from the train fold, fit a model of it, write model.pt and run.json.

    Parameters
    ----------
    tileset : Tileset
        of a quantity
    out, recipe, weights, seed, replaced
        as in `fit_tileset`
    number : int | Literal['all']
        samples
    head : ValueHead
        as in `fit_values`

    Raises
    ------
    Refusal
        no samples
    """
    assert tileset.quantity is not None
    mapper, pretraining = start_mapper(weights, recipe, seed)
    tiles = list(tileset.tiles("train", unread=True))
    if not tiles or number == 0:
        mend = "name a tileset with values in the train fold, and ask for some"
        raise Refusal(tileset.folder, "value", "no samples", "known values in the train fold", mend)
    with whole_folder(out, replaced) as partial:
        parents = {"weights": (pretraining or {}).get("digest"), "tileset": manifest_digest(tileset)}
        record = Run(STAGE, recipe.model_dump(mode="json"), seed, parents)
        samples = sample_values(tiles, recipe, None if number == "all" else number, seed)
        model = fit_values(tiles, samples, Encoder.fit(mapper, tiles), recipe, head, tileset.quantity, seed)
        write_value_model(partial, model)
        metrics = {"samples": len(samples), "mean": model.mean, "spread": model.spread, "trained": model.trained}
        record.write(
            partial, metrics, digest=weights_digest(partial / MODEL), head=head, quantity=tileset.quantity,
            weights_record=pretraining, tileset=about_tileset(tileset),
        )  # fmt: skip
    return ValueFitting(model, len(samples))


def start_mapper(weights: str | None, recipe: FinetuneRecipe, seed: int) -> tuple[Mapper, dict[str, Any] | None]:
    """The mapper to start from, and the record of the run that made it."""
    return (fresh_mapper(recipe, seed), None) if weights == "none" else read_weights(weights)


def about_tileset(tileset: Tileset) -> dict[str, Any]:
    """What a product of the same kind must be read by."""
    keys = ("folder", "name", "about", "level", "scale", "offset", "nodata", "dropped", "gsd_m", "dates")
    return {key: getattr(tileset, key) for key in keys}


def manifest_digest(tileset: Tileset) -> str:
    """12 hex digits of the manifest."""
    return hashlib.blake2b((tileset.folder / MANIFEST).read_bytes(), digest_size=6).hexdigest()
