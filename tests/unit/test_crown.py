"""Crowns: objects in small cells, statistics in large ones, and the same mean height in both."""

import pytest
import torch

from terraficta.synth.render import render
from terraficta.synth.scene.cover.crown import LONE_M, SHOWN_M, crowned, lone_trees, seen
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

KINDS = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "mangrove", "plantation", "orchard")


def stand(kind: str, cell_m: float, size: int = 256, height_m: float = 20.0) -> torch.Tensor:
    window = Window.over(size, size, torch.tensor([cell_m]))
    cover = torch.full((1, size, size), TERRAFICTA.index(kind), dtype=torch.uint8)
    return crowned(window, cover, torch.full((1, size, size), height_m))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_height_does_not_hang_on_the_cell(kind: str) -> None:
    for cell_m in (0.5, 1.0, 2.0, 4.0, 8.0):
        assert abs(float(stand(kind, cell_m).mean()) / 20.0 - 1) < 0.08, (kind, cell_m)


def test_large_cells_show_no_crowns() -> None:
    assert torch.equal(stand("deciduous_forest", SHOWN_M[1]), torch.full((1, 256, 256), 20.0))
    assert float(stand("deciduous_forest", 0.5).std()) > 1.5
    assert float(seen(torch.tensor([0.5]))) == 1.0


def test_other_ground_has_no_crowns() -> None:
    assert torch.equal(stand("grassland", 0.5, height_m=0.0), torch.zeros(1, 256, 256))


def test_crowns_are_the_same_in_every_window() -> None:
    cover = torch.full((1, 64, 64), TERRAFICTA.index("needleleaf_forest"), dtype=torch.uint8)
    tall = torch.full((1, 64, 64), 15.0)
    one, two = (
        torch.cat(crowned(Window.over(64, 64, torch.tensor([0.5]), torch.tensor([origin])), cover, tall))
        for origin in ([0, 0], [16, 32])
    )
    assert abs(float(one[1].mean())) < 0.03
    assert 0.1 < float(one[1].std()) < 0.2  # trees differ, each is of one piece
    assert torch.equal(one[:, 16:, 32:], two[:, :-16, :-32])
    assert len(one.unique()) > 1000


def test_lone_trees_are_whole_crowns_the_same_in_every_window() -> None:
    seed = torch.tensor([5])
    planes = []
    for origin in ([0, 0], [16, 32]):
        window = Window.over(192, 192, torch.tensor([0.5]), torch.tensor([origin]))
        below, tree = lone_trees(window, torch.full((1, 192, 192), 0.6), seed)
        planes.append(below.onto(tree, 0))
    one, two = planes
    assert torch.equal(one[:, 16:, 32:], two[:, :-16, :-32])
    assert 0.05 < float((one != 0).float().mean()) < 0.3
    _, cells = one[one != 0].unique(return_counts=True)
    assert float(cells.max()) * 0.25 < 3.2 * 5.2**2  # no crown is wider than the widest
    assert 0.5 * (96 / LONE_M[0]) ** 2 * 0.6 < len(cells) < 2 * (96 / LONE_M[0]) ** 2


def test_no_lone_tree_stands_where_none_can_or_where_cells_are_large() -> None:
    seed, nowhere = torch.tensor([5]), torch.zeros(1, 64, 64)
    near, far = (Window.over(64, 64, torch.tensor([cell_m])) for cell_m in (1.0, SHOWN_M[1]))
    assert not len(lone_trees(near, nowhere, seed)[1])
    assert not len(lone_trees(far, nowhere + 0.9, seed)[1])
    assert len(lone_trees(near, nowhere + 0.9, seed)[1])


@pytest.mark.parametrize("sza_deg", [25.0, 50.0])
def test_a_stand_is_as_bright_in_small_cells_as_in_large_ones(sza_deg: float) -> None:
    base = read_scene_recipe("tier1").model_dump(mode="json")
    none = {name: [0, 0] for name in ("farmland", "settlement", "water", "plantation", "clearcut", "quarry")}
    base["cover"] |= none | {"climates": ["temperate"], "season": [0.5, 0.5]}
    base["light"]["sza_deg"], base["terrain"] = [sza_deg, sza_deg], {"relief_m": [20, 40], "styles": ["fluvial"]}
    nir = []
    for gsd_m in (1.0, 10.0):
        recipe = SceneRecipe.from_dict(base | {"size_px": 96, "gsd_m": [gsd_m, gsd_m]}, "test")
        tiles = render(recipe, [SceneKey(5, i) for i in range(10)], read_sensor("sentinel2a"))
        forest = torch.stack([tile.mass[[0, 1, 2]].sum(0) > 0.95 for tile in tiles])
        nir.append(float(torch.stack([tile.image[7] for tile in tiles])[forest].mean()))
    assert abs(nir[0] / nir[1] - 1) < 0.1
