"""Imports point only down the house, and doors are used."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STOREYS = ["synth", "pretrain", "finetune", "eval"]
ROOMS = [
    "spec", "scene", "physics", "instrument", "render", "degrade", "geotiff", "manifest", "corpus", "stream",
    "contact_sheet", "commands",
]  # fmt: skip
DOORS = {"spec", "render", "degrade", "corpus", "stream"}
"""the parts of synth that upper storeys may enter; commands are for the front door only"""
EXTRA_DOORS = {"synth.instrument.invented"}
"""pretraining draws its sensors itself: a batch holds scenes of one sensor"""


def modules() -> list[Path]:
    return [p for storey in STOREYS for p in sorted((ROOT / storey).rglob("*.py"))]


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
    return [name for name in found if name.split(".")[0] in STOREYS]


def room(dotted: str) -> int:
    part = dotted.split(".")[1]
    return ROOMS.index(part)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    storey = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        goal = name.split(".")[0]
        assert STOREYS.index(goal) <= STOREYS.index(storey), f"{path} imports {name}, which lies above it"
        if storey != "synth" and goal == "synth":
            assert name.split(".")[1] in DOORS or name in EXTRA_DOORS, f"{path} enters synth by {name}: not a door"
        if storey == goal == "synth" and path.parent.name != "synth" or path.stem in ROOMS and storey == "synth":
            mine = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if mine != "synth.__init__" and name.count("."):
                assert room(name) <= room(mine), f"{path} imports {name}, a later room"


def test_no_rooms_for_leftovers() -> None:
    for path in modules():
        assert path.stem not in {"utils", "helpers", "common", "base", "noise", "random"}, path


def test_eval_is_never_imported_whole() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert all(alias.name != "eval" for alias in node.names), f"{path} shadows the builtin eval"


def test_packages_are_listed() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for storey in STOREYS:
        for folder in {p.parent for p in (ROOT / storey).rglob("*.py")}:
            dotted = ".".join(folder.relative_to(ROOT).parts)
            assert f'"{dotted}"' in text, f"{dotted} is missing from pyproject.toml"
