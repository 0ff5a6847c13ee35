"""The findings: intervals, paired gains, losses told; what a table of a benchmark says."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from benchmark_maker import FAST

from terraficta.eval.benchmark.findings import findings, levels
from terraficta.eval.benchmark.recipe import GoalRecipe, LadderRecipe
from terraficta.eval.benchmark.resample import cells_of, interval, miou, resampled
from terraficta.eval.benchmark.store import COLUMNS
from terraficta.eval.benchmark.summary import Interval, summarise


def _detail(arm: str, labels: int, seed: int, blocks: list[list[float]], tileset: str = "t") -> dict[str, object]:
    key = {"tileset": tileset, "arm": arm, "labels_per_class": labels, "seed": seed}
    return {**key, "classes": ["a", "b"], "blocks": blocks, "reliability": [[], [], []]}


@dataclass
class _Made:
    """What findings ask of a ledger."""

    made: pd.DataFrame
    details: list[dict[str, object]]
    skipped: tuple[dict[str, object], ...] = ()

    @property
    def rows(self) -> pd.DataFrame:
        return self.made.reindex(columns=[*dict.fromkeys([*COLUMNS, *self.made.columns])])


def test_interval_against_the_table_of_student() -> None:
    found = Interval.of(pd.Series([0.4, 0.5, 0.6]))
    assert found.mean == pytest.approx(0.5)
    assert found.high - found.mean == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert math.isnan(Interval.of(pd.Series([0.4])).low)


def test_gain_is_paired_by_draw_and_losses_are_told() -> None:
    easy = np.array([0.1, 0.5, 0.9])  # draws differ far more than arms
    rows = pd.DataFrame(
        [
            {"tileset": "t", "labels_per_class": 5, "seed": s, "arm": arm, "miou": value + gain + wiggle[s]}
            for arm, gain, wiggle in (
                ("forest", 0.0, [0, 0, 0]), ("logistic", -0.05, [0, 0, 0]), ("default", 0.04, [0.001, 0, -0.001]),
                ("scratch", -0.3, [0.01, 0, -0.01]), ("full", 0.0, [0.1, 0, -0.1]),
            )
            for s, value in enumerate(easy)
        ]
    )  # fmt: skip
    found = summarise(rows).set_index("arm")
    assert set(found["baseline"]) == {"forest"}
    assert found.loc["default", "gain"] == pytest.approx(0.04)
    assert found["verdict"].to_dict() == {
        "default": "helps", "forest": "", "full": "even", "logistic": "hurts", "scratch": "hurts",
    }  # fmt: skip
    assert found["best"].idxmax() == "default"


def test_miou_of_confusions_is_that_of_the_tally() -> None:
    assert miou(np.array([[5.0, 5.0, 0], [0, 10.0, 0], [0, 0, 0]])) == pytest.approx((5 / 10 + 10 / 15) / 2)


def test_an_interval_over_blocks_is_wide_where_blocks_differ_and_paired_where_arms_err_alike() -> None:
    sure = [[b, k, k, 50.0] for b in range(8) for k in range(2)]
    even = (
        [[b, 0, 0, 50.0] for b in range(8)] + [[b, 1, 0, 20.0] for b in range(8)] + [[b, 1, 1, 30.0] for b in range(8)]
    )
    patchy = [[b, 1, 0, 80.0 * (b < 2)] for b in range(8)] + [[b, 0, 0, 50.0] for b in range(8)]
    patchy += [[b, 1, 1, 30.0 + 50.0 * (b >= 2)] for b in range(8)]
    details = [
        _detail(arm, 5, s, own)
        for arm, own in (("x", sure), ("y", even), ("z", patchy), ("w", patchy))
        for s in range(3)
    ]
    arms = cells_of(details)["t", 5]
    found = resampled(arms, "t")
    width = {arm: np.diff(interval(values))[0] for arm, values in found.items()}
    assert width["x"] == pytest.approx(0)
    assert width["y"] == pytest.approx(0)
    assert width["z"] > 0.1
    assert interval(found["z"] - found["w"]) == (0.0, 0.0)


def test_findings_tell_promises_losses_rare_classes_and_what_forests_need() -> None:
    good = [[b, k, k, 50.0 if k == 0 else 1.0] for b in range(6) for k in range(2)]
    bad = [[b, 0, 0, 40.0] for b in range(6)] + [[b, 0, 1, 10.0] for b in range(6)] + [[b, 1, 1, 1.0] for b in range(6)]
    rows, details = [], []
    for tileset, better in (("up", "default"), ("down", "forest")):
        for labels in (5, 10, 25):
            for arm in ("default", "forest", "location"):
                for seed in range(3):
                    own = good if arm == better or (arm == "forest" and labels == 25) else bad
                    detail = _detail(arm, labels, seed, own, tileset)
                    table = cells_of([detail])[tileset, labels][arm].confusion.sum((0, 1))
                    row = {
                        "tileset": tileset,
                        "arm": arm,
                        "labels_per_class": labels,
                        "seed": seed,
                        "miou": miou(table),
                    }
                    row |= {"n_test": 306, "px_a": 300, "px_b": 6, "iou_a": 0.9, "iou_b": 0.4, "content": "x"}
                    row |= dict.fromkeys(("fit_s", "predict_s", "seconds", "shared_s"), 1.0)
                    rows.append(row)
                    details.append(detail)
    recipe = FAST.model_copy(
        update={
            "goals": (GoalRecipe(labels=5, goal=0.5, minimum=-1.0, most_lost=-0.05),),
            "ladder": LadderRecipe(labels=10, forests=("forest",), counts=(5, 10, 25)),
        }
    )
    ledger = _Made(pd.DataFrame(rows), details)
    tables = {table.title: table for table in findings(ledger, recipe)}  # type: ignore[arg-type]
    promised = tables["What was promised"].rows[0]
    assert promised[-1].startswith("minimum met, goal missed; 0 lies within the interval; lost more than 0.05 in down")
    worth = {row[:2]: row for row in tables["What fiction was worth"].rows}
    row = worth["default less the best simple arm", 5]
    assert row[5:8] == (1, 1, "down")
    assert {line[0] for line in tables["Every losing cell"].rows} == {"down"}
    assert [line[0] for line in tables["Rare classes"].rows] == ["up: b", "down: b"]
    needs = {line[0]: line[2] for line in tables["Label efficiency"].rows}
    assert needs == {"up": "25", "down": "5 or fewer"}
    leaks = {line[:2]: line[-1] for line in tables["Does the split leak?"].rows}
    assert leaks["up", 5] == "leak suspected"  # the forest is as bad as places alone
    assert leaks["down", 5] == "no"


def test_an_arm_tried_on_few_tilesets_does_not_shorten_the_mean() -> None:
    scores = {"up": {"default": 0.6, "forest": 0.5, "full": 0.7}, "down": {"default": 0.4, "forest": 0.5}}
    rows = pd.DataFrame(
        [
            {"tileset": tileset, "arm": arm, "labels_per_class": 5, "seed": 0, "miou": value}
            for tileset, own in scores.items()
            for arm, value in own.items()
        ]
    )
    name, labels, *means = levels(rows).rows[-1]
    assert (name, labels) == ("mean of 2 that have all", 5)
    assert means == [pytest.approx(0.5), pytest.approx(0.5), None]
