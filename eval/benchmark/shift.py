"""Shift: maps of the same ground under another light, air or season than their labels', dialled step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from terraficta.eval.benchmark.arms import Arm, Fitted
from terraficta.eval.benchmark.ground import Ground
from terraficta.eval.benchmark.pixels import Pixels
from terraficta.eval.coverage import Coverage
from terraficta.eval.metrics import Tally
from terraficta.eval.table import Table
from terraficta.finetune.calibrate import soften
from terraficta.pretrain.scaling import BandRange
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.tile import Tile

STRENGTHS = (0.5, 1.0, 2.0)
"""of each dial; 1 is what another date or product easily shows"""
ASKED = 0.95
"""coverage that every arm's sets are fitted for"""
RED_EDGE_NM, SWIR_NM = 720.0, 1300.0
"""between them leaves are bright"""

Dial = Callable[[Tile, float], Tensor]
"""(tile, strength) -> image"""


def haze(tile: Tile, strength: float) -> Tensor:
    """Path radiance: more in short waves, as the inverse square of the wavelength; 1: one spread of the bluest band."""
    spread = BandRange.of_image(tile.image, tile.valid).spread
    shape = (tile.sensor.centre_nm.min() / tile.sensor.centre_nm).square()
    return tile.image + strength * (spread * shape)[:, None, None]


def exposure(tile: Tile, strength: float) -> Tensor:
    """Another sun or gain: everything brighter; 1: by a quarter."""
    return tile.image * (1 + 0.25 * strength)


def browning(tile: Tile, strength: float) -> Tensor:
    """A later season: the near infrared falls; 1: by a quarter."""
    near = (tile.sensor.centre_nm > RED_EDGE_NM) & (tile.sensor.centre_nm < SWIR_NM)
    return torch.where(near[:, None, None], tile.image * max(0.0, 1 - 0.25 * strength), tile.image)


def noise(tile: Tile, strength: float) -> Tensor:
    """A worse detector; 1: a quarter of each band's spread."""
    spread = BandRange.of_image(tile.image, tile.valid).spread[:, None, None]
    rng = SceneKey(0, 0).at("sample", "shift", tile.id).rng()
    drawn = torch.from_numpy(rng.standard_normal(tuple(tile.image.shape)).astype(np.float32))
    return tile.image + 0.25 * strength * spread * drawn


DIALS: Mapping[str, Dial] = {"haze": haze, "exposure": exposure, "browning": browning, "noise": noise}


def shifted(tile: Tile, dial: str, strength: float) -> Tile:
    """A tile as it would look; it is another scene, whose own spread a network may look at."""
    return replace(tile, id=f"{tile.id}+{dial}{strength:g}", image=DIALS[dial](tile, strength))


@dataclass
class _Sums:
    """What is counted of one arm at one dial and strength, over tilesets and draws."""

    accuracy: list[float]
    ece: list[float]
    coverage: list[float]
    worst: list[float]
    size: list[float]

    def add(self, model: Fitted, test: Sequence[Pixels], mass: Tensor) -> None:
        """Count a fitted arm's say of pixels whose class mass (K, n) is known."""
        said = soften(model.probabilities(test), model.temperature or 1.0)
        tally, covered = Tally(len(mass)), Coverage(len(mass))
        tally.add(said, mass)
        if model.sets is not None:
            covered.add(model.sets, said, mass)
        scores = tally.scores()
        for values, value in (
            (self.accuracy, scores.accuracy), (self.ece, scores.ece), (self.coverage, covered.share),
            (self.worst, covered.worst), (self.size, covered.size),
        ):  # fmt: skip
            values.append(value)


def coverage_under_shift(
    grounds: Sequence[Ground],
    arms: Mapping[str, Arm],
    labels_per_class: int,
    seeds: int,
    strengths: Sequence[float] = STRENGTHS,
) -> Table:
    """Fit arms where they are, and look at their sets in place and under every dial.

    Parameters
    ----------
    grounds : Sequence[Ground]
        tilesets as a benchmark reads them
    arms : Mapping[str, Arm]
        by name
    labels_per_class, seeds : int
        labels, and draws of them
    strengths : Sequence[float]
        of each dial
    """
    sums: dict[tuple[str, float, str], _Sums] = {}
    for ground in grounds:
        foreseen, mass = ground.every_label(labels_per_class, range(seeds)), ground.test_mass
        fitted: list[tuple[str, Fitted]] = []
        for name, arm in arms.items():
            arm.prepare(ground, foreseen)
            for seed in range(seeds):
                labels = ground.labels(labels_per_class, seed)
                fitted.append((name, arm.fit(ground.blind, labels, seed, ground.tileset.meanings)))
        for dial, strength in [("in place", 0.0), *((dial, strength) for dial in DIALS for strength in strengths)]:
            test = ground.test  # a view after the other: arms and draws share what is read of it
            if strength:
                test = [Pixels(shifted(p.tile, dial, strength), p.y, p.x, p.mass) for p in ground.test]
            for name, model in fitted:
                sums.setdefault((dial, strength, name), _Sums([], [], [], [], [])).add(model, test, mass)
    return _table(sums, len(grounds), labels_per_class, seeds)


def _table(
    sums: Mapping[tuple[str, float, str], _Sums], tilesets: int, labels_per_class: int, seeds: int
) -> Table:  # fmt: skip
    lines = [
        (
            dial,
            strength,
            arm,
            *(float(np.nanmean(v)) for v in (own.accuracy, own.ece, own.coverage, own.worst, own.size)),
        )
        for (dial, strength, arm), own in sums.items()
    ]
    note = (
        f"Arms fitted in place with {labels_per_class} labels a class, then asked of the same test pixels in an image "
        f"that a dial changed; mean over {tilesets} tilesets and {seeds} draws. Sets were fitted for {ASKED:.0%}: what "
        "they hold in place is what exchangeable labels promise; what they lose under a dial, nobody promised."
    )
    columns = ("dial", "strength", "arm", "accuracy", "ECE", "coverage", "of the worst class", "classes in a set")
    return Table("Coverage under dialled shift", note, columns, tuple(lines))
