"""The report: one page that shows what was done, what came of it, and what did not help."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from terraficta.eval.provenance import Link, read_link, walk
from terraficta.eval.report.atlas import Plate, plates_of
from terraficta.eval.report.comparison import compare
from terraficta.eval.report.figures import LOSSES, loss_curves
from terraficta.eval.report.pages import write_page
from terraficta.eval.table import KIND, Table, tables_of
from terraficta.pretrain.curve import CURVE
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run

PAGE = "report.html"
PROMISED = "What was promised"
"""title of the table that a page begins with"""


@dataclass(frozen=True)
class Experiment:
    """What a run record says of an experiment, as tables and figures.

    Parameters
    ----------
    kind : str
        its name
    tables : tuple[Table, ...]
        in order
    figures : tuple[tuple[str, str], ...]
        caption, and the picture as a data URI, of those that lie beside the record
    """

    kind: str
    tables: tuple[Table, ...]
    figures: tuple[tuple[str, str], ...] = ()


def write_report(paths: Sequence[Path], out: Path) -> Path:
    """Write `report.html` and run.json into a folder; the page needs nothing else, online or off.

    Parameters
    ----------
    paths : Sequence[Path]
        folders of runs, or GeoTIFF maps by `terraficta eval predict`
    out : Path
        folder
    """
    if not paths:
        raise Refusal("report", "--run", "none", "at least one run", "name a folder of finetune or benchmark")
    links = [read_link(path) for path in paths]
    run = Run(
        "report", {"runs": [str(p) for p in paths]}, seed=0, parents={f"run{n}": k.digest for n, k in enumerate(links)}
    )
    plates: list[Plate] = []
    notes: list[str] = []
    for link in links:
        more, note = plates_of(link)
        plates += more
        notes += [note] if note else []
    learnt = [_learnt(Path(link.place)) for link in links if link.stage == "pretrain" and link.place]
    comparisons = [compare(Path(link.place)) for link in links if link.stage == "benchmark"]
    promised = [t for link in links for t in tables_of(link.record, link.place) if t.title == PROMISED]
    chain = walk(links)
    size = write_page(
        PAGE, out / PAGE, chain=chain, plates=plates, comparisons=comparisons, notes=notes, learnt=learnt,
        promised=promised, experiments=experiments_of(links), limits=limits_of(links), energy=energy_of(chain),
        losses=list(LOSSES.items()),
        written=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    )  # fmt: skip
    run.write(out, {"plates": len(plates), "comparisons": len(comparisons), "bytes": size})
    return out / PAGE


def experiments_of(links: Sequence[Link]) -> list[Experiment]:
    """The experiments whose records hold tables, those of a kind together."""
    found: dict[str, list[Table]] = {}
    pictures: dict[str, list[tuple[str, str]]] = {}
    for link in links:
        tables = [table for table in tables_of(link.record, link.place) if table.title != PROMISED]
        if tables:
            kind = str(link.record.get(KIND) or link.stage)
            found.setdefault(kind, []).extend(tables)
            pictures.setdefault(kind, []).extend(_figures_of(link))
    return [Experiment(kind, tuple(tables), tuple(pictures[kind])) for kind, tables in found.items()]


def _figures_of(link: Link) -> list[tuple[str, str]]:
    """The figures that a record names, where they lie beside it; a record that was kept alone has none."""
    beside = [Path(link.place) / Path(str(name)).name for name in link.record.get("figures") or ()]
    return [
        (path.stem.replace("_", " "), "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode())
        for path in beside
        if path.suffix == ".png" and path.is_file()
    ]


def energy_of(chain: Sequence[Link]) -> str:
    """What all runs of a chain took together; an estimate, and said to be."""
    joules = [float(link.record.get("energy_wh_estimate") or 0.0) for link in chain]
    known = [link.stage for link, value in zip(chain, joules, strict=True) if value]
    text = f"{sum(joules) / 1000:.2g} kWh" if sum(joules) >= 1000 else f"{sum(joules):.2g} Wh"
    return f"{text} over {len(known)} runs ({', '.join(known)})" if known else ""


def limits_of(links: Sequence[Link]) -> list[str]:
    """What the numbers of a page do not say, by what the page holds."""
    stages = {link.stage for link in links}
    found = []
    if "benchmark" in stages:
        found += [
            "Intervals tell of the luck of the labels and of which ground was tested; another region, season or sensor "
            "may differ by more.",
            "The weights' recipe was chosen with some of these tilesets in sight: these are development figures, not a "
            "held-out test.",
            "Labels of several tilesets are model maps or volunteers' polygons: no map can score higher than they are "
            "right.",
            "Arms that train have the few steps of the benchmark's recipe, the same for all; with hours of training "
            "their order may change.",
        ]
        found += [
            f"{one['tileset']}: {one['arm']} left out. {one['reason']}"
            for link in links
            for one in link.record.get("left_out") or []
        ]
    if stages & {"finetune", "predict", "map"}:
        found.append(
            "A map's doubt is what the model says of itself: ground unlike all that it saw may be doubted too little."
        )
    found.append("Energy is processor time times 10 W a core: right within a factor of two.")
    return found


def _learnt(folder: Path) -> Markup | None:
    """The losses of a pretraining as a figure; None where no table of them is there."""
    path = folder / CURVE
    return Markup(loss_curves(pd.read_csv(path))) if path.is_file() else None
