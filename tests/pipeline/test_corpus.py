"""The corpus: written whole, verified to the byte, read back as it was, the same for any number of workers."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.warp import transform
from typer.testing import CliRunner

from terraficta.synth.commands import app
from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.corpus.geotiff import sensor_as_data, sensor_from_data, sha256_of
from terraficta.synth.corpus.verify import verify_corpus
from terraficta.synth.instrument.invented import draw_sensor
from terraficta.synth.instrument.product import from_dn, to_dn
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import InstrumentRecipe, SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

RECIPE = SceneRecipe(
    name="test", about="a test", size_px=32, instrument=InstrumentRecipe(sensors=("landsat8",), quantise=True)
)
MIXED = RECIPE.model_copy(update={"instrument": InstrumentRecipe(sensors=("sentinel2a", "invented"), quantise=True)})


def fabricate(
    recipe: SceneRecipe, keys: Sequence[SceneKey], sensor: Sensor | None = None, device: str = "cpu"
) -> list[Tile]:
    """Tiles with everything a real one has, of noise: the corpus must not care."""
    tiles, size = [], recipe.size_px
    for key in keys:
        camera = sensor or draw_sensor(recipe.instrument, key)
        rng = key.at("fabricate").rng()
        image = torch.from_numpy(rng.random((len(camera), size, size)).astype(np.float32) * 0.8)
        mass = torch.from_numpy(
            rng.multinomial(4, [1 / len(TERRAFICTA)] * len(TERRAFICTA), (size, size)).astype(np.float32) / 4
        ).movedim(-1, 0)
        mass[:, 0, 0] = 0
        valid = torch.ones(size, size, dtype=torch.bool)
        valid[3, 5] = False
        tiles.append(
            Tile(
                id=f"{key.seed}-{key.index:06d}",
                image=from_dn(to_dn(image, camera, valid), camera),
                valid=valid,
                mass=mass.contiguous(),
                sensor=camera,
                legend=TERRAFICTA,
                grid=Grid(size, size, camera.gsd_m),
                level="BOA",
                facts={"sza_deg": float(rng.random() * 60), "index": key.index},
                layers={
                    "elevation_m": torch.from_numpy(rng.random((size, size)).astype(np.float32) * 900),
                    "material": torch.from_numpy(rng.integers(0, 400, (size, size))),
                },
            )
        )
    return tiles


def fabricate_dates(
    recipe: SceneRecipe, keys: Sequence[SceneKey], device: str = "cpu", given: None = None
) -> list[list[Tile]]:
    return [[tile] for tile in fabricate(recipe, keys, device=device)]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("terraficta.synth.corpus.order.render_dates", fabricate_dates)
    write_corpus(RECIPE, seed=7, count=10, folder=tmp_path / "corpus", device="cpu")
    return tmp_path / "corpus"


def files_of(folder: Path) -> dict[str, bytes]:
    timed = {"run.json", "checksums.sha256"}
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    sums = [line for line in files["checksums.sha256"].decode().splitlines() if not line.endswith("run.json")]
    return {name: content for name, content in files.items() if name not in timed} | {"sums": "\n".join(sums).encode()}


def test_read_back_as_it_was_written(corpus: Path) -> None:
    for made, read in zip(fabricate(RECIPE, [SceneKey(7, i) for i in range(10)]), read_corpus(corpus), strict=True):
        assert read.id == made.id
        assert read.sensor == made.sensor
        assert read.legend == made.legend
        assert read.level == made.level
        assert read.facts == made.facts
        assert read.grid.gsd_m == made.grid.gsd_m
        assert torch.equal(read.valid, made.valid)
        assert torch.equal(read.image, made.image)
        assert torch.equal(read.mass, made.mass)
        for name, layer in made.layers.items():
            assert read.layers[name].dtype == layer.dtype
            assert torch.equal(read.layers[name], layer)


def test_a_gis_finds_all_it_needs(corpus: Path) -> None:
    with rasterio.open(corpus / "tiles/7-000003/image.tif") as image:
        assert image.dtypes[0] == "uint16"
        assert image.nodata == 0
        assert image.crs.is_projected
        assert image.res == (30.0, 30.0)
        assert image.block_shapes[0] == (32, 32)
        assert image.compression.value == "DEFLATE"
        assert image.scales[0] == pytest.approx(2.75e-5)
        assert image.offsets[0] == pytest.approx(-0.2)
        assert image.descriptions[4] == "B5 (864.6 nm)"
        assert image.tags(5, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"] == "0.8646"
        (longitude,), _ = transform(image.crs, "EPSG:4326", [image.bounds.left], [image.bounds.top])
        assert -127 < longitude < -119
    with rasterio.open(corpus / "tiles/7-000003/label.tif") as label:
        assert label.colormap(1)[1][:3] == TERRAFICTA.rgb()[0]
        assert label.read(1)[0, 0] == 0
    with rasterio.open(corpus / "tiles/7-000003/mass.tif") as mass:
        assert mass.descriptions == TERRAFICTA.classes


def test_neighbours_do_not_overlap(corpus: Path) -> None:
    bounds = []
    for path in sorted(corpus.glob("tiles/*/image.tif")):
        with rasterio.open(path) as file:
            bounds.append(file.bounds)
    assert all(a.right < b.left for a, b in zip(bounds, bounds[1:], strict=False))


def test_verify_counts_what_there_is(corpus: Path) -> None:
    found = verify_corpus(corpus, render_again=3)
    assert found["tiles"] == 10
    assert found["rendered"] == 3
    assert found["files"] == 10 * 6 + 4 + 4
    done = subprocess.run(["sha256sum", "--quiet", "-c", "checksums.sha256"], cwd=corpus, capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize(
    "name",
    ["tiles/7-000004/image.tif", "tiles/7-000009/mass.tif", "tiles.jsonl", "corpus.json", "tileset.yaml", "run.json"],
)
def test_one_flipped_bit_is_found_and_named(corpus: Path, name: str) -> None:
    path = corpus / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refusal, match=name.rsplit("/", 1)[-1]):
        verify_corpus(corpus)


def test_a_missing_and_a_truncated_file_are_named(corpus: Path) -> None:
    image = corpus / "tiles/7-000002/image.tif"
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(Refusal, match="7-000002/image.tif: checksum"):
        verify_corpus(corpus)
    with pytest.raises(Refusal, match="7-000002/image.tif: file"):
        list(read_corpus(corpus))
    image.unlink()
    with pytest.raises(Refusal, match="7-000002/image.tif: file: found nothing"):
        verify_corpus(corpus)


def test_a_damaged_list_of_checksums_is_refused(corpus: Path) -> None:
    sums = corpus / "checksums.sha256"
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if "7-000005" not in line))
    with pytest.raises(Refusal, match="no 7-000005"):
        verify_corpus(corpus)
    sums.write_text("garbage\n")
    with pytest.raises(Refusal, match="sha256sum|two blanks"):
        verify_corpus(corpus)


def test_another_recipe_than_made_it_is_found(corpus: Path) -> None:
    """Files and checksums agree, but the recipe makes something else."""
    image = corpus / "tiles/7-000000/image.tif"
    with rasterio.open(image, "r+") as file:
        dn = file.read()
        dn[2, 7, 7] += 5
        file.write(dn)
    sums = corpus / "checksums.sha256"
    lines = [f"{sha256_of(corpus / line[66:])}  {line[66:]}\n" for line in sums.read_text().splitlines()]
    sums.write_text("".join(lines))
    verify_corpus(corpus)
    with pytest.raises(Refusal, match="up to 5 DN"):
        verify_corpus(corpus, render_again=1)


def test_the_same_bytes_in_any_grouping(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terraficta.synth.corpus.corpus.TILES_A_TASK", 3)
    write_corpus(RECIPE, seed=7, count=10, folder=tmp_path / "other", device="cpu")
    assert files_of(corpus) == files_of(tmp_path / "other")


def test_interrupted_leaves_nothing_that_a_reader_takes_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terraficta.synth.corpus.order.render_dates", fabricate_dates)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_corpus(RECIPE, seed=7, count=10, folder=tmp_path / "corpus", device="cpu", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [".corpus.partial"]
    with pytest.raises(Refusal, match="such file"):
        list(read_corpus(tmp_path / ".corpus.partial/corpus"))


def test_a_folder_with_content_is_kept(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(Refusal, match="a new or empty folder"):
        write_corpus(RECIPE, seed=7, count=1, folder=tmp_path, device="cpu")
    assert (tmp_path / "diary.txt").read_text() == "dear diary"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensor": "sentinel9"}, "found sentinel9"),
        ({"size_px": 7}, "size_px"),
        ({"count": 0}, "1 or more tiles"),
        ({"workers": 0}, "1 or more processes"),
        ({"device": "abacus"}, "auto, cpu or cuda"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, options: dict, message: str) -> None:
    settings = {"seed": 7, "count": 1, "folder": tmp_path / "corpus"} | options
    with pytest.raises(Refusal, match=message):
        write_corpus(RECIPE, **settings)
    assert not (tmp_path / "corpus").exists()


def test_a_corpus_is_a_tileset(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from terraficta.finetune.tileset.tileset import read_tileset

    tileset = read_tileset(corpus, verify=False)  # the fabricated reflectances are noise, and would be refused
    assert len(tileset) == 10
    for real, made in zip(tileset.tiles(), read_corpus(corpus), strict=True):
        assert torch.allclose(real.image, made.image, atol=1e-7)
        assert torch.equal(real.mass, made.mass * made.valid)
        assert real.sensor.bands == made.sensor.bands
    assert len(list(tileset.tiles("test"))) == 3
    write_corpus(MIXED, seed=7, count=6, folder=tmp_path / "mixed", device="cpu")
    assert not (tmp_path / "mixed/tileset.yaml").exists()
    kinds = sorted((tmp_path / "mixed/tilesets").iterdir())
    assert len(kinds) > 1
    tiles = [tile for kind in kinds for tile in read_tileset(kind, verify=False).tiles()]
    assert len(tiles) == 6
    verify_corpus(tmp_path / "mixed", render_again=6)


def test_a_sensor_survives_as_data() -> None:
    for index in range(20):
        sensor = draw_sensor(MIXED.instrument, SceneKey(1, index))
        assert sensor_from_data(json.loads(json.dumps(sensor_as_data(sensor)))) == sensor


def test_four_workers_in_any_order_make_the_same_bytes_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read_scene_recipe("tier3")
    for workers, together in ((1, 8), (4, 2)):
        monkeypatch.setattr("terraficta.synth.corpus.corpus.TILES_A_TASK", together)
        write_corpus(recipe, 7, 8, tmp_path / str(workers), size_px=32, workers=workers, device="cpu")
    one, four = files_of(tmp_path / "1"), files_of(tmp_path / "4")
    assert one.keys() == four.keys()
    assert [name for name in one if one[name] != four[name]] == []
    found = verify_corpus(tmp_path / "4", render_again=3)  # alone, one by one
    assert found["rendered"] == 3


def test_the_commands(tmp_path: Path) -> None:
    runner, folder = CliRunner(), str(tmp_path / "corpus")
    make = ["make", "--recipe", "tier0", "--count", "3", "--out", folder, "--size", "32", "--seed", "5"]
    made = runner.invoke(app, [*make, "--set", "cover.water=[0.1,0.1]", "--sensor", "sentinel2a"])
    assert made.exit_code == 0, made.output
    assert json.loads((tmp_path / "corpus/run.json").read_text())["recipe"]["cover"]["water"] == [0.1, 0.1]
    assert runner.invoke(app, ["verify", folder, "--render-again", "2"]).exit_code == 0
    for source in (["--corpus", folder], ["--recipe", "tier1", "--size", "32"]):
        picture = tmp_path / "sheet.png"
        shown = runner.invoke(app, ["show", *source, "--count", "2", "--out", str(picture)])
        assert shown.exit_code == 0, shown.output
        assert picture.read_bytes()[:4] == b"\x89PNG"
        picture.unlink()
    assert isinstance(runner.invoke(app, ["show", "--out", "x.png"]).exception, Refusal)
    shutil.rmtree(folder)
    assert isinstance(runner.invoke(app, ["verify", folder]).exception, Refusal)
