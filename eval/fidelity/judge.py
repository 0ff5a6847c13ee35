"""The judge: what weights are worth on real tilesets, by names alone and with a few labels, in seconds a tileset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terraficta.eval.benchmark.pixels import fold_pixels, labels_of
from terraficta.eval.metrics import Tally
from terraficta.finetune.context import band_pairs, context_features
from terraficta.finetune.encoder import Encoder, labelled_parts
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.experts.blend import Exponents, log_shares
from terraficta.finetune.experts.forest import fit_forest
from terraficta.finetune.experts.linear import fit_linear
from terraficta.finetune.experts.names import NamesHead
from terraficta.finetune.head import ridge_head
from terraficta.finetune.recipe import BlendRecipe
from terraficta.finetune.tileset.labels import Labels, draw_labels
from terraficta.finetune.tileset.meanings import Meanings
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.model import Mapper
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

FOREST_TREES = 100
"""as in the default head"""


@dataclass(frozen=True)
class JudgeAmounts:
    """How much is looked at.

    Parameters
    ----------
    test_px : int
        test pixels a tileset, a random sample that all weights share
    image_px : int
        pixels of all images of a tileset at most; where there are more, scenes are left out evenly
    labels_per_class, draws : int
        of the labels
    """

    test_px: int = 4000
    image_px: int = 330_000
    labels_per_class: int = 25
    draws: int = 3


@dataclass(frozen=True)
class Exam:
    """One tileset as the judge asks about it: everything that does not hang on the weights, made once.

    Parameters
    ----------
    name : str
        of the tileset
    tiles, train : list[Tile]
        all that are looked at, and those with labels of the train fold
    meanings : Meanings
        of its classes
    test : Labels
        the test pixels; `tile` is a position among `tiles`
    draws : list[Labels]
        likewise, positions among `train`
    forests, linear : list[Tensor]
        (P, K) log-probabilities of a forest and of a linear expert fitted to each draw, at the test pixels
    """

    name: str
    tiles: list[Tile]
    train: list[Tile]
    meanings: Meanings
    test: Labels
    draws: list[Labels]
    forests: list[Tensor]
    linear: list[Tensor]


def set_exam(folder: Path, amounts: JudgeAmounts) -> Exam:
    """Read a tileset, and draw what will be asked.

    Raises
    ------
    Refusal
        a tileset without labels in both folds, or of two dates
    """
    tileset = read_tileset(folder)
    if tileset.dates > 1 or tileset.quantity is not None:
        raise Refusal(folder, "task", "change, or a quantity", "classes of one date", "leave this tileset out")
    tiles = thinned([t for t in tileset.tiles() if bool((t.mass.sum(0) > 0).any())], amounts.image_px)
    train = [tile for tile in tiles if bool(tile.in_fold(TRAIN).any())]
    pixels = fold_pixels(tiles, TEST, amounts.test_px, tileset.name)
    if not train or not pixels:
        raise Refusal(
            folder, "fold", "one fold without labels", "labels to learn from and to test on", "check the folds"
        )
    test = labels_of(pixels)
    mine = [next(n for n, tile in enumerate(tiles) if tile is own.tile) for own in pixels]
    test = Labels(torch.tensor(mine)[test.tile], test.y, test.x, test.mass, test.legend, "all")
    draws = [draw_labels(train, amounts.labels_per_class, seed) for seed in range(amounts.draws)]
    context = _context(tiles, test)
    forests, linear = [], []
    for seed, labels in enumerate(draws):
        classes, weight = labels.classes.numpy(), labels.mass.sum(1).double().numpy()
        learnt = _context(train, labels)
        forest = fit_forest(learnt, classes, weight, labels.mass.shape[1], seed, FOREST_TREES)
        forests.append(log_shares(forest.probabilities(context)))
        linear.append(fit_linear(torch.from_numpy(learnt), labels.mass).log_probabilities(torch.from_numpy(context)))
    return Exam(tileset.name, tiles, train, tileset.meanings, test, draws, forests, linear)


def thinned(tiles: Sequence[Tile], most_px: int) -> list[Tile]:
    """Tiles that have no more than so many pixels together: of each fold, every so-manieth; at least one."""
    total = sum(tile.valid.numel() for tile in tiles)
    if total <= most_px:
        return list(tiles)
    kept: list[Tile] = []
    kinds = [[t for t in tiles if bool(t.in_fold(TRAIN).any())], [t for t in tiles if not bool(t.in_fold(TRAIN).any())]]
    for kind in kinds:
        if kind:
            count = max(1, int(len(kind) * most_px / total))
            kept += [kind[int(i)] for i in np.linspace(0, len(kind) - 1, count).round()]
    return kept


def _context(tiles: Sequence[Tile], labels: Labels) -> np.ndarray:
    """(P, F) bands, surroundings and ratios of pixels."""
    found: Tensor | None = None
    for part in labelled_parts(tiles, labels):
        sensor = tiles[int(labels.tile[part.which[0]])].sensor
        planes = context_features(part.image, part.valid, band_pairs(sensor, 1))[0].flatten(1)[:, part.place].T
        found = torch.empty(len(labels), planes.shape[1]) if found is None else found
        found[part.which] = planes
    assert found is not None  # a draw of labels is never empty
    return found.numpy()


@torch.no_grad()
def read_pixels(encoder: Encoder, tiles: Sequence[Tile], labels: Labels) -> Evidence:
    """What the network says of pixels, without their context."""
    features, fiction, uses = (
        torch.empty(len(labels), n) for n in (encoder.mapper.width, len(encoder.mapper.legend), 2)
    )
    for part in labelled_parts(tiles, labels):
        reading = encoder.read(part.image, part.valid, [part.scene])
        for goal, plane in ((features, reading.features), (fiction, reading.logits), (uses, reading.uses)):
            goal[part.which] = plane[0].flatten(1)[:, part.place].T.cpu()
    return Evidence(features, torch.log_softmax(fiction, 1), uses.sigmoid(), np.empty((len(labels), 0), np.float32))


def miou(log_probabilities: Tensor, mass: Tensor) -> float:
    """Mean intersection over union of (P, K) log-probabilities on (P, K) class mass."""
    tally = Tally(mass.shape[1])
    tally.add(torch.softmax(log_probabilities, 1).T, mass.T)
    return tally.scores().miou


def judge(mapper: Mapper, exam: Exam, amounts: JudgeAmounts) -> dict[str, float | list[float] | None]:
    """mIoU of `names` alone, and by draw of labels of the `ridge` on features and of the `default` blend.

    `forest` alone, which hangs on no weights, stands beside them; `familiarity` is the mean over the test pixels.
    """
    mapper.eval()
    encoder = Encoder.fit(mapper, exam.train).with_tiles(exam.tiles)
    test, fit = read_pixels(encoder, exam.tiles, exam.test), ridge_head(mapper)
    named = NamesHead.of(exam.meanings).log_probabilities(test) if exam.meanings.enough else None
    told = 0.0 if named is None else exam.meanings.telling
    power = Exponents.of(BlendRecipe(), amounts.labels_per_class, told)
    ridge, default = [], []
    for labels, forest, linear in zip(exam.draws, exam.forests, exam.linear, strict=True):
        head = fit(read_pixels(encoder, exam.train, labels).features, labels.mass)
        logs = head.log_probabilities(test.features)
        ridge.append(miou(logs, exam.test.mass))
        said = {"ridge": logs, "forest": forest, "linear": linear} | ({} if named is None else {"names": named})
        default.append(miou(power.product(said), exam.test.mass))
    known = mapper.familiarity
    return {
        "names": None if named is None else miou(named, exam.test.mass),
        "ridge": ridge, "default": default,
        "forest": [miou(forest, exam.test.mass) for forest in exam.forests],
        "familiarity": None if known is None else float(known(test.features).mean()),
    }  # fmt: skip
