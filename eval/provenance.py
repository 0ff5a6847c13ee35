"""The chain: from a run back to all that it stands on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run

NESTED = ("weights_record", "parent_record")
"""where a run keeps the whole record of the run before it"""
ORDER = ("corpus", "pretrain", "finetune", "predict", "map", "benchmark", "report")


@dataclass(frozen=True)
class Link:
    """One run of a chain, as a page shows it.

    Parameters
    ----------
    record : Mapping[str, Any]
        its run.json
    place : str
        where it was found; "" where only another run tells of it
    """

    record: Mapping[str, Any]
    place: str = ""

    @property
    def stage(self) -> str:
        """corpus | pretrain | finetune | predict | map | benchmark | report."""
        return str(self.record.get("stage", "run"))

    @property
    def digest(self) -> str:
        """What other runs call it."""
        return str(self.record.get("digest") or "")

    @property
    def recipe(self) -> Mapping[str, Any]:
        """In full."""
        return self.record.get("recipe") or {}

    @property
    def recipe_text(self) -> str:
        """The recipe as YAML."""
        return yaml.safe_dump(json.loads(json.dumps(dict(self.recipe), default=str)), sort_keys=False, width=100)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What a reader wants to know first."""
        record, found = self.record, []
        if self.recipe.get("name"):
            found.append(("recipe", str(self.recipe["name"])))
        found.append(("seed", str(record.get("seed", ""))))
        if self.digest:
            found.append(("digest", self.digest))
        parents = {role: digest for role, digest in (record.get("parents") or {}).items() if digest}
        found += [(f"from {role.replace('_', ' ')}", str(digest)) for role, digest in parents.items()]
        found.append(("time", duration(float(record.get("wall_s", 0)))))
        found.append(("energy", f"{float(record.get('energy_wh_estimate', 0)):.2g} Wh, estimated"))
        found.append(("device", f"{record.get('device', '')} ({record.get('machine', '')})"))
        versions = record.get("versions") or {}
        found.append(("versions", ", ".join(f"{name} {number}" for name, number in versions.items())))
        found.append(("commit", str(record.get("git_commit") or "not known")[:12]))
        found.append(("started", str(record.get("started", ""))))
        return [(name, value) for name, value in found if value]

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """Its single numbers."""
        plain = (self.record.get("metrics") or {}).items()
        return [
            (k, f"{v:.4g}" if isinstance(v, float) else str(v)) for k, v in plain if isinstance(v, int | float | str)
        ]


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def read_link(path: Path) -> Link:
    """A run by its folder, or a map by its file."""
    if path.is_file() and path.suffix in {".tif", ".tiff"}:
        path = path.with_suffix(".run.json")
    if path.suffix == ".json":
        if not path.is_file():
            raise Refusal(path, "run", "no such file", "a map that terraficta wrote", "check the path")
        return Link(json.loads(path.read_text()), str(path))
    return Link(read_run(path), str(path))


def walk(links: Iterable[Link]) -> list[Link]:
    """The runs, and every run that they tell of, each once, parents first."""
    found: dict[str, Link] = {}

    def visit(link: Link) -> None:
        for name in NESTED:
            if isinstance(parent := link.record.get(name), Mapping):
                visit(Link(parent))
        key = link.digest or json.dumps(dict(link.record), sort_keys=True, default=str)
        if key not in found or (link.place and not found[key].place):
            found[key] = link

    for link in links:
        visit(link)
    return sorted(found.values(), key=lambda link: ORDER.index(link.stage) if link.stage in ORDER else len(ORDER))
