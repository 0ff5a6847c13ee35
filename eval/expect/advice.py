"""The advice: three lines on a map that its user reads first: how good, what it confuses, what to do next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terraficta.eval.expect.expectation import FEW_BLOCKS, FEW_LABELS, Expectation
from terraficta.finetune.tileset.meanings import Meanings

GOOD_LABELS = 25
"""labels a class from which on more of them move a map little, in the mean over tilesets"""
WORTH_NAMING = 0.05
"""of a class, mapped as another, before the pair is named"""


def three_lines(
    expectation: Expectation | None,
    classes: tuple[str, ...],
    meanings: Meanings,
    mapped: NDArray[np.float64],
    suggest: str = "",
) -> tuple[str, str, str]:
    """Accuracy expected, what is confused, what to do next.

    Parameters
    ----------
    expectation : Expectation | None
        None where there were no labels
    classes : tuple[str, ...]
        K names
    meanings : Meanings
        of the classes
    mapped : NDArray[np.float64]
        (K,) share of the map that is each class
    suggest : str
        the command that picks points to label; "": none is named
    """
    if expectation is None:
        lines = _without_labels(classes, meanings, mapped)
    else:
        lines = _accuracy(expectation), _confusion(expectation), _next(expectation)
    return lines[0], lines[1], lines[2] + (f"; {suggest} picks points" if suggest else "")


def _without_labels(classes: tuple[str, ...], meanings: Meanings, mapped: NDArray[np.float64]) -> tuple[str, str, str]:
    lost = [name for name, named in zip(classes, meanings.named, strict=True) if not named]
    rare = [name for name, share in zip(classes, mapped, strict=True) if share < 0.001 and name not in lost]
    second = "what it confuses: not known without labels"
    second += f"; no meaning was found for {', '.join(lost)}" if lost else ""
    second += f"; {', '.join(rare)} hardly occur on the map" if rare else ""
    third = f"next: label {FEW_LABELS} pixels of each class and map again with --labels"
    return "accuracy expected: not known, as names alone made this map", second, third


def _accuracy(e: Expectation) -> str:
    if not e.told:
        return f"accuracy expected: cannot be told from {sum(e.labels)} labels in {e.blocks} blocks of ground"
    low, high = e.accuracy_interval
    line = f"accuracy expected: {e.accuracy:.0%} ({low:.0%} to {high:.0%}) of the land"
    line += f", mIoU {e.miou:.2f}"
    return line + (" (RANDOM SPLIT, flatters)" if e.random else "")


def _confusion(e: Expectation) -> str:
    if not e.told:
        return "what it confuses: cannot be told"
    pairs = [(a, b, share) for a, b, share in e.confused() if share >= WORTH_NAMING]
    if not pairs:
        return "what it confuses: hardly anything, by your labels"
    words = [f"{share:.0%} of {a} is mapped as {b}" for a, b, share in pairs]
    return f"what it confuses: {'; '.join(words)}"


def _next(e: Expectation) -> str:
    few = [(n, name) for n, name in zip(e.labels, e.classes, strict=True) if n < FEW_LABELS]
    if few:
        return f"next: label more of {', '.join(f'{name} ({n})' for n, name in sorted(few))}, in other places than now"
    lone = [name for name, asked in zip(e.classes, e.judged, strict=True) if not asked]
    if lone or e.blocks < FEW_BLOCKS:
        what = ", ".join(lone) if lone else "every class"
        return f"next: label {what} in other parts of the image; labels lie in {e.blocks} blocks of ground"
    pairs = [(a, b) for a, b, share in e.confused(1) if share >= WORTH_NAMING]
    if pairs:
        return (
            f"next: label places where {pairs[0][0]} and {pairs[0][1]} meet or are mistaken, and where the map doubts"
        )
    scarce = [name for n, name in zip(e.labels, e.classes, strict=True) if n < GOOD_LABELS]
    if scarce:
        return f"next: more labels of {', '.join(scarce)}, where the map doubts (band entropy)"
    return "next: nothing is pressing; labels drawn at random would make the interval narrower"
