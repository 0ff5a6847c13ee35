"""The figure of realism: densities, NDVI, power spectrum and variogram of real and fictional patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from terraficta.eval.realism.statistics import LAGS_PX, QUANTILES, Statistics
from terraficta.synth.types.run import whole_file

matplotlib.use("Agg")
COLOURS = {"real": "#111111", "tier0": "#b9c4d0", "tier1": "#7fb3d5", "tier2": "#2f7fb8", "tier3": "#c0392b"}
"""real land in black, the whole fiction in red"""


def draw_statistics(found: Mapping[str, Statistics], bands: Sequence[str], path: Path, title: str) -> None:
    """Draw and write a PNG: a panel for up to three bands, and one for NDVI, spectrum and variogram."""
    shown = sorted({0, len(bands) // 2, len(bands) - 1})
    figure = Figure(figsize=(4 * 3, 3.1 * 2), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis, band in zip(axes, shown, strict=False):
        for name, own in found.items():
            axis.plot(
                own.quantiles[band], QUANTILES, color=COLOURS.get(name), lw=2 if name == "real" else 1.2, label=name
            )
        axis.set(xlabel=f"{bands[band]}", ylabel="share below", title=f"values of {bands[band]}")
    for name, own in found.items():
        style = {"color": COLOURS.get(name), "lw": 2 if name == "real" else 1.2, "label": name}
        axes[3].plot(own.ndvi, QUANTILES, **style)
        axes[4].loglog(np.arange(1, 17), own.spectrum, **style)
        axes[5].plot(LAGS_PX, own.variogram, **style)
    axes[3].set(xlabel="NDVI", ylabel="share below", title="NDVI")
    axes[4].set(xlabel="cycles a patch of 32 px", ylabel="power", title="power spectrum")
    axes[5].set(xlabel="lag [px]", ylabel="semivariance", title="variogram of standardised patches")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=80, format="png")
