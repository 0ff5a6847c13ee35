"""The table: what an experiment leaves in its record, so that a report shows it without knowing the experiment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from terraficta.synth.types.refusal import Refusal

KIND, TABLES = "kind", "tables"
"""keys of run.json: what experiment it was, and a list of tables"""


@dataclass(frozen=True)
class Table:
    """A table that an experiment leaves in its run.json under `tables`; `kind` beside it names the experiment.

    Parameters
    ----------
    title : str
        what is seen, in a few words
    note : str
        a paragraph: how it was measured, and what it does not say
    columns : Sequence[str]
        heads
    rows : Sequence[Sequence[Any]]
        plain numbers and texts, None where there is nothing; as many in a row as there are columns

    Examples
    --------
    >>> Table("Coverage", "", ("dial", "coverage"), (("haze", 0.912345),)).cells()
    [['haze', '0.912']]
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, stated: Mapping[str, Any], where: str) -> Table:
        """From the plain data of a run.json.

        Raises
        ------
        Refusal
            keys or rows that make no table
        """
        if missing := [key for key in ("title", "columns", "rows") if key not in stated]:
            expected = "title, note, columns and rows"
            raise Refusal(where, TABLES, f"no {', '.join(missing)}", expected, "write whole tables")
        columns, rows = tuple(map(str, stated["columns"])), tuple(tuple(row) for row in stated["rows"])
        for row in rows:
            if len(row) != len(columns):
                found = f"a row of {len(row)} in {stated['title']!r}"
                raise Refusal(where, TABLES, found, f"{len(columns)}, as columns", "write whole rows")
        return cls(str(stated["title"]), str(stated.get("note") or ""), columns, rows)

    def plain(self) -> dict[str, Any]:
        """As it stands in run.json: floats to five digits, NaN as None."""
        rows = [[_kept(value) for value in row] for row in self.rows]
        return {"title": self.title, "note": self.note, "columns": list(self.columns), "rows": rows}

    def cells(self) -> list[list[str]]:
        """The rows as a page prints them."""
        return [[cell_text(value) for value in row] for row in self.rows]

    def text(self) -> str:
        """For a terminal, in columns."""
        cells = [list(self.columns), *self.cells()]
        wide = [max(len(row[n]) for row in cells) for n in range(len(self.columns))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in cells]
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])])

    def markdown(self) -> str:
        """As a table of Markdown, numbers to the right."""
        cells = self.cells()
        right = [bool(cells) and all(_numeric(row[n]) for row in self.rows) for n in range(len(self.columns))]
        lines = [self.columns, ["---:" if side else "---" for side in right], *cells]
        return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def cell_text(value: Any) -> str:
    """A value as a page prints it: three decimals, whole numbers with commas, a dash for nothing.

    Examples
    --------
    >>> [cell_text(v) for v in (0.25, 12345, None, float("nan"), "a", True, 123.456)]
    ['0.250', '12,345', '–', '–', 'a', 'yes', '123']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        text = f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
        return text.replace("-", "−")
    return str(value)


def _kept(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.5g}")
    return value


def _numeric(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def tables_of(record: Mapping[str, Any], where: str) -> list[Table]:
    """The tables of a run record; none where it has none."""
    stated: Sequence[Mapping[str, Any]] = record.get(TABLES) or []
    return [Table.of(one, where) for one in stated]
