"""Palettes: bounded, repeatable, in keeping with their setting; and the ground they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from terraficta.synth.scene.material.inland_water import WaterBody, water_reflectance
from terraficta.synth.scene.material.palette import (
    WAVELENGTH_NM,
    Palette,
    boa_reflectance,
    leaf_area_index,
    material_code,
    ndvi,
    palette_of,
)
from terraficta.synth.scene.material.plan import draw_material_plan
from terraficta.synth.scene.material.plants import DEAD_VARIANTS, ROWED, VARIANTS, WOODED
from terraficta.synth.scene.material.snow import snow_reflectance
from terraficta.synth.scene.material.solid import (
    absorber_shapes,
    absorbers,
    draw_abundance,
    solid_reflectance,
    wetted,
)
from terraficta.synth.scene.material.texture import strips
from terraficta.synth.scene.material.vegetation import VEGETATED, clumped
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import MaterialRecipe
from terraficta.synth.types.sensor import Band, Sensor

KEYS = [SceneKey(3, index) for index in range(6)]
RGBN = Sensor("rgbn", tuple(Band(str(nm), nm, 60.0) for nm in (470.0, 560.0, 660.0, 850.0, 1650.0)), gsd_m=10.0)


@dataclass
class Ground:
    cover: Tensor
    parcel: Tensor
    vigour: Tensor
    crop: Tensor
    row: Tensor
    within: Tensor
    window: Window


def ground_of(
    cover: Tensor, parcel: Tensor, vigour: Tensor, cell_m: float = 10.0, crop: int = 0, row_rad: float = 0.0
) -> Ground:
    n, height, width = cover.shape
    window = Window.over(height, width, torch.full((n,), cell_m))
    return Ground(cover, parcel, vigour, torch.full_like(cover, crop), torch.full_like(vigour, row_rad),
                  torch.zeros_like(parcel, dtype=torch.int64), window)  # fmt: skip


def all_of(name: str, scenes: int = 6, size: int = 32, vigour: float = 0.6, **more: float) -> Ground:
    shape = (scenes, size, size)
    kind = torch.full(shape, TERRAFICTA.index(name), dtype=torch.uint8)
    parcel = torch.full(shape, int(more.pop("parcel", 0)))
    return ground_of(kind, parcel, torch.full(shape, vigour), **more)  # type: ignore[arg-type]


def ground(scenes: int = 6, size: int = 64) -> Ground:
    g = torch.Generator().manual_seed(1)
    shape = (scenes, size, size)
    parcel = torch.randint(0, 9, shape, generator=g) * (torch.rand(shape, generator=g) > 0.4)
    cover = torch.randint(0, len(TERRAFICTA), shape, generator=g).to(torch.uint8)
    return ground_of(cover, parcel, torch.rand(shape, generator=g), cell_m=0.5)


def part(cover: Ground, scenes: slice) -> Ground:
    window = Window(cover.window.y_m[scenes], cover.window.x_m[scenes], cover.window.cell_m[scenes])
    planes = (getattr(cover, name)[scenes] for name in ("cover", "parcel", "vigour", "crop", "row", "within"))
    return Ground(*planes, window)


def facts_of(kind: str, season: float, scenes: int = 6) -> list[Mapping[str, object]]:
    """Scenes spread over the spans of a named climate."""
    biome = BIOMES[kind]

    def within(span: tuple[float, float], index: int) -> float:
        return span[0] + (span[1] - span[0]) * (index + 0.5) / scenes

    return [
        {"season": season, "kind": kind, "warmth": within(biome.warmth, i), "drought": within(biome.drought, i),
         "moisture": within(biome.moisture, (5 * i + 2) % scenes)}
        for i in range(scenes)
    ]  # fmt: skip


def draw_palette(
    recipe: MaterialRecipe, keys: Sequence[SceneKey], facts: Sequence[Mapping[str, object]] | None = None
) -> Palette:
    return palette_of(recipe, [draw_material_plan(*each) for each in zip(keys, facts or [{}] * len(keys), strict=True)])


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
    one = part(cover, slice(4, 5))
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
    assert ndvi("cropland", 0.65).std() > 0.15  # some cut, some green


def test_an_object_is_of_one_piece_and_objects_differ(palette: Palette) -> None:
    size = 32
    left = torch.arange(size)[None, None] < size // 2
    building = torch.full((6, size, size), TERRAFICTA.index("building"), dtype=torch.uint8)
    bands = palette.seen_by(RGBN)
    spreads, means = [], []
    for first in range(1, 8, 2):
        parcel = torch.where(left, first, first + 1).expand(6, size, size)
        boa = boa_reflectance(ground_of(building, parcel, torch.rand(6, size, size)), bands)
        one, other = boa[..., : size // 2], boa[..., size // 2 :]
        spreads.append((one.std((2, 3)) / one.mean((2, 3))).max())
        means.append((one.mean((2, 3)) - other.mean((2, 3))).abs().max())
    assert max(spreads) < 0.06
    assert max(means) > 0.05


def test_natural_ground_follows_vigour(palette: Palette) -> None:
    low, high = (boa_reflectance(all_of("grassland", vigour=v), palette.seen_by(RGBN)).mean((2, 3)) for v in (0.0, 1.0))
    assert ((high[:, 3] / high[:, 2]) > (low[:, 3] / low[:, 2])).all()


# --- what classes look like, and when -------------------------------------------------------------------------------


def index_of(palette: Palette, name: str, one_nm: float = 840.0, other_nm: float = 660.0) -> Tensor:
    one, other = of(palette, name, one_nm), of(palette, name, other_nm)
    return (one - other) / (one + other)


AT_THEIR_BEST = {
    "needleleaf_forest": ("boreal", (0.16, 0.27), (0.015, 0.06), (0.08, 0.17), (0.62, 0.88)),
    "evergreen_forest": ("rainforest", (0.27, 0.42), (0.015, 0.05), (0.11, 0.20), (0.76, 0.93)),
    "deciduous_forest": ("temperate", (0.32, 0.46), (0.015, 0.06), (0.15, 0.24), (0.75, 0.92)),
    "mangrove": ("rainforest", (0.20, 0.34), (0.015, 0.06), (0.07, 0.17), (0.65, 0.90)),
    "shrubland": ("mediterranean", (0.18, 0.32), (0.04, 0.15), (0.18, 0.33), (0.30, 0.65)),
    "moss_lichen": ("tundra", (0.25, 0.45), (0.08, 0.30), (0.22, 0.42), (0.15, 0.60)),
    "pasture": ("temperate", (0.30, 0.50), (0.02, 0.09), (0.17, 0.29), (0.65, 0.92)),
    "park": ("temperate", (0.30, 0.46), (0.015, 0.07), (0.15, 0.27), (0.72, 0.93)),
    "bare_soil": ("temperate", (0.10, 0.35), (0.05, 0.28), (0.15, 0.45), (0.05, 0.28)),
    "burnt": ("boreal", (0.05, 0.20), (0.03, 0.13), (0.12, 0.30), (0.08, 0.30)),
    "rock": ("boreal", (0.08, 0.45), (0.08, 0.42), (0.10, 0.50), (-0.05, 0.12)),
    "quarry": ("temperate", (0.10, 0.62), (0.09, 0.60), (0.10, 0.68), (-0.05, 0.20)),
    "sand": ("desert", (0.22, 0.50), (0.18, 0.44), (0.25, 0.62), (0.02, 0.18)),
}
"""Climate; near infrared, red, 1.61 um and NDVI between which the middle of a scene's variants lies in summer.
Source: forests, conifers against broadleaves: Rautiainen et al. 2018, doi:10.3390/rs10020207; mangroves: Kuenzer et al.
2011, doi:10.3390/rs3050878; plants and soils: Asner 1998, doi:10.1016/S0034-4257(98)00014-5; lichens: Kuusinen et al.
2020, doi:10.1016/j.rse.2020.111955; burnt: Lentile et al. 2006, doi:10.1071/WF05097. Spans read off by us, from memory.
"""


@pytest.mark.parametrize("name", AT_THEIR_BEST)
def test_class_lies_in_its_range(name: str) -> None:
    kind, *spans = AT_THEIR_BEST[name]
    drawn = draw_palette(MaterialRecipe(), KEYS, facts_of(kind, 0.5))
    seen = [of(drawn, name, nm) for nm in (840, 660, 1610)] + [index_of(drawn, name)]
    for value, (low, high) in zip(seen, spans, strict=True):
        assert low <= float(value.median()) <= high, (name, float(value.median()), low, high)


def test_needles_are_dark_in_the_infrared_and_shoots_are_why() -> None:
    drawn = draw_palette(MaterialRecipe(), KEYS, facts_of("temperate", 0.5))
    for broad in ("deciduous_forest", "evergreen_forest"):
        near, short = ((of(drawn, "needleleaf_forest", nm), of(drawn, broad, nm)) for nm in (840, 1610))
        assert (near[0].median(1).values < near[1].median(1).values).all()
        assert short[0].median() < 0.95 * short[1].median()
    albedo = torch.tensor([0.1, 0.9])
    escape = clumped(albedo, torch.tensor(0.5))
    assert torch.equal(clumped(albedo, torch.tensor(0.0)), torch.ones(2))
    assert torch.allclose(escape * albedo, albedo * 0.5 / (1 - 0.5 * albedo))
    assert escape[0] < escape[1]
    assert clumped(torch.ones(1), torch.tensor(0.5)) == 1  # what absorbs nothing loses nothing


def test_lichen_is_brighter_than_moss() -> None:
    drawn = draw_palette(MaterialRecipe(), KEYS, facts_of("tundra", 0.5))
    for nm in (450, 560, 660):
        barest, mossy = of(drawn, "moss_lichen", nm)[:, :4].mean(1), of(drawn, "moss_lichen", nm)[:, -4:].mean(1)
        assert barest.mean() > 1.3 * mossy.mean()
    assert index_of(drawn, "moss_lichen")[:, -4:].mean() > index_of(drawn, "moss_lichen")[:, :4].mean() + 0.15


def test_burnt_ground_is_dark_and_greens_with_age() -> None:
    drawn = draw_palette(MaterialRecipe(), KEYS, facts_of("mediterranean", 0.5))
    fresh, old = index_of(drawn, "burnt")[:, :4].mean(1), index_of(drawn, "burnt")[:, -4:].mean(1)
    assert fresh.max() < 0.25
    assert fresh.mean() < 0.2
    assert (old > fresh).sum() >= 5
    ratio = index_of(drawn, "burnt", 840, 2200)  # the normalised burn ratio
    assert ratio[:, :4].mean() < -0.1
    assert index_of(drawn, "evergreen_forest", 840, 2200).mean() > ratio.mean() + 0.3


@pytest.mark.parametrize("parcel", [0, 6])
def test_forest_without_vigour_is_dead_and_with_it_lush(parcel: int) -> None:
    drawn = draw_palette(MaterialRecipe(), KEYS, facts_of("temperate", 0.5))
    for name in WOODED:
        dead, lush = (ndvi(all_of(name, size=8, vigour=v, parcel=parcel), drawn).mean((1, 2)) for v in (0.0, 1.0))
        assert dead.mean() < 0.4, name
        assert (lush > dead + 0.2).all(), name
        assert lush.mean() > 0.6, name
        brown = boa_reflectance(all_of(name, size=8, vigour=0.0, parcel=parcel), drawn.seen_by(RGBN)).mean((2, 3))
        assert (brown[:, 2] > brown[:, 0]).all(), name


def test_planted_trees_are_alive(palette: Palette) -> None:
    for parcel in range(1, 30):
        code = material_code(all_of("deciduous_forest", size=2, parcel=parcel), palette.seen_by(RGBN))
        assert ((code - 1) % VARIANTS >= DEAD_VARIANTS).all()


def test_a_scene_keeps_its_materials_at_every_season() -> None:
    first, second = (draw_palette(MaterialRecipe(), KEYS, facts_of("temperate", season)) for season in (0.1, 0.55))
    for name in ("bare_soil", "sand", "rock", "quarry", "building", "road", "water"):
        assert torch.equal(*(p.spectra[:, TERRAFICTA.index(name)] for p in (first, second))), name
    for name in ("runs", "groups", "group_of", "spacing_m"):
        assert torch.equal(getattr(first.mixture, name), getattr(second.mixture, name)), name
    evergreen = [index_of(p, "needleleaf_forest") for p in (first, second)]
    assert torch.corrcoef(torch.stack(evergreen).flatten(1))[0, 1] > 0.95
    codes = [material_code(ground(), p.seen_by(RGBN)) for p in (first, second)]
    assert torch.equal(*codes)


def test_rain_darkens_the_soil_and_nothing_else() -> None:
    dry, wet = (
        draw_palette(MaterialRecipe(), KEYS, [{"season": 0.5, "warmth": 0.5, "moisture": 0.4, "rain": w}] * 6)
        for w in (0.0, 1.0)
    )
    for nm in (660, 1610, 2200):
        assert (of(wet, "bare_soil", nm) < of(dry, "bare_soil", nm)).all()
    for name in ("rock", "building", "road", "quarry"):
        assert torch.equal(*(p.spectra[:, TERRAFICTA.index(name)] for p in (dry, wet)))


# --- rows, texture, leaf area ---------------------------------------------------------------------------------------


def test_texture_is_of_the_world(palette: Palette) -> None:
    whole = ground(size=64)
    bands = palette.seen_by(RGBN)
    inner = slice(13, 45)
    window = Window(whole.window.y_m[:, inner], whole.window.x_m[:, inner], whole.window.cell_m)
    planes = (getattr(whole, n)[:, inner, inner] for n in ("cover", "parcel", "vigour", "crop", "row", "within"))
    assert torch.equal(
        boa_reflectance(Ground(*planes, window), bands), boa_reflectance(whole, bands)[:, :, inner, inner]
    )


def test_strips_have_their_share_at_any_cell_size() -> None:
    for cell in (0.1, 0.37, 0.9, 2.0):
        across = (torch.arange(4000, dtype=torch.float64) + 0.5) * cell
        spacing, share, size = (torch.full_like(across, v) for v in (1.7, 0.3, cell))
        seen = strips(across, spacing, share, size)
        assert seen.min() >= -1e-9
        assert seen.max() <= 1 + 1e-9
        assert seen.mean() == pytest.approx(0.3, abs=3e-3)


@pytest.mark.parametrize("name", ROWED)
def test_rows_show_in_fine_cells_only_and_keep_the_mean(name: str) -> None:
    drawn = draw_palette(MaterialRecipe(), KEYS, facts_of("mediterranean", 0.45))
    seen = {c: boa_reflectance(all_of(name, size=256, parcel=5, cell_m=c), drawn.seen_by(RGBN)) for c in (0.25, 10.0)}
    assert torch.allclose(seen[0.25].mean((2, 3)), seen[10.0].mean((2, 3)), rtol=0.05, atol=2e-3)
    assert (seen[0.25][:, 2].std((1, 2)) > 1.2 * seen[10.0][:, 2].std((1, 2))).sum() >= 3
    # along the rows nothing changes but texture; across them it does
    red = seen[0.25][:, 2]
    assert (red.mean(2).std(1) > 2 * red.mean(1).std(1)).sum() >= 2


def test_leaf_area_belongs_to_plants(palette: Palette) -> None:
    for name in TERRAFICTA.classes:
        lai = leaf_area_index(all_of(name, size=4), palette)
        assert (lai >= 0).all()
        assert bool((lai > 0).any()) == (name in VEGETATED), name
    bare, lush = (leaf_area_index(all_of("grassland", size=4, vigour=v), palette).mean() for v in (0.0, 1.0))
    assert lush > 2 * bare
    tropics = draw_palette(MaterialRecipe(), KEYS, facts_of("rainforest", 0.5))
    assert 3 < float(tropics.lai[:, TERRAFICTA.index("evergreen_forest"), 4:].mean()) < 7


def test_fields_of_one_crop_are_alike_and_crops_differ() -> None:
    within, between = [], []
    at = TERRAFICTA.index("cropland")
    for season in (0.3, 0.45, 0.6, 0.75):
        drawn = draw_palette(MaterialRecipe(), KEYS, facts_of("temperate", season))
        seen = index_of(drawn, "cropland")
        for scene in range(len(KEYS)):
            runs = drawn.mixture.runs[scene, at, : drawn.mixture.groups[scene, at]]
            groups = [seen[scene, first : last + 1] for first, last in runs.tolist()]
            within += [float(g.std(correction=0)) for g in groups]
            between.append(float(torch.stack([g.mean() for g in groups]).std()))
    assert sum(between) / len(between) > 3 * sum(within) / len(within)


def test_a_field_looks_like_its_own_crop() -> None:
    drawn = draw_palette(MaterialRecipe(), KEYS[:1], facts_of("temperate", 0.5, 1))
    at = TERRAFICTA.index("cropland")
    for crop in range(1, int(drawn.mixture.groups[0, at]) + 1):
        code = material_code(all_of("cropland", scenes=1, size=2, parcel=7, crop=crop), drawn.seen_by(RGBN))
        first, last = drawn.mixture.runs[0, at, drawn.mixture.group_of[0, crop]].tolist()
        assert first <= int((code - 1).max()) % VARIANTS <= last


def test_lai_of_a_mean_palette_is_the_mean() -> None:
    drawn = draw_palette(MaterialRecipe(variability=0.0), KEYS)
    assert torch.equal(drawn.lai, drawn.lai[:1, :, :1].expand_as(drawn.lai))
    assert replace(drawn, variability=0.0).lai.shape == (6, len(TERRAFICTA), VARIANTS)


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


# --- what few scenes hold ---------------------------------------------------------------------------------------------

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
