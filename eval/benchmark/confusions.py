"""The critic: what the network calls each class of a real place, without a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.eval.benchmark.pixels import fold_pixels, labels_of
from terraficta.eval.metrics import Tally
from terraficta.finetune.adapt import adapt
from terraficta.finetune.evidence import Evidence, evidence_at
from terraficta.finetune.experts.blend import Blend
from terraficta.finetune.map_model import MapModel
from terraficta.finetune.recipe import FinetuneRecipe, read_finetune_recipe
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.pretrain.model import Mapper
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile


@dataclass(frozen=True)
class Confusion:
    """How fiction sees one class of a tileset.

    Parameters
    ----------
    name : str
        of the class
    share : float
        of the labelled test pixels
    iou : float
        of the map from names alone; NaN where the class has no name that is understood
    called : tuple[tuple[str, float], ...]
        classes of fiction and their mean probability over its pixels, the likeliest first
    mapped : tuple[tuple[str, float], ...]
        classes of the legend that its pixels are mapped as, and how many of them, the most first
    """

    name: str
    share: float
    iou: float
    called: tuple[tuple[str, float], ...]
    mapped: tuple[tuple[str, float], ...]


def confusions(
    tileset: Tileset, mapper: Mapper, recipe: FinetuneRecipe | None = None, pixels: int = 10_000, most: int = 4
) -> list[Confusion]:
    """The confusion of every class of a tileset, on test pixels, by the model that maps from names alone.

    No label is used but to compare.

    Parameters
    ----------
    tileset : Tileset
        of one date
    mapper : Mapper
        pretrained
    recipe : FinetuneRecipe | None
        how names make a map; None: the standard one
    pixels : int
        test pixels that are asked at most
    most : int
        classes that are named

    Raises
    ------
    Refusal
        change, tilesets without labels, and names that tell no classes apart
    """
    if tileset.dates > 1 or not len(tileset.legend):
        found = "pairs of dates" if tileset.dates > 1 else "no legend"
        raise Refusal(tileset.folder, "legend", found, "classes of one date", "name another tileset")
    tiles = [tile for tile in tileset.tiles() if bool((tile.mass.sum(0) > 0).any())]
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())] or tiles
    model = adapt(train, None, mapper, recipe or read_finetune_recipe("standard"), meanings=tileset.meanings)
    evidence, mass = _test_evidence(tileset, tiles, model, pixels)
    classes, truth = tileset.legend.classes, mass.argmax(1)
    head = model.fitted.head
    assert isinstance(head, Blend)  # of names and a ridge
    assert evidence.fiction is not None
    probability, said = evidence.fiction.exp(), head.log_probabilities(evidence)
    tally = Tally(len(classes))
    tally.add(said.exp().T, mass.T)
    guess, iou = said.argmax(1), tally.scores().iou
    rows = []
    for k, name in enumerate(classes):
        mine = truth == k
        if not bool(mine.any()):
            continue
        called = probability[mine].mean(0)
        mapped = torch.bincount(guess[mine], minlength=len(classes)) / mine.sum()
        known = tileset.meanings.named[k]
        rows.append(
            Confusion(
                name,
                float(mine.float().mean()),
                float(iou[k]) if known else float("nan"),
                _first(mapper.legend.classes, called, most),
                _first(classes, mapped, most),
            )  # fmt: skip
        )
    return rows


def _first(names: Sequence[str], shares: Tensor, most: int) -> tuple[tuple[str, float], ...]:
    order = shares.argsort(descending=True)[:most].tolist()
    return tuple((names[i], round(float(shares[i]), 3)) for i in order if shares[i] > 0.005)


def _test_evidence(tileset: Tileset, tiles: list[Tile], model: MapModel, most: int) -> tuple[Evidence, Tensor]:
    """Evidence and mass (P, K) of test pixels, evenly drawn."""
    found = fold_pixels(tiles, TEST, most, tileset.name)
    if not found:
        raise Refusal(tileset.folder, "fold", "no labelled test pixel", "at least one", "check labels and folds")
    where = labels_of(found)
    return evidence_at(model.encoder.with_tiles(tiles), [p.tile for p in found], where), where.mass
