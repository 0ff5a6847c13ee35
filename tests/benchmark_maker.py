"""Small benchmarks: one arm, and few settings of those that tune themselves."""

from terraficta.eval.benchmark.arms import LOGISTIC_GRID
from terraficta.eval.benchmark.recipe import BenchmarkRecipe

QUICK = {
    "forest": ({"n_estimators": 20}, {"n_estimators": 25}),
    "forest-context": ({"n_estimators": 20},),
    "forest-ratios": ({"n_estimators": 20},),
    "extra-trees": ({"n_estimators": 20},),
    "logistic": LOGISTIC_GRID,
    "boosting": ({"max_depth": 3, "n_estimators": 20},),
}
FAST = BenchmarkRecipe(name="test", about="", arms=("logistic",), labels_per_class=(5,), seeds=2)
