"""Many maps: the same bytes from one process, from several and from a cluster; a refusal in a worker is one here."""

from pathlib import Path

import pytest
import rasterio
import torch
from test_map import command, made_place

from terraficta.eval.map.sheet import Sheet, image_sheets, map_sheets
from terraficta.eval.map.windows import Windows
from terraficta.eval.mapping import map_image
from terraficta.finetune.tileset.draft import Said
from terraficta.synth.types.refusal import Refusal

PLACES = 3


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path, Path]:
    """Images of several places, points of the first, and the run that mapped it."""
    folder = tmp_path_factory.mktemp("sheets")
    made = [made_place(folder, seed, east_m=9000.0 * seed) for seed in range(PLACES)]
    map_image(made[0][0], made[0][1], folder / "first.tif", Said(scale=1e-4))
    return [image for image, _, _ in made], made[0][1], folder / "first" / "model"


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".tif", ".png", ".qml")}


def test_workers_map_to_the_same_bytes(mapped: tuple[list[Path], Path, Path], tmp_path: Path) -> None:
    images, points, _ = mapped
    words, short, long = " ".join(map(str, images)), tmp_path / "short", tmp_path / "long"
    command(f"map {words} --labels {points} --scale 0.0001 --workers 2 --out {short / 'map.tif'}")
    place = short / "map"
    command(f"eval predict --run {place / 'model'} --tileset {place} --scene all --out {long / 'map.tif'}")
    names = sorted(f"map_place{n}{end}" for n in range(PLACES) for end in (".tif", ".trust.tif", ".png", ".qml"))
    assert sorted(everything(short)) == sorted(everything(long)) == names
    assert everything(short) == everything(long)


def test_predict_maps_many_images(mapped: tuple[list[Path], Path, Path], tmp_path: Path) -> None:
    images, _, run = mapped
    words = " ".join(f"--image {image}" for image in images)
    command(f"eval predict --run {run} {words} --window 32 --overlap 8 --out {tmp_path / 'many' / 'map.tif'}")
    one = tmp_path / "one" / "map_place1.tif"
    command(f"eval predict --run {run} --image {images[1]} --window 32 --overlap 8 --out {one}")
    many = everything(tmp_path / "many")
    assert len(many) == 4 * PLACES
    assert everything(tmp_path / "one").items() <= many.items()


def test_what_stands_at_one_of_the_names_stops_all(mapped: tuple[list[Path], Path, Path], tmp_path: Path) -> None:
    images, _, run = mapped
    (tmp_path / "map_place2.tif").write_bytes(b"mine")
    with pytest.raises(Refusal, match="a file that stands there"):
        map_sheets(run, image_sheets([str(image) for image in images], 1, tmp_path / "map.tif"), workers=2)
    assert [path.name for path in tmp_path.iterdir()] == ["map_place2.tif"]
    twice = [Sheet((str(images[0]),), tmp_path / "same.tif")] * 2
    with pytest.raises(Refusal, match="two maps of one name"):
        map_sheets(run, twice)
    with pytest.raises(Refusal, match="1 or more processes"):
        map_sheets(run, image_sheets([str(image) for image in images], 1, tmp_path / "new.tif"), workers=0)


def test_what_stood_there_before_stays_where_a_map_is_refused(
    mapped: tuple[list[Path], Path, Path], tmp_path: Path
) -> None:
    images, points, _ = mapped
    (tmp_path / "map_place1.png").write_bytes(b"a picture of mine")
    with pytest.raises(Refusal, match=r"map_place1.png.*--overwrite"):
        map_image(images, points, tmp_path / "map.tif", Said(scale=1e-4))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"map_place1.png": b"a picture of mine"}


def test_a_refusal_crosses_from_a_worker(mapped: tuple[list[Path], Path, Path], tmp_path: Path) -> None:
    images, _, run = mapped
    with rasterio.open(images[1]) as file:
        fewer, profile = file.read([1, 2]), file.profile | {"count": 2}
    with rasterio.open(tmp_path / "two.tif", "w", **profile) as file:
        file.write(fewer)
    sheets = image_sheets([str(tmp_path / "two.tif"), str(images[0])], 1, tmp_path / "map.tif")
    with pytest.raises(Refusal, match="two.tif: bands: found 2 bands"):
        map_sheets(run, sheets, workers=2)
    assert not (tmp_path / "map_two.tif").exists()


@pytest.mark.slow
def test_a_cluster_maps_to_the_same_bytes(
    mapped: tuple[list[Path], Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    images, points, run = mapped
    monkeypatch.chdir(tmp_path)  # a worker elsewhere has another folder
    windows = Windows(32, 8)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as cluster:
        shares: list[float] = []
        sheets = image_sheets([str(image) for image in images], 1, Path("far/map.tif"))
        found = map_sheets(
            run, sheets, windows=windows, scheduler=cluster.scheduler_address, tell=shares.append
        )  # fmt: skip
    assert [made.map.name for made in found] == [sheet.out.name for sheet in sheets]
    assert shares == pytest.approx([1 / 3, 2 / 3, 1])
    threads = torch.get_num_threads()
    map_sheets(run, image_sheets([str(image) for image in images], 1, Path("near/map.tif")), windows=windows)
    assert torch.get_num_threads() == threads
    assert everything(tmp_path / "far") == everything(tmp_path / "near")
    monkeypatch.setattr("terraficta.synth.corpus.cluster.TIMEOUT_S", 1)
    with pytest.raises(Refusal, match="a dask scheduler"):
        map_image(images[0], points, "nobody.tif", Said(scale=1e-4), scheduler="tcp://127.0.0.1:9")
    assert not Path("nobody").exists()
