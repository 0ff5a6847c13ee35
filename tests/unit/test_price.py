"""The price: stages add up, more pixels cost more, and the paper corpus follows from what was measured."""

import dataclasses

import pytest

from terraficta.synth import render as page
from terraficta.synth.corpus.price import ALL_STAGES, Price, price_of, price_table
from terraficta.synth.types.scene_recipe import read_scene_recipe


def test_stages_are_all_measured_and_the_page_is_left_as_it_was() -> None:
    before = dict(vars(page))
    price = price_of(read_scene_recipe("tier3", ["size_px=32"]), count=1, sensor="sentinel2a")
    assert vars(page) == before
    assert set(price.stage_s) == set(ALL_STAGES)
    assert all(seconds > 0 for seconds in price.stage_s.values())
    assert price.core_s == pytest.approx(sum(price.stage_s.values()))
    assert price.bands == 13
    assert price.tile_bytes > 13 * 32 * 32


def test_the_paper_corpus_is_ten_million_times_a_tile() -> None:
    stages = dict.fromkeys(ALL_STAGES, 0.0) | {"write": 0.36}
    price = Price("tier0", 256, 10.0, stages, 1e6, 1e3, 4, "cpu", 0.5)
    paper = price.on_paper()
    assert paper["core_hours"] == pytest.approx(1000)
    assert paper["terabytes"] == pytest.approx(10)
    assert paper["books_gigabytes"] == pytest.approx(10)
    table = price_table([price, dataclasses.replace(price, recipe="tier1")])
    assert "| **tiles a second and core** | **2.78** | **2.78** |" in table
    assert len({line.count("|") for line in table.splitlines()}) == 1
