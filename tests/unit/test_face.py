"""The face of the library: everything by one name, loaded when it is first asked for."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import terraficta as tf

ROOT = Path(__file__).resolve().parents[2]
LONGEST_IMPORT_S = 0.05
HEAVY = ("torch", "numpy", "rasterio", "pydantic", "lightning", "timm")


def python(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_import_loads_nothing_heavy_and_is_quick() -> None:
    script = (
        "import sys, time; start = time.perf_counter(); import terraficta; took = time.perf_counter() - start\n"
        f"print(took, [name for name in {HEAVY} if name in sys.modules])"
    )
    found = [python(script).split(maxsplit=1) for _ in range(3)]
    assert all(loaded.strip() == "[]" for _, loaded in found)
    assert min(float(took) for took, _ in found) < LONGEST_IMPORT_S


@pytest.mark.parametrize("name", tf.__all__)
def test_name_resolves(name: str) -> None:
    assert getattr(tf, name) is not None


def test_tools_are_told_what_is_loaded() -> None:
    """The names under TYPE_CHECKING, which type checkers and editors read, are those that `__getattr__` loads."""
    tree = ast.parse((ROOT / "terraficta/__init__.py").read_text())
    told = {
        alias.asname: (node.module, alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == {name: (f"terraficta.{module}", its) for name, (module, its) in tf.FACE.items()}
    assert set(tf.__all__) == {*tf.FACE, "__version__"}


@pytest.mark.parametrize("room", tf.ROOMS)
def test_room_is_an_attribute(room: str) -> None:
    script = f"import terraficta as tf; print(tf.{room}.__name__, {room!r} in dir(tf))"
    assert python(script).split() == [f"terraficta.{room}", "True"]


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rendre'"):
        _ = tf.rendre
    with pytest.raises(ImportError):
        importlib.import_module("terraficta.rendre")


def test_one_key_or_many() -> None:
    recipe = tf.recipe("tier0", ["size_px=32"])
    one, many = tf.render(recipe, tf.SceneKey(7, 0)), tf.render(recipe, [tf.SceneKey(7, 0), tf.SceneKey(7, 1)])
    assert len(one) == 1
    assert one[0] == many[0]
    assert tf.render_dates(recipe, tf.SceneKey(7, 0))[0][0] == one[0]
