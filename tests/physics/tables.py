"""Where the tables of trusted codes lie: excerpts in the repository, and whole beside it for those who have them."""

from pathlib import Path

import pytest

EXCERPTS = Path(__file__).parent / "reference"
WHOLE = Path(__file__).resolve().parents[2].parent / "shared" / "reference"


def excerpt_and_whole(name: str, whole: str | None = None) -> list[object]:
    """Paths for `parametrize`: the excerpt of a table, always, and the whole of it where it lies (at `whole`)."""
    there = WHOLE / (whole or name)
    absent = pytest.mark.skipif(not there.is_file(), reason="the whole table is not beside the checkout")
    return [pytest.param(EXCERPTS / name, id="excerpt"), pytest.param(there, id="whole", marks=absent)]
