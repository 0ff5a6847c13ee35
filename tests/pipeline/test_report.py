"""The report: whole in itself, honest about what does not help, and complete back to the first run."""

import json
import re
from pathlib import Path

import pytest
from network_maker import SMALL
from tileset_maker import write_tileset

from terraficta.eval.benchmark.arms import PIXEL_ARMS
from terraficta.eval.benchmark.benchmark import run_benchmark
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.eval.map.predict import predict_image
from terraficta.eval.provenance import read_link, walk
from terraficta.eval.report.report import write_report
from terraficta.eval.report.results import write_results
from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.map_model import write_map_model
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A pretraining that is only told of, a fine-tuning on it, a map and a benchmark."""
    folder = tmp_path_factory.mktemp("report")
    tileset = read_tileset(write_tileset(folder / "made"))
    tiles = list(tileset.tiles("train"))
    recipe = read_finetune_recipe("quick").model_copy(update={"model": SMALL})
    model = adapt(tiles, draw_labels(tiles, 20, 0), fresh_mapper(recipe, 0), recipe)
    write_map_model(folder / "finetune", model)
    pretraining = Run("pretrain", {"name": "standard <b>"}, 7, {"corpus": "c0ffee"}).record(
        {"steps": 12}, digest="5eed"
    )
    about = {"folder": str(folder / "made"), "name": "made", "scale": 0.0001, "offset": 0.0, "nodata": 0}
    Run("finetune", recipe.model_dump(mode="json"), 0, {"weights": "5eed"}).write(
        folder / "finetune", digest="f1de", tileset=about, weights_record=pretraining, head="ridge", labels_per_class=20
    )
    predict_image(folder / "finetune", [folder / "made" / "image0.tif"], folder / "map.tif")
    few = BenchmarkRecipe(name="test", about="", arms=("logistic", "ridge"), labels_per_class=(3, 9), seeds=2)
    from terraficta.eval.benchmark.networks import NetworkArm

    arms = {"logistic": PIXEL_ARMS["logistic"], "ridge": NetworkArm("ridge", "ridge", recipe, None)}
    run_benchmark([folder / "made"], few, arms, folder / "benchmark")
    Run("benchmark", few.model_dump(mode="json"), 0).write(folder / "benchmark", digest="be9c")
    return {"folder": folder, **{name: folder / name for name in ("finetune", "benchmark", "map.tif")}}


@pytest.fixture(scope="module")
def page(runs: dict[str, Path]) -> str:
    out = runs["folder"] / "page"
    path = write_report([runs["finetune"], runs["benchmark"], runs["map.tif"]], out)
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "run.json"]
    return path.read_text(encoding="utf-8")


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", page)
    assert sources
    assert all(s.startswith(("data:image/png;base64,", "#")) for s in sources)
    assert "<script" not in page
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)


def test_maps_stand_beside_image_and_label(page: str) -> None:
    assert page.count("<img ") == 2 * 4 + 3  # two scenes with labels, one map without
    for caption in ("image", "label", "map", "doubt (entropy)"):
        assert f"<figcaption>{caption}</figcaption>" in page
    assert "forest" in page
    assert "mIoU" in page


def test_every_arm_and_number_of_labels_is_in_the_tables(page: str) -> None:
    for text in ("3 labels a class", "9 labels a class", "ridge", "logistic", "±"):
        assert text in page
    assert "against the best simple arm, over 2 settings" in page
    assert 'class="best"' in page


def test_figures_take_the_colours_of_the_page_and_their_ids_do_not_clash(page: str) -> None:
    assert page.count("<svg") == 3
    assert "var(--ink)" in page[page.index("<svg") :]
    for stand_in in ("#010203", "#040506", "#070809"):
        assert stand_in not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', page))
    assert used <= set(ids)


def test_the_chain_goes_back_to_runs_that_are_only_told_of(page: str, runs: dict[str, Path]) -> None:
    chain = walk([read_link(runs["benchmark"]), read_link(runs["map.tif"])])
    assert [link.stage for link in chain] == ["pretrain", "finetune", "predict", "benchmark"]
    assert ("from corpus", "c0ffee") in chain[0].facts
    assert "standard &lt;b&gt;" in page
    assert "standard <b>" not in page
    for digest in ("5eed", "f1de", "c0ffee"):
        assert digest in page


def test_a_run_that_is_given_twice_is_shown_once(runs: dict[str, Path]) -> None:
    chain = walk([read_link(runs["finetune"]), read_link(runs["finetune"]), read_link(runs["map.tif"])])
    assert [link.stage for link in chain] == ["pretrain", "finetune", "predict"]
    assert chain[1].place == str(runs["finetune"])


def test_a_lost_tileset_is_said_and_stops_nothing(runs: dict[str, Path], tmp_path: Path) -> None:
    record = json.loads((runs["finetune"] / "run.json").read_text())
    record["tileset"]["folder"] = str(tmp_path / "gone")
    (tmp_path / "run.json").write_text(json.dumps(record))
    text = write_report([tmp_path], tmp_path / "page").read_text()
    assert "its maps are not drawn" in text
    assert "What was done" in text


def test_tables_of_any_experiment_are_shown_and_broken_ones_refused(tmp_path: Path) -> None:
    table = {"title": "Coverage <b>", "note": "of test pixels", "columns": ["dial", "value"], "rows": [["haze", 0.91]]}
    Run("calibration", {}, 0).write(
        tmp_path / "a", kind="calibration", tables=[table], figures=["a.png", "lost.png", "../b.png"]
    )
    for path in (tmp_path / "a" / "a.png", tmp_path / "b.png"):
        path.write_bytes(b"\x89PNG of a test")
    text = write_report([tmp_path / "a"], tmp_path / "page").read_text()
    assert '<section id="calibration">' in text
    assert "Coverage &lt;b&gt;" in text
    assert "<td>haze</td><td>0.910</td>" in text
    assert text.count('src="data:image/png;base64,iVBORyBvZiBhIHRlc3Q="') == 1  # beside the record, and nowhere else
    Run("calibration", {}, 0).write(tmp_path / "b", kind="calibration", tables=[{**table, "rows": [["haze"]]}])
    with pytest.raises(Refusal, match="whole rows"):
        write_report([tmp_path / "b"], tmp_path / "page2")


def test_results_are_one_page_from_records_with_losses_in_words(tmp_path: Path) -> None:
    columns = ["difference", "labels", "tilesets", "mIoU", "95 %", "helps in", "hurts in", "where", "of what"]
    rows = [
        ["ridge less random", 5, 3, 0.02, "[+0.010, +0.030]", 2, 0, "nowhere", "fiction"],
        ["full less scratch", 5, 3, -0.01, "[−0.030, +0.010]", 0, 1, "here", "training"],
    ]
    worth = {"title": "What fiction was worth", "note": "", "columns": columns, "rows": rows}
    goals = {"title": "What was promised", "note": "before", "columns": ["goal"], "rows": [[0.02]]}
    Run("benchmark", {"seeds": 5}, 0).write(tmp_path / "b", kind="benchmark", tables=[goals, worth])
    text = write_results([tmp_path / "b"], tmp_path / "RESULTS.md").read_text()
    assert text.index("What was promised") < text.index("In words") < text.index("### What fiction was worth")
    assert "+0.020 mIoU [+0.010, +0.030] over 3 tilesets, a gain; better in 2 of them, worse in 0." in text
    assert "not told apart from nothing; better in 0 of them, worse in 1 (here)." in text
    assert "| benchmark |" in text
    Run("finetune", {}, 0).write(tmp_path / "f")
    with pytest.raises(Refusal, match="no tables"):
        write_results([tmp_path / "f"], tmp_path / "other.md")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"run\.json"):
        write_report([tmp_path], tmp_path / "page")
    with pytest.raises(Refusal, match="at least one"):
        write_report([], tmp_path / "page")
    with pytest.raises(Refusal, match="check the path"):
        write_report([tmp_path / "map.json"], tmp_path / "page")
