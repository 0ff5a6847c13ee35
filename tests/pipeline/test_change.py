"""A corpus of two dates is a change tileset that the reader of real ones reads."""

import json
from pathlib import Path

import pytest
import torch

from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.corpus.verify import verify_corpus
from terraficta.synth.labels.recipe import read_label_recipe
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = read_scene_recipe("tier3").model_dump(mode="json")
    base["instrument"]["sensors"] = ["sentinel2a"]
    base["size_px"], base["time"] = 32, {"dates": 2}
    base["events"] = [{"kind": "burn", "dose": [0.7, 0.9]}, {"kind": "deforestation", "dose": [0.7, 0.9]}]
    folder = tmp_path_factory.mktemp("change") / "corpus"
    write_corpus(SceneRecipe.from_dict(base, where="test"), seed=4, count=6, folder=folder, device="cpu")
    return folder


def test_dates_are_written_and_read_back(corpus: Path) -> None:
    tiles = list(read_corpus(corpus))
    assert [tile.id for tile in tiles[:4]] == ["4-000000", "4-000000-1", "4-000001", "4-000001-1"]
    assert all(tile.date is not None for tile in tiles)
    assert "changed" in tiles[1].layers
    assert verify_corpus(corpus, render_again=3)["tiles"] == 12


def test_the_pairs_are_a_change_tileset(corpus: Path) -> None:
    pairs = read_tileset(corpus / "change")
    assert pairs.legend.classes == ("unchanged", "changed")
    tiles = [*pairs.tiles("train"), *pairs.tiles("test")]
    assert len(tiles) == 6
    stored = {tile.id: tile for tile in read_corpus(corpus)}
    for tile in tiles:
        name = tile.id.split("/")[-1]
        before, after = stored[name.removesuffix("-1")], stored[name]
        assert tile.image.shape[0] == 2 * before.image.shape[0]
        torch.testing.assert_close(tile.image, torch.cat([before.image, after.image]), atol=1e-6, rtol=0)
        assert torch.equal(tile.label(), after.layers["changed"])


def test_dates_of_a_ground_share_their_fold(corpus: Path) -> None:
    cover = read_tileset(corpus)
    train, test = ({tile.id.split("/")[-1].split("-")[1] for tile in cover.tiles(fold)} for fold in ("train", "test"))
    assert train
    assert test
    assert not train & test


def test_damaged_labels_are_written_with_the_truth_beside_them(tmp_path: Path) -> None:
    base = read_scene_recipe("tier0").model_dump(mode="json") | {"size_px": 32}
    recipe, labels = SceneRecipe.from_dict(base, where="test"), read_label_recipe("worldcover")
    write_corpus(recipe, 3, 2, tmp_path / "corpus", device="cpu", labels=labels)
    assert verify_corpus(tmp_path / "corpus", render_again=2)["rendered"] == 2
    for tile in read_corpus(tmp_path / "corpus"):
        assert len(tile.legend) == 11
        assert torch.equal(tile.layers["truth"], tile.label())
        assert tile.facts["label_damage"]["wrong"] == 0


def test_boxes_of_buildings_are_written_for_detectors(tmp_path: Path) -> None:
    base = read_scene_recipe("tier0", ["truth.layers=[building]", "cover.settlement=[0.3,0.3]", "gsd_m=[4,4]"])
    recipe = SceneRecipe.from_dict(base.model_dump(mode="json") | {"size_px": 64}, where="test")
    write_corpus(recipe, 3, 3, tmp_path / "corpus", device="cpu")
    found = json.loads((tmp_path / "corpus" / "annotations.json").read_text())
    tiles = {f"tiles/{tile.id}/image.tif": tile for tile in read_corpus(tmp_path / "corpus")}
    assert len(found["images"]) == 3
    assert found["annotations"]
    names = {image["id"]: image["file_name"] for image in found["images"]}
    for one in found["annotations"]:
        x, y, width, height = one["bbox"]
        inside = tiles[names[one["image_id"]]].layers["building"][y : y + height, x : x + width]
        assert inside.shape == (height, width)
        assert bool((inside > 0).any())
    assert verify_corpus(tmp_path / "corpus")["tiles"] == 3
