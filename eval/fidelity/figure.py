"""The figure of an ablation: what fidelity gains against what it costs, and what each part is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from terraficta.eval.benchmark.summary import Interval
from terraficta.synth.types.run import whole_file

matplotlib.use("Agg")
COLOURS = {"names": "#d0558f", "ridge": "#2f9fb8", "default": "#1b9e77"}
"""of the scores, as the same arms have them in a report"""
APART = 0.22
"""between the scores of a variant, in rows"""
NAME_APART = 0.045
"""least distance between the names of tiers, over the width of the curve"""

Gains = Mapping[str, Mapping[str, Interval]]
"""variant -> score -> difference and its interval"""


def draw_fidelity(tiers: Gains, cost_ms: Mapping[str, float], parts: Gains, path: Path) -> None:
    """Draw and write a PNG.

    Parameters
    ----------
    tiers : Gains
        less random weights, of the tiers
    cost_ms : Mapping[str, float]
        of each tier: seeing a group of scenes [ms]
    parts : Gains
        less the whole recipe, of all other variants
    path : Path
        of the picture
    """
    figure = Figure(figsize=(12, max(3.4, 1.2 + 0.34 * len(parts))), layout="constrained")
    curve, lines = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _draw_curve(curve, tiers, cost_ms)
    _draw_parts(lines, parts)
    for axis in (curve, lines):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=90, format="png")


def _draw_curve(axis: Axes, tiers: Gains, cost_ms: Mapping[str, float]) -> None:
    names = sorted(tiers, key=lambda name: cost_ms[name])
    at = [cost_ms[name] for name in names]
    for number, (score, colour) in enumerate(COLOURS.items()):
        found = [tiers[name][score] for name in names]
        moved = [x * 1.012 ** (number - 1) for x in at]  # so that bars of one tier stand side by side
        axis.errorbar(moved, [f.mean for f in found], _reach(found), fmt="o-", color=colour, capsize=2, label=score)
    for name, x in zip(names, spaced(at), strict=True):
        axis.annotate(
            name, (x, 1.01), xycoords=("data", "axes fraction"), ha="center", va="bottom", rotation=90, fontsize=7
        )
    axis.axhline(0, color="#888888", lw=0.8)
    axis.set(xlabel="seeing four scenes once, grounds at hand [ms of one core]", ylabel="mIoU less random weights")
    axis.legend(loc="upper left", framealpha=0.9, fontsize=8)


def spaced(at: Sequence[float]) -> list[float]:
    """Rising places as they are, or a little to the right of where the one before would be written over."""
    least = NAME_APART * (max(at, default=0.0) - min(at, default=0.0))
    return list(accumulate(at, lambda before, x: max(x, before + least)))


def _draw_parts(axis: Axes, parts: Gains) -> None:
    for row, found in enumerate(parts.values()):
        for number, (score, colour) in enumerate(COLOURS.items()):
            own = found[score]
            place = row + APART * (number - 1)
            axis.errorbar([own.mean], [place], xerr=_reach([own]), fmt="o", color=colour, ms=3.5, capsize=2, lw=1)
    axis.axvline(0, color="#888888", lw=0.8)
    axis.set_yticks(range(len(parts)), list(parts))
    axis.set(ylim=(max(len(parts), 1) - 0.5, -0.5), xlabel="mIoU less the whole recipe (95 % over tilesets)")


def _reach(found: Sequence[Interval]) -> list[list[float]]:
    """Below and above each mean; nothing where there is no interval."""
    below = [0.0 if f.low != f.low else f.mean - f.low for f in found]
    above = [0.0 if f.high != f.high else f.high - f.mean for f in found]
    return [below, above]
