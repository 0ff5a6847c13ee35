"""The dials: which fields of a recipe the weights of scenes can narrow, and to what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terraficta.finetune.narrow.figures import Table
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import NATURAL, SceneRecipe

INNER = (0.1, 0.9)
"""weighted quantiles that a narrowed span reaches from and to"""
LEVEL = 1.22
"""of the Kolmogorov-Smirnov distance times the root of the scenes that count: 10 % of dials that say nothing pass"""
MOST_CLIMATES = 12
"""entries of the list of climates, by which their rates are rounded"""
LEAST_RATE = 0.04
"""climates that are drawn more seldom are left out"""
CLASS_LEVEL = 2.0
"""standard errors by which a class must be more or less frequent to be given a share"""
LEAST_CLASS = 0.02
"""share of the natural ground below which a class is left to what grows"""


@dataclass(frozen=True)
class Dial:
    """A span of a recipe and the fact that tells what was drawn from it.

    Parameters
    ----------
    part, field : str
        where it stands in the recipe
    fact : str
        of a tile
    unit : float
        fact = unit x field
    log : bool
        whether it is drawn log-uniformly
    """

    part: str
    field: str
    fact: str
    unit: float = 1.0
    log: bool = False


DIALS = (
    Dial("terrain", "relief_m", "relief_m", log=True),
    Dial("terrain", "landform_km", "landform_m", 1000.0, log=True),
    Dial("terrain", "hurst", "hurst"),
    Dial("cover", "moisture", "moisture"),
    Dial("cover", "warmth", "warmth"),
    Dial("cover", "season", "season"),
    Dial("cover", "water", "water"),
    Dial("cover", "farmland", "farmland"),
    Dial("cover", "field_m", "field_m", log=True),
    Dial("cover", "settlement", "settlement"),
    Dial("cover", "plantation", "plantation"),
    Dial("cover", "clearcut", "clearcut"),
    Dial("light", "sza_deg", "sza_deg"),
    Dial("air", "aot550", "aot550"),
    Dial("air", "water_vapour_cm", "water_vapour_cm"),
    Dial("air", "haze", "haze"),
)
"""what is narrowed as a span"""
NO_DIAL = {
    "soils": "the recipe has no field for their colour; which soils lie there follows from climate and chance",
    "crops": "which crops are grown follows from the climate",
    "building": "how towns are built follows from the climate",
}
"""what a user might look for, and why it is not narrowed"""


@dataclass(frozen=True)
class Turned:
    """What happened to one field.

    Parameters
    ----------
    field : str
        PART.FIELD
    before, after : Any
        what stood there and what stands there now
    evidence : float
        Kolmogorov-Smirnov distance x root of the scenes that count; `LEVEL` and more narrows
    note : str
        why it was left alone, if it was
    """

    field: str
    before: Any
    after: Any
    evidence: float
    note: str = ""


def narrowed(
    recipe: SceneRecipe, facts: Sequence[Mapping[str, Any]], masses: Table, noises: Table, weight: Table
) -> tuple[SceneRecipe, list[Turned]]:
    """The recipe with every field that the weights tell of narrowed, and what became of each.

    A field that the real tiles say nothing of stays as wide as it was; so does one that would contradict the others.

    Parameters
    ----------
    recipe : SceneRecipe
        that the scenes were drawn from
    facts : Sequence[Mapping[str, Any]]
        of P scenes
    masses : Table
        (P, K) share of every class in them
    noises : Table
        (P,) times the sensor's own noise that they were seen with
    weight : Table
        (P,) of sum 1
    """
    turned: list[Turned] = []
    counted = 1 / float((weight**2).sum())
    for turn in (
        _climates(recipe, facts, weight),
        *(_span(recipe, dial, facts, weight, counted) for dial in DIALS),
        _noise(recipe, noises, weight, counted),
        *_shares(recipe, masses, weight, counted),
    ):
        if turn is None:
            continue
        if not turn.note:
            try:
                recipe = _with(recipe, turn)
            except Refusal as refusal:
                turn = Turned(turn.field, turn.before, turn.before, turn.evidence, f"{refusal.field}: {refusal.mend}")
        turned.append(turn)
    return recipe, turned


def _with(recipe: SceneRecipe, turn: Turned) -> SceneRecipe:
    content = recipe.model_dump(mode="json")
    *path, last = turn.field.split(".")
    place = content
    for name in path:
        place = place[name]
    place[last] = turn.after
    return SceneRecipe.from_dict(content, where=recipe.name)


def _span(
    recipe: SceneRecipe, dial: Dial, facts: Sequence[Mapping[str, Any]], weight: Table, counted: float
) -> Turned | None:
    field, before = f"{dial.part}.{dial.field}", tuple(getattr(getattr(recipe, dial.part), dial.field))
    if before[0] == before[1]:
        return None
    known = np.array([fact.get(dial.fact) is not None for fact in facts])
    if not known.any():
        return Turned(field, before, before, 0.0, "no scene tells it")
    values = np.array([float(fact[dial.fact]) for fact, known_ in zip(facts, known, strict=True) if known_]) / dial.unit
    own = weight[known] / max(weight[known].sum(), 1e-12)
    evidence = _difference(values, own) * math.sqrt(counted)
    if evidence < LEVEL:
        return Turned(field, before, before, evidence, "the tiles do not tell it")
    low, high = weighted_quantiles(values, own, INNER)
    low, high = max(low, before[0]), min(high, before[1])
    least = 0.1 * (before[1] - before[0])
    if not dial.log and high - low < least:  # no narrower than the scenes can tell
        low, high = max(before[0], 0.5 * (low + high - least)), min(before[1], 0.5 * (low + high + least))
    digits = 4 if high < 10 else 1
    return Turned(field, before, (round(low, digits), round(max(high, low), digits)), evidence)


def _difference(values: Table, weight: Table) -> float:
    """Kolmogorov-Smirnov distance between the weighted and the plain distribution of values."""
    order = np.argsort(values, kind="stable")
    plain = np.arange(1, len(values) + 1) / len(values)
    return float(np.abs(np.cumsum(weight[order]) - plain).max())


def weighted_quantiles(values: Table, weight: Table, levels: Sequence[float]) -> list[float]:
    """Quantiles of weighted values, between the middles of their steps.

    Examples
    --------
    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.25, 0.5]), [0.5])
    [2.0]
    """
    order = np.argsort(values, kind="stable")
    steps = np.cumsum(weight[order]) - 0.5 * weight[order]
    return [float(np.interp(level, steps, values[order])) for level in levels]


def _climates(recipe: SceneRecipe, facts: Sequence[Mapping[str, Any]], weight: Table) -> Turned:
    names = [str(fact["kind"]) for fact in facts]
    rates = {name: float(weight[[n == name for n in names]].sum()) for name in dict.fromkeys(names)}
    plain = {name: names.count(name) / len(names) for name in rates}
    kept = {name: rate for name, rate in rates.items() if rate >= LEAST_RATE}
    total = sum(kept.values())
    counts = {name: max(1, round(MOST_CLIMATES * rate / total)) for name, rate in sorted(kept.items())}
    after = tuple(name for name, count in counts.items() for _ in range(count))
    counted = 1 / float((weight**2).sum())
    evidence = 0.5 * sum(abs(rates[name] - plain[name]) for name in rates) * math.sqrt(counted)
    before = recipe.cover.climates
    if evidence < LEVEL:
        return Turned("cover.climates", before, before, evidence, "the tiles do not tell it")
    return Turned("cover.climates", before, after, evidence)


def _noise(recipe: SceneRecipe, noises: Table, weight: Table, counted: float) -> Turned | None:
    before = recipe.instrument.noise
    if len(set(noises.tolist())) < 2:
        return None
    evidence = _difference(noises, weight) * math.sqrt(counted)
    if evidence < LEVEL:
        return Turned("instrument.noise", before, before, evidence, "the tiles do not tell it")
    floor = 0.1 * float(noises[noises > 0].min())
    after = float(np.exp((weight * np.log(np.maximum(noises, floor))).sum()))
    return Turned("instrument.noise", before, round(after, 2), evidence)


def _shares(recipe: SceneRecipe, masses: Table, weight: Table, counted: float) -> list[Turned]:
    """Shares of the natural ground that classes have in the mean, where it differs from what grows by itself."""
    columns = [TERRAFICTA.index(name) for name in NATURAL]
    ground = masses[:, columns].sum(1)
    use = ground > 0.05
    if not use.any():
        return []
    part = masses[use][:, columns] / ground[use][:, None]
    own = weight[use] * ground[use]
    own = own / max(own.sum(), 1e-12)
    plain = ground[use] / ground[use].sum()
    mean, usual = own @ part, plain @ part
    error = part.std(0) / math.sqrt(max(counted, 1.0))
    found = []
    for k, name in enumerate(NATURAL):
        evidence = abs(mean[k] - usual[k]) / max(error[k], 1e-9)
        if evidence >= CLASS_LEVEL and max(mean[k], usual[k]) >= LEAST_CLASS:
            before = recipe.cover.shares.get(name, "what grows")
            found.append(Turned(f"cover.shares.{name}", before, round(float(mean[k]), 3), float(evidence)))
    return found
