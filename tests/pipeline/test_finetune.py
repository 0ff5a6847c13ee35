"""Fine-tuning, from a tileset on disk to a map model that is read back: on fabricated ground."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tileset_maker import read_manifest_of, write_manifest, write_raster, write_tileset
from typer.testing import CliRunner

from terraficta.finetune.adapt import adapt, fresh_mapper
from terraficta.finetune.commands import app
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.map_model import MapModel, read_map_model, write_map_model
from terraficta.finetune.recipe import RECIPES, FinetuneRecipe, HeadKind, read_finetune_recipe
from terraficta.finetune.task import CropStream
from terraficta.finetune.tileset.labels import Labels, draw_labels
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.pretrain.head import fit_ridge
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

RECIPE = FinetuneRecipe.from_dict(
    {
        "name": "test", "about": "tiny",
        "model": {"spectral": 16, "context": 8, "encoder_args": {"dims": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}},
        "full": {"steps": 30, "crop_px": 32, "batch": 4, "calibration_share": 0.5},
    },
    where="test",
)  # fmt: skip


@pytest.fixture(scope="module")
def tileset(tmp_path_factory: pytest.TempPathFactory) -> Tileset:
    folder: Path = tmp_path_factory.mktemp("land") / "made"
    return read_tileset(write_tileset(folder, scenes=2))


def accuracy(model: MapModel, tileset: Tileset) -> float:
    right, total = 0, 0
    for tile in tileset.tiles("test"):
        seen = tile.in_fold(2)
        found = model(tile.image[None], tile.sensor, tile.valid[None])[0].argmax(0)
        right += int((found == tile.mass.argmax(0))[seen].sum())
        total += int(seen.sum())
    return right / total


def fitted(tileset: Tileset, head: HeadKind, labels: int = 10, seed: int = 0) -> MapModel:
    tiles = list(tileset.tiles("train"))
    mapper, drawn = fresh_mapper(RECIPE, seed), draw_labels(tiles, labels, seed)
    return adapt(tiles, drawn, mapper, RECIPE, head=head, pretrained=False, seed=seed)


@pytest.mark.parametrize(("head", "least"), [("default", 0.9), ("ridge", 0.8), ("linear", 0.9), ("full", 0.9)])
def test_every_head_maps_easy_ground(tileset: Tileset, head: HeadKind, least: float) -> None:
    model = fitted(tileset, head)
    assert accuracy(model, tileset) > least
    tile = tileset[0]
    found = model(tile.image[None], tile.sensor)
    assert found.shape == (1, 3, 48, 48)
    assert torch.allclose(found.sum(1), torch.ones(1, 48, 48), atol=1e-5)
    assert 0.08 <= model.temperature <= 12.2


def test_the_given_mapper_is_left_as_it_was(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    mapper = fresh_mapper(RECIPE, 0)
    before = {name: value.clone() for name, value in mapper.state_dict().items()}
    model = adapt(tiles, draw_labels(tiles, 5, 0), mapper, RECIPE, head="full")
    assert all(torch.equal(value, before[name]) for name, value in mapper.state_dict().items())
    assert any(not torch.equal(v, before[n]) for n, v in model.encoder.mapper.state_dict().items())


def test_the_same_seed_gives_the_same_model(tileset: Tileset) -> None:
    image = tileset[1].image[None]
    for head in ("default", "ridge", "full"):
        one, again = (fitted(tileset, head, 5, seed=3)(image) for _ in range(2))
        assert torch.equal(one, again)


def test_only_the_drawn_labels_are_looked_at(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    labels = draw_labels(tiles, 5, 1)
    withheld = [tile.with_mass(torch.zeros_like(tile.mass)) for tile in tiles]
    one, other = (adapt(some, labels, fresh_mapper(RECIPE, 1), RECIPE) for some in (tiles, withheld))
    assert torch.equal(one(tiles[0].image[None]), other(tiles[0].image[None]))


def test_test_pixels_do_not_touch_the_common_scaling(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    labels = draw_labels(tiles, 5, 1)
    scaling = adapt(tiles, labels, fresh_mapper(RECIPE, 1), RECIPE).encoder.scaling.common
    for tile in tiles:
        assert tile.fold is not None
        tile.image[:, tile.fold == 2] = 9.0
    again = adapt(tiles, labels, fresh_mapper(RECIPE, 1), RECIPE).encoder.scaling.common
    assert torch.equal(scaling.centre, again.centre)
    assert torch.equal(scaling.spread, again.spread)


def test_a_class_without_labels_is_never_mapped(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    labels = draw_labels(tiles, 10, 0)
    known = labels.take(torch.nonzero(labels.classes != 1)[:, 0])
    for head in ("default", "ridge", "linear", "full"):
        model = adapt(tiles, known, fresh_mapper(RECIPE, 0), RECIPE, head=head)
        assert model(tiles[0].image[None])[0, 1].max() < 1e-6


def test_soft_labels_are_learned(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    labels = draw_labels(tiles, 10, 0)
    soft = Labels(labels.tile, labels.y, labels.x, 0.8 * labels.mass + 0.05, labels.legend, labels.wanted)
    for head in ("default", "ridge", "linear"):
        model = adapt(tiles, soft, fresh_mapper(RECIPE, 0), RECIPE, head=head, pretrained=False)
        assert accuracy(model, tileset) > 0.75


def test_labels_of_one_class_are_refused(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    labels = draw_labels(tiles, 5, 0)
    with pytest.raises(Refusal, match="two classes"):
        adapt(tiles, labels.take(torch.nonzero(labels.classes == 0)[:, 0]), fresh_mapper(RECIPE, 0), RECIPE)


def informed_mapper() -> Mapper:
    """A mapper whose dense head was fitted to what the classes of the made ground look like, as fiction teaches it."""
    mapper = fresh_mapper(RECIPE, 0)
    tile = read_tile_of_ground()
    encoder = Encoder.fit(mapper, [tile])
    with torch.no_grad():
        features = encoder.features(tile.image[None])[0].flatten(1).T
    mass = torch.zeros(len(features), len(TERRAFICTA))
    label = tile.label().flatten().long()
    for value, ours in ((1, "deciduous_forest"), (2, "water"), (3, "bare_soil")):
        mass[label == value, TERRAFICTA.index(ours)] = 1.0
    head = fit_ridge(features, mass, torch.tensor(1e-3), torch.tensor(20.0))
    with torch.no_grad():
        mapper.dense.weight.copy_(20 * head.weight.T)
        mapper.dense.bias.copy_(20 * head.bias)
    return mapper


def read_tile_of_ground() -> Tile:
    """Ground of another place, all of it labelled."""
    with tempfile.TemporaryDirectory() as folder:
        return read_tileset(write_tileset(Path(folder) / "other", scenes=3))[2]


def test_names_alone_make_a_map(tileset: Tileset, tmp_path: Path) -> None:
    mapper, tiles = informed_mapper(), list(tileset.tiles("train"))
    withheld = [tile.with_mass(torch.zeros_like(tile.mass)) for tile in tiles]
    model = adapt(withheld, None, mapper, RECIPE, meanings=tileset.meanings)
    assert accuracy(model, tileset) > 0.9
    assert model.choice == "names"
    write_map_model(tmp_path, model)
    image = tileset[0].image[None]
    assert torch.equal(model(image), read_map_model(tmp_path)(image))
    misled = propose_meanings(tileset.legend.classes, {"forest": "water", "water": "deciduous_forest"})
    assert accuracy(adapt(withheld, None, mapper, RECIPE, meanings=misled), tileset) < 0.5


def test_names_help_where_labels_are_few(tileset: Tileset) -> None:
    mapper, tiles = informed_mapper(), list(tileset.tiles("train"))
    labels = draw_labels(tiles, 1, 0)
    alone = adapt(tiles, labels, fresh_mapper(RECIPE, 0), RECIPE, pretrained=False)
    named = adapt(tiles, labels, mapper, RECIPE, meanings=tileset.meanings)
    assert accuracy(named, tileset) > accuracy(alone, tileset)
    assert named.choice == "forest^1 linear^0.6 names^0.8"
    assert alone.choice == "ridge^0.25 forest^1 linear^0.6"


def test_a_legend_without_meanings_needs_labels(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    unknown = propose_meanings(["forest", "water", "soil"], dict.fromkeys(["forest", "water", "soil"]))
    with pytest.raises(Refusal, match="no meaning for forest, water, soil"):
        adapt(tiles, None, fresh_mapper(RECIPE, 0), RECIPE, meanings=unknown)
    with pytest.raises(Refusal, match="weights of a pretraining"):
        adapt(tiles, None, fresh_mapper(RECIPE, 0), RECIPE, pretrained=False)
    model = adapt(tiles, draw_labels(tiles, 10, 0), fresh_mapper(RECIPE, 0), RECIPE, meanings=unknown)
    assert accuracy(model, tileset) > 0.9


@pytest.mark.parametrize("head", ["default", "full"])
def test_a_map_model_is_read_back(tileset: Tileset, tmp_path: Path, head: HeadKind) -> None:
    model = fitted(tileset, head)
    write_map_model(tmp_path, model)
    again = read_map_model(tmp_path)
    image = tileset[0].image[None]
    assert torch.equal(model(image), again(image))
    assert (again.legend, again.sensor, again.temperature) == (model.legend, model.sensor, model.temperature)
    (tmp_path / "model.pt").write_bytes((tmp_path / "model.pt").read_bytes()[:5000])
    with pytest.raises(Refusal, match=r"whole model\.pt"):
        read_map_model(tmp_path)
    with pytest.raises(Refusal, match="no such file"):
        read_map_model(tmp_path / "nowhere")


def test_an_image_of_other_bands_is_refused(tileset: Tileset) -> None:
    model = fitted(tileset, "ridge", 5)
    image = tileset[0].image[None]
    with pytest.raises(Refusal, match="B02 492 nm"):
        model(image, read_sensor("landsat8").pick(["B2", "B3", "B4", "B5", "B7"]))
    with pytest.raises(Refusal, match="found 4"):
        model(image[:, :4])
    twin = read_sensor("sentinel2b").pick([band.name for band in model.sensor.bands])
    assert model(image, twin).shape == (1, 3, 48, 48)


def test_change_is_mapped_from_two_dates(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=2, size=64)
    tiles = [read_tileset(folder)[n] for n in (0, 1)]
    after = tiles[0].image.clone()
    after[:, 24:48, 8:56] = tiles[1].image[:, 24:48, 8:56]
    write_raster(folder / "after.tif", np.round(after.numpy() * 1e4).astype(np.uint16))
    changed = (tiles[0].label() != tiles[1].label()) & torch.zeros(64, 64, dtype=torch.bool).index_fill_(
        0, torch.arange(24, 48), True
    ).index_fill_(1, torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, *range(56, 64)]), False)
    write_raster(folder / "label0.tif", changed.numpy().astype(np.uint8) + 1)
    one = {"id": "s0", "before": "image0.tif", "after": "after.tif", "label": "label0.tif", "fold": "fold0.tif"}
    manifest = read_manifest_of(folder) | {"task": "change", "legend": ["unchanged", "changed"], "scenes": [one]}
    tileset = read_tileset(write_manifest(folder, manifest))
    for head in ("linear", "default"):
        model = fitted(tileset, head, 40)
        assert model.dates == 2
        assert accuracy(model, tileset) > 0.8


def test_crops_hold_their_labels_turned_together(tileset: Tileset) -> None:
    tiles = list(tileset.tiles("train"))
    stream = CropStream(tiles, draw_labels(tiles, 10, 0), RECIPE.full, seed=5)
    crops = next(iter(stream))
    assert crops.image.shape == (4, 5, 32, 32)
    assert crops.mass.shape == (4, 3, 32, 32)
    again = next(iter(stream))
    assert torch.equal(crops.image, again.image)
    label = torch.stack([tile.label() for tile in tiles])
    for n in range(4):
        y, x = torch.nonzero(crops.mass[n].sum(0), as_tuple=True)
        assert len(y) > 0
        for place, pixel in zip(crops.mass[n][:, y, x].T, crops.image[n][:, y, x].T, strict=True):
            where = torch.nonzero((torch.stack([t.image for t in tiles]) == pixel[:, None, None]).all(1))[0]
            assert int(place.argmax()) + 1 == int(label[tuple(where)])


def test_a_tile_smaller_than_a_crop_will_do(tileset: Tileset) -> None:
    recipe = RECIPE.model_copy(update={"full": RECIPE.full.model_copy(update={"crop_px": 64, "steps": 2})})
    tiles = list(tileset.tiles("train"))
    model = adapt(tiles, draw_labels(tiles, 5, 0), fresh_mapper(recipe, 0), recipe, head="full")
    assert model(tiles[0].image[None]).isfinite().all()


def test_large_tiles_are_looked_up_in_windows(tileset: Tileset) -> None:
    tile = tileset[0]
    assert tile.fold is not None
    wide = [tile.image.repeat(1, 8, 8), tile.valid.repeat(8, 8), tile.mass.repeat(1, 8, 8), tile.fold.repeat(8, 8)]
    big = replace(
        tile,
        image=wide[0],
        valid=wide[1],
        mass=wide[2],
        fold=wide[3],
        grid=replace(tile.grid, height_px=384, width_px=384),
    )
    labels = draw_labels([big], 4, 0)
    encoder = adapt([big], labels, fresh_mapper(RECIPE, 0), RECIPE).encoder
    with torch.no_grad():
        whole = encoder.features(big.image[None])[0]
    looked_up = encoder.at([big], labels)
    spectral = slice(0, RECIPE.model.spectral)  # sees one pixel, so windows cannot matter
    assert torch.allclose(looked_up[:, spectral], whole[:, labels.y, labels.x].T[:, spectral], atol=1e-4)
    assert torch.nn.functional.cosine_similarity(looked_up, whole[:, labels.y, labels.x].T).min() > 0.9


def test_the_command_writes_a_whole_run(tileset: Tileset, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE.model_dump_json())
    out = tmp_path / "run"
    arguments = ["run", "--tileset", str(tileset.folder), "--weights", "none", "--labels-per-class", "5"]
    arguments += ["--recipe", str(recipe), "--out", str(out), "--device", "cpu"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    record = read_run(out)
    assert record["stage"] == "finetune"
    assert record["metrics"]["labels"] == {"forest": 5, "water": 5, "soil": 5}
    assert (record["tileset"]["name"], record["tileset"]["scale"]) == ("made", 0.0001)
    assert record["weights_record"] is None
    assert sorted(path.name for path in out.iterdir()) == ["model.pt", "run.json"]
    assert accuracy(read_map_model(out), tileset) > 0.6
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, Refusal), "an existing run is never overwritten"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--head", "tree", "default, ridge, linear or full"),
        ("--labels-per-class", "0", "weights of a pretraining"),
        ("--labels-per-class", "-1", "names alone"),
        ("--weights", "no.pt", "no such file"),
        ("--tileset", "nowhere", "tileset.yaml"),
        ("--recipe", "nope", "standard"),
    ],
)
def test_wrong_options_are_refused(tileset: Tileset, tmp_path: Path, option: str, value: str, words: str) -> None:
    options = {"--tileset": str(tileset.folder), "--weights": "none", "--out": str(tmp_path / "run")} | {option: value}
    done = CliRunner().invoke(app, ["run", *(word for pair in options.items() for word in pair)])
    assert isinstance(done.exception, Refusal)
    assert words in str(done.exception)
    assert not (tmp_path / "run").exists()


def test_the_recipes_of_the_house_are_whole() -> None:
    names = [path.stem for path in RECIPES.glob("*.yaml")]
    assert {"standard", "quick"} <= set(names)
    for name in names:
        recipe = read_finetune_recipe(name)
        assert recipe.name == name
        assert isinstance(recipe.model, ModelRecipe)
