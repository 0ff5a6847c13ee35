"""The tables of docs/studies.md from the records of studies: python tests/bench/studies_page.py

Below every line `<!-- RECORD: TITLE -->` of the page stands the table of that title in the run.json of
tests/bench/records/RECORD. The words around are written by hand: read them again when tables have changed.
"""

from __future__ import annotations

import re
from pathlib import Path

from terraficta.eval.table import tables_of
from terraficta.synth.types.run import read_run

ROOT = Path(__file__).resolve().parents[2]
PAGE, RECORDS = ROOT / "docs" / "studies.md", Path(__file__).parent / "records"
MARK = re.compile(r"^(<!-- ([\w-]+): ([^>]+) -->)\n+(?:\|[^\n]*\n)*\n?", re.M)


def filled(text: str) -> str:
    """The page with its tables made anew."""

    def table(found: re.Match[str]) -> str:
        record = read_run(RECORDS / found[2])
        mine = {t.title: t for t in tables_of(record, found[2])}
        return f"{found[1]}\n\n{mine[found[3]].markdown().strip()}\n\n"

    return MARK.sub(table, text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
