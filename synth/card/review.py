"""The reviewer's sheet: what a field expert says of cards, and how it is read back as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

ASPECTS = {
    "relief": "Could ground of this climate and rock have this shape?",
    "water": "Do rivers, lakes and shores lie where water would, and does it run downhill?",
    "vegetation": "Does what grows wild stand where it would, beside what it would?",
    "farming": "Are fields of a size, shape and mix of crops that people of such a place have?",
    "settlement": "Do towns, villages and roads lie where people would put them, and look like it?",
    "season": "Do colours fit the season, the climate and the sun?",
    "camera": "Does the picture look like one of this camera: sharpness, noise, haze, clouds, shadows?",
    "whole": "Would you take it for a real place?",
}
"""what is asked of every card; a reviewer leaves out what is not of his field"""
VERDICTS = ("plausible", "not", "")
"""what can be said; empty: not judged"""
COLUMNS = ("card", "source", "aspect", "question", "verdict", "why", "reviewer")


def review_rows(card: Mapping[str, Any]) -> list[dict[str, str]]:
    """The empty rows of a card."""
    seeds = card["facts"].get("seeds", {})
    source = " ".join(str(seeds[name]) for name in ("recipe", "recipe_digest") if name in seeds) or card["kind"]
    empty = {"verdict": "", "why": "", "reviewer": ""}
    return [
        {"card": card["name"], "source": source, "aspect": aspect, "question": question} | empty
        for aspect, question in ASPECTS.items()
    ]


def write_review(cards: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the empty sheet of some cards as CSV, which any table program opens."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS)
    table.writeheader()
    table.writerows([row for card in cards for row in review_rows(card)])
    with whole_file(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def read_reviews(paths: Sequence[Path]) -> pd.DataFrame:
    """Filled sheets as one table with the columns `COLUMNS`; rows without a verdict are left out.

    Parameters
    ----------
    paths : Sequence[Path]
        CSV files, of the card pages or of `write_review`

    Returns
    -------
    pd.DataFrame
        one row a card, aspect and reviewer; `verdict` is plausible or not

    Raises
    ------
    Refusal
        a missing column, an unknown aspect or verdict, a card that one reviewer judged twice
    """
    if not paths:
        raise Refusal("review", "sheets", "none", "at least one CSV", "name the files that the reviewers sent back")
    table = pd.concat([_read(path) for path in paths], ignore_index=True)
    said = table[table["verdict"] != ""].reset_index(drop=True)
    twice = said[said.duplicated(["card", "source", "aspect", "reviewer"])]
    if len(twice):
        row = twice.iloc[0]
        found = f"{row['card']} {row['aspect']} twice by {row['reviewer'] or 'nobody named'}"
        mend = "drop one of the sheets, or write who judged into the column reviewer"
        raise Refusal(row["file"], "reviewer", found, "each aspect once", mend)
    return said


def summarise_reviews(reviews: pd.DataFrame) -> pd.DataFrame:
    """How often each aspect is plausible, by source: judged, plausible, share."""
    plausible = reviews.assign(plausible=reviews["verdict"] == "plausible")
    table = plausible.groupby(["source", "aspect"], sort=False)["plausible"].agg(["size", "sum", "mean"]).reset_index()
    return table.rename(columns={"size": "judged", "sum": "plausible", "mean": "share"})


def _read(path: Path) -> pd.DataFrame:
    try:
        # utf-8-sig and any separator: table programs write a mark of their own, and semicolons in half of Europe
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=None, engine="python")
    except FileNotFoundError:
        raise Refusal(path, "file", "nothing", "a reviewer's sheet", "check the path") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise Refusal(path, "csv", " ".join(str(error).split()), "a CSV in UTF-8", "save it as CSV, UTF-8") from error
    for column in COLUMNS:
        if column not in table:
            raise Refusal(
                path,
                column,
                f"columns {', '.join(map(str, table.columns))}",
                f"a column {column}",
                "keep the heading row",
            )
    table["verdict"] = table["verdict"].str.strip().str.lower()
    for column, known in (("aspect", tuple(ASPECTS)), ("verdict", VERDICTS)):
        wrong = table[~table[column].isin(known)]
        if len(wrong):
            at = f"{path}:{int(wrong.index[0]) + 2}"
            words = ", ".join(word or "nothing" for word in known)
            raise Refusal(at, column, repr(wrong[column].iloc[0]), f"one of {words}", "correct the cell")
    return table[list(COLUMNS)].assign(file=str(path))
