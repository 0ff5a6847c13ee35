"""Domains: statistics that can be counted by hand, plots that share no ground, SEN12MS from a tree in its layout."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from tileset_maker import write_tileset

from terraficta.eval.domains.densenet import FCDenseNet, train_densenet
from terraficta.eval.domains.domain import Plot, make_domains, sample_plots, season_of
from terraficta.eval.domains.fiction import coarse_labels, even_confusion
from terraficta.eval.domains.sen12ms import BANDS, CODES, continent_of, find_patches, write_sen12ms_tileset
from terraficta.eval.domains.significance import EXACT, holm, sign_flip_p
from terraficta.eval.domains.transfer import gaps_of, matrix_table, summary_table
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.crosswalk import read_legend
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

# --- significance ----------------------------------------------------------------------------------------------------


def test_sign_flips_are_those_counted_by_hand() -> None:
    d = [0.3, -0.1, 0.2, 0.4, 0.05]
    sums = [abs(sum(s * v for s, v in zip(signs, d, strict=True))) for signs in product((1, -1), repeat=5)]
    assert sign_flip_p(d) == pytest.approx(np.mean([s >= abs(sum(d)) - 1e-12 for s in sums]))
    assert sign_flip_p([0.1] * 6) == pytest.approx(2 / 64)
    assert sign_flip_p([]) == 1.0


def test_sampled_flips_are_near_the_exact_ones() -> None:
    d = np.random.default_rng(1).normal(0.3, 1.0, EXACT)
    exact, sampled = sign_flip_p(d.tolist()), sign_flip_p([*d.tolist(), 0.0])  # a zero changes no sum
    assert sampled == pytest.approx(exact, abs=0.015)


def test_null_differences_are_found_sure_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    found = [sign_flip_p(rng.normal(0, 1, 9).tolist()) <= 0.05 for _ in range(600)]
    assert 0.02 < np.mean(found) < 0.08


def test_holm_is_the_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == pytest.approx([1.0, 1.0])


# --- domains ---------------------------------------------------------------------------------------------------------


def scene(name: str, region: str, fold: bool = False, date: str | None = None) -> Tile:
    legend = Legend("two", ("a", "b"), ("#000000", "#ffffff"))
    mass = torch.zeros(2, 24, 24)
    mass[0, :, :12], mass[1, :, 12:] = 1.0, 1.0
    folds = torch.ones(24, 24, dtype=torch.uint8)
    folds[12:] = 2
    sensor = read_sensor("sentinel2a").pick(["B04", "B08"])
    return Tile(
        name, torch.rand(2, 24, 24), torch.ones(24, 24, dtype=torch.bool), mass, sensor, legend, Grid(24, 24, 10.0),
        "BOA", folds if fold else None, region, date,
    )  # fmt: skip


def test_whole_tiles_are_dealt_and_none_twice() -> None:
    tiles = [scene(f"{r}{n}", r) for r in ("north", "south") for n in range(7)] + [scene("alone", "west")]
    domains = make_domains(tiles, "region")
    assert [d.name for d in domains] == ["north", "south"]
    for domain in domains:
        learn, check = ({plot.tile.id for plot in side} for side in (domain.learn, domain.check))
        assert not learn & check
        assert (len(learn), len(check)) == (3, 4)
    tests = [replace(tile, fold=torch.full((24, 24), 2, dtype=torch.uint8)) for tile in tiles]
    dealt = make_domains(tests, "region")[0]
    assert [p.tile.id for p in dealt.learn] == [p.tile.id for p in domains[0].learn]
    assert all(p.tile.fold is None and bool(p.mask.all()) for p in (*dealt.learn, *dealt.check))


def test_folds_part_a_domain_where_every_tile_has_both() -> None:
    tiles = [scene("a", "x", True, "2020-01-02"), scene("b", "x", True, "2020-07-02")]
    domains = make_domains(tiles, "season", least=2)
    assert {d.name for d in domains} == {"winter", "summer"}
    for domain in domains:
        learnt = torch.stack([plot.mask for plot in domain.learn]).any(0)
        tested = torch.stack([plot.mask for plot in domain.check]).any(0)
        assert not bool((learnt & tested).any())
        assert int(learnt.sum()) == 12 * 24
        assert int(tested[12:].sum()) == int(tested.sum()) == 12 * 16  # twelve blocks of 4 x 4 px


def test_one_domain_is_refused() -> None:
    with pytest.raises(Refusal, match="two or more"):
        make_domains([scene(f"n{n}", "north") for n in range(8)], "region")
    with pytest.raises(Refusal, match="no tile with a date"):
        make_domains([scene(f"n{n}", "north") for n in range(8)], "date")


def test_samples_hold_pixels_of_their_plots() -> None:
    domain = make_domains([scene(f"{r}{n}", r) for r in "ab" for n in range(6)], "region")[0]
    sample = sample_plots(domain.learn, 50, seed=3)
    assert len(sample.labels) == 150
    assert torch.bincount(sample.plot).tolist() == [50, 50, 50]
    for t, y, x in sample.labels.pixels()[:20]:
        assert bool(sample.tiles[t].mass[:, y, x].sum() > 0)
    assert sample.labels.pixels() == sample_plots(domain.learn, 50, seed=3).labels.pixels()
    assert sample.labels.pixels() != sample_plots(domain.learn, 50, seed=4).labels.pixels()


def test_seasons() -> None:
    assert [season_of(f"2020-{m:02d}-01") for m in (12, 2, 3, 6, 11)] == [
        "winter",
        "winter",
        "spring",
        "summer",
        "autumn",
    ]


# --- the network of the study ----------------------------------------------------------------------------------------


def test_the_network_is_as_large_as_the_study_configures_it() -> None:
    network = FCDenseNet(10, 11)
    widths = [block.layers[0][0].num_features for block in (*network.down, network.deepest, *network.up)]
    assert widths == [48, 112, 176, 240, 304, 240, 176]  # 48 first, 4 layers of 16 a block, three blocks down
    assert network.out.in_channels == 240
    assert network(torch.zeros(1, 10, 20, 24)).shape == (1, 11, 20, 24)


def test_the_network_learns_from_labels_of_its_plots_and_no_other() -> None:
    made = []
    for number in range(4):
        tile = scene(f"n{number}", "north")
        made.append(replace(tile, image=0.3 * tile.mass + 0.1 * tile.image))
    wrong = [replace(tile, mass=tile.mass.clone()) for tile in made]
    for tile in wrong:
        tile.mass[:, 12:] = tile.mass[:, 12:].flip(0)  # where no plot is
    upper = torch.zeros(24, 24, dtype=torch.bool)
    upper[:12] = True
    mapper = train_densenet([Plot(t.id, t, upper) for t in wrong], 12, seed=0)
    test = sample_plots([Plot(t.id, t, ~upper) for t in made], 60, seed=0)
    said = mapper.log_probabilities(test)
    assert torch.allclose(said.exp().sum(1), torch.ones(len(said)), atol=1e-5)
    assert float((said.argmax(1) == test.labels.classes).float().mean()) > 0.9
    again = train_densenet([Plot(t.id, t, upper) for t in wrong], 12, seed=0)
    assert torch.equal(again.log_probabilities(test), said)


# --- what the tables say ----------------------------------------------------------------------------------------------


def planted(gap: float) -> dict[str, list[dict[str, object]]]:
    """Two domains of eight plots; whoever learnt elsewhere loses `gap` on every plot."""
    rng = np.random.default_rng(5)
    level = {test: rng.uniform(0.7, 0.9, 8) for test in "ab"}

    def said(learnt: str, test: str) -> dict[str, object]:
        loss = gap if learnt != test else 0.0
        values = level[test] - loss + rng.normal(0, 0.01, 8)
        return {
            name: {"accuracy": values.tolist(), "miou": float(values.mean())} for name in ("forest", "ridge", "default")
        }

    return {learnt: [{test: said(learnt, test) for test in "ab"}] for learnt in "ab"}


def test_a_planted_gap_is_found_and_none_is_not() -> None:
    sure = gaps_of(planted(0.2), "ridge")
    assert [g.mean == pytest.approx(0.2, abs=0.02) for g in sure] == [True, True]
    assert all(g.corrected <= 0.05 for g in sure)
    assert all(g.corrected > 0.05 for g in gaps_of(planted(0.0), "ridge"))


def test_tables_state_mean_and_deviation() -> None:
    found = planted(0.1)
    table = matrix_table(found, "forest", "region")
    values = np.array(found["a"][0]["b"]["forest"]["accuracy"])  # type: ignore[index]
    assert table.rows[0][2] == f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
    home, away = summary_table(found).rows[0][1:3]
    assert home - away == pytest.approx(0.1, abs=0.02)  # type: ignore[operator]


# --- labels of 500 m -------------------------------------------------------------------------------------------------


def test_coarse_labels_are_blocks_and_right_as_often_as_asked() -> None:
    legend = Legend("five", tuple("abcde"), ("#000000",) * 5)
    truth = torch.zeros(5, 300, 300)
    truth[0] = 1.0
    sensor = read_sensor("sentinel2a").pick(["B04"])
    tile = Tile("flat", torch.rand(1, 300, 300), torch.ones(300, 300, dtype=torch.bool), truth, sensor, legend,
                Grid(300, 300, 50.0), "BOA")  # fmt: skip
    found = coarse_labels(tile, accuracy=0.8, side_m=500.0)
    label = found.mass.argmax(0)
    cells = label.unfold(0, 10, 10).unfold(1, 10, 10)
    assert bool((cells == cells[..., :1, :1]).all())
    assert float((label == 0).float().mean()) == pytest.approx(0.8, abs=0.04)  # 900 blocks: 3 deviations
    assert bool((coarse_labels(tile, accuracy=1.0).mass == truth).all())
    assert even_confusion(5, 0.8).sum(1).tolist() == pytest.approx([1.0] * 5)


def test_a_block_takes_what_covers_most_of_it() -> None:
    tile = scene("half", "x")
    found = coarse_labels(tile, accuracy=1.0, side_m=160.0)
    assert found.mass.argmax(0)[0].tolist() == [0] * 16 + [1] * 8


# --- SEN12MS ---------------------------------------------------------------------------------------------------------


def write_tree(root: Path) -> dict[str, np.ndarray]:
    """A little SEN12MS: two seasons, three scenes in Bavaria and Buenos Aires, two patches each."""
    codes = np.array([1, 2, 3, 9, 10, 20, 25, 30, 35, 36, 40, 0, 15, 23, 37, 255])
    kept: dict[str, np.ndarray] = {}
    for season, scene_number, crs, corner in (
        ("ROIs1158_spring", 1, "EPSG:32632", (690_000, 5_330_000)),
        ("ROIs1158_spring", 17, "EPSG:32721", (370_000, 6_170_000)),
        ("ROIs2017_winter", 22, "EPSG:32632", (700_000, 5_340_000)),
    ):
        for patch in (30, 31):
            rng = np.random.default_rng(scene_number + patch)
            where = {"crs": crs, "transform": from_origin(corner[0] + 2560 * (patch - 30), corner[1], 10, 10)}
            for sensor, bands, values in (
                ("s1", 2, rng.normal(-12, 3, (2, 32, 32)).astype(np.float32)),
                ("s2", 13, rng.integers(200, 4000, (13, 32, 32)).astype(np.uint16)),
                ("lc", 4, rng.choice(codes, (4, 32, 32)).astype(np.uint8)),
            ):
                folder = root / season / f"{sensor}_{scene_number}"
                folder.mkdir(parents=True, exist_ok=True)
                name = f"{season}_{sensor}_{scene_number}_p{patch}.tif"
                with rasterio.open(folder / name, "w", "GTiff", 32, 32, bands, dtype=values.dtype, **where) as file:
                    file.write(values)
                kept[f"{season}-{sensor}-{scene_number}-{patch}"] = values
    return kept


def test_sen12ms_tree_becomes_a_tileset(tmp_path: Path) -> None:
    kept = write_tree(tmp_path / "sen12ms")
    made = write_sen12ms_tileset(tmp_path / "sen12ms", tmp_path / "tiles", patches_a_scene=0)
    assert len(made) == 6
    assert {(s.entry.region, s.entry.date) for s in made.scenes} == {
        ("europe", "spring"), ("south_america", "spring"), ("europe", "winter")
    }  # fmt: skip
    tile = next(t for t in made.tiles() if t.id == "sen12ms/spring_17_p31")
    stored = kept["ROIs1158_spring-s2-17-31"]
    bands = [n for n, band in enumerate(BANDS) if band != "B10"]
    assert torch.allclose(tile.image, torch.from_numpy(stored[bands] * 1e-4).float(), atol=1e-6)
    assert tile.level == "TOA"
    legend, codes = read_legend("sen12ms_lccs"), kept["ROIs1158_spring-lc-17-31"][2]
    for code in np.unique(codes):
        shares = tile.mass[:, torch.from_numpy(codes == code)].mean(1)
        assert {n: pytest.approx(float(s)) for n, s in zip(legend.classes, shares, strict=True) if s > 0} == CODES.get(
            int(code), {}
        )
    folds = {}
    for scene_ in made.scenes:
        folds.setdefault(scene_.entry.id.rsplit("_p", 1)[0], set()).add(scene_.entry.fold)
    assert all(len(fold) == 1 for fold in folds.values())  # a scene lies whole in one fold


def test_sen12ms_takes_patches_evenly_and_refuses_what_is_missing(tmp_path: Path) -> None:
    write_tree(tmp_path)
    made = write_sen12ms_tileset(tmp_path, tmp_path / "one", patches_a_scene=1)
    assert len(made) == 3
    next((tmp_path / "ROIs1158_spring" / "lc_1").glob("*.tif")).unlink()
    with pytest.raises(Refusal, match="lc_"):
        find_patches(tmp_path)
    with pytest.raises(Refusal, match="ROIs"):
        find_patches(tmp_path / "ROIs1158_spring")


@pytest.mark.parametrize(
    ("name", "place", "continent"),
    [
        ("Reykjavik", (-21.9, 64.1), "europe"), ("Moscow", (37.6, 55.8), "europe"), ("Athens", (23.7, 38.0), "europe"),
        ("Tunis", (10.2, 36.8), "africa"), ("Nairobi", (36.8, -1.3), "africa"), ("Ankara", (32.9, 39.9), "asia"),
        ("Antananarivo", (47.5, -18.9), "africa"), ("Sanaa", (44.2, 15.4), "asia"), ("Omsk", (73.4, 55.0), "asia"),
        ("Jakarta", (106.8, -6.2), "asia"), ("Perth", (115.9, -31.9), "australia"),
        ("Bogota", (-74.1, 4.7), "south_america"), ("Panama", (-79.5, 9.0), "north_america"),
        ("Nome", (-165.4, 64.5), "north_america"), ("Palermo", (13.4, 38.1), "europe"),
    ],
)  # fmt: skip
def test_continents(name: str, place: tuple[float, float], continent: str) -> None:
    assert continent_of(*place) == continent, name


def test_a_made_tileset_goes_through(tmp_path: Path) -> None:
    """Folds of the tileset part the domains, and plots to test on lie in the test fold alone."""
    tileset = read_tileset(write_tileset(tmp_path / "t", scenes=2))
    named = [replace(t, region=f"r{n}") for n, t in enumerate(tileset.tiles())]
    domains = make_domains(named, "region", least=2)
    assert len(domains) == 2
    for domain in domains:
        for plot in domain.check:
            assert plot.tile.fold is not None
            assert set(plot.tile.fold[plot.mask].tolist()) == {2}
