"""The audit: three faults of plumbing that fake or ruin a score, each looked for by name before it is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from terraficta.eval.benchmark.pixels import Features, Pixels, fold_pixels, label_features
from terraficta.eval.table import Table
from terraficta.finetune.tileset.labels import Labels, draw_labels
from terraficta.finetune.tileset.plausibility import require_reflectance
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

Fault = Literal["leak", "scale", "shuffle"]
FAULTS: tuple[Fault, ...] = ("leak", "scale", "shuffle")
"""test ground that trains; numbers that are not what the manifest says; labels that do not belong to their pixels"""

PER_CLASS = 100
"""labels a class that the probes learn from"""
TESTED = 3000
"""test pixels that they are asked about"""
TREES = 40
SHUFFLES = 19
"""of the labels: with none of them as good as the true labels, chance is ruled out at 1 in 20"""
MOST_TOUCHING = 0.02
"""share of the test pixels that may touch a train pixel: a stray polygon, not a split"""
MOST_COPIED = 0.02
"""share of the test pixels whose 3x3 surroundings may stand in the train fold, value by value"""
LEAST_VALUES = 6
"""different values that surroundings must have to count as a copy: flat water repeats itself"""
MOST_APART = 4.0
"""factor by which the same classes may be brighter in one scene than in the others; sun and season make less than 3"""
LEAST_PX = 30


@dataclass(frozen=True)
class Finding:
    """One check of an audit.

    Parameters
    ----------
    fault : Fault
        what it looks for
    check : str
        how
    value, limit : float
        what it found, and from where on it is a fault
    caught : bool
        whether it is
    """

    fault: Fault
    check: str
    value: float
    limit: float
    caught: bool


def audit(tiles: Sequence[Tile], seed: int = 0) -> list[Finding]:
    """Look for leaks, wrong scales and shuffled labels in the labelled tiles of a tileset.

    Parameters
    ----------
    tiles : Sequence[Tile]
        of both folds, with class mass
    seed : int
        of the probes

    Raises
    ------
    Refusal
        no labels in one of the folds
    """
    labelled = [tile for tile in tiles if bool((tile.mass.sum(0) > 0).any())]
    train = [tile for tile in labelled if bool(tile.in_fold(TRAIN).any())]
    test = fold_pixels(labelled, TEST, TESTED, "audit") if labelled else []
    if not train or not test:
        fold = "train" if not train else "test"
        raise Refusal("audit", "fold", f"no labelled pixel in the {fold} fold", "both folds", "check fold and label")
    labels = draw_labels(train, PER_CLASS, seed)
    truth = np.concatenate([pixels.mass.argmax(0).numpy() for pixels in test])
    spectra, context = (_probe(train, labels, test, kind) for kind in ("spectra", "context"))
    seen = max(_accuracy(spectra.fit(seed), truth), _accuracy(context.fit(seed), truth))
    places = _probe(train, labels, test, "location")
    near = KNeighborsClassifier(1).fit(places.x, places.classes).predict(places.asked)
    located = _accuracy(near, truth)
    chance = _shuffled(context, truth, seed)
    touching, copied = _touching(labelled, test), _copied(train, test)
    apart = _apart(labelled)
    return [
        Finding("leak", "share of test pixels that touch a train pixel on the ground", touching, MOST_TOUCHING,
                touching > MOST_TOUCHING),
        Finding("leak", "share of test pixels that are copies of train pixels", copied, MOST_COPIED,
                copied > MOST_COPIED),
        Finding("leak", "accuracy of the nearest label on the ground (limit: a forest on spectra)", located, seen,
                located >= seen and located > chance),
        *_implausible(labelled),
        Finding("scale", "factor between the same classes in different scenes", apart, MOST_APART, apart > MOST_APART),
        Finding("shuffle", "accuracy of a forest (limit: best of 19 on shuffled labels)", seen, chance, seen <= chance),
    ]  # fmt: skip


def caught(findings: Sequence[Finding]) -> list[Fault]:
    """The faults that were found, each once."""
    return [fault for fault in FAULTS if any(f.caught and f.fault == fault for f in findings)]


def audit_table(findings: Mapping[str, Sequence[Finding]]) -> Table:
    """Findings by tileset (and what was planted there) as a table."""
    lines = [
        (name, f.fault, f.check, f.value, f.limit, f"{f.fault} caught" if f.caught else "no")
        for name, own in findings.items()
        for f in own
    ]
    note = (
        "Leak: test ground that trains. Scale: numbers that are not what the manifest says. Shuffle: labels that do "
        "not belong to their pixels. Forests learn from at most 100 labels a class; accuracy is the mean over classes."
    )
    return Table("Faults", note, ("tileset", "fault", "check", "found", "limit", "verdict"), tuple(lines))


@dataclass(frozen=True)
class _Probe:
    """Features of labels and of test pixels."""

    x: NDArray[np.float32]
    classes: NDArray[np.int64]
    asked: NDArray[np.float32]

    def fit(self, seed: int, classes: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """What a forest maps the test pixels as."""
        forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=seed, n_jobs=1)
        found: NDArray[np.int64] = forest.fit(self.x, self.classes if classes is None else classes).predict(self.asked)
        return found


def _probe(train: Sequence[Tile], labels: Labels, test: Sequence[Pixels], kind: Features) -> _Probe:
    asked = np.concatenate([getattr(pixels, kind) for pixels in test])
    return _Probe(label_features(train, labels, kind), labels.classes.numpy(), asked)


def _accuracy(mapped: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Mean over the classes of the truth."""
    return float(np.mean([(mapped[truth == k] == k).mean() for k in np.unique(truth)]))


