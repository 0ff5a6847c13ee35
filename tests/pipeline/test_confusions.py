"""The critic tells what fiction calls each class of a place, and agrees with the map that names alone make."""

from pathlib import Path

import pytest
from tileset_maker import write_tileset

from terraficta.eval.benchmark.confusions import confusions
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.weights import read_weights


def test_shares_add_up_and_names_are_those_of_fiction(tmp_path: Path) -> None:
    tileset, (mapper, _) = read_tileset(write_tileset(tmp_path / "made")), read_weights()
    rows = confusions(tileset, mapper, most=24)
    assert sum(row.share for row in rows) == pytest.approx(1.0, abs=1e-3)
    assert {row.name for row in rows} <= set(tileset.legend.classes)
    for row in rows:
        assert sum(share for _, share in row.called) == pytest.approx(1.0, abs=0.1)
        assert sum(share for _, share in row.mapped) == pytest.approx(1.0, abs=0.1)
        assert {name for name, _ in row.called} <= set(mapper.legend.classes)
        assert [share for _, share in row.called] == sorted((share for _, share in row.called), reverse=True)
