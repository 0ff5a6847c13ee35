"""Narrow: draw many scenes, weigh them by their likeness to real tiles, narrow the recipe, measure what it brought."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from terraficta.finetune.narrow.dial import Turned, narrowed
from terraficta.finetune.narrow.figures import Figures, Scale, Table, describe, energy_distance
from terraficta.finetune.narrow.given import as_the_tiles
from terraficta.finetune.narrow.match import Strangers, matching_weights, strangers, told_apart
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.tile import Tile

LEAST_WINDOWS = 8
"""real windows below which there is nothing to fit"""
MOST_WINDOWS = 400
"""real windows that are looked at"""
NOISES = (0.5, 1.0, 2.5)
"""times the recipe's own noise that scenes are tried with, in turn"""
NO_NOISE = (0.0, 0.5, 1.0)
"""times the sensor's noise that they are tried with where the recipe has none"""
UNMATCHED = 1.0
"""spreads of the real windows by which a figure's median may be off before it is told"""

Progress = Callable[[int], None]
"""called with the number of scenes that have just been rendered"""


@dataclass(frozen=True)
class Narrowing:
    """What was found.

    Parameters
    ----------
    recipe : SceneRecipe
        the narrowed one
    turned : list[Turned]
        what became of every field
    set_by_tiles : dict[str, str]
        fields that the manifest of the tiles decides, and to what
    drift : Strangers
        of the wide recipe: what it cannot draw
    unmatched : dict[str, float]
        {figure: spreads of the real windows by which the narrowed recipe's median is off}, the worst first
    distance : dict[str, float]
        energy distance to real windows that were not fitted: of the wide recipe, of the narrowed one, and of the real
        windows that were fitted, which is what can be hoped for
    auc : dict[str, float]
        how well a forest tells them from the same real windows
    counted : float
        scenes that count under the weights of the last round
    windows : dict[str, int]
        windows of each kind
    window_px : int
        their side
    """

    recipe: SceneRecipe
    turned: list[Turned]
    set_by_tiles: dict[str, str]
    drift: Strangers
    unmatched: dict[str, float]
    distance: dict[str, float]
    auc: dict[str, float]
    counted: float
    windows: dict[str, int]
    window_px: int

    @property
    def better(self) -> bool:
        """Whether the narrowed recipe is nearer to real windows that were not fitted."""
        return self.distance["narrowed"] < self.distance["wide"]


