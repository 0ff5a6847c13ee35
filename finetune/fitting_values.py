"""The fitting of a quantity: samples of it give a model on disk, with the record of how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from terraficta.finetune.encoder import Encoder
from terraficta.finetune.fitting import STAGE, about_tileset, manifest_digest, start_mapper
from terraficta.finetune.map_model import MODEL
from terraficta.finetune.recipe import FinetuneRecipe, ValueHead
from terraficta.finetune.regression import ValueModel, fit_values, sample_values, write_value_model
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.pretrain.weights import weights_digest
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, whole_folder


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
    tiles = list(tileset.tiles("train"))
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
