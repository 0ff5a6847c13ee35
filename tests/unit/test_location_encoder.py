"""Location: harmonics are orthonormal and whole, and beat angles on a checkerboard over the globe."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tileset_maker import write_tileset

from terraficta.eval.benchmark.benchmark import run_cell
from terraficta.eval.benchmark.ground import Ground, read_ground
from terraficta.eval.benchmark.lineup import encoder_reading
from terraficta.eval.benchmark.networks import FrozenArm, blend_head
from terraficta.eval.benchmark.pixels import fold_pixels
from terraficta.eval.benchmark.readings import PlacedReader, Reader
from terraficta.eval.location.context import PlaceEncoder
from terraficta.eval.location.harmonics import angles, harmonics
from terraficta.eval.location.siren import SineLayer, make_siren
from terraficta.eval.location.study import (
    CELLS,
    CLASSES,
    WAYS,
    ask,
    checkerboard,
    draw_places,
    fibonacci,
    on_sphere,
    study_location,
)  # fmt: skip
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.labels import draw_labels
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal

DEGREES = 20


def quadrature(degrees: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Places and weights that integrate products of harmonics exactly: Gauss in latitude, even in longitude."""
    nodes, weights = np.polynomial.legendre.leggauss(degrees)
    turns = np.arange(2 * degrees) * 180 / degrees - 180
    longitude, t = (torch.from_numpy(v.ravel()) for v in np.meshgrid(turns, nodes))
    weight = torch.from_numpy(np.repeat(weights, 2 * degrees)) * math.pi / degrees
    return longitude, torch.rad2deg(torch.asin(t)), weight


def test_harmonics_are_orthonormal() -> None:
    longitude, latitude, weight = quadrature(40)
    y = harmonics(longitude, latitude, 40)
    assert float(weight.sum()) == pytest.approx(4 * math.pi)
    assert float(((y * weight[:, None]).T @ y - torch.eye(1600)).abs().max()) < 1e-12


def test_low_degrees_are_the_written_ones() -> None:
    longitude, latitude = draw_places(50, 1)
    x, y, z = on_sphere(longitude, latitude).T
    a = math.sqrt(3 / (4 * math.pi))
    written = torch.stack([a * y, a * z, a * x], 1)
    assert torch.allclose(harmonics(longitude, latitude, 2)[:, 1:], written, atol=1e-14)
    second = 0.25 * math.sqrt(5 / math.pi) * (3 * z.square() - 1)
    assert torch.allclose(harmonics(longitude, latitude, 3)[:, 6], second, atol=1e-14)


def test_addition_theorem() -> None:
    """The sum of squares of a degree is the same everywhere: no place is singled out, poles included."""
    longitude, latitude = torch.tensor([0.0, 77.0, -180.0]), torch.tensor([90.0, 12.0, -90.0])
    y = harmonics(longitude, latitude, DEGREES).square()
    for n in range(DEGREES):
        own = y[:, n * n : (n + 1) ** 2].sum(1)
        assert torch.allclose(own, torch.full_like(own, (2 * n + 1) / (4 * math.pi)), atol=1e-12)


def test_harmonics_know_no_date_line_and_no_pole() -> None:
    latitude = torch.linspace(-90, 90, 37, dtype=torch.float64)
    west, east = (harmonics(torch.full_like(latitude, side), latitude, DEGREES) for side in (-180.0, 180.0))
    assert torch.allclose(west, east, atol=1e-10)
    around = torch.linspace(-180, 180, 25, dtype=torch.float64)
    pole = harmonics(around, torch.full_like(around, 90.0), DEGREES)
    assert float((pole - pole[0]).abs().max()) < 1e-10
    others = angles(around, torch.full_like(around, 90.0))
    assert float((others - others[0]).abs().max()) > 1.9  # sines of longitude are torn there


def test_near_places_have_near_codes_also_over_the_pole() -> None:
    one = harmonics(torch.tensor([10.0]), torch.tensor([89.99]), DEGREES)
    over = harmonics(torch.tensor([-170.0]), torch.tensor([89.99]), DEGREES)
    assert float((one - over).norm()) < 0.1 * float(one.norm())