def narrow(
    recipe: SceneRecipe, tileset: Tileset, name: str, scenes: int = 240, window_px: int = 64, seed: int = 77,
    rounds: int = 2, progress: Progress | None = None,
) -> Narrowing:  # fmt: skip
    """Fit a recipe to real tiles by figures that need no label.

    `scenes` scenes of the recipe are seen by the tiles' own camera at their sampling distance and weighed so that
    together they look like half of the real windows; what their facts say under these weights becomes the recipe, from
    which a further round draws, if one is asked for. Half as many scenes of another world, of the wide and of the
    narrowed recipe, are then held against the other half of the windows, which come from other tiles where there are
    several.

    Error
    -----
    A weighted tenth of the scenes carries the evidence, so that few scenes tell few fields. On 64 px windows of
    Aberystwyth, from `atlas`, the energy distance went from .741 to .658 with 96 scenes in one round, and from .854 to
    .804 with 72 in each of two, measured on other scenes; that of two sets of real windows is 0. A forest told the
    windows apart before and after (.99).

    Parameters
    ----------
    recipe : SceneRecipe
        the wide one
    tileset : Tileset
        real tiles; labels are not looked at
    name : str
        of the new recipe
    scenes : int
        to draw and weigh in each round
    window_px : int
        side of the windows that are compared [px]; smaller where the tiles are
    seed : int
        of the worlds
    rounds : int
        times that the recipe is narrowed
    progress : Progress | None
        is told of rendered scenes

    Raises
    ------
    Refusal
        fewer than 8 whole windows, change pairs
    """
    if tileset.dates != 1:
        raise Refusal(tileset.folder, "task", "pairs of dates", "single images", "name a tileset of images")
    wide, told = as_the_tiles(recipe, tileset)
    window_px = min(window_px, min(min(tile.grid.shape) for tile in islice(_tiles(tileset), 4)))
    real = describe(_tiles(tileset), window_px, MOST_WINDOWS)
    if len(real) < LEAST_WINDOWS:
        found_text = f"{len(real)} whole windows of {window_px} px"
        mend = "give more tiles, or a smaller --window"
        raise Refusal(tileset.folder, "tiles", found_text, f"{LEAST_WINDOWS} or more", mend)
    fitted, held = halves(real)
    found, steps, scale, counted = wide, [], None, 0.0
    for number in range(rounds):
        drawn, facts, masses, noises = _drawn(found, tileset, scenes, window_px, seed + 10 * number, True, progress)
        if scale is None:
            scale, drift = Scale.of(np.concatenate([drawn.values, real.values])), drawn
        weight = matching_weights(scale(drawn.values), scale(fitted.values))
        found, turned = narrowed(found, facts, masses, noises, weight)
        steps.append(turned)
        counted = 1 / float((weight**2).sum())
    assert scale is not None
    found = found.model_copy(update={"name": name, "about": f"{recipe.name}, narrowed to {tileset.name}"})
    check = max(scenes // 2, 2 * LEAST_WINDOWS)
    before, *_ = _drawn(wide, tileset, check, window_px, seed + 1, False, progress)
    after, *_ = _drawn(found, tileset, check, window_px, seed + 1, False, progress)
    theirs = scale(held.values)
    sets = {"wide": before, "narrowed": after, "real": fitted}
    return Narrowing(
        found, merged(steps), told, strangers(drift, real, scale), _unmatched(after, real),
        {key: energy_distance(scale(own.values), theirs) for key, own in sets.items()},
        {key: told_apart(scale(own.values), theirs) for key, own in sets.items()},
        counted,
        {"drawn": rounds * scenes, "checked": check, "fitted": len(fitted), "held out": len(held)}, window_px,
    )  # fmt: skip


def merged(steps: Sequence[Sequence[Turned]]) -> list[Turned]:
    """What became of every field over all rounds: from what it was at first to what it is at last."""
    found: dict[str, Turned] = {}
    for turned in steps:
        for turn in turned:
            first = found.get(turn.field)
            if first is None:
                found[turn.field] = turn
            elif not turn.note:
                evidence = max(first.evidence, turn.evidence)
                found[turn.field] = Turned(turn.field, first.before, turn.after, evidence)
    return list(found.values())


def halves(real: Figures) -> tuple[Figures, Figures]:
    """Windows to fit and to hold out: of different tiles where there are four or more, else of different parts."""
    tiles = np.unique(real.tile)
    if len(tiles) >= 4:
        mine = np.isin(real.tile, tiles[::2])
    else:
        mine = np.arange(len(real)) // max(1, len(real) // 8) % 2 == 0
    return real.take(mine), real.take(~mine)


def _tiles(tileset: Tileset) -> Iterator[Tile]:
    for number in range(len(tileset)):
        yield tileset[number]


def _drawn(
    recipe: SceneRecipe, tileset: Tileset, scenes: int, window_px: int, seed: int, vary: bool, progress: Progress | None
) -> tuple[Figures, list[dict[str, Any]], Table, Table]:
    """Scenes of a recipe as the tiles' camera sees them: figures, facts, share of classes, noise."""
    content = recipe.model_dump(mode="json") | {"size_px": window_px, "truth": {"layers": []}}
    own = recipe.instrument.noise
    levels: Sequence[float] = [own]
    if vary:
        levels = [own * n for n in NOISES] if own > 0 else NO_NOISE
    variants = [
        SceneRecipe.from_dict(content | {"instrument": content["instrument"] | {"noise": level}}, where=recipe.name)
        for level in levels
    ]
    facts, masses, noises, tiles = [], [], [], []
    for index in range(scenes):
        variant = variants[index % len(variants)]
        tile = render(variant, SceneKey(seed, index), tileset.sensor)[0]
        tiles.append(_like(tile, tileset))
        facts.append(dict(tile.facts))
        mass = tile.mass.sum((1, 2)).double().numpy()
        masses.append(mass / max(mass.sum(), 1e-9))
        noises.append(variant.instrument.noise)
        if progress is not None:
            progress(1)
    return describe(tiles, window_px, scenes), facts, np.array(masses), np.array(noises)


def _like(tile: Tile, tileset: Tileset) -> Tile:
    """A fictional tile whose numbers are taken as those of the tileset: relative, where they are not calibrated."""
    return replace(tile, level=tileset.level)


def _unmatched(ours: Figures, real: Figures) -> dict[str, float]:
    low, middle, high = np.quantile(real.values, (0.25, 0.5, 0.75), axis=0)
    spread = np.maximum((high - low) / 1.349, 1e-3 * np.abs(middle) + 1e-9)
    off = (np.median(ours.values, axis=0) - middle) / spread
    order = np.argsort(-np.abs(off), kind="stable")
    return {real.names[i]: float(off[i]) for i in order if abs(off[i]) > UNMATCHED}
