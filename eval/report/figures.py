"""Figures of a report: drawings that take their colours from the page, so that they read in light and in dark."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from terraficta.eval.benchmark.summary import summarise

matplotlib.use("Agg")

INK, LINE, SOFT = "#010203", "#040506", "#070809"
"""stand-ins that the page's own colours replace: text, rules, faint text"""
PAGE = {INK: "var(--ink)", LINE: "var(--line)", SOFT: "var(--soft)"}
ARMS = {
    "default": "#1b9e77", "names": "#d0558f", "ridge": "#2f9fb8", "full": "#d96a22", "scratch": "#9b6fc3",
    "forest": "#8a94a0", "forest-context": "#4f7cac", "forest-ratios": "#5a78c8",
    "forest-wide": "#2f6f8f", "default-place": "#6f9b3c", "extra-trees": "#a8755a",
    "logistic": "#b08a2e", "boosting": "#7f8f2c", "filters": "#b3627e", "random": "#7d7fa8", "masked": "#5f9aa0",
    "imagenet": "#b04a4a", "location": "#8f8f8f",
}  # fmt: skip
"""one colour an arm, the same in every figure; each has contrast 3 or more on the light and on the dark page"""
OTHERS = ("#7a8b2f", "#b04a4a", "#5a5fb0")


def arm_colour(arm: str) -> str:
    """Its colour; arms not known here share three more."""
    return ARMS.get(arm, OTHERS[sum(map(ord, arm)) % len(OTHERS)])


def in_order(arms: Sequence[str]) -> list[str]:
    """Arms as the table of colours lists them."""
    known = list(ARMS)
    return sorted(arms, key=lambda arm: (known.index(arm) if arm in known else len(known), arm))


def learning_curves(rows: pd.DataFrame, score: str = "miou", label: str = "mIoU") -> str:
    """Labels a class against a score: one panel a tileset, a line and its interval an arm; names alone are dashed."""
    summary = summarise(rows, score=score)
    names = list(dict.fromkeys(rows["tileset"]))
    figure, panels = _panels(len(names), 3.5, 2.75)
    for axes, name in zip(panels, names, strict=True):
        mine = summary[summary["tileset"] == name]
        for arm in in_order(list(mine["arm"].unique())):
            line = mine[mine["arm"] == arm].sort_values("labels_per_class")
            x, colour = line["labels_per_class"].to_numpy(float), arm_colour(arm)
            if not x.any():  # without labels: a level to hold the others against
                axes.axhline(float(line["mean"].iloc[0]), color=colour, lw=1.3, ls=(0, (4, 3)))
                continue
            axes.fill_between(
                x, line["low"].to_numpy(float), line["high"].to_numpy(float), color=colour, alpha=0.13, lw=0
            )
            axes.plot(x, line["mean"].to_numpy(float), "o-", color=colour, lw=1.6, ms=4)
        ticks = sorted(n for n in mine["labels_per_class"].unique() if n > 0) or [1]
        axes.set_xscale("log")
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter("{x:.2f}")
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.minorticks_off()
        axes.set_xlabel("labels a class")
        _title(axes, name)
    panels[0].set_ylabel(label)
    return svg(figure, "curves")


def reliability(details: Sequence[Mapping[str, Any]]) -> str:
    """Stated probability against how often it is right, over all draws of each tileset's largest number of labels."""
    frame = pd.DataFrame(details)
    names = list(dict.fromkeys(frame["tileset"]))
    figure, panels = _panels(len(names), 3.0, 3.0)
    for axes, name in zip(panels, names, strict=True):
        mine = frame[frame["tileset"] == name]
        mine = mine[mine["labels_per_class"] == mine["labels_per_class"].max()]
        axes.plot([0, 1], [0, 1], color=SOFT, lw=0.9, ls=(0, (3, 3)))
        for arm in in_order(list(mine["arm"].unique())):
            curves = [np.array(c) for c in mine[mine["arm"] == arm]["reliability"]]
            confidence, right, weight = np.concatenate(curves, axis=1)
            bins = np.minimum((confidence * 15).astype(int), 14)
            total = np.bincount(bins, weight, 15)
            kept = total > 0.005 * len(curves)  # fewer pixels than that only show chance
            x = np.bincount(bins, weight * confidence, 15)[kept] / total[kept]
            y = np.bincount(bins, weight * right, 15)[kept] / total[kept]
            axes.plot(x, y, "o-", color=arm_colour(arm), lw=1.4, ms=3)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated probability", aspect="equal")
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        _title(axes, name)
    panels[0].set_ylabel("share that is right")
    return svg(figure, "reliability")


