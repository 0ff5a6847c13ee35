"""The vocabulary."""

import json
from pathlib import Path

import pytest
import torch

from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, Crosswalk, Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, read_run, whole_file, whole_folder
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import Band, Sensor, read_sensor, sensor_names
from terraficta.synth.types.tile import Tile


def test_key_is_an_address() -> None:
    key = SceneKey(7, 42)
    assert key.at("cover", 3).rng().random() == key.at("cover").at(3).rng().random()
    words = {SceneKey(seed, index).at(name).field_seed() for seed in range(8) for index in range(8) for name in "ab"}
    assert len(words) == 128
    assert SceneKey(1, 23).digest() != SceneKey(12, 3).digest()


def test_key_is_the_same_for_ever() -> None:
    """A change of hash would silently redraw every world."""
    assert SceneKey(7, 42).at("terrain").field_seed() == 125257467


def test_crosswalk_keeps_mass() -> None:
    target = Legend("two", ("trees", "rest"), ("#00ff00", "#888888"))
    walk = Crosswalk.from_names(
        Legend("three", ("forest", "mixed", "city"), ("#000000",) * 3), target,
        {"forest": "trees", "mixed": {"trees": 0.25, "rest": 0.75}, "city": ["rest"]},
    )  # fmt: skip
    mass = torch.rand(3, 4, 5)
    mass = mass / mass.sum(0)
    assert torch.allclose(walk(mass).sum(0), torch.ones(4, 5))
    assert torch.allclose(walk(mass)[0], mass[0] + 0.25 * mass[1])


def test_crosswalk_refuses_strangers() -> None:
    with pytest.raises(Refusal, match="use a class of the legend"):
        Crosswalk.from_names(TERRAFICTA, TERRAFICTA, {"evergreen_forest": "jungle"})


def test_legend_refuses_repeats() -> None:
    with pytest.raises(Refusal, match="every class once"):
        Legend("x", ("a", "a"), ("#000000", "#000000"))


def test_band_weights_average() -> None:
    wavelength = torch.arange(400.0, 2501.0, 10.0)
    for name in sensor_names():
        weights = read_sensor(name).band_weights(wavelength)
        assert torch.allclose(weights.sum(1), torch.ones(len(weights)), atol=1e-5), name
    narrow = Sensor("narrow", (Band("b", 655.0, 2.0),), gsd_m=10.0)
    assert torch.allclose(narrow.band_weights(wavelength) @ wavelength, torch.tensor([655.0]))


def test_srf_has_its_half_maximum() -> None:
    band = read_sensor("sentinel2a").bands[3]
    edge = torch.tensor([band.centre_nm - band.fwhm_nm / 2, band.centre_nm + band.fwhm_nm / 2])
    assert torch.allclose(band.srf(edge), torch.full((2,), 0.5), atol=1e-4)


def test_sensor_refuses_unknown_band() -> None:
    with pytest.raises(Refusal, match="B99"):
        read_sensor("sentinel2a").pick(["B99"])


def test_tile_refuses_shapes_that_disagree() -> None:
    sensor, grid = read_sensor("sentinel2a").pick(["B04", "B03"]), Grid(4, 5, 10.0)
    with pytest.raises(Refusal, match="mass"):
        Tile("t", torch.zeros(2, 4, 5), torch.ones(4, 5, dtype=torch.bool), torch.zeros(3, 4, 5), sensor,
             TERRAFICTA, grid, "BOA")  # fmt: skip


def test_recipe_refuses_unknown_and_reversed() -> None:
    good = {"name": "x", "about": "y"}
    with pytest.raises(Refusal, match="light.sun"):
        SceneRecipe.from_dict({**good, "light": {"sun": 3}}, "x.yaml")
    with pytest.raises(Refusal, match="light.sza_deg"):
        SceneRecipe.from_dict({**good, "light": {"sza_deg": [60, 20]}}, "x.yaml")


def test_recipe_changes_are_in_the_digest() -> None:
    plain, changed = read_scene_recipe("tier1"), read_scene_recipe("tier1", ["light.sza_deg=[30, 30]"])
    assert changed.light.sza_deg == (30.0, 30.0)
    assert plain.digest() != changed.digest()
    assert plain.digest() == read_scene_recipe("tier1").digest()


def test_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(Refusal, match="tier0, tier1"):
        read_scene_recipe("tier9")


def test_nothing_half_written(tmp_path: Path) -> None:
    def interrupted_file() -> None:
        with whole_file(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise RuntimeError

    def interrupted_folder() -> None:
        with whole_folder(tmp_path / "b") as folder:
            (folder / "c.txt").write_text("half")
            raise RuntimeError

    for interrupted in (interrupted_file, interrupted_folder):
        with pytest.raises(RuntimeError):
            interrupted()
    assert list(tmp_path.iterdir()) == []


def test_full_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(Refusal, match="new or empty"), whole_folder(tmp_path):
        pass
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_run_record_round_trip(tmp_path: Path) -> None:
    Run("corpus", {"name": "x"}, seed=3, parents={"weights": "ab"}).write(tmp_path, {"tiles": 2}, digest="cd")
    record = read_run(tmp_path)
    assert record["metrics"] == {"tiles": 2}
    assert record["parents"] == {"weights": "ab"}
    assert record["digest"] == "cd"
    assert {"torch", "timm", "lightning"} <= set(record["versions"])
    assert json.dumps(record)
