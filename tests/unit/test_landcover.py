"""Land cover: nothing stands in water, every class appears, one key is one ground."""

from functools import cache

import pytest
import torch
from cover_maker import make_landcover
from terrain_maker import make_terrain
from torch.nn.functional import one_hot

from terraficta.synth.labels.use import uses_of
from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.scene.terrain.rivers import CHANNEL_KM2
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.types.biome import LAPSE_K_M, TREELINE_C, can_grow, snow_c, summer_c
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import CoverRecipe, TerrainRecipe, read_scene_recipe


@cache
def _grown(first: int, count: int, cell_m: float, size: int = 128) -> tuple[Terrain, LandCover]:
    keys = [SceneKey(3, first + i) for i in range(count)]
    terrain = make_terrain(TerrainRecipe(), keys, size, size, torch.full((count,), cell_m))
    return terrain, make_landcover(CoverRecipe(), terrain, keys)


def _counts(cover: torch.Tensor) -> torch.Tensor:
    return torch.bincount(cover.flatten().long(), minlength=len(TERRAFICTA))


def test_alone_and_in_a_batch_bit_equal() -> None:
    _, batch = _grown(0, 5, 10.0, 64)
    _, alone = _grown(3, 1, 10.0, 64)
    assert torch.equal(batch.cover[3:4], alone.cover)
    assert torch.equal(batch.parcel[3:4], alone.parcel)
    assert torch.equal(batch.vigour[3:4], alone.vigour)


def test_fractions_sum_to_one() -> None:
    _, cover = _grown(0, 5, 10.0, 64)
    total = cover.abundance(4).sum(1)
    assert total.shape == (5, 16, 16)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_abundance_refuses_a_factor_that_does_not_divide() -> None:
    with pytest.raises(Refusal, match="factor"):
        _grown(0, 5, 10.0, 64)[1].abundance(3)


def test_every_class_appears_in_a_corpus() -> None:
    corpus = ((0, 15.0), (24, 15.0), (0, 60.0), (24, 60.0))  # mangroves are where a coast is warm and muddy
    counts = torch.stack([_counts(_grown(f, 24, cell_m)[1].cover) for f, cell_m in corpus]).sum(0)
    missing = [name for name, count in zip(TERRAFICTA.classes, counts.tolist(), strict=True) if count == 0]
    assert not missing


def test_most_scenes_have_four_classes() -> None:
    for cell_m in (15.0, 5.0):
        _, cover = _grown(0, 24, cell_m)
        kinds = [(_counts(c) > 0.005 * c.numel()).sum() for c in cover.cover]
        assert sorted(int(k) for k in kinds)[6] >= 4


def test_water_carries_no_parcel() -> None:
    _, cover = _grown(0, 24, 15.0)
    water = cover.cover == TERRAFICTA.index("water")
    assert bool((cover.parcel[water] == 0).all())


def test_snow_and_trees_keep_to_their_climate() -> None:
    terrain, cover = _grown(0, 24, 15.0)
    low = terrain.reference_m.amin(1)
    for n, facts in enumerate(cover.facts):
        summer = 4 + 24 * facts["warmth"] - 0.0065 * (terrain.elevation_m[n] - low[n])
        snow = cover.cover[n] == TERRAFICTA.index("snow")
        assert not bool(snow[summer > 13].any())
        tree = cover.cover[n] == TERRAFICTA.index("evergreen_forest")
        assert not bool((tree & (summer < 1.5) & (cover.parcel[n] == 0)).any())


def test_windows_of_one_world_overlap_to_the_last_bit() -> None:
    key, cell = [SceneKey(3, 8)], torch.tensor([10.0])
    grown = []
    for origin in ([0, 0], [32, -32]):
        terrain = make_terrain(TerrainRecipe(), key, 96, 96, cell, origin_cell=torch.tensor([origin]))
        grown.append(make_landcover(CoverRecipe(), terrain, key))
    for name in ("cover", "parcel", "vigour", "height_m"):
        one, two = getattr(grown[0], name), getattr(grown[1], name)
        assert torch.equal(one[:, 32:, :-32], two[:, :-32, 32:]), name


def test_roofs_and_crowns_have_height_and_lakes_are_level() -> None:
    terrain, cover = _grown(0, 24, 15.0)
    building = cover.cover == TERRAFICTA.index("building")
    assert float(cover.height_m[building].min()) > 2
    assert float(cover.height_m[cover.cover == TERRAFICTA.index("grassland")].max()) == 0
    assert bool((cover.surface_m >= terrain.elevation_m).all())
    drowned = cover.surface_m > terrain.elevation_m
    assert float((cover.cover[drowned] == TERRAFICTA.index("water")).float().mean()) == 1.0


def test_no_people_where_none_are_asked_for() -> None:
    keys = [SceneKey(1, i) for i in range(3)]
    terrain = make_terrain(TerrainRecipe(), keys, 64, 64, torch.full((3,), 15.0))
    wild = make_landcover(CoverRecipe(farmland=(0, 0), settlement=(0, 0), water=(0, 0)), terrain, keys)
    made = torch.tensor([TERRAFICTA.index(c) for c in ("cropland", "fallow", "orchard", "building", "road", "water")])
    assert not bool(torch.isin(wild.cover.long(), made).any())