def _shuffled(probe: _Probe, truth: NDArray[np.int64], seed: int) -> float:
    """The best accuracy of forests whose training labels were shuffled."""
    found = []
    for n in range(SHUFFLES):
        rng = SceneKey(seed, n).at("sample", "shuffle").rng()
        found.append(_accuracy(probe.fit(seed, rng.permutation(probe.classes)), truth))
    return max(found)


def _touching(tiles: Sequence[Tile], test: Sequence[Pixels]) -> float:
    """Share of the test pixels within one pixel of a labelled train pixel, on the ground where tiles have a place."""
    places = []
    for tile in tiles:
        y, x = torch.nonzero(tile.in_fold(TRAIN), as_tuple=True)
        places.append(Pixels(tile, y, x, tile.mass[:, y, x]).location)
    tree = cKDTree(np.concatenate(places))
    distance = tree.query(np.concatenate([pixels.location for pixels in test]), distance_upper_bound=1.6)[0]
    return float((distance <= 1.5).mean())


def _copied(train: Sequence[Tile], test: Sequence[Pixels]) -> float:
    """Share of the test pixels whose 3x3 surroundings stand in the train fold, value by value."""
    known: set[int] = set()
    for tile in train:
        y, x = torch.nonzero(tile.in_fold(TRAIN), as_tuple=True)
        known.update(_prints(tile, y, x).tolist())
    found = np.concatenate([_prints(pixels.tile, pixels.y, pixels.x) for pixels in test])
    told = found != 0
    return float(np.isin(found[told], np.fromiter(known, np.int64)).mean()) if told.any() else 0.0


def _prints(tile: Tile, y: torch.Tensor, x: torch.Tensor) -> NDArray[np.int64]:
    """A fingerprint of the 3x3 surroundings of pixels; 0 at the border, and where they hold too few values."""
    height, width = tile.grid.shape
    inside = (y > 0) & (y < height - 1) & (x > 0) & (x < width - 1)
    found = np.zeros(len(y), dtype=np.int64)
    rows, columns = y[inside], x[inside]
    if len(rows) == 0:
        return found
    first = tile.image[0]
    around = torch.stack([first[rows + dy, columns + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)], 1)
    every = torch.cat([around, tile.image[1:, rows, columns].T], 1).numpy()
    values = 1 + (np.diff(np.sort(around.numpy(), 1), axis=1) != 0).sum(1)
    bits = np.ascontiguousarray(every).view(np.int32).astype(np.int64)
    weights = np.random.Generator(np.random.Philox(3)).integers(1, 2**62, size=bits.shape[1], dtype=np.int64)
    with np.errstate(over="ignore"):
        prints = (bits * weights).sum(1)
    found[inside.numpy()] = np.where(values >= LEAST_VALUES, np.where(prints == 0, 1, prints), 0)
    return found


def _implausible(tiles: Sequence[Tile]) -> list[Finding]:
    """Share of the scenes whose numbers cannot be reflectance, where the manifest says that they are."""
    if tiles[0].level not in ("BOA", "TOA") or tiles[0].dates > 1:
        return []
    refused = 0
    for tile in tiles:
        values, label = tile.image[:, tile.valid].T, tile.label()[tile.valid]
        step = max(1, len(values) // 4096)
        try:
            require_reflectance(tile.id, values[::step], label[::step], tile.sensor, tile.legend.classes)
        except Refusal:
            refused += 1
    share = refused / len(tiles)
    every = [tile.image[:, tile.valid].T[:: max(1, int(tile.valid.sum()) // 512)] for tile in tiles]
    try:
        none = torch.zeros(sum(map(len, every)), dtype=torch.uint8)
        require_reflectance("tileset", torch.cat(every), none, tiles[0].sensor, tiles[0].legend.classes)
    except Refusal:
        share = 1.0
    limit = 0.0 if len(tiles) < 20 else 0.05
    return [Finding("scale", "share of scenes whose numbers cannot be reflectance", share, limit, share > limit)]


def _apart(tiles: Sequence[Tile]) -> float:
    """The largest factor between a scene and the others, in the brightness of the classes that they share."""
    bright: list[dict[int, float]] = []
    for tile in tiles:
        label, own = tile.label(), tile.image.mean(0)
        known = {int(k): own[(label == k) & tile.valid] for k in torch.unique(label) if k > 0}
        bright.append({k: float(v.median()) for k, v in known.items() if len(v) >= LEAST_PX})
    factors = [1.0]
    for n, mine in enumerate(bright):
        ratios = []
        for k, value in mine.items():
            others = [other[k] for m, other in enumerate(bright) if m != n and k in other]
            if others and value > 0 and (middle := float(np.median(others))) > 0:
                ratios.append(value / middle)
        if ratios:
            factors.append(max(float(np.median(ratios)), 1 / float(np.median(ratios))))
    return max(factors)
