"""The study of landscapes: clusters and domains of a tileset, drawn and told, and what familiarity foretells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from terraficta.eval.domains.domain import LEAST_PX, By, Plot
from terraficta.eval.domains.foresight import Foresight, correlation_table, fallback_table, foresee
from terraficta.eval.domains.landscape import SIDE_PX, Landscapes, at_home, cluster, distinctness, see_landscapes
from terraficta.eval.domains.transfer import TransferAmounts
from terraficta.eval.experiment import Experiment
from terraficta.eval.table import Table
from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.tile import Tile

matplotlib.use("Agg")
KIND = "landscapes"
SHOWN = 8
"""domains that tables and figures name; the others are counted together"""
REST = "others"
LEARN_TILES = 60
"""of the train fold, evenly from all"""


def study_landscapes(
    folder: Path,
    out: Path,
    by: By = "region",
    *,
    weights: Path | None = None,
    amounts: TransferAmounts | None = None,
    tell: Callable[[str], None] = print,
) -> list[Table]:
    """Clusters by colour and by features, with figures; rank correlations where the train and test folds are of
    different scenes."""  # fmt: skip
    amounts = amounts or TransferAmounts()
    tileset, (mapper, _) = read_tileset(folder), read_weights(weights)
    digest = weights_digest(weights or SHIPPED)
    plan = {"tileset": tileset.name, "by": by, "weights": digest, "amounts": vars(amounts)}
    experiment = Experiment(out, KIND, plan, parents={"weights": digest})
    tiles = list(tileset.tiles())
    seen = see_landscapes(tiles, by, mapper)
    if len(set(seen.domain)) < 2:
        raise Refusal(folder, by, f"{len(set(seen.domain))} domains", "two or more", "give scenes a region or a date")
    names = shown_domains(seen.domain)
    domain = [name if name in names else REST for name in seen.domain]
    tables, figures = [], ["domains.png"]
    draw_domains(seen, domain, tiles, out / "domains.png")
    for kind, x in (("colours", seen.colour), ("features", seen.feature)):
        clusters, nearest = cluster(x)
        tables.append(cluster_table(kind, clusters, domain, names, seen))
        draw_representatives([seen.place[n] for n in nearest], clusters, tiles, out / f"{kind}.png", kind)
        figures.append(f"{kind}.png")
        tell(f"{kind}: clusters tell {distinctness(clusters, seen.domain):.2f} of the domain")
    learn, check = plots_of(tiles)
    if len(check) >= 8:
        found = experiment.cell(plan | {"part": "foresight"},
                                lambda: vars(foresee(learn, check, mapper, tileset.meanings, amounts, 0)))  # fmt: skip
        one = Foresight(**found)
        tables += [correlation_table(one), fallback_table(one)]
    experiment.write(tables, figures, patches=len(seen.domain), domains=len(set(seen.domain)))
    return tables


def plots_of(tiles: Sequence[Tile]) -> tuple[list[Plot], list[Plot]]:
    """Train and test plots of tiles that lie whole in one fold; none where folds part scenes."""
    learn = [Plot(t.id, t, t.in_fold(TRAIN)) for t in tiles if int(t.in_fold(TRAIN).sum()) >= LEAST_PX]
    check = [Plot(t.id, t, t.in_fold(TEST)) for t in tiles if int(t.in_fold(TEST).sum()) >= LEAST_PX]
    if {p.tile.id for p in learn} & {p.tile.id for p in check}:
        return [], []
    few = [learn[int(n)] for n in np.linspace(0, len(learn) - 1, min(len(learn), LEARN_TILES)).round()] if learn else []
    return few, check


def shown_domains(domain: Sequence[str]) -> list[str]:
    """The largest domains, and the rest as one where there are more."""
    names, counts = np.unique(np.array(domain), return_counts=True)
    order = [str(names[n]) for n in np.argsort(-counts, kind="stable")]
    return order if len(order) <= SHOWN else [*order[: SHOWN - 1], REST]


def cluster_table(
    kind: str, clusters: NDArray[np.int64], domain: Sequence[str], names: Sequence[str], seen: Landscapes
) -> Table:
    """Clusters by row: size, familiarity, and how much more frequent in each domain than anywhere."""
    rows: list[list[Any]] = []
    for number, line in enumerate(at_home(clusters, domain, names)):
        mine = clusters == number
        rows.append([number + 1, float(mine.mean()), float(np.nanmean(seen.familiar[mine]))
                     if not np.isnan(seen.familiar[mine]).all() else None, *line.tolist()])  # fmt: skip
    note = (
        f"P(domain | cluster) / P(domain): 1 is as frequent as anywhere, 0 absent. Cluster and domain share "
        f"{distinctness(clusters, seen.domain):.2f} of the domain's entropy (0: alike everywhere, 1: each has its own)."
    )
    return Table(f"Clusters by {kind}", note, ["cluster", "share", "familiarity", *names], rows)


def picture(tile: Tile, y: int, x: int) -> NDArray[np.float32]:
    """(32, 32, 3) of a patch, stretched by its tile."""
    image = tile.image[list(tile.sensor.reading_order())]
    low, high = (torch.quantile(image[:, tile.valid][:, ::7], q, dim=1)[:, None, None] for q in (0.02, 0.98))
    part = (image[:, y : y + SIDE_PX, x : x + SIDE_PX] - low) / (high - low).clamp(min=1e-6)
    return part.clamp(0, 1).permute(1, 2, 0).numpy()


def draw_representatives(
    places: Sequence[tuple[int, int, int]], clusters: NDArray[np.int64], tiles: Sequence[Tile], path: Path, kind: str
) -> None:
    """The patch nearest to each cluster's centre."""
    figure = Figure(figsize=(8 * 1.35, 2 * 1.6), layout="constrained")
    axes = figure.subplots(2, 8).ravel()
    for axis in axes:
        axis.set_axis_off()
    for number, (axis, (tile, y, x)) in enumerate(zip(axes, places, strict=False)):
        axis.imshow(picture(tiles[tile], y, x), interpolation="nearest")
        axis.set_title(f"{number + 1}: {np.mean(clusters == number):.0%}", fontsize=9)
    figure.suptitle(f"nearest to the centre of each cluster, by {kind}", fontsize=10)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=90, format="png")


