"""The examples in docstrings run, and give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import terraficta

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(terraficta.__path__, "terraficta.")
    if not module.name.endswith("__main__")
)


def test_all_rooms_are_walked() -> None:
    assert {"terraficta.synth.render", "terraficta.pretrain.model", "terraficta.eval.metrics"} <= set(MODULES)


def test_examples_are_found() -> None:
    """A module whose examples are known is not passed over in silence."""
    assert doctest.testmod(importlib.import_module("terraficta.synth.types.key")).attempted == 2


@pytest.mark.parametrize("name", ["terraficta", *MODULES])
def test_examples_of(name: str) -> None:
    module = importlib.import_module(name)
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0, f"{found.failed} of {found.attempted} examples of {name} fail"
