"""The report of a narrowing: what was narrowed, what could not be matched, what lies outside; and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from terraficta.finetune.narrow.dial import NO_DIAL
from terraficta.finetune.narrow.narrow import Narrowing
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.synth.corpus.contact_sheet import true_colour
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.tile import Tile

MOST_NAMED = 12
"""figures that are told one by one"""
COLUMNS = 6
"""windows of each kind in the picture"""


def write_recipe(found: Narrowing, path: Path) -> None:
    """Write the narrowed recipe as YAML, whole, as every recipe is."""
    text = yaml.safe_dump(found.recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=110)
    with whole_file(path) as partial:
        partial.write_text(text)


def report_text(found: Narrowing) -> str:
    """The report, in Markdown."""
    lines = [f"# {found.recipe.name}: {found.recipe.about}", ""]
    lines += [
        _verdict(found),
        "",
        "## How near",
        "",
        "| | wide | narrowed | real, other windows |",
        "|---|---|---|---|",
    ]
    for title, row in (("energy distance to held-out real windows", found.distance),
                       ("a forest tells them apart (ROC area, .5 not at all)", found.auc)):  # fmt: skip
        lines.append(f"| {title} | {row['wide']:.3f} | **{row['narrowed']:.3f}** | {row['real']:.3f} |")
    said = ", ".join(f"{count} {kind}" for kind, count in found.windows.items())
    lines += ["", f"Windows of {found.window_px} px: {said}; {found.counted:.0f} of the last round's count.", ""]
    lines += ["## What the tiles' manifest decided", ""]
    lines += [f"- `{field}`: {what}" for field, what in found.set_by_tiles.items()]
    lines += ["", "## What was narrowed", "", "| field | before | after | evidence |", "|---|---|---|---|"]
    lines += [f"| `{t.field}` | {_short(t.before)} | {_short(t.after)} | {t.evidence:.1f} |"
              for t in found.turned if not t.note]  # fmt: skip
    lines += ["", "## What was left alone", ""]
    lines += [f"- `{t.field}` {_short(t.before)}: {t.note} (evidence {t.evidence:.1f})" for t in found.turned if t.note]
    lines += [f"- {what}: {why}" for what, why in NO_DIAL.items()]
    lines += ["", "## What could not be matched", ""]
    lines += [f"- `{name}`: the narrowed median is {off:+.1f} spreads of the real windows away"
              for name, off in list(found.unmatched.items())[:MOST_NAMED]] or ["- nothing"]  # fmt: skip
    if len(found.unmatched) > MOST_NAMED:
        lines.append(f"- and {len(found.unmatched) - MOST_NAMED} more of {', '.join(_kinds(list(found.unmatched)))}")
    lines += ["", "## What lies outside what the wide recipe draws", "",
              f"{100 * found.drift.share:.0f} % of the real windows are strangers to it (chance: 2 %)."]  # fmt: skip
    lines += [f"- `{name}`: {100 * share:.0f} % of the real windows beyond all but 1 % of fiction"
              for name, share in list(found.drift.outside.items())[:MOST_NAMED]]  # fmt: skip
    return "\n".join(lines) + "\n"


def _verdict(found: Narrowing) -> str:
    text = "The narrowed recipe is nearer to real windows that were not fitted than the wide one."
    if not found.better:
        text = "**The narrowed recipe is no nearer to real windows that were not fitted: stay with the wide one.**"
    if found.drift.alarm:
        kinds = ", ".join(_kinds(list(found.drift.outside))) or "no single figure, but how they go together"
        text += f" **ALARM: the real tiles lie outside what the recipe can draw, by {kinds}.**"
    return text


def alarm_line(found: Narrowing) -> str | None:
    """One line for the screen, where the real tiles lie outside; None where they do not."""
    if not found.drift.alarm:
        return None
    kinds = ", ".join(_kinds(list(found.drift.outside))) or "how figures go together"
    share = max(found.drift.share, found.drift.worst)
    return f"alarm: {100 * share:.0f} % of the real windows lie outside what the recipe draws, by {kinds}"


def _kinds(names: Sequence[str]) -> list[str]:
    """Kinds and bands of figures, each once."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kind, band, _ = name.split(".")
        if band not in kinds.setdefault(kind, []):
            kinds[kind].append(band)
    return [f"{kind} of {' '.join(bands[:4])}" for kind, bands in kinds.items()]


def _short(value: object) -> str:
    if isinstance(value, tuple | list):
        if value and all(isinstance(v, str) for v in value):
            return ", ".join(f"{name} x{value.count(name)}" for name in dict.fromkeys(value))
        return " to ".join(f"{v:g}" for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def real_windows(tileset: Tileset, window_px: int) -> list[Tile]:
    """Windows of real tiles to look at, from as many of them as there are."""
    found: list[Tile] = []
    step = max(1, len(tileset) // COLUMNS)
    for number in range(0, len(tileset), step):
        tile = tileset[number]
        down, across = (size // window_px for size in tile.grid.shape)
        places = [(y, x) for y in range(down) for x in range(across)]
        wanted = max(1, COLUMNS // len(tileset))
        for y, x in places[:: max(1, len(places) // wanted)][:wanted]:
            found.append(tile.crop(y * window_px, x * window_px, window_px, window_px))
    return found[:COLUMNS]


def write_picture(rows: Sequence[tuple[str, Sequence[Tile]]], path: Path) -> None:
    """Write a PNG with one row a kind of tiles: real, narrowed, wide; each stretched by itself."""
    figure = Figure(figsize=(COLUMNS * 1.9, len(rows) * 2.05), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for line, (title, tiles) in zip(axes, rows, strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, tile in zip(line, tiles, strict=False):
            axis.imshow(true_colour(tile), interpolation="nearest")
        line[0].set_title(title, fontsize=8, loc="left")
    with whole_file(path) as partial:
        canvas.print_figure(partial, dpi=110, metadata={"Software": None})
