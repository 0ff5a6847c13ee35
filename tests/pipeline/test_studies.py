"""Studies by their commands: each goes through on little land, leaves a record, and goes on where it was."""

import json
from pathlib import Path

import pytest
import yaml
from tileset_maker import write_tileset

from terraficta.commands import app
from terraficta.eval.domains.fiction import FictionAmounts, climate_tiles, coarse_labels, season_tiles
from terraficta.eval.table import tables_of
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run

pytestmark = pytest.mark.slow


def do(*words: object) -> None:
    assert app([str(word) for word in words], standalone_mode=False) in (None, 0)


def regions(folder: Path, size: int = 48) -> Path:
    """A tileset of four scenes in two regions and seasons."""
    write_tileset(folder, scenes=4, size=size)
    manifest = yaml.safe_load((folder / "tileset.yaml").read_text())
    for number, entry in enumerate(manifest["scenes"]):
        entry |= {"region": "ab"[number % 2], "date": ("2020-01-15", "2020-07-15")[number // 2]}
    (folder / "tileset.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("*.json")}


def titles(folder: Path) -> list[str]:
    return [table.title for table in tables_of(read_run(folder), str(folder))]


def test_domains_of_a_tileset(tmp_path: Path) -> None:
    folder, out = regions(tmp_path / "tiles"), tmp_path / "out"
    do("eval", "domains", "--tileset", folder, "--out", out, "--least", 2, "--seeds", 1)
    assert titles(out)[1] == "At home and elsewhere"
    before = stamps(out)
    assert len(before) == 2
    do("eval", "domains", "--tileset", folder, "--out", out, "--least", 2, "--seeds", 1)
    assert stamps(out) == before
    do(
        "eval",
        "domains",
        "--tileset",
        folder,
        "--out",
        tmp_path / "season",
        "--by",
        "season",
        "--least",
        2,
        "--seeds",
        1,
    )
    assert read_run(tmp_path / "season")["metrics"]["domains"] == 2


def test_domains_of_fiction_with_labels_of_500_m(tmp_path: Path) -> None:
    do("eval", "domains", "--out", tmp_path, "--climates", "temperate,desert", "--scenes", 6, "--seeds", 1)
    assert "Label error or domain shift" in titles(tmp_path)
    summary = next(t for t in tables_of(read_run(tmp_path), "") if t.title == "At home and elsewhere")
    assert [row[0] for row in summary.rows] == ["forest", "ridge", "default", "names alone"]


def test_fiction_is_what_it_says() -> None:
    amounts = FictionAmounts(scenes=2, size_px=50)
    tiles = list(climate_tiles(amounts, ["desert", "boreal"]))
    assert [t.region for t in tiles] == ["desert"] * 2 + ["boreal"] * 2
    assert tiles[0].legend.name == "sen12ms_lccs"
    rough = coarse_labels(tiles[0])
    assert set(rough.mass.sum(0).unique().tolist()) <= {0.0, 1.0}
    seasons = list(season_tiles(amounts))
    assert {t.date for t in seasons} == {"winter", "spring", "summer", "autumn"}
    assert len({t.id for t in seasons}) == 8


def test_landscapes(tmp_path: Path) -> None:
    folder, out = regions(tmp_path / "tiles"), tmp_path / "out"
    do("eval", "landscapes", "--tileset", folder, "--out", out)
    assert titles(out) == ["Clusters by colours", "Clusters by features"]
    assert all((out / name).stat().st_size > 2000 for name in read_run(out)["figures"])


def test_realism(tmp_path: Path) -> None:
    folder, out = regions(tmp_path / "tiles", 96), tmp_path / "out"
    do("eval", "realism", "--tileset", folder, "--out", out, "--tiers", "tier0,tier3", "--scenes", 4)
    apart = next(t for t in tables_of(read_run(out), "") if t.title == "Told apart")
    auc = {row[2]: row[3] for row in apart.rows}
    assert auc["tier3"] > 0.9  # square patches of three spectra are no land
    before = stamps(out)
    do("eval", "realism", "--tileset", folder, "--out", out, "--tiers", "tier0,tier3", "--scenes", 4)
    assert stamps(out) == before
    with pytest.raises(Refusal, match="patches"):
        do("eval", "realism", "--tileset", regions(tmp_path / "few"), "--out", tmp_path / "none", "--scenes", 4)


def test_explanation_is_of_the_trained_network_alone(tmp_path: Path) -> None:
    pytest.importorskip("captum")
    do("eval", "explain", "--out", tmp_path, "--scenes", 4, "--randoms", 1)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["kind"] == "explanation"
    rows = [
        row for cell in (tmp_path / "cells").glob("*.json") for row in json.loads(cell.read_text())["result"]["rows"]
    ]
    mine = [row for row in rows if row["method"] == "integrated gradients"]
    trained, random = (
        [row["place"] for row in mine if row["weights"].startswith(kind)] for kind in ("trained", "randomised")
    )
    assert sum(trained) / len(trained) > 0.65
    assert sum(random) / len(random) < 0.6
