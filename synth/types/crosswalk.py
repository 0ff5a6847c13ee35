"""Crosswalks: from our legend to those of others, and back."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from terraficta.synth.types.legend import TERRAFICTA, Crosswalk, Legend
from terraficta.synth.types.refusal import Refusal

LEGENDS = Path(__file__).parent.parent / "data" / "legends.yaml"


@lru_cache
def _catalogue() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = yaml.safe_load(LEGENDS.read_text())
    return content


def legend_names() -> tuple[str, ...]:
    """Every legend that ours can be translated into, itself first."""
    return (TERRAFICTA.name, *_catalogue())


def _entry(name: str) -> dict[str, Any]:
    if name not in _catalogue():
        close = difflib.get_close_matches(name, legend_names(), 1)
        mend = f"did you mean {close[0]}?" if close else "use one of these"
        raise Refusal("legends.yaml", "legend", name, f"one of {', '.join(legend_names())}", mend)
    return _catalogue()[name]


def read_legend(name: str) -> Legend:
    """A legend by name: worldcover, dynamic_world, sen12ms_lccs, eurosat, corine1, openearthmap, loveda, or our own.

    Raises
    ------
    Refusal
        an unknown name

    Examples
    --------
    >>> read_legend("dynamic_world").classes[0]
    'water'
    """
    if name == TERRAFICTA.name:
        return TERRAFICTA
    classes = _entry(name)["classes"]
    return Legend(name, tuple(classes), tuple(classes.values()))


def crosswalk_to(name: str) -> Crosswalk:
    """How the classes of TERRAFICTA are shared out among those of another legend; sources stand in legends.yaml.

    Examples
    --------
    >>> walk = crosswalk_to("worldcover")
    >>> walk.target.classes[int(walk.matrix()[:, TERRAFICTA.index("paddy")].argmax())]
    'cropland'
    """
    if name == TERRAFICTA.name:
        return Crosswalk.from_names(TERRAFICTA, TERRAFICTA, {c: c for c in TERRAFICTA.classes})
    return Crosswalk.from_names(TERRAFICTA, read_legend(name), _entry(name)["crosswalk"])


def crosswalk_from(name: str, prior: Mapping[str, float] | Sequence[float] | None = None) -> Crosswalk:
    """How the classes of another legend are shared out among ours: Bayes' rule on `crosswalk_to`.

    Parameters
    ----------
    name : str
        of the legend
    prior : Mapping[str, float] | Sequence[float] | None
        share of the land under each class of ours, e.g. its mean over a corpus; None: all alike

    Raises
    ------
    Refusal
        an unknown name; a prior that is negative or all zero
    """
    to = crosswalk_to(name)
    if isinstance(prior, Mapping):
        prior = [float(prior.get(c, 0.0)) for c in TERRAFICTA.classes]
    weights = [1.0] * len(TERRAFICTA) if prior is None else [float(p) for p in prior]
    if len(weights) != len(TERRAFICTA) or min(weights) < 0 or sum(weights) <= 0:
        raise Refusal(
            f"{name} -> {TERRAFICTA.name}",
            "prior",
            weights,
            f"{len(TERRAFICTA)} shares, not all zero",
            "give one share a class",
        )
    joint = [[share * weight for share, weight in zip(row, weights, strict=True)] for row in to.shares]
    shares = tuple(
        tuple(joint[t][s] / sum(joint[t]) if sum(joint[t]) > 0 else 0.0 for t in range(len(to.target)))
        for s in range(len(TERRAFICTA))
    )
    return Crosswalk(to.target, TERRAFICTA, shares)


def read_codes(name: str) -> tuple[int, ...]:
    """The numbers that a product stores for its classes, in the order of the legend; 1..K where it has none."""
    classes = read_legend(name).classes
    if name == TERRAFICTA.name:
        return tuple(range(1, len(classes) + 1))
    return tuple(_entry(name).get("codes", range(1, len(classes) + 1)))
