"""Imports point only down the house, doors are used, rooms are small, and one name is installed."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STOREYS = ["synth", "pretrain", "finetune", "eval"]
SYNTH = [
    "types",
    "scene",
    "physics",
    "instrument",
    "look",
    "render",
    "store",
    "labels",
    "corpus",
    "stream",
    "card",
    "ask",
    "tools",
    "commands",
]
"""rooms of synth, from the ground up"""
SCENE = {"world": set(), "terrain": {"world"}, "cover": {"world", "terrain"}, "material": {"world"}}
"""rooms of the scene, and what each may look into"""
DOORS = {"types", "look", "render", "store", "labels", "corpus", "stream", "card"}
"""the parts of synth that upper storeys may enter; commands are for the front door only"""
EXTRA_DOORS = {
    "synth.instrument.invented", "synth.scene.ground", "synth.scene.material.lottery", "synth.physics.sun",
}  # fmt: skip
"""pretraining draws its sensors itself, for a batch holds scenes of one; it sees parts of grounds, and by lottery;
narrowing asks where the sun stood"""
MOST_MODULES = 20


def modules() -> list[Path]:
    return [p for storey in STOREYS for p in sorted((ROOT / storey).rglob("*.py"))]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found += [f"{module}.{a.name}" if (ROOT / module.replace("terraficta.", "").replace(".", "/")).is_dir()
                      else module for a in node.names]  # fmt: skip
    ours = [name.removeprefix("terraficta.") for name in found if name.split(".")[0] == "terraficta"]
    assert all(name.split(".")[0] not in STOREYS for name in found), f"{path}: import by the name terraficta"
    return ours


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    mine = dotted(path).split(".")
    for name in imports(path):
        goal = name.split(".")
        assert STOREYS.index(goal[0]) <= STOREYS.index(mine[0]), f"{path} imports {name}, which lies above it"
        if mine[0] != "synth" and goal[0] == "synth":
            assert goal[1] in DOORS or name in EXTRA_DOORS, f"{path} enters synth by {name}: not a door"
        if mine[0] == goal[0] == "synth" and len(mine) > 1:
            assert SYNTH.index(goal[1]) <= SYNTH.index(mine[1]), f"{path} imports {name}, a later room"
            if goal[1] == "scene" and mine[1] in ("physics", "instrument"):
                assert goal[2] == "world", f"{path} imports {name}: physics may borrow of the world alone"
            if goal[1] == mine[1] == "scene" and len(mine) > 3 and len(goal) > 3:
                assert goal[2] in SCENE[mine[2]] | {mine[2]}, f"{path} imports {name}, which lies beside or above it"
            if mine[1] == "scene":
                assert goal[1] in ("types", "scene"), f"{path} imports {name}"


def test_no_cycles() -> None:
    graph = {dotted(path): set(imports(path)) for path in modules()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"import cycle: {' -> '.join((*way, name))}"
        if name in graph and name not in done:
            for other in graph[name]:
                visit(other, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_rooms_for_leftovers() -> None:
    for path in modules():
        assert path.stem not in {"utils", "helpers", "common", "base", "noise", "random"}, path


def test_rooms_are_small() -> None:
    for folder in {path.parent for path in modules()}:
        count = sum(path.stem != "__init__" for path in folder.glob("*.py"))
        assert count <= MOST_MODULES, f"{folder} holds {count} modules"


def test_packages_are_listed() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for folder in {path.parent for path in modules()}:
        name = "terraficta." + ".".join(folder.relative_to(ROOT).parts)
        assert f'"{name}"' in text, f"{name} is missing from pyproject.toml"
