"""Shards: what a corpus holds, in large files, read by any number of workers."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.corpus.shard import MASS_STEPS, read_shards, write_shards
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe

pytest.importorskip("webdataset")
COUNT = 7


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "corpus"
    recipe = read_scene_recipe("tier0", ["size_px=16", "oversampling=1"])
    write_corpus(recipe, 7, COUNT, folder, sensor="landsat8", device="cpu")
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_every_tile_is_read_once_and_as_it_was(corpus: Path, tmp_path: Path, workers: int) -> None:
    assert write_shards(corpus, tmp_path / "shards", tiles_a_shard=2) == 4
    loader = DataLoader(read_shards(tmp_path / "shards", mass=True), batch_size=None, num_workers=workers)
    samples = {sample["id"]: sample for sample in loader}
    tiles = {tile.id: tile for tile in read_corpus(corpus)}
    assert samples.keys() == tiles.keys()
    for name, tile in tiles.items():
        sample = samples[name]
        assert torch.allclose(sample["image"], tile.image, atol=1e-7)
        assert torch.equal(sample["valid"], tile.valid)
        assert torch.equal(sample["label"].long(), tile.label().long())
        assert float((sample["mass"] - tile.mass).abs().max()) <= 0.5 / MASS_STEPS + 1e-6
        assert sample["centre_nm"] == [band.centre_nm for band in tile.sensor.bands]


def test_shards_have_the_same_bytes_whenever_they_are_written(corpus: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shards(corpus, tmp_path / name)
    assert (tmp_path / "a/shard-000000.tar").read_bytes() == (tmp_path / "b/shard-000000.tar").read_bytes()


def test_shuffling_changes_the_order_alone(corpus: Path, tmp_path: Path) -> None:
    write_shards(corpus, tmp_path / "shards")
    plain = [sample["id"] for sample in read_shards(tmp_path / "shards")]
    mixed = [sample["id"] for sample in read_shards(tmp_path / "shards", shuffle=COUNT, seed=3)]
    assert sorted(mixed) == plain
    assert mixed != plain


def test_what_is_no_shard_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"shards\.json: found no such file"):
        read_shards(corpus)
    write_shards(corpus, tmp_path / "shards", tiles_a_shard=4)
    (tmp_path / "shards/shard-000001.tar").unlink()
    with pytest.raises(Refusal, match=r"shard-000001\.tar: shard: found nothing"):
        read_shards(tmp_path / "shards")
    with pytest.raises(Refusal, match="a new or empty folder"):
        write_shards(corpus, tmp_path / "shards")