def test_the_first_layer_starts_as_published() -> None:
    torch.manual_seed(0)
    first, later = SineLayer(50, 400, 30.0, True), SineLayer(50, 400, 2.0, False)
    assert float(first.linear.weight.abs().max()) <= 1 / 50
    assert float(later.linear.weight.abs().max()) <= math.sqrt(6 / 50) / 2
    assert make_siren(9, 5, layers=0)(torch.zeros(2, 9)).shape == (2, 5)


def test_the_board_is_even() -> None:
    longitude, latitude = fibonacci(20_000)
    share = torch.bincount(checkerboard(longitude, latitude), minlength=CLASSES) / 20_000
    cells = torch.bincount(torch.arange(CELLS) % CLASSES, minlength=CLASSES) / CELLS
    assert torch.allclose(share.double(), cells.double(), atol=0.01)


def test_harmonics_beat_angles_and_are_whole() -> None:
    ways = {way.name: way for way in WAYS}
    found = {name: ask(ways[name], 0, 1500, 60) for name in ("harmonics, SIREN", "longitude and latitude, SIREN")}
    ours, theirs = found.values()
    assert ours["accuracy"] > theirs["accuracy"]
    assert ours["line"] < 1e-3
    assert ours["pole"] < 1e-3
    assert theirs["line"] > 0.1


def test_the_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    tables = study_location(tmp_path, seeds=1, learn=200, steps=5, tell=lambda line: None)
    cells = sorted(p.stat().st_mtime_ns for p in (tmp_path / "cells").glob("*.json"))
    assert len(cells) == len(WAYS)
    again = study_location(tmp_path, seeds=1, learn=200, steps=5, tell=lambda line: None)
    assert sorted(p.stat().st_mtime_ns for p in (tmp_path / "cells").glob("*.json")) == cells
    assert [t.plain() for t in again] == [t.plain() for t in tables]


# --- one scene -------------------------------------------------------------------------------------------------------


def test_places_of_a_scene_are_told_apart_to_a_pixel(tmp_path: Path) -> None:
    tiles = list(read_tileset(write_tileset(tmp_path / "here", scenes=2)).tiles())
    labels = draw_labels(tiles, 60, 0)
    found = PlaceEncoder.of(tiles).at(tiles, labels)
    east, north = (
        np.array([(tiles[t].grid.transform * (x, y))[axis] for t, y, x in labels.pixels()]) for axis in (0, 1)
    )
    with_one = np.column_stack([np.ones(len(found)), found])
    for metres in (east, north):
        said = with_one @ np.linalg.lstsq(with_one, metres, rcond=None)[0]
        assert np.abs(said - metres).max() < 5  # a pixel is 10 m
    assert np.abs(found).max() < 10
    unplaced = [replace(tile, grid=replace(tile.grid, crs=None)) for tile in tiles]
    with pytest.raises(Refusal, match="no coordinates"):
        PlaceEncoder.of(unplaced)


def test_a_head_that_is_told_the_place_maps_what_only_the_place_tells(tmp_path: Path) -> None:
    """Images of noise, and classes that are west and east."""
    ground = read_ground(write_tileset(tmp_path / "split", scenes=1), 200)
    tile, rng = ground.train[0], np.random.default_rng(0)
    west = torch.arange(48) < 24
    mass = torch.zeros(3, 48, 48)
    mass[0], mass[1] = west.expand(48, 48).float(), (~west).expand(48, 48).float()
    fold = torch.ones(48, 48, dtype=torch.uint8)
    fold[24:] = 2
    image = torch.from_numpy(rng.normal(0.2, 0.05, (5, 48, 48)).astype(np.float32))
    noise = replace(tile, image=image, mass=mass, fold=fold)
    planted = Ground(
        ground.tileset, [noise], [noise.with_mass(torch.zeros(3, 48, 48))], fold_pixels([noise], 2, 200, "x"), ""
    )
    quick = read_finetune_recipe("quick")
    mapper = fresh_mapper(quick, 0)
    reader = Reader("fiction", "abc", encoder_reading(mapper))
    right = {}
    for name, own in (("default", reader), ("default-place", PlacedReader(reader))):
        row, _ = run_cell(planted, FrozenArm(name, own, blend_head(mapper, quick), quick, "abc"), 30, 0)
        right[name] = row["accuracy"]
    assert right["default-place"] > right["default"] + 0.05, right
