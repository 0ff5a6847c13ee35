"""A quantity from samples of it: read, fitted in four ways, scored; and refused where it is mixed with classes."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml
from network_maker import SMALL
from tileset_maker import read_manifest_of, write_manifest, write_raster, write_tileset

from terraficta.commands import app, spread
from terraficta.eval.values import ValueScores, score_values
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.recipe import FinetuneRecipe, read_finetune_recipe
from terraficta.finetune.regression import fit_values, read_value_model, sample_values, write_value_model
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.finetune.unet import UNet
from terraficta.synth.corpus.corpus import write_corpus
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe

QUANTITY = "brightness [%]"
HEADS = ("frozen", "full", "unet", "forest")


def recipe(*changes: str) -> FinetuneRecipe:
    quick = ["value.full.steps=40", "value.full.crop_px=32", "value.full.batch=4", "value.unet_width=8", *changes]
    return read_finetune_recipe("standard", quick).model_copy(update={"model": SMALL})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes whose value is 100 times their reflectance at 865 nm, known of every second pixel."""
    folder = write_tileset(tmp_path_factory.mktemp("values") / "made", size=64)
    manifest = read_manifest_of(folder) | {"task": "value", "quantity": QUANTITY, "legend": []}
    for tile, entry in zip(read_tileset(folder).tiles(), manifest["scenes"], strict=True):
        value = 100 * tile.image[3].numpy()
        value[::2] = np.nan
        where = {"transform": tile.grid.transform}
        entry["value"] = write_raster(folder / f"value-{entry['id']}.tif", value.astype(np.float32), **where).name
        del entry["label"]
    write_manifest(folder, manifest)
    return folder


def test_known_values_are_read_and_sampled_in_the_train_fold(made: Path) -> None:
    land = read_tileset(made)
    assert land.quantity == QUANTITY
    tiles = list(land.tiles("train"))
    assert not bool(tiles[0].in_fold(1)[::2].any())
    samples = sample_values(tiles, recipe(), 200, seed=0)
    assert len(samples) == 200
    truth = [100 * tiles[t].image[3, y, x] for t, y, x in samples.labels.pixels()]
    assert samples.value.numpy() == pytest.approx(torch.stack(truth).numpy(), rel=1e-5)
    assert all(int(x) < 30 for x in samples.labels.x)


def test_footprints_carry_the_mean_of_their_disc(made: Path) -> None:
    tiles = list(read_tileset(made).tiles("train"))
    footprints = "value.footprints={kind: footprints, diameter_m: 50, along_m: 120, across_m: 200}"
    samples = sample_values(tiles, recipe(footprints), None, seed=0)
    assert 20 < len(samples) < len(sample_values(tiles, recipe(), None, seed=0)) / 2
    assert len(torch.unique(samples.value)) < len(samples) / 3


@pytest.mark.parametrize("head", HEADS)
def test_every_way_learns_and_says_the_same_from_disk(made: Path, head: str, tmp_path: Path) -> None:
    land, how = read_tileset(made), recipe()
    tiles = list(land.tiles("train"))
    encoder = Encoder.fit(fresh_mapper(how, 0), tiles)
    model = fit_values(tiles, sample_values(tiles, how, 300, 0), encoder, how, head, QUANTITY)  # type: ignore[arg-type]
    scores = score_values(model, land)
    assert scores.r2 > (0.9 if head in ("frozen", "forest") else 0.3)
    assert scores.count == 2 * 32 * 30
    write_value_model(tmp_path, model)
    assert score_values(read_value_model(tmp_path), land) == scores
    assert model.trained == {"frozen": 49, "unet": sum(p.numel() for p in UNet(5, 8).parameters())}.get(
        head, model.trained
    )


def test_scores_by_hand() -> None:
    found = ValueScores.of(torch.tensor([1.0, 2.0, 6.0]), torch.tensor([1.0, 4.0, 4.0]))
    assert (found.mae, found.bias, found.count) == (pytest.approx(4 / 3), 0.0, 3)
    assert found.rmse == pytest.approx((8 / 3) ** 0.5)
    assert found.r2 == pytest.approx(1 - 8 / 6)


def test_commands_and_corpora(tmp_path: Path) -> None:
    """Fiction's own heights make a tileset of values, which both commands take."""
    base = read_scene_recipe("tier0", ["truth.layers=[canopy_height_m, agb_t_ha]", "instrument.sensors=[sentinel2a]"])
    scene = SceneRecipe.from_dict(base.model_dump(mode="json") | {"size_px": 32}, where="test")
    write_corpus(scene, seed=4, count=6, folder=tmp_path / "corpus", device="cpu")
    land = tmp_path / "corpus" / "values" / "canopy_height_m"
    assert read_tileset(land).quantity == "canopy height [m]"
    assert read_tileset(land.with_name("agb_t_ha")).quantity == "above-ground biomass [t ha-1]"
    run, scores = tmp_path / "run", tmp_path / "scores.json"
    words = f"finetune run --tileset {land} --labels-per-class 300 --out {run}"
    assert app(spread(words.split()), standalone_mode=False) in (None, 0)
    words = f"eval score --run {run} --tileset {land} --out {scores}"
    assert app(spread(words.split()), standalone_mode=False) in (None, 0)
    said = json.loads(scores.read_text())
    assert said["rmse"] < said["spread"]
    assert json.loads((run / "run.json").read_text())["metrics"]["samples"] == 300
    words = f"eval predict --run {run} --tileset {land} --out {tmp_path / 'height.tif'}"
    assert app(spread(words.split()), standalone_mode=False) in (None, 0)
    model, (tile, *_) = read_value_model(run), list(read_tileset(land).tiles())
    with rasterio.open(tmp_path / "height.tif") as made:
        assert made.descriptions == ("canopy height [m]",)
        found = torch.from_numpy(made.read(1))
    wanted = model(tile.image[None], tile.valid[None], [tile.id])[0]
    assert torch.allclose(found[tile.valid], wanted[tile.valid], atol=1e-3)
    assert bool(found[~tile.valid].isnan().all())


@pytest.mark.parametrize(
    ("change", "words"),
    [({"task": None}, "value"), ({"quantity": None}, "quantity"), ({"legend": ["a", "b"]}, "quantity")],
)
def test_values_and_classes_are_not_mixed(made: Path, change: dict[str, object], words: str, tmp_path: Path) -> None:
    manifest = read_manifest_of(made) | change
    for entry in manifest["scenes"]:
        entry |= {key: str(made / entry[key]) for key in ("image", "value", "fold")}
    (tmp_path / "tileset.yaml").write_text(yaml.safe_dump({k: v for k, v in manifest.items() if v is not None}))
    with pytest.raises(Refusal, match=words):
        read_tileset(tmp_path)
