"""Evaluation recipes: what a benchmark compares, how much of it, and what was promised before it ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from terraficta.synth.types.recipe import Recipe

NAMES_ARM = "names"
"""the arm that needs no label"""

Count = Annotated[int, Field(ge=0)]


class GoalRecipe(Recipe):
    """What is promised before the numbers are there: a goal, and the least that would not be a failure.

    Every number is a gain in mIoU of an arm over the best tuned simple arm of the same tileset and labels, in the mean
    over tilesets.
    """

    arm: str = "default"
    """of which it is promised"""
    labels: int = Field(default=5, ge=0)
    """labels a class where it is promised"""
    goal: float = 0.02
    """mean gain that was hoped for there"""
    minimum: float = 0.0
    """mean gain there below which fiction was not worth its price"""
    most_lost: float = -0.05
    """gain in any single tileset below which the arm must not be recommended for such land"""


class LadderRecipe(Recipe):
    """How many labels the best forest needs for what an arm does with few."""

    arm: str = "default"
    """whose score is to be reached"""
    labels: int = Field(default=10, ge=1)
    """labels a class that it has"""
    forests: tuple[str, ...] = ("forest-context", "forest-ratios", "forest-wide")
    """the arms that try to reach it, the best of them at each count"""
    counts: tuple[int, ...] = (5, 10, 25, 100, 250)
    """labels a class that they are given"""


class BenchmarkRecipe(Recipe):
    """A benchmark: every arm on every tileset with the same labels."""

    name: str
    about: str
    arms: tuple[str, ...] = (
        "names", "default", "ridge", "random", "masked", "full", "scratch", "imagenet", "forest", "forest-context",
        "forest-ratios", "forest-wide", "logistic", "boosting", "filters", "location",
    )  # fmt: skip
    labels_per_class: tuple[Count, ...] = (0, 5, 25, 100)
    """0 has the arm `names` alone, which has no other"""
    seeds: int = Field(default=5, ge=1)
    """draws of labels, numbered from 0"""
    test_pixels: int = Field(default=20_000, ge=0)
    """test pixels a tileset at most, a plain random sample that all arms share; 0: every one"""
    test_area_px: int = Field(default=1_500_000, ge=0)
    """area of the windows that they are taken from, at most: a network maps whole windows; 0: all"""
    train_area_px: int = Field(default=4_000_000, ge=0)
    """area of the windows that labels are drawn from, at most: draws scattered over more cost its reading; 0: all"""
    adapt: str = "benchmark"
    """finetune recipe of the networks: all that train have the same steps on crops of the same size"""
    ladder: LadderRecipe | None = None
    """label efficiency; None: not asked for"""
    goals: tuple[GoalRecipe, ...] = ()
    """declared before the run, and held against it in the report"""

    def cells(self) -> Iterator[tuple[int, int, str]]:
        """(labels a class, draw, arm) in the order of work; without labels there is one draw, and one arm."""
        done = set()
        for per_class in self.labels_per_class:
            for seed in range(self.seeds if per_class else 1):
                for arm in self.arms:
                    if (arm == NAMES_ARM) == (per_class == 0):
                        done.add((per_class, seed, arm))
                        yield per_class, seed, arm
        for cell in self._rungs():
            if cell not in done and cell[2] in self.arms:
                yield cell

    def _rungs(self) -> Iterator[tuple[int, int, str]]:
        if self.ladder is None:
            return
        for seed in range(self.seeds):
            yield self.ladder.labels, seed, self.ladder.arm
            for per_class in self.ladder.counts:
                for arm in self.ladder.forests:
                    yield per_class, seed, arm

    def every_count(self) -> set[int]:
        """Every number of labels a class that some arm is given."""
        return {per_class for per_class, _, _ in self.cells()}


RECIPES = Path(__file__).parent / "recipes"


def read_benchmark_recipe(name_or_file: str | Path, changes: list[str] | None = None) -> BenchmarkRecipe:
    """Read one of `eval/benchmark/recipes`, or a file."""
    return BenchmarkRecipe.read(name_or_file, RECIPES, changes)