def draw_domains(seen: Landscapes, domain: Sequence[str], tiles: Sequence[Tile], path: Path) -> None:
    """Patches in two principal directions of colour and of features, and densities of two bands, by domain."""
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = figure.subplots(1, 4)
    sensor, of = tiles[0].sensor, np.array(domain)
    red = sensor.reading_order()[0]
    nir = int((sensor.centre_nm - 850.0).abs().argmin())
    _, _, turn = np.linalg.svd(seen.colour - seen.colour.mean(0), full_matrices=False)
    flat = (seen.colour - seen.colour.mean(0)) @ turn[:2].T
    colours = matplotlib.colormaps["tab10"]
    for number, name in enumerate(shown_domains(domain)):
        mine = of == name
        style = {"color": colours(number % 10), "label": name}
        for axis, x in ((axes[0], flat), (axes[1], seen.feature)):
            axis.scatter(x[mine, 0], x[mine, 1], s=5, alpha=0.5, lw=0, **style)
        for axis, band in ((axes[2], red), (axes[3], nir)):
            height, edge = np.histogram(seen.colour[mine, band], bins=24, range=(-3, 3), density=True)
            axis.plot((edge[1:] + edge[:-1]) / 2, height, lw=1.4, **style)
    for axis, title in zip(axes, ("colours, PCA", "features, PCA", f"density of {sensor.bands[red].name}",
                                  f"density of {sensor.bands[nir].name}"), strict=True):  # fmt: skip
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[2].set_xlabel("mean of a patch [deviations]")
    axes[3].set_xlabel("mean of a patch [deviations]")
    axes[0].legend(frameon=False, fontsize=7, markerscale=2)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=90, format="png")
