"""Salts: every one has a name, no two of one seed collide, and none is left over."""

import ast
from pathlib import Path

import pytest

from terraficta.synth.scene.world import salt

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "synth" / "scene"
DONE = ("world", "terrain", "cover", "material")
"""rooms of the scene in which no bare number is a salt; those of the other rooms join as they are finished"""
SALTED = {"hashed", "uniform", "turn", "heading", "draw"}
"""functions whose first argument is a seed or an identity, and all others salts; `Sites.draw` has salts alone"""
FILES = sorted(path for room in DONE for path in (SCENE / room).rglob("*.py"))
GROUPS = salt.Salt.__subclasses__()


def _bare(node: ast.expr) -> bool:
    """Whether a salt is, or is counted from, an integer that has no name; what is within a call is data."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int)
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.IfExp | ast.Tuple | ast.Starred):
        return any(_bare(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
    return False


def bare_salts(tree: ast.AST) -> list[str]:
    """The calls of the hash functions that have a bare integer for a salt."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            method = isinstance(node.func, ast.Attribute)
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            salts = node.args[0 if method and name == "draw" else 1 :] + [word.value for word in node.keywords]
            if name in SALTED and any(_bare(one) for one in salts):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SCENE)))
def test_no_bare_number_is_a_salt(path: Path) -> None:
    assert not bare_salts(ast.parse(path.read_text()))


@pytest.mark.parametrize(
    "call", ["hashed(word, 31)", "uniform(h, 22)", "hashed(word, 2, n)", "turn(h, draw=3)", "hashed(word, 40 + k)",
             "sites.draw(2)", "chance.heading(h, -1)"],
)  # fmt: skip
def test_the_walk_finds_bare_numbers(call: str) -> None:
    assert bare_salts(ast.parse(call))


@pytest.mark.parametrize("call", ["hashed(seed, salt.Coast.BARS, k)", "uniform(h)", "hashed(own, node.to(int, 2) + k)"])
def test_the_walk_lets_names_and_counters_pass(call: str) -> None:
    assert not bare_salts(ast.parse(call))


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: g.__name__)
def test_no_two_salts_of_one_seed_collide(group: type[salt.Salt]) -> None:
    assert len(group.__members__) == len({int(member) for member in group})  # an alias is a second name of one number
    assert (group.__doc__ or "").strip(), "say which seed or identity it salts"


@pytest.mark.parametrize(("one", "other"), salt.SALTED_TOGETHER)
def test_groups_that_salt_one_number_share_no_value(one: type[salt.Salt], other: type[salt.Salt]) -> None:
    assert not {int(member) for member in one} & {int(member) for member in other}


def test_every_salt_decides_something() -> None:
    used = set()
    for path in SCENE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                used.add((node.value.attr, node.attr))
    declared = {(group.__name__, name) for group in GROUPS for name in group.__members__}
    assert not declared - used, "salts that nothing reads"
