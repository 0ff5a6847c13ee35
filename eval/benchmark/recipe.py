"""Evaluation recipes: what a benchmark compares, and how much of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from terraficta.synth.types.recipe import Recipe


class BenchmarkRecipe(Recipe):
    """A benchmark: every arm on every tileset with the same labels."""

    name: str
    about: str
    arms: tuple[str, ...] = ("scratch", "synthetic", "episodic", "forest", "forest-context", "logistic")
    labels_per_class: tuple[int, ...] = (5, 25, 100)
    seeds: int = Field(default=5, ge=1)
    """draws of labels, numbered from 0"""
    test_pixels: int = Field(default=300_000, ge=0)
    """test pixels a tileset at most, a plain random sample that all arms share; 0: every one"""
    adapt: str = "standard"
    """finetune recipe of the trained networks: scratch and synthetic get the same steps"""


RECIPES = Path(__file__).parent / "recipes"


def read_benchmark_recipe(name_or_file: str | Path, changes: list[str] | None = None) -> BenchmarkRecipe:
    """Read one of `eval/recipes`, or a file."""
    return BenchmarkRecipe.read(name_or_file, RECIPES, changes)
