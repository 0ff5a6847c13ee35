"""Narrowing: figures tell what they should, weights find the scenes that are alike, and the recipe follows them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tileset_maker import read_manifest_of, write_manifest, write_tileset

from terraficta.finetune.narrow.dial import Turned, narrowed, weighted_quantiles
from terraficta.finetune.narrow.figures import Figures, Scale, describe, energy_distance
from terraficta.finetune.narrow.given import as_the_tiles
from terraficta.finetune.narrow.match import ALARM_SHARE, Strangers, matching_weights, strangers, told_apart
from terraficta.finetune.narrow.narrow import Narrowing, halves, merged
from terraficta.finetune.narrow.report import alarm_line, report_text, write_recipe
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

RNG = np.random.default_rng(5)
SENSOR = read_sensor("sentinel2a").pick(["B03", "B04", "B08"])


def tile_of(image: np.ndarray, level: str = "BOA") -> Tile:
    size = image.shape[-1]
    mass = torch.zeros(len(TERRAFICTA), size, size)
    valid = torch.ones(size, size, dtype=torch.bool)
    return Tile("t", torch.from_numpy(image).float(), valid, mass, SENSOR, TERRAFICTA, Grid(size, size, 10.0), level)


def patches(field_px: int, noise: float, size: int = 64) -> np.ndarray:
    cells = -(-size // field_px)
    coarse = RNG.random((3, cells, cells)) * 0.3 + 0.1
    fine = coarse.repeat(field_px, 1).repeat(field_px, 2)[:, :size, :size]
    return fine + RNG.normal(0, noise, (3, size, size))


def value(found: Figures, name: str) -> float:
    return float(found.values[0, found.names.index(name)])


def test_noise_is_told_from_fields() -> None:
    for sigma in (0.002, 0.01):
        found = describe([tile_of(patches(16, sigma))], 64, 10)
        assert 10 ** value(found, "noise.B04.log") == pytest.approx(sigma, rel=0.35)


def test_larger_fields_have_smoother_texture() -> None:
    small, large = (describe([tile_of(patches(size, 0.0))], 64, 10) for size in (2, 16))
    assert value(small, "texture.B08.4px") > 2 * value(large, "texture.B08.4px")


def test_greenness_is_that_of_the_bands() -> None:
    image = np.broadcast_to(np.array([0.1, 0.1, 0.3])[:, None, None], (3, 32, 32))
    found = describe([tile_of(image)], 32, 10)
    assert value(found, "greenness.ndvi.q50") == pytest.approx(0.5, abs=1e-6)


def test_uncalibrated_numbers_are_relative() -> None:
    image = patches(8, 0.001)
    a, b = (describe([tile_of(image * gain + shift, "DN")], 64, 10) for gain, shift in ((1, 0), (37, 12)))
    assert np.allclose(a.values, b.values, atol=2e-4)


def test_windows_with_gaps_are_left_out() -> None:
    tile = tile_of(patches(8, 0.01))
    tile.valid[3, 3] = False
    assert len(describe([tile], 32, 10)) == 3


def test_energy_distance_is_nothing_between_halves_and_much_between_others() -> None:
    a, b, c = RNG.normal(0, 1, (200, 5)), RNG.normal(0, 1, (200, 5)), RNG.normal(0.8, 1, (200, 5))
    assert abs(energy_distance(a, b)) < 0.05
    assert energy_distance(a, c) > 0.3
    assert told_apart(a, b) < 0.65
    assert told_apart(a, c) > 0.85


def test_weights_find_the_scenes_that_are_alike() -> None:
    hidden = RNG.random(300)
    fiction = np.stack([hidden, hidden**2, RNG.random(300)], 1)
    theirs = RNG.random(100) * 0.2 + 0.7
    real = np.stack([theirs, theirs**2, RNG.random(100)], 1)
    scale = Scale.of(np.concatenate([fiction, real]))
    weight = matching_weights(scale(fiction), scale(real))
    assert weight.sum() == pytest.approx(1)
    assert 1 / (weight**2).sum() > 30
    before = energy_distance(scale(fiction), scale(real))
    assert energy_distance(scale(fiction), scale(real), weight) < 0.35 * before
    low, high = weighted_quantiles(hidden, weight, (0.1, 0.9))
    assert low > 0.5
    assert high > 0.8


def test_a_recipe_follows_the_weights_where_they_say_something() -> None:
    recipe = read_scene_recipe("atlas")
    sun, aerosol = RNG.uniform(15, 70, 200), RNG.uniform(0.03, 0.4, 200)
    facts = [{"sza_deg": s, "aot550": a, "kind": "temperate" if i % 2 else "desert"}
             for i, (s, a) in enumerate(zip(sun, aerosol, strict=True))]  # fmt: skip
    weight = np.where((sun > 30) & (sun < 40), 1.0, 1e-4)
    weight /= weight.sum()
    masses = np.full((200, len(TERRAFICTA)), 1 / len(TERRAFICTA))
    found, turned = narrowed(recipe, facts, masses, np.ones(200), weight)
    assert 29 < found.light.sza_deg[0] < found.light.sza_deg[1] < 41
    assert found.air.aot550 == recipe.air.aot550
    assert {t.field: t.note for t in turned}["air.aot550"] == "the tiles do not tell it"
    assert found.cover.climates == recipe.cover.climates


def test_strangers_raise_an_alarm_and_are_named() -> None:
    names = ("level.B04.q50", "contrast.B04.log")
    fiction = Figures(RNG.normal(0, 1, (150, 2)), names, np.arange(150))
    kin = Figures(RNG.normal(0, 1, (60, 2)), names, np.arange(60))
    far = Figures(RNG.normal(0, 1, (60, 2)) + np.array([9.0, 0.0]), names, np.arange(60))
    scale = Scale.of(fiction.values)
    assert not strangers(fiction, kin, scale).alarm
    found = strangers(fiction, far, scale)
    assert found.alarm
    assert next(iter(found.outside)) == "level.B04.q50"


def test_a_shift_of_one_figure_among_many_raises_the_alarm() -> None:
    names = tuple(f"level.B{n:02d}.q50" for n in range(40))
    fiction = Figures(RNG.normal(0, 1, (150, 40)), names, np.arange(150))
    real = RNG.normal(0, 1, (60, 40))
    real[:, 7] += 2.6
    found = strangers(fiction, Figures(real, names, np.arange(60)), Scale.of(fiction.values))
    assert found.share < ALARM_SHARE, "whole windows do not tell"
    assert found.alarm
    assert next(iter(found.outside)) == "level.B07.q50"


def narrowing(after: float, share: float) -> Narrowing:
    turned = [
        Turned("light.sza_deg", (15.0, 70.0), (40.0, 55.0), 2.4),
        Turned("air.haze", (0.0, 0.1), (0.0, 0.1), 0.6, "the tiles do not tell it"),
    ]
    drift = Strangers(share, {"noise.B04.log": 0.4} if share > 0.1 else {})
    return Narrowing(
        read_scene_recipe("atlas").model_copy(update={"name": "mine"}), turned, {"gsd_m": "10"}, drift,
        {"level.B04.q50": -2.0}, {"wide": 0.5, "narrowed": after, "real": 0.01},
        {"wide": 0.99, "narrowed": 0.9, "real": 0.5}, 30.0, {"drawn": 96}, 64,
    )  # fmt: skip


def test_the_report_says_what_happened_and_raises_the_alarm(tmp_path: Path) -> None:
    good = report_text(narrowing(0.2, 0.02))
    assert "is nearer to real windows" in good
    assert "ALARM" not in good
    assert alarm_line(narrowing(0.2, 0.02)) is None
    assert "| `light.sza_deg` | 15 to 70 | 40 to 55 | 2.4 |" in good
    assert "`air.haze` 0 to 0.1: the tiles do not tell it" in good
    assert "soils" in good
    assert "-2.0 spreads" in good
    bad = report_text(narrowing(0.6, 0.5))
    assert "no nearer" in bad
    assert "ALARM: the real tiles lie outside what the recipe can draw, by noise of B04" in bad
    assert "50 % of the real windows" in str(alarm_line(narrowing(0.6, 0.5)))
    write_recipe(narrowing(0.2, 0.0), tmp_path / "mine.yaml")
    read = read_scene_recipe(str(tmp_path / "mine.yaml"))
    assert read == narrowing(0.2, 0.0).recipe


def test_windows_that_are_held_out_are_of_other_tiles() -> None:
    many = Figures(RNG.random((40, 2)), ("a.b.c", "d.e.f"), np.repeat(np.arange(10), 4))
    fitted, held = halves(many)
    assert not set(fitted.tile) & set(held.tile)
    assert len(fitted) + len(held) == 40


def test_rounds_are_told_from_first_to_last() -> None:
    one = [Turned("a.b", (0.0, 1.0), (0.2, 0.9), 2.0), Turned("c.d", 1, 1, 0.1, "the tiles do not tell it")]
    two = [Turned("a.b", (0.2, 0.9), (0.2, 0.9), 0.3, "the tiles do not tell it"), Turned("c.d", 1, 2, 1.5)]
    found = {turn.field: turn for turn in merged([one, two])}
    assert (found["a.b"].before, found["a.b"].after, found["a.b"].note) == ((0.0, 1.0), (0.2, 0.9), "")
    assert (found["c.d"].before, found["c.d"].after, found["c.d"].evidence) == (1, 2, 1.5)


def dated(folder: Path, *days: str | None) -> Tileset:
    """Two tiles in 52.3 degrees north, with dates."""
    manifest = read_manifest_of(write_tileset(folder))
    for scene, day in zip(manifest["scenes"], days, strict=True):
        if day is not None:
            scene["date"] = day
    return read_tileset(write_manifest(folder, manifest))


def test_dates_and_places_decide_season_and_sun(tmp_path: Path) -> None:
    wide = read_scene_recipe("atlas")
    found, told = as_the_tiles(wide, dated(tmp_path / "winter", "2017-02-16", "20170226"))
    early, late = found.cover.season
    assert early == pytest.approx((47 + 10 - 10) / 365, abs=0.002), "ten days before the first, from 21 December"
    assert late == pytest.approx((57 + 10 + 10) / 365, abs=0.002)
    low, high = np.deg2rad(found.light.sza_deg)
    for zenith, declination, hour in ((low, -8.9, 11.2), (high, -12.5, 9.7)):  # of the later and of the earlier day
        up = np.deg2rad([52.34, declination, 15 * (hour - 12)])
        wanted = np.sin(up[0]) * np.sin(up[1]) + np.cos(up[0]) * np.cos(up[1]) * np.cos(up[2])
        assert np.cos(zenith) == pytest.approx(wanted, abs=0.008)
    assert {"cover.season", "light.sza_deg", "instrument.sensors"} <= set(told)


@pytest.mark.parametrize("days", [("2017-02-16", None), ("spring", "2017-02-16"), ("2017-13-40", "2017-02-16")])
def test_tiles_that_do_not_all_say_when_decide_no_season(tmp_path: Path, days: tuple[str | None, str]) -> None:
    wide = read_scene_recipe("atlas")
    found, told = as_the_tiles(wide, dated(tmp_path / "some", *days))
    assert found.cover.season == wide.cover.season
    assert found.light.sza_deg == wide.light.sza_deg
    assert "cover.season" not in told


def test_a_span_of_seasons_does_not_go_round_midwinter(tmp_path: Path) -> None:
    wide = read_scene_recipe("atlas")
    found, told = as_the_tiles(wide, dated(tmp_path / "turn", "2017-12-24", "2017-12-18"))
    assert found.cover.season == wide.cover.season
    assert "light.sza_deg" in told
