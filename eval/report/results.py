"""The results: every table of some run records as one page of Markdown, for a repository."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from terraficta.eval.provenance import Link, duration, read_link
from terraficta.eval.report.report import PROMISED, experiments_of, limits_of
from terraficta.eval.table import tables_of
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

WORTH = "What fiction was worth"
"""title of the table that is told in words too"""
RESULTS = "RESULTS.md"
"""name of the page at the root of the project"""


def write_results(paths: Sequence[Path], out: Path, command: str = "make results") -> Path:
    """Write RESULTS.md from run records and nothing else.

    Parameters
    ----------
    paths : Sequence[Path]
        folders of runs whose records hold tables
    out : Path
        file
    command : str
        that makes the page anew, said in it

    Raises
    ------
    Refusal
        no record with a table
    """
    links = sorted((read_link(path) for path in paths), key=lambda link: link.stage != "benchmark")
    if not any(tables_of(link.record, link.place) for link in links):
        mend = "run terraficta eval benchmark, or another experiment that writes tables"
        raise Refusal("results", "--run", "no tables", "run records with tables", mend)
    parts = [
        "# Results",
        f"Remade by `{command}`, {datetime.now(UTC):%d %B %Y, %H:%M UTC}, from run records alone. What loses stays in.",
        _made_of(links),
    ]
    for link in links:
        for table in tables_of(link.record, link.place):
            if table.title == PROMISED:
                parts += ["## What was promised, before it ran", table.note, table.markdown()]
    if words := in_words(links):
        parts += ["## In words", "\n".join(f"- {line}" for line in words)]
    for experiment in experiments_of(links):
        parts.append(f"## {experiment.kind.replace('_', ' ').replace('-', ' ').capitalize()}")
        for table in experiment.tables:
            parts += [f"### {table.title}", *([table.note] if table.note else []), table.markdown()]
    parts += ["## Limits", "\n".join(f"- {limit}" for limit in limits_of(links))]
    with whole_file(out) as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return out


def in_words(links: Sequence[Link]) -> list[str]:
    """What fiction was worth, a sentence a difference, as plainly where it was worth nothing."""
    said = []
    for link in links:
        for table in tables_of(link.record, link.place):
            if table.title != WORTH:
                continue
            for name, labels, count, mean, spread, helps, hurts, where, about in table.rows:
                low, high = (float(end) for end in str(spread).replace("−", "-").strip("[]").split(","))
                verdict = "a gain" if low > 0 else "a loss" if high < 0 else "not told apart from nothing"
                number = f"{mean:+.3f}".replace("-", "−")
                said.append(
                    f"{name}, {labels} labels a class ({about}): {number} mIoU {spread} over {count} tilesets, "
                    f"{verdict}; better in {helps} of them, worse in {hurts}" + (f" ({where})." if hurts else ".")
                )
    return said


def _made_of(links: Sequence[Link]) -> str:
    """Where the numbers come from, a line a run: date, machine, time, weights, draws, commit."""
    lines = ["| experiment | started | machine | time | draws | weights | commit |", "|---|---|---|---|---|---|---|"]
    for link in links:
        record = link.record
        cells = (
            str(record.get("kind") or link.stage), str(record.get("started", ""))[:16].replace("T", " "),
            str(record.get("machine", "")), duration(float(record.get("work_s") or record.get("wall_s") or 0)),
            str(link.recipe.get("seeds", "")), str(record.get("weights_digest") or ""),
            str(record.get("git_commit") or "")[:10],
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
