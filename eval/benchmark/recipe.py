"""Evaluation recipes: what a benchmark compares, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from terraficta.synth.types.recipe import Recipe

NAMES_ARM = "names"
"""the arm that needs no label"""


class BenchmarkRecipe(Recipe):
    """A benchmark: every arm on every tileset with the same labels."""

    name: str
    about: str
    arms: tuple[str, ...] = (
        "names", "default", "ridge", "scratch", "synthetic", "forest", "forest-context", "forest-ratios", "extra-trees",
        "logistic",
    )  # fmt: skip
    labels_per_class: tuple[Annotated[int, Field(ge=0)], ...] = (0, 5, 25, 100)
    """0 has the arm `names` alone, which has no other"""
    seeds: int = Field(default=5, ge=1)
    """draws of labels, numbered from 0"""
    test_pixels: int = Field(default=300_000, ge=0)
    """test pixels a tileset at most, a plain random sample that all arms share; 0: every one"""
    adapt: str = "standard"
    """finetune recipe of the trained networks: scratch and synthetic get the same steps"""

    def cells(self) -> Iterator[tuple[int, int, str]]:
        """(labels a class, draw, arm) in the order of work; without labels there is one draw, and one arm."""
        for per_class in self.labels_per_class:
            for seed in range(self.seeds if per_class else 1):
                for arm in self.arms:
                    if (arm == NAMES_ARM) == (per_class == 0):
                        yield per_class, seed, arm


RECIPES = Path(__file__).parent / "recipes"


def read_benchmark_recipe(name_or_file: str | Path, changes: list[str] | None = None) -> BenchmarkRecipe:
    """Read one of `eval/recipes`, or a file."""
    return BenchmarkRecipe.read(name_or_file, RECIPES, changes)
