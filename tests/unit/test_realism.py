"""Realism: equal sets cannot be told apart, planted differences are, and by what was planted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from terraficta.eval.realism.figure import draw_statistics
from terraficta.eval.realism.patch import SIDE_PX, cut_patches, figures_of
from terraficta.eval.realism.statistics import LAGS_PX, distances, measure, radial_power, semivariance
from terraficta.eval.realism.study import REAL, camera_of, halves, sentences
from terraficta.eval.realism.twosample import drift_limit, frechet, given_away, tell_apart
from terraficta.synth.instrument.product import from_dn, to_dn
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

BANDS = ["B02", "B04", "B08"]


def scene(number: int, rough: float = 0.3, lift: float = 0.0, region: str | None = None) -> Tile:
    """Smooth ground with grain of its own; `rough` is the share of white noise."""
    g = torch.Generator().manual_seed(number)
    coarse = torch.randn(1, 3, 8, 8, generator=g)
    smooth = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bicubic")[0]
    image = (0.2 + lift + 0.03 * ((1 - rough) * smooth + rough * torch.randn(3, 64, 64, generator=g))).clamp(0.001)
    return Tile(
        f"s{number}", image, torch.ones(64, 64, dtype=torch.bool), torch.zeros(0, 64, 64),
        read_sensor("sentinel2a").pick(BANDS), Legend("none", (), ()), Grid(64, 64, 10.0), "BOA", region=region,
    )  # fmt: skip


def scenes(first: int, count: int = 12, **more: float) -> list[Tile]:
    return [scene(first + n, **more) for n in range(count)]


def test_what_is_alike_cannot_be_told_apart_and_what_is_rough_can() -> None:
    real, same, rough = (cut_patches(s) for s in (scenes(0), scenes(100), scenes(200, rough=0.6)))
    (x, names), (y, _), (z, _) = (figures_of(p) for p in (real, same, rough))
    assert tell_apart(y, same.tile, x, real.tile).auc < 0.75
    told = tell_apart(z, rough.tile, x, real.tile)
    assert told.auc > 0.97
    said = given_away(names, z, x, told.weight)
    assert any(line.startswith("roughness of") and "more in fiction" in line for line in said)


def test_patches_are_whole_and_of_their_tile() -> None:
    tile = scene(1)
    holed = replace(tile, valid=tile.valid.clone())
    holed.valid[:5, :5] = False
    patches = cut_patches([tile, holed])
    assert np.bincount(patches.tile).tolist() == [4, 3]
    assert torch.equal(patches.image[0], tile.image[:, :SIDE_PX, :SIDE_PX])
    pooled = cut_patches([tile], pooled=2)
    assert len(pooled) == 1
    assert float(pooled.image[0, 0, 0, 0]) == pytest.approx(float(tile.image[0, :2, :2].mean()))


def test_ndvi_is_of_red_and_near_infrared() -> None:
    tile = scene(1)
    patches = cut_patches([tile])
    red, nir = (tile.image[n, :SIDE_PX, :SIDE_PX] for n in (1, 2))
    assert torch.allclose(patches.ndvi()[0], (nir - red) / (nir + red), atol=1e-6)


def test_spectrum_and_variogram_of_white_noise_are_flat() -> None:
    x = torch.randn(200, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    power, semi = radial_power(x), semivariance(x)
    assert power[2:14].max() / power[2:14].min() < 1.2
    assert semi == pytest.approx(np.ones(len(LAGS_PX)), rel=0.02)


def test_distances_are_zero_of_itself_and_know_a_shift() -> None:
    a, b = measure(cut_patches(scenes(0))), measure(cut_patches(scenes(0, lift=0.05)))
    assert all(value == 0 for value in distances(a, a).values())
    far = distances(b, a)
    span = np.maximum(a.quantiles[:, 94] - a.quantiles[:, 4], 1e-6)
    assert far["bands"] == pytest.approx((0.05 / span).mean(), rel=0.02)
    assert far["variogram"] == pytest.approx(0, abs=0.02)


def test_frechet_of_normal_clouds_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (40_000, 2)), rng.normal(0, 1, (40_000, 2)) * [2.0, 1.0] + [1.0, 0.0]
    assert frechet(a, b) == pytest.approx(1.0 + (2 - 1) ** 2, rel=0.04)


def test_the_alarm_is_quiet_on_the_same_land_and_loud_on_other() -> None:
    rng = np.random.default_rng(1)
    tile = np.arange(20).repeat(40)

    def land(shift: float, seed: int) -> np.ndarray:
        own = np.random.default_rng(seed).normal(0, 0.3, (20, 3))
        return own.repeat(40, 0) + rng.normal(shift, 1, (800, 3))

    known = land(0, 0)
    limit = drift_limit(known, tile)
    assert sum(frechet(land(0, n), known) > limit for n in range(1, 9)) <= 2
    assert all(frechet(land(1.5, n), known) > limit for n in range(1, 9))


@pytest.mark.parametrize(("level", "scale"), [("BOA", 1.0), ("DN", 1.0), ("BOA", 1e-4), ("TOA", 1e-3)])
def test_a_camera_does_not_turn_land_grey(level: str, scale: float) -> None:
    """A tileset of reflectance as floats, or of plain counts, has scale 1: as a camera's step it leaves 0 or 1."""
    tile = replace(scene(3), level=level, sensor=replace(scene(3).sensor, dn_scale=scale))  # type: ignore[arg-type]
    sensor = camera_of(tile)
    seen = from_dn(to_dn(tile.image, sensor), sensor)
    assert float((seen - tile.image).abs().max()) <= 5.1e-4


def test_halves_share_no_region() -> None:
    tiles = [scene(n, region=f"r{n % 3}") for n in range(9)]
    left, right = halves(tiles)
    assert not {t.region for t in left} & {t.region for t in right}
    one, two = halves([scene(0)])
    assert (one[0].grid.shape, two[0].grid.shape) == ((64, 32), (64, 32))


def test_a_tier_that_changes_nothing_is_called_cosmetic() -> None:
    near = {"bands": 0.1, "NDVI": 0.3, "correlation": 0.3, "variogram": 0.3}
    far = dict.fromkeys(near, 0.2)
    aucs = ((REAL, 0.8), ("tier0", 0.99), ("tier1", 0.9), ("tier2", 0.9))
    rows = {name: {"auc": auc, "distances": far if name == REAL else near} for name, auc in aucs}
    said = sentences({"here": {"rows": rows}}, ["tier0", "tier1", "tier2"])
    assert said[0].endswith("to each other in bands")
    assert "brings it nearer" in said[1]
    assert "cosmetic" in said[2]


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    one = measure(cut_patches(scenes(0, 3)))
    draw_statistics({"real": one, "tier3": one}, BANDS, tmp_path / "a.png", "here")
    assert (tmp_path / "a.png").stat().st_size > 5000
