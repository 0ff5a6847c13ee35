"""Truth beyond classes: layers, instances and their boxes."""

import pytest
import torch

from terraficta.synth.render import render
from terraficta.synth.scene.truth import above_ground_biomass, boxes_of, numbered
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import TRUTHS, SceneRecipe, read_scene_recipe


def test_numbers_are_compact_and_boxes_exact() -> None:
    plane = torch.zeros(1, 6, 7, dtype=torch.int64)
    plane[0, 1:3, 2:5], plane[0, 5, 6] = 1 << 34, 77
    number = numbered(plane)[0]
    assert number.dtype == torch.int32
    assert number.unique().tolist() == [0, 1, 2]
    assert boxes_of(number) == [[1, 5, 6, 6, 7], [2, 1, 2, 3, 5]]
    assert boxes_of(torch.zeros(4, 4, dtype=torch.int32)) == []


def test_every_layer_renders_on_the_grid_and_boxes_hold_their_instances() -> None:
    recipe = read_scene_recipe("tier0", ["size_px=64", f"truth.layers={list(TRUTHS)}", "cover.settlement=[0.2,0.25]"])
    for tile in render(recipe, [SceneKey(3, i) for i in range(2)]):
        assert set(tile.layers) == set(TRUTHS)
        assert all(layer.shape == (64, 64) and layer.double().isfinite().all() for layer in tile.layers.values())
        building = tile.layers["building"]
        assert len(tile.facts["boxes"]) == int(building.max())
        for number, y0, x0, y1, x1 in tile.facts["boxes"]:
            inside = building == number
            assert inside[y0:y1, x0:x1].sum() == inside.sum() > 0


def test_an_unknown_layer_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(Refusal, match="did you mean canopy_height_m"):
        SceneRecipe.from_dict({"name": "x", "about": "y", "truth": {"layers": ["canopy_hight_m"]}}, "x")


def test_biomass_follows_the_published_allometry() -> None:
    cover = torch.tensor([[TERRAFICTA.index(n) for n in ("deciduous_forest", "needleleaf_forest", "grassland")]])
    tall = torch.full((1, 3), 20.0)
    broad, needle, none = above_ground_biomass(cover, tall)[0].tolist()
    assert broad == pytest.approx(0.016 * (20 * 8.5) ** 2.013 * 1.021 * 10 / 8.5**2, rel=1e-3)
    assert needle == pytest.approx(0.109 * (20 * 5.0) ** 1.79 * 1.021 * 10 / 5.0**2, rel=1e-3)
    assert none == 0
    assert 50 < broad < 250
    assert 80 < needle < 350
