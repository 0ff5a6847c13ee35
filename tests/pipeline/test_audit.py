"""The audit: each planted fault is caught by its own name, and a sound tileset has none."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tileset_maker import write_tileset
from typer.testing import CliRunner

from terraficta.commands import app
from terraficta.eval.benchmark.audit import FAULTS, audit, caught
from terraficta.eval.benchmark.plant import has_scale, plant
from terraficta.eval.benchmark.shift import DIALS, shifted
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run
from terraficta.synth.types.tile import Tile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tileset(tmp_path_factory.mktemp("audit") / "made", scenes=1)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> list[Tile]:
    """Three scenes side by side, with a seam where the test fold of one meets the train fold of the next."""
    found = list(read_tileset(write_tileset(tmp_path_factory.mktemp("audit") / "three", scenes=3)).tiles())
    for tile in found:
        assert tile.fold is not None
        tile.fold[:, -2:] = 0
    return found


def test_a_sound_tileset_has_no_fault(tiles: list[Tile]) -> None:
    assert caught(audit(tiles)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_by_name(tiles: list[Tile], fault: str) -> None:
    assert caught(audit(plant(tiles, fault))) == [fault]


def test_scenes_that_adjoin_across_the_split_are_a_leak(tiles: list[Tile]) -> None:
    whole = [replace(tile, fold=torch.where(tile.fold == 0, 2, tile.fold)) for tile in tiles if tile.fold is not None]
    assert "leak" in caught(audit(whole))


def test_copies_across_the_split_are_a_leak(tiles: list[Tile]) -> None:
    half = tiles[0].grid.shape[1] // 2
    assert tiles[0].fold is not None
    twins = []
    for tile in tiles:
        image, mass = tile.image.clone(), tile.mass.clone()
        image[:, :, half:], mass[:, :, half:] = image[:, :, :half], mass[:, :, :half]
        twins.append(replace(tile, image=image, mass=mass))
    copies = [f for f in audit(twins) if "copies" in f.check]
    assert [(f.fault, f.caught) for f in copies] == [("leak", True)]


def test_one_scene_of_another_scale_is_caught_also_where_numbers_are_not_reflectance(tiles: list[Tile]) -> None:
    relative = [replace(tile, level="DN") for tile in tiles]
    assert caught(audit(relative)) == []
    assert caught(audit(plant(relative, "scale"))) == ["scale"]


def test_one_uncalibrated_scene_has_no_scale_to_be_wrong(tiles: list[Tile]) -> None:
    assert not has_scale([replace(tiles[0], level="DN")])
    assert has_scale(tiles[:1])


def test_tiles_of_one_fold_are_refused(tiles: list[Tile]) -> None:
    with pytest.raises(Refusal, match="test fold"):
        audit([replace(tile, fold=torch.ones_like(tile.label())) for tile in tiles])


def test_the_command_says_the_fault_and_fails(folder: Path, tmp_path: Path) -> None:
    run = CliRunner()
    done = run.invoke(app, ["eval", "audit", "--tileset", str(folder), "--out", str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    assert "made: no fault found" in done.output
    table = read_run(tmp_path / "a")["tables"][0]
    assert {row[1] for row in table["rows"]} == set(FAULTS)
    done = run.invoke(app, ["eval", "audit", "--tileset", str(folder), "--plant", "shuffle"])
    assert done.exit_code == 1
    assert "made with a planted shuffle: shuffle caught" in done.output


@pytest.mark.parametrize("dial", list(DIALS))
def test_a_dial_changes_more_the_further_it_is_turned_and_nothing_at_0(tiles: list[Tile], dial: str) -> None:
    apart = [float((shifted(tiles[0], dial, s).image - tiles[0].image).abs().mean()) for s in (0.0, 0.5, 1.0, 2.0)]
    assert apart[0] == 0
    assert apart[1] < apart[2] < apart[3]
    assert shifted(tiles[0], dial, 1.0).id != tiles[0].id


def test_shift_writes_coverage_in_place_and_under_every_dial(folder: Path, tmp_path: Path) -> None:
    words = ["eval", "shift", "--tileset", str(folder), "--out", str(tmp_path), "--arms", "forest-ratios"]
    words += ["--seeds", "1", "--labels-per-class", "20", "--test-pixels", "200"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    record = read_run(tmp_path)
    assert record["kind"] == "calibration_under_shift"
    rows = record["tables"][0]["rows"]
    assert {row[0] for row in rows} == {"in place", *DIALS}
    assert rows[0][5] > 0.9  # easy ground: sets hold what they promise in place