LOSSES = {
    "episode": ("#1b9e77", "a few labels, the rest to be mapped"),
    "dense": ("#d0558f", "what fiction calls each pixel"),
    "loss": ("#8a94a0", "what is minimised"),
}
"""colour of each loss of a pretraining, and what it is of"""


def loss_curves(rows: pd.DataFrame) -> str:
    """Running means of the losses of a pretraining by its steps, in the colours of `LOSSES`."""
    figure, (axes,) = _panels(1, 6.5, 2.6)
    for name, (colour, _) in LOSSES.items():
        if name in rows:
            axes.plot(rows["step"].to_numpy(float), rows[name].to_numpy(float), color=colour, lw=1.6)
    axes.set_xlabel("steps")
    axes.set_ylabel("loss [nat]")
    axes.set_ylim(bottom=0)
    return svg(figure, "loss")


def class_scores(rows: pd.DataFrame) -> str:
    """IoU of every class at each tileset's largest number of labels: mean over draws, a dot an arm."""
    names = list(dict.fromkeys(rows["tileset"]))
    classes = {n: _classes(rows[rows["tileset"] == n]) for n in names}
    figure, panels = _panels(len(names), 3.5, 0.9 + 0.27 * max(len(c) for c in classes.values()))
    for axes, name in zip(panels, names, strict=True):
        mine = rows[rows["tileset"] == name]
        mine = mine[mine["labels_per_class"] == mine["labels_per_class"].max()]
        means = mine.groupby("arm")[[f"iou_{c}" for c in classes[name]]].mean()
        for place, column in enumerate(means.columns):
            axes.plot(
                [means[column].min(), means[column].max()], [place, place], color=LINE, lw=3, solid_capstyle="round"
            )
        for arm in in_order(list(means.index)):
            axes.plot(means.loc[arm], range(len(classes[name])), "o", color=arm_colour(arm), ms=5.5, mew=0)
        axes.set_yticks(range(len(classes[name])), [c.replace("_", " ") for c in classes[name]])
        axes.set(xlim=(0, 1), ylim=(max(len(c) for c in classes.values()) - 0.5, -0.5), xlabel="IoU")
        axes.grid(axis="x", color=LINE, lw=0.6)
        axes.grid(axis="y", visible=False)
        _title(axes, name)
    return svg(figure, "classes")


def _classes(rows: pd.DataFrame) -> list[str]:
    mine = [c for c in rows.columns if c.startswith("iou_") and rows[c].notna().any()]
    return [c.removeprefix("iou_") for c in mine]


def _panels(count: int, wide: float, tall: float) -> tuple[Figure, list[Axes]]:
    across = min(count, 3)
    down = -(-count // across)
    figure = Figure(figsize=(across * wide, down * tall), layout="constrained")
    found = [figure.add_subplot(down, across, n + 1) for n in range(count)]
    for axes in found:
        axes.set_facecolor("none")
        axes.grid(axis="y", color=LINE, lw=0.6)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(LINE)
        axes.tick_params(colors=SOFT, labelsize=9, length=0, pad=5)
        axes.xaxis.label.set(color=SOFT, size=9)
        axes.yaxis.label.set(color=SOFT, size=9)
    return figure, found


def _title(axes: Axes, name: str) -> None:
    axes.set_title(name, loc="left", color=INK, fontsize=11, pad=10)


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG to stand in a page: page's fonts and colours, no ids that clash with another's."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.S)
    name = f"{name}-{zlib.crc32(text.encode()):08x}"  # several benchmarks may stand in one page
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{name}-", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    for stand_in, colour in PAGE.items():
        text = text.replace(stand_in, colour)
    return re.sub(
        r'width="([\d.]+)pt" height="[\d.]+pt"',
        r'style="width:100%;max-width:\1pt;height:auto" role="img"',
        text,
        count=1,
    )
