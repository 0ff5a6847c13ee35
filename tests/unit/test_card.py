"""Cards: what is measured of land that is known, the page, and the reviewer's sheet."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from terraficta.synth.card.card import make_card
from terraficta.synth.card.page import write_card_page
from terraficta.synth.card.patch import border_lengths_m, borders, class_areas
from terraficta.synth.card.relief import relief
from terraficta.synth.card.review import ASPECTS, COLUMNS, read_reviews, summarise_reviews, write_review
from terraficta.synth.card.scene import REVIEW, card_recipe, write_cards
from terraficta.synth.card.settlement import settlements, size_word
from terraficta.synth.card.sheet import Sheet, sheet_of_tile
from terraficta.synth.card.water import waters
from terraficta.synth.render import render
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.tile import Tile

GRASS, WOOD, WATER = 1, 2, 3
LEGEND = Legend("three", ("grass", "wood", "water"), ("#00ff00", "#006600", "#0000ff"))


def sheet_of(label: NDArray[np.uint8], gsd_m: float = 10.0, **more: object) -> Sheet:
    count = np.bincount(label.reshape(-1), minlength=4)[1:4].astype(float)
    planes = {"water": label == WATER, "settled": np.zeros(label.shape, bool)} | more
    return Sheet("known", label, LEGEND, Grid(*label.shape, gsd_m), count / count.sum(), **planes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tiles() -> list[Tile]:
    recipe = card_recipe(read_scene_recipe("tier1", ["size_px=64", "cover.settlement=[0.3,0.4]"]))
    return render(recipe, [SceneKey(7, i) for i in range(2)])


def test_areas_patches_and_borders_of_known_land() -> None:
    label = np.full((10, 12), GRASS, np.uint8)
    label[2:5, 3:7] = WOOD  # 12 px, borders 14 edges
    label[5, 7] = WOOD  # touches at a corner: the same patch
    label[9, 0] = WOOD  # another patch
    label[0, 0] = 0  # not known: no class, and no border
    sheet = sheet_of(label)
    wood = next(row for row in class_areas(sheet) if row.name == "wood")
    assert (wood.patches, wood.largest_ha, wood.area_ha) == (2, pytest.approx(0.13), pytest.approx(0.14))
    assert wood.mean_ha == pytest.approx(0.07)
    edges = border_lengths_m(sheet)
    assert edges[WOOD - 1, GRASS - 1] == edges[GRASS - 1, WOOD - 1] == 10.0 * (14 + 4 + 2)
    (border,) = borders(sheet)
    assert (border.a, border.b, border.share_a, border.share_b) == ("grass", "wood", 1.0, 1.0)
    assert wood.edge_m_ha == pytest.approx(200.0 / 0.14)


def test_a_river_flows_down_and_a_lake_does_not() -> None:
    label = np.full((40, 60), GRASS, np.uint8)
    label[20:23] = WATER  # 3 x 60 px from west to east
    label[2:8, 5:11] = WATER  # a pond
    label[39, 0] = WATER  # too small to describe
    level = np.broadcast_to(np.linspace(5.0, 3.0, 60, dtype=np.float32), label.shape).copy()
    (river, pond), small = waters(sheet_of(label, surface_m=level, key=SceneKey(1, 2)))
    assert (river.kind, river.flows, river.sides) == ("river", "east", ["east", "west"])
    assert river.fall_m == pytest.approx(1.8, abs=0.1)
    assert river.length_m == pytest.approx(600, rel=0.1)
    assert river.width_m == pytest.approx(30, abs=10)
    assert (pond.kind, pond.flows, pond.area_ha) == ("lake", None, pytest.approx(0.36))
    assert pond.name.startswith("Lake ")
    assert small == 1
    flipped = waters(sheet_of(label, surface_m=level[:, ::-1].copy()))[0][0]
    assert (flipped.flows, flipped.name) == ("west", "river 1"), "real waters are numbered, not named"


def test_highest_and_lowest_ground() -> None:
    label = np.full((30, 30), GRASS, np.uint8)
    label[29, 29] = WATER
    ground = np.zeros((30, 30), np.float32)
    ground[3, 25], ground[29, 29] = 12.0, -4.0
    found = relief(sheet_of(label, elevation_m=ground))
    assert found is not None
    assert (found.highest.elevation_m, found.highest.part, found.highest.on) == (12.0, "north-east", "grass")
    assert (found.lowest.elevation_m, found.lowest.part, found.lowest.on) == (-4.0, "south-east", "water")
    assert relief(sheet_of(label)) is None


def test_settlements_by_size_with_their_houses() -> None:
    label = np.full((40, 40), GRASS, np.uint8)
    settled = np.zeros((40, 40), bool)
    settled[5:15, 5:15], settled[30:32, 0:30] = True, True
    building = np.zeros((40, 40), np.int32)
    building[6:8, 6:8], building[10, 10:12], building[31, 4], building[20, 20] = 1, 2, 3, 4
    large, long = settlements(sheet_of(label, settled=settled, building=building, key=SceneKey(7, 0)))
    assert (large.area_ha, large.buildings, large.whole, large.part) == (1.0, 2, True, "north-west")
    assert (long.area_ha, long.buildings, long.whole) == (0.6, 1, False)
    assert large.name != long.name
    assert size_word(large.area_ha) == "farmstead"


def test_names_hang_on_the_address_alone(tiles: list[Tile]) -> None:
    cards = [[make_card(sheet_of_tile(tile)) for tile in tiles] for _ in range(2)]
    assert cards[0] == cards[1]
    assert all(place["name"] for place in cards[0][0]["settlements"])


def test_card_of_fiction_adds_up(tiles: list[Tile]) -> None:
    for tile in tiles:
        card = make_card(sheet_of_tile(tile))
        assert json.loads(json.dumps(card, allow_nan=False)) == card
        assert sum(row["share"] for row in card["classes"]) == pytest.approx(1.0, abs=1e-6)
        assert sum(row["area_ha"] for row in card["classes"]) == pytest.approx(
            64 * 64 * tile.grid.gsd_m**2 / 1e4, rel=1e-5
        )
        assert card["facts"]["seeds"]["index"] == tile.facts["index"]
        told = {name for group in card["facts"].values() for name in group}
        assert told == set(tile.facts) - {"boxes"}, "every fact that was drawn is told"


def test_a_card_needs_no_other_scene(tiles: list[Tile]) -> None:
    plain = render(read_scene_recipe("tier1", ["size_px=64", "cover.settlement=[0.3,0.4]"]), SceneKey(7, 0))[0]
    assert torch.equal(plain.image, tiles[0].image)


def test_pages_are_whole_and_names_cannot_break_them(tiles: list[Tile], tmp_path: Path) -> None:
    pages = write_cards(tiles, tmp_path / "cards")
    assert [page.stem for page in pages] == [tile.id for tile in tiles]
    text = pages[0].read_text()
    assert not re.search(r'(src|href)="(?!data:)', text), "a page needs nothing else"
    assert text.count("data:image/png;base64,") == 3
    assert text.count("<fieldset>") == len(ASPECTS)
    for row in json.loads(pages[0].with_suffix(".json").read_text())["classes"]:
        assert row["name"].replace("_", " ") in text
    bad = Legend("bad", ("</script><b>x", "wood", "water"), LEGEND.colours)
    label = np.full((20, 20), GRASS, np.uint8)
    sheet = Sheet("<i>name</i>", label, bad, Grid(20, 20, 10.0), np.array([1.0, 0, 0]), label == WATER, label == WATER)
    write_card_page(make_card(sheet), {"map": np.zeros((20, 20, 3))}, "map", tmp_path / "bad.html")
    text = (tmp_path / "bad.html").read_text()
    assert "<i>" not in text
    assert "<b>x" not in text
    assert text.count("</script>") == 1


def test_a_sheet_is_filled_and_read_back_as_a_table(tiles: list[Tile], tmp_path: Path) -> None:
    write_cards(tiles, tmp_path / "cards")
    lines = (tmp_path / "cards" / REVIEW).read_text().splitlines()
    assert len(lines) == 1 + len(tiles) * len(ASPECTS)
    filled = [lines[0]]
    for number, line in enumerate(lines[1:]):
        said = ("plausible,,ann", 'NOT,"too steep; ""far"" too steep",ann', ",,")[number % 3]
        filled.append(line.removesuffix(",,,") + "," + said if not line.endswith('",,,') else line[:-3] + "," + said)
    path = tmp_path / "ann.csv"
    path.write_text("\n".join(filled))
    table = read_reviews([path])
    assert list(table.columns)[: len(COLUMNS)] == list(COLUMNS)
    assert set(table["verdict"]) == {"plausible", "not"}
    assert table[table["verdict"] == "not"]["why"].unique().tolist() == ['too steep; "far" too steep']
    summary = summarise_reviews(table)
    assert summary["judged"].sum() == len(table)
    assert summary["plausible"].sum() == (table["verdict"] == "plausible").sum()
    # as a table program of half of Europe saves it: a mark of its own, and semicolons
    table[list(COLUMNS)].to_csv(tmp_path / "semicolons.csv", sep=";", index=False, encoding="utf-8-sig")
    assert len(read_reviews([tmp_path / "semicolons.csv"])) == len(table)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text.replace("relief,", "reliefs,", 1), "2: aspect: found 'reliefs'"),
        (lambda text: text.replace("verdict,why", "said,why", 1), "a column verdict"),
        (lambda text: text.replace(",,,", ",maybe,,", 1), "verdict: found 'maybe'"),
    ],
)
def test_what_a_reviewer_wrote_wrongly_is_refused_by_cell(
    change, match: str, tiles: list[Tile], tmp_path: Path
) -> None:
    write_review([make_card(sheet_of_tile(tiles[0]))], tmp_path / "r.csv")
    (tmp_path / "r.csv").write_text(change((tmp_path / "r.csv").read_text()))
    with pytest.raises(Refusal, match=match):
        read_reviews([tmp_path / "r.csv"])


def test_one_reviewer_judges_a_card_once(tiles: list[Tile], tmp_path: Path) -> None:
    write_review([make_card(sheet_of_tile(tiles[0]))], tmp_path / "r.csv")
    text = (tmp_path / "r.csv").read_text().replace(",,,", ",not,,")
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(text)
    with pytest.raises(Refusal, match="twice by nobody named"):
        read_reviews([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_a_recipe_keeps_its_own_layers() -> None:
    recipe = read_scene_recipe("tier0", ["truth.layers=[ndvi]"])
    assert card_recipe(recipe).truth.layers == ("ndvi", "elevation_m", "surface_m", "building")


def test_legend_of_a_card_is_ours(tiles: list[Tile]) -> None:
    assert list(make_card(sheet_of_tile(tiles[0]))["legend"]) == list(TERRAFICTA.classes)