SCENES = 500
FORESTS = ("needleleaf_forest", "evergreen_forest", "deciduous_forest")


def _of(cover: LandCover, *names: str) -> torch.Tensor:
    return torch.isin(cover.cover.long(), torch.tensor([TERRAFICTA.index(name) for name in names]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tier3", "standin"])  # the other recipes have the ground of tier3
def test_invariants_over_many_scenes(name: str) -> None:
    """No building or field on water, roads over rivers only as bridges, rivers fall, snow and trees keep to climate."""
    at, recipe = TERRAFICTA.index, read_scene_recipe(name)
    counts = torch.zeros(len(TERRAFICTA), dtype=torch.int64)
    for first in range(0, SCENES, 20):
        keys = [SceneKey(3, first + i) for i in range(20)]
        for cell_m in (3.0, 15.0):
            terrain = make_terrain(recipe.terrain, keys, 64, 64, torch.full((20,), cell_m))
            cover = make_landcover(recipe.cover, terrain, keys)
            torch.testing.assert_close(cover.abundance(4).sum(1), torch.ones(20, 16, 16))
            _require_falling(terrain)
            assert int(cover.cover.max()) < len(TERRAFICTA)
            counts += _counts(cover.cover)
            drowned = cover.surface_m > terrain.elevation_m  # lakes: no roof, field, road or tree stands in them
            assert bool((cover.cover[drowned] == at("water")).all())
            water = cover.cover == at("water")
            assert bool((cover.parcel[water] == 0).all())
            assert bool((cover.parcel[cover.cover == at("building")] > 0).all())
            low = terrain.reference_m.amin(1)[:, None, None]
            base = torch.tensor([summer_c(f["warmth"]) for f in cover.facts], dtype=torch.float32)[:, None, None]
            summer = base - LAPSE_K_M * (terrain.elevation_m - low)
            wild = cover.parcel == 0
            # slopes that face the pole are at most 1.3 K cooler, the texture of temperature is within 1.5 K
            assert not bool((summer[_of(cover, *FORESTS) & wild] < TREELINE_C - 3.0).any())
            for n, facts in enumerate(cover.facts):
                snow = _of(cover, "snow")[n]
                line = snow_c((2 * facts["season"] - 1) ** 2, facts["latitude_deg"])
                assert not bool((summer[n][snow] > line + 5.0).any())
                for cold_or_wet in ("moss_lichen", "mangrove"):
                    grows = can_grow(cold_or_wet, facts["kind"])
                    assert grows or not bool(_of(cover, cold_or_wet)[n].any()), (cold_or_wet, facts["kind"])
    missing = [kind for kind, count in zip(TERRAFICTA.classes, counts.tolist(), strict=True) if count == 0]
    assert name == "standin" or not missing


def _require_falling(terrain: Terrain) -> None:
    """Every node that feeds a river and is no end of it lies above its receiver; in glacial troughs, not below it."""
    drainage = terrain.drainage
    height, receiver = drainage.elevation_m.flatten(1), drainage.receiver
    river = (drainage.area_km2.flatten(1) >= CHANNEL_KM2) & (receiver != torch.arange(receiver.shape[1]))
    fall = height - height.gather(1, receiver)
    level = torch.tensor([fact["style"] == "glacial" for fact in terrain.facts])[:, None]  # stretches without a fall
    assert bool(((fall > 0) | (level & (fall > -1e-4)))[river].all())


@pytest.mark.slow
def test_a_corpus_has_at_least_half_of_what_is_asked_for() -> None:
    """Water and settlements as shares of the ground, farmland as a share of the ground that can be farmed."""
    recipe, scenes = CoverRecipe(), 96
    counts, arable, settled, towns = torch.zeros(len(TERRAFICTA), dtype=torch.int64), 0.0, 0.0, 0.0
    for first in range(0, scenes, 24):
        _, cover = _grown.__wrapped__(first, 24, 30.0, 96)
        counts += _counts(cover.cover)
        settled += float(
            uses_of(one_hot(cover.cover.long(), len(TERRAFICTA)).movedim(-1, 1).float(), 30.0)[:, 0].mean()
        )
        towns += sum(f["settlement"] for f in cover.facts) / scenes  # most are drawn small
        arable += sum(float(can_grow("deciduous_forest", f["kind"])) for f in cover.facts)
    share = dict(zip(TERRAFICTA.classes, (counts / counts.sum()).tolist(), strict=True))
    asked = {name: sum(getattr(recipe, name)) / 2 for name in ("water", "farmland")}
    assert share["water"] > asked["water"] / 2
    settled = settled * 24 / scenes  # courts and lots that nobody built on belong to towns
    assert 0.5 * towns < settled < 1.5 * towns
    farmed = sum(share[name] for name in ("cropland", "paddy", "fallow", "orchard", "pasture"))
    assert farmed > asked["farmland"] * arable / scenes * (1 - settled - share["water"]) / 2
