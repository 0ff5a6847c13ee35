"""The records that RESULTS.md and docs/studies.md stand on, kept here: python tests/bench/keep_records.py out

Every folder of tests/bench/records that has a namesake under the given one takes its run.json, and the table of a
benchmark. Paths of tilesets beside the checkout become relative.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parent / "records"
BESIDE = "shared/tilesets/"
"""how a tileset beside the checkout is told from others"""


def relative(value: Any) -> Any:
    """The same record, in which tilesets beside the checkout have no path of this machine."""
    if isinstance(value, dict):
        return {name: relative(part) for name, part in value.items()}
    if isinstance(value, list):
        return [relative(part) for part in value]
    if isinstance(value, str) and BESIDE in value and value.startswith(("/", ".")):
        return f"../{BESIDE}{value.split(BESIDE, 1)[1]}"
    return value


def keep(made: Path) -> list[str]:
    """Take over what is there; names of the records that were taken."""
    taken = []
    for own in sorted(path.parent for path in RECORDS.glob("*/run.json")):
        new = made / own.name
        if not (new / "run.json").is_file():
            continue
        record = relative(json.loads((new / "run.json").read_text()))
        (own / "run.json").write_text(json.dumps(record, indent=1) + "\n")
        for table in own.glob("*.csv"):
            table.write_bytes((new / table.name).read_bytes())
        taken.append(own.name)
    return taken


if __name__ == "__main__":
    print("\n".join(keep(Path(sys.argv[1]))))
