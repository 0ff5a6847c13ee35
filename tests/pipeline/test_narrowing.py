"""Narrowing as a command: tiles of a hidden recipe are found again, and the report says what was done."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from terraficta.commands import app
from terraficta.finetune.narrow.narrow import narrow
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.corpus.corpus import write_corpus
from terraficta.synth.types.scene_recipe import read_scene_recipe

WIDE = read_scene_recipe("tier1", ["size_px=32", "oversampling=1", "light.sza_deg=[15, 70]", "cover.water=[0, 0.02]"])


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Desert under a low sun: as far from the middle of the wide recipe as may be."""
    folder = tmp_path_factory.mktemp("narrow") / "tiles"
    content = WIDE.model_dump(mode="json")
    content["cover"] |= {"climates": ["desert"], "settlement": [0.0, 0.05], "farmland": [0.0, 0.05]}
    content["light"]["sza_deg"] = [60, 65]
    write_corpus(type(WIDE).from_dict(content, where="hidden"), 3, 16, folder, sensor="landsat8", device="cpu")
    return folder


@pytest.mark.slow
def test_a_hidden_recipe_is_approached(tiles: Path) -> None:
    found = narrow(WIDE, read_tileset(tiles), "mine", scenes=72, window_px=32)
    assert found.better
    assert found.distance["narrowed"] < 0.7 * found.distance["wide"]
    assert found.recipe.cover.climates.count("desert") > len(found.recipe.cover.climates) / 3
    assert found.recipe.instrument.sensors == ("landsat8",)
    assert found.recipe.gsd_m == (30.0, 30.0)


@pytest.mark.slow
def test_the_command_writes_recipe_report_and_picture(tiles: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    words = ["synth", "narrow", "--tileset", str(tiles), "--recipe", "tier0", "--set", "oversampling=1",
             "--scenes", "24", "--rounds", "1", "--window", "16", "--out", str(out)]  # fmt: skip
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert read_scene_recipe(str(out)).name == "mine"
    report = out.with_suffix(".md").read_text()
    for part in ("How near", "What was narrowed", "What was left alone", "What could not be matched", "outside"):
        assert part in report
    assert "soils" in report
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
