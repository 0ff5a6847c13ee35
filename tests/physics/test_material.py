"""Palettes: bounded, repeatable, in keeping with their setting; and the ground they make."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from synth.scene.glass import glass_reflectance, pane
from synth.scene.inland_water import WaterBody, water_reflectance
from synth.scene.material import WAVELENGTH_NM, Palette, boa_reflectance, draw_palette
from synth.scene.snow import ice_reflectance, snow_reflectance
from synth.scene.solid import absorber_shapes, absorbers, draw_abundance, solid_reflectance, wetted
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA
from synth.spec.recipe import MaterialRecipe
from synth.spec.sensor import Band, Sensor

KEYS = [SceneKey(3, index) for index in range(6)]
RGBN = Sensor("rgbn", tuple(Band(str(nm), nm, 60.0) for nm in (470.0, 560.0, 660.0, 850.0, 1650.0)), gsd_m=10.0)


@dataclass
class Ground:
    cover: Tensor
    parcel: Tensor
    vigour: Tensor


def ground(scenes: int = 6, size: int = 64) -> Ground:
    g = torch.Generator().manual_seed(1)
    shape = (scenes, size, size)
    parcel = torch.randint(0, 9, shape, generator=g) * (torch.rand(shape, generator=g) > 0.4)
    cover = torch.randint(0, len(TERRAFICTA), shape, generator=g).to(torch.uint8)
    return Ground(cover, parcel, torch.rand(shape, generator=g))


@pytest.fixture(scope="module")
def palette() -> Palette:
    return draw_palette(MaterialRecipe(), KEYS)


def of(palette: Palette, name: str, nm: float) -> Tensor:
    """(N, V) reflectance of a class at a wavelength."""
    return palette.spectra[:, TERRAFICTA.index(name), :, int((palette.wavelength_nm - nm).abs().argmin())]


def test_spectra_are_reflectances(palette: Palette) -> None:
    assert palette.spectra.shape == (6, len(TERRAFICTA), 16, 211)
    assert palette.spectra.isfinite().all()
    assert palette.spectra.min() >= 0
    assert palette.spectra.max() <= 1


def test_a_scene_is_the_same_alone(palette: Palette) -> None:
    alone = draw_palette(MaterialRecipe(), KEYS[4:5])
    assert torch.equal(alone.spectra[0], palette.spectra[4])
    cover = ground()
    one = Ground(cover.cover[4:5], cover.parcel[4:5], cover.vigour[4:5])
    whole = boa_reflectance(cover, palette.seen_by(RGBN))
    assert torch.equal(boa_reflectance(one, alone.seen_by(RGBN))[0], whole[4])


def test_without_variability_every_cell_has_the_mean_of_its_class() -> None:
    bands = draw_palette(MaterialRecipe(variability=0.0), KEYS).seen_by(RGBN)
    cover = ground()
    boa = boa_reflectance(cover, bands)
    mean = bands.reflectance[0, :, 0]
    assert torch.equal(bands.reflectance, mean[None, :, None].expand_as(bands.reflectance))
    assert torch.equal(boa, mean[cover.cover.long()].permute(0, 3, 1, 2))


def test_half_variability_lies_halfway(palette: Palette) -> None:
    none, half = (draw_palette(MaterialRecipe(variability=v), KEYS).spectra for v in (0.0, 0.5))
    assert torch.allclose(half, (none + palette.spectra) / 2, atol=1e-6)


def test_classes_look_like_themselves(palette: Palette) -> None:
    summer = draw_palette(MaterialRecipe(), KEYS, [{"season": 0.5, "warmth": 0.5, "moisture": 0.7}] * 6)
    for name in ("evergreen_forest", "deciduous_forest", "pasture"):
        ndvi = (of(summer, name, 850) - of(summer, name, 660)) / (of(summer, name, 850) + of(summer, name, 660))
        assert ndvi.median() > 0.6, name
    assert of(palette, "water", 1650).max() < 0.1
    assert of(palette, "snow", 560).mean() > 0.6
    assert of(palette, "snow", 1650).mean() < 0.3
    assert (of(palette, "bare_soil", 850) > of(palette, "bare_soil", 470)).all()
    assert of(palette, "sand", 660).mean() > of(palette, "road", 660).mean()


def test_the_year_goes_round() -> None:
    def ndvi(name: str, season: float) -> Tensor:
        facts = [{"season": season, "warmth": 0.4, "moisture": 0.6}] * 6
        drawn = draw_palette(MaterialRecipe(), KEYS, facts)
        return (of(drawn, name, 850) - of(drawn, name, 660)) / (of(drawn, name, 850) + of(drawn, name, 660))

    assert ndvi("deciduous_forest", 0.5).mean() > ndvi("deciduous_forest", 0.02).mean() + 0.25
    assert ndvi("evergreen_forest", 0.5).mean() == pytest.approx(ndvi("evergreen_forest", 0.02).mean().item(), abs=0.05)
    assert ndvi("cropland", 0.5).std() > 0.1  # fields at different stages


def test_an_object_is_of_one_piece_and_objects_differ(palette: Palette) -> None:
    size = 32
    left = torch.arange(size)[None, None] < size // 2
    building = torch.full((1, size, size), TERRAFICTA.index("building"), dtype=torch.uint8)
    still = Palette(palette.spectra[:1], palette.wavelength_nm, palette.word[:1], 1.0).seen_by(RGBN)
    spreads, means = [], []
    for first in range(1, 20, 2):
        parcel = torch.where(left, first, first + 1).expand(1, size, size)
        boa = boa_reflectance(Ground(building, parcel, torch.rand(1, size, size)), still)[0]
        spreads.append((boa[:, :, : size // 2].std((1, 2)) / boa[:, :, : size // 2].mean((1, 2))).max())
        means.append((boa[:, :, : size // 2].mean((1, 2)) - boa[:, :, size // 2 :].mean((1, 2))).abs().max())
    assert max(spreads) < 0.06
    assert max(means) > 0.05


def test_natural_ground_follows_vigour(palette: Palette) -> None:
    grass = torch.full((6, 32, 32), TERRAFICTA.index("grassland"), dtype=torch.uint8)
    none = torch.zeros(6, 32, 32, dtype=torch.int64)
    low, high = (
        boa_reflectance(Ground(grass, none, torch.full((6, 32, 32), v)), palette.seen_by(RGBN)).mean((2, 3))
        for v in (0.0, 1.0)
    )
    assert ((high[:, 3] / high[:, 2]) > (low[:, 3] / low[:, 2])).all()


# --- the solids, water and snow by themselves -----------------------------------------------------------------------


def test_nothing_absorbed_is_all_reflected() -> None:
    shapes = absorber_shapes(WAVELENGTH_NM)
    assert (solid_reflectance(torch.zeros(1, len(absorbers())).double(), shapes) == 1).all()
    more = [solid_reflectance(torch.full((1, len(absorbers())), a).double(), shapes) for a in (0.1, 1.0, 10.0)]
    assert (more[0] > more[1]).all()
    assert (more[1] > more[2]).all()


def test_wet_ground_is_darker_and_dry_ground_itself() -> None:
    dry = torch.linspace(0.05, 0.6, 211, dtype=torch.float64)[None]
    film = torch.tensor([0.02], dtype=torch.float64)
    assert torch.equal(wetted(dry, film, 0 * film, WAVELENGTH_NM), dry)
    wet = wetted(dry, film, 1 + 0 * film, WAVELENGTH_NM)
    assert (wet < dry).all()
    band = (WAVELENGTH_NM == 1940).nonzero().item()
    assert wet[0, band] / dry[0, band] < 0.5


def test_clear_water_is_blue_and_shallow_water_shows_its_bottom() -> None:
    one = torch.ones(1, dtype=torch.float64)
    bottom = 0.3 * torch.ones(1, 211, dtype=torch.float64)

    def water(chl: float, sediment: float, depth_m: float) -> Tensor:
        body = WaterBody(chl * one, sediment * one, 0.02 * one, depth_m * one, 0 * one)
        return water_reflectance(body, bottom, WAVELENGTH_NM)[0]

    clear, green, muddy, shallow = water(0.05, 0, 99), water(30, 0, 99), water(1, 80, 99), water(0.05, 0, 1)
    assert clear.argmax() * 10 + 400 < 480
    assert 530 < green.argmax() * 10 + 400 < 600
    assert muddy[30] > 5 * clear[30]
    assert shallow[:20].min() > clear[:20].max()
    assert clear[120] < 1e-3


def test_snow_darkens_with_grain_in_the_infrared_and_with_soot_in_the_visible() -> None:
    grain = torch.tensor([100.0, 1000.0, 100.0], dtype=torch.float64)
    soot = torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64)
    fine, coarse, dirty = snow_reflectance(grain, soot, WAVELENGTH_NM)
    green, infrared = (int((WAVELENGTH_NM - nm).abs().argmin()) for nm in (560, 1030))
    assert fine[green] > 0.97
    assert coarse[green] > 0.95
    assert coarse[infrared] < fine[infrared] - 0.15
    assert dirty[green] < fine[green] - 0.05


# --- what no class of the legend holds yet --------------------------------------------------------------------------

NM = torch.tensor([450.0, 550.0, 650.0, 850.0, 1050.0, 1940.0, 2210.0], dtype=torch.float64)


def solids(name: str) -> Tensor:
    """Median spectrum (L,) of a solid by name."""
    abundance = torch.as_tensor(draw_abundance(name, SceneKey(1, 0), 64))
    return solid_reflectance(abundance, absorber_shapes(NM)).median(0).values


def test_ash_is_bright_char_and_salt_is_bright_and_hydrated() -> None:
    ash, char, salt = solids("ash"), solids("char"), solids("salt")
    assert (ash > 2 * char).all()
    assert 0.25 < ash[1] < 0.6
    assert salt[1] > 0.5
    assert salt[5] < 0.85 * salt[4]


@pytest.mark.parametrize(("name", "brightest"), [("red_metal", 2), ("green_metal", 1), ("blue_metal", 0)])
def test_coloured_metal_has_its_colour(name: str, brightest: int) -> None:
    assert int(solids(name)[:3].argmax()) == brightest


def test_a_pane_loses_nothing_without_iron_and_shows_what_lies_behind() -> None:
    none, iron = torch.zeros(1, dtype=torch.float64), torch.full((1,), 0.1, dtype=torch.float64)
    reflects, passes = pane(none, 4 * torch.ones(1), NM)
    assert torch.allclose(reflects + passes, torch.ones_like(passes))
    assert float(reflects[0, 0]) == pytest.approx(2 * 0.0426 / 1.0426, abs=1e-3)
    assert float((pane(none, none, NM)[1] - pane(iron, none + 4, NM)[1])[0, 4]) == pytest.approx(0.1, abs=0.03)
    dark, bright = (glass_reflectance(iron, none + 4, none, torch.full((1, 7), b).double(), NM) for b in (0.0, 0.5))
    assert float(dark.max()) == 0
    assert ((bright > 0.3) & (bright < 0.5)).all()
    dusty = glass_reflectance(iron, none + 4, none + 1, torch.zeros(1, 7).double(), NM)
    assert torch.allclose(dusty, torch.full_like(dusty, 0.3))


def test_ice_is_darker_and_bluer_than_snow() -> None:
    clean = torch.zeros(1, dtype=torch.float64)
    ice = ice_reflectance(clean + 20, clean + 0.02, NM)[0]
    snow = snow_reflectance(clean + 500, clean + 0.02, NM)[0]
    assert (ice[:5] < snow[:5]).all()
    assert ice[0] / ice[2] > snow[0] / snow[2]
    assert ice[5] == pytest.approx(0.018, abs=1e-3)
    assert ice.min() > 0.017
