"""Landscapes and foresight: planted clusters are found, and a planted rank is told."""

import numpy as np
import pytest

from terraficta.eval.domains.foresight import Foresight, correlation_table, fallback_table, rank_correlation
from terraficta.eval.domains.landscape import at_home, cluster, distinctness


def test_planted_clusters_are_found_largest_first() -> None:
    rng = np.random.default_rng(0)
    centres, counts = np.array([[0, 0], [9, 0], [0, 9.0]]), [50, 30, 20]
    x = np.concatenate([c + rng.normal(0, 0.5, (n, 2)) for c, n in zip(centres, counts, strict=True)])
    found, nearest = cluster(x, 3)
    assert np.bincount(found).tolist() == counts
    assert [int(found[n]) for n in nearest] == [0, 1, 2]


def test_at_home_weighs_back_to_one() -> None:
    rng = np.random.default_rng(2)
    clusters, domain = rng.integers(0, 5, 400), rng.choice(["a", "b", "c"], 400, p=[0.6, 0.3, 0.1])
    table = at_home(clusters, domain.tolist(), ["a", "b", "c"])
    share = np.bincount(clusters) / 400
    assert share @ table == pytest.approx(np.ones(3))
    assert distinctness(clusters, domain.tolist()) < 0.05
    assert distinctness(np.array([0, 0, 1, 1]), ["a", "a", "b", "b"]) == pytest.approx(1.0)


def test_rank_correlation_of_noise_is_seldom_sure() -> None:
    rng = np.random.default_rng(3)
    found = [rank_correlation(rng.normal(size=12), rng.normal(size=12), seed=n)[1] for n in range(60)]
    assert np.mean(np.array(found) <= 0.05) < 0.15
    r, p = rank_correlation([1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1])
    assert r == pytest.approx(-1.0)
    assert p < 0.01
    assert rank_correlation([1, 1, 1], [1, 2, 3])[1] == 1.0


def planted() -> Foresight:
    """Twelve regions of two plots: what is familiar is mapped well, and on strange land the forest wins by .2."""
    familiar = np.repeat(np.linspace(0, 1, 12), 2)
    default = 0.5 + 0.4 * familiar
    forest = np.where(familiar < 0.25, default + 0.2, default - 0.1)
    region = [f"r{n}" for n in range(12) for _ in range(2)]
    return Foresight(
        region, {"familiarity": familiar.tolist()}, {"default": default.tolist(), "forest": forest.tolist()}
    )


def test_foresight_is_told_over_plots_and_regions() -> None:
    row = next(r for r in correlation_table(planted()).rows if r[1] == "default")
    assert row[2] == pytest.approx(1.0)
    assert row[5] == pytest.approx(1.0)
    assert float(row[6] or 1) < 0.01


def test_the_fallback_gains_where_the_forest_wins_and_loses_beyond() -> None:
    rows = {row[1]: row for row in fallback_table(planted()).rows}
    assert float(rows[0.25][2] or 0) == pytest.approx(0.25 * 0.2, abs=1e-6)
    assert float(rows[0.25][2] or 0) > float(rows[0.5][2] or 0)
    assert rows[0.25][5] == pytest.approx(-0.1)
