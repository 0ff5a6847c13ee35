"""The page of a card: pictures with names on them, tables, facts, and the reviewer's sheet; it needs nothing else."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import image as pictures
from numpy.typing import NDArray

from terraficta.synth.card.plot import Mark, svg
from terraficta.synth.card.review import COLUMNS, review_rows
from terraficta.synth.types.run import whole_file

STYLE = Path(__file__).parent / "card.css"
MOST_BORDERS, MOST_PLACES = 10, 12
"""rows of a table on the page; the JSON has all"""
UNITS = {"_m": "m", "_deg": "deg", "_cm": "cm", "_px": "px", "_ha": "ha", "_km": "km", "_nm": "nm"}
"""what the end of a name says of its number"""
SMALLEST_DIGITS = 4
"""decimals of a number that is shown at most"""
LEAST_SHOWN = 0.001
"""smaller facts are said to be smaller; the JSON has the number"""
SAID = {"kind": "climate", "season": "season of the year", "resampling": "resampled by"}
"""what a fact is called where its name is short"""
QUARTERS = ("winter", "spring", "summer", "autumn")
SAVE = """
document.getElementById("save").addEventListener("click", () => {
  const who = document.getElementById("who").value, cell = s => '"' + String(s).replaceAll('"', '""') + '"';
  const rows = SHEET.map(row => ({...row, reviewer: who,
    verdict: (document.querySelector(`input[name="${row.aspect}"]:checked`) || {value: ""}).value,
    why: document.getElementById("why-" + row.aspect).value}));
  const text = [COLUMNS, ...rows.map(row => COLUMNS.map(c => row[c]))].map(r => r.map(cell).join(",")).join("\\r\\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text + "\\r\\n"], {type: "text/csv"}));
  link.download = `review-${SHEET[0].card}-${who.trim().replaceAll(/[^A-Za-z0-9]+/g, "_") || "unnamed"}.csv`;
  link.click();
});
"""
"""what the button of the sheet does: it hands the table to the browser as a file, and sends nothing anywhere"""

Picture = NDArray[Any]
"""(H, W, 3 or 4), in 0..1 or 0..255"""


def write_card_page(card: Mapping[str, Any], shown: Mapping[str, Picture], marked: str, path: Path) -> None:
    """Write a card as one HTML file.

    Parameters
    ----------
    card : Mapping[str, Any]
        of `make_card`
    shown : Mapping[str, Picture]
        pictures (H, W, 3 or 4) by caption
    marked : str
        caption of the one on which places are named
    path : Path
        of the page
    """
    body = "\n".join(
        [
            _head(card),
            _pictures(card, shown, marked),
            f'<h2>Land cover</h2>\n<div class="columns cover"><section>{_classes(card)}</section>'
            "<section><h3>What borders on what: length, and share of all borders of each</h3>"
            f"{_borders(card)}</section></div>",
            f'<h2>Ground and water</h2>\n<div class="columns ground"><section>{_relief(card)}</section>'
            f"<section>{_waters(card)}</section></div>",
            f"<h2>Settlements</h2>\n{_settlements(card)}",
            f"<h2>{'What was drawn' if card['kind'] == 'fiction' else 'What the map says'}</h2>\n{_facts(card)}",
            _review(card),
        ]
    )
    title = escape(f"{card['name']}: a card")
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title}</title>\n'
        f"<style>\n{STYLE.read_text()}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def data_uri(picture: Picture) -> str:
    """A picture as PNG within the page."""
    buffer = io.BytesIO()
    whole = picture if picture.dtype == np.uint8 else (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    pictures.imsave(buffer, whole, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """Rows of cells that are HTML already; columns in `words` are set to the left."""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = [" class=words" if n in words else "" for n in range(len(cells))]
        return "<tr>" + "".join(f"<{tag}{k}>{c}</{tag}>" for k, c in zip(kinds, cells, strict=True)) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<div class=scroll><table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table></div>"


def number(value: float | None, digits: int = 1) -> str:
    """A number as a table shows it.

    Examples
    --------
    >>> number(12345.6), number(None), number(-0.04)
    ('12,346', '–', '−0.040')
    """
    if value is None:
        return "–"
    if 0 < abs(value) < 10.0**-digits:
        digits = min(SMALLEST_DIGITS, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def words(name: str | None) -> str:
    """A class or a field as people write it."""
    return "unknown ground" if name is None else escape(name.replace("_", " "))


def _head(card: Mapping[str, Any]) -> str:
    grid = card["grid"]
    place = grid["crs"] or "no coordinate system: fiction lies nowhere"
    if len(place) > 60:  # a definition in full, which the JSON has
        place = place.split('"')[1] if '"' in place else place[:60]
    size = f"{grid['width_km']:.3g} × {grid['height_km']:.3g} km"
    pixels = f"{grid['width_px']} × {grid['height_px']} px of {grid['gsd_m']:.4g} m"
    known = f"{100 * card['known_share']:.1f} % of it known"
    parts = [size, pixels, f"{number(grid['area_ha'])} ha", known, f"on a screen {grid['scale']}", escape(place)]
    return f"<header><h1>{escape(card['name'])}</h1><p class=soft>{' · '.join(parts)}</p></header>"


def _pictures(card: Mapping[str, Any], shown: Mapping[str, Picture], marked: str) -> str:
    figures = []
    for caption, picture in shown.items():
        marks = _marks(card) if caption == marked else []
        drawn = svg(data_uri(picture), (picture.shape[0], picture.shape[1]), card["grid"], marks)
        figures.append(f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>")
    return f"<div class=pictures>{''.join(figures)}</div>"


def _marks(card: Mapping[str, Any]) -> list[Mark]:
    places = [(place["area_ha"], "place", place) for place in card["settlements"]]
    places += [(water["area_ha"], "water", water) for water in card["waters"]]
    marks = [Mark(p["y_px"], p["x_px"], p["name"], kind) for _, kind, p in sorted(places, key=lambda p: -p[0])]
    for end, sign in (("highest", "▲"), ("lowest", "▽")):
        if card["relief"]:
            at = card["relief"][end]
            marks.insert(0, Mark(at["y_px"], at["x_px"], f"{sign} {number(at['elevation_m'], 0)}", "height"))
    return marks[: 2 + MOST_PLACES]


def _classes(card: Mapping[str, Any]) -> str:
    most = max((row["share"] for row in card["classes"]), default=1.0)
    rows = [
        [
            f'<span class=swatch style="background:{row["colour"]}"></span>{words(row["name"])}',
            f"{100 * row['share']:.1f} %",
            f'<span class=track><span class=bar style="width:{100 * row["share"] / most:.1f}%;'
            f'background:{row["colour"]}"></span></span>',
            number(row["area_ha"]), str(row["patches"]), number(row["mean_ha"], 2), number(row["largest_ha"], 2),
            number(row["edge_m_ha"], 0),
        ]
        for row in card["classes"]
    ]  # fmt: skip
    return table(["class", "share", "", "ha", "patches", "mean ha", "largest ha", "edge m/ha"], rows, (0, 2))


def _borders(card: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{words(row['a'])} – {words(row['b'])}", number(row["length_m"] / 1000, 2),
            f"{100 * row['share_a']:.0f} %", f"{100 * row['share_b']:.0f} %",
        ]
        for row in card["borders"][:MOST_BORDERS]
    ]  # fmt: skip
    more = len(card["borders"]) - len(rows)
    note = f"<p class=soft>{more} more pairs in the JSON.</p>" if more > 0 else ""
    return table(["pair", "km", "of first", "of second"], rows) + note


def _relief(card: Mapping[str, Any]) -> str:
    shown = card["relief"]
    if shown is None:
        return "<p class=soft>No heights are known.</p>"
    rows = [
        [f"{end} ground", f"{number(at['elevation_m'])} m", at["part"], words(at["on"])]
        for end, at in (("highest", shown["highest"]), ("lowest", shown["lowest"]))
    ]
    levels = ", ".join(f"{100 * float(s):.0f} % below {number(m)} m" for s, m in shown["deciles_m"].items())
    slopes = f"mean slope {100 * shown['mean_slope']:.1f} %, steepest {100 * shown['steepest_slope']:.0f} %"
    return table(["", "height", "where", "on"], rows, (0, 2, 3)) + f"<p class=soft>{levels}; {slopes}.</p>"


def _waters(card: Mapping[str, Any]) -> str:
    found, small = card["waters"], card["waters_too_small"]
    if not found:
        return f"<p class=soft>No open water{f' but {small} of a few pixels' if small else ''}.</p>"
    rows = [
        [
            escape(w["name"]), w["kind"], number(w["area_ha"]), number(w["length_m"], 0), number(w["width_m"], 0),
            w["part"], ", ".join(w["sides"]) or "–", f"to the {w['flows']}" if w["flows"] else "–",
            number(w["fall_m"], 2),
        ]
        for w in found[:MOST_PLACES]
    ]  # fmt: skip
    more = len(found) - len(rows) + small
    note = f"<p class=soft>{more} smaller ones.</p>" if more else ""
    heads = ["water", "kind", "ha", "length m", "width m", "where", "reaches", "flows", "fall m"]
    return table(heads, rows, (0, 1, 5, 6, 7)) + note


def _settlements(card: Mapping[str, Any]) -> str:
    found = card["settlements"]
    if not found:
        return "<p class=soft>No settled place.</p>"
    rows = [
        [
            escape(s["name"]), s["size"], number(s["area_ha"]),
            "–" if s["buildings"] is None else str(s["buildings"]), s["part"],
            "whole" if s["whole"] else "goes on beyond the sheet",
        ]
        for s in found[:MOST_PLACES]
    ]  # fmt: skip
    more = len(found) - len(rows)
    note = f"<p class=soft>{more} smaller ones.</p>" if more > 0 else ""
    return table(["place", "size", "settled ha", "buildings", "where", ""], rows, (0, 1, 4, 5)) + note


def _facts(card: Mapping[str, Any]) -> str:
    groups = []
    for title, group in card["facts"].items():
        lines = "".join(
            f"<dt>{words(SAID.get(name, _stem(name)))}</dt><dd>{_fact(name, value)}</dd>"
            for name, value in group.items()
        )
        groups.append(f"<section><h3>{escape(title)}</h3><dl>{lines}</dl></section>")
    return f"<div class=facts>{''.join(groups)}</div>"


def _stem(name: str) -> str:
    return next((name.removesuffix(end) for end in UNITS if name.endswith(end)), name)


def _fact(name: str, value: Any) -> str:
    unit = next((f" {unit}" for end, unit in UNITS.items() if name.endswith(end)), "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape("yes" if value is True else "no" if value is False else str(value)) + unit
    text = str(value) if isinstance(value, int) else f"{value:.4g}"
    if 0 < abs(value) < LEAST_SHOWN:
        text = f"below {LEAST_SHOWN:g}"
    said = f" ({QUARTERS[round(4 * value) % 4]})" if name == "season" else ""
    return text.replace("-", "−") + unit + said


def _review(card: Mapping[str, Any]) -> str:
    rows = review_rows(card)
    lines = [
        f"<fieldset><b>{row['aspect']}</b><span>{escape(row['question'])}</span><span>"
        + "".join(
            f'<label><input type=radio name="{row["aspect"]}" value="{word}"> {word}</label>'
            for word in ("plausible", "not")
        )
        + f'</span><input type=text id="why-{row["aspect"]}" placeholder="why" aria-label="why: {row["aspect"]}">'
        "</fieldset>"
        for row in rows
    ]
    # no name may open or end a tag within the script
    data = f"const SHEET = {json.dumps(rows)}, COLUMNS = {json.dumps(COLUMNS)};".replace("<", "\\u003c")
    return (
        "<h2>For reviewers</h2>\n<p>Judge what is of your field, and leave out the rest. The button saves a CSV on "
        "this computer; send it to whoever asked you.</p>\n"
        + "\n".join(lines)
        + '\n<div class=save><input type=text id=who placeholder="your name or initials" aria-label="your name">'
        "<button id=save type=button>Save the sheet</button></div>\n"
        f"<script>\n{data}\n{SAVE}</script>"
    )
