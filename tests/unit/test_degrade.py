"""The label degrader: every kind of damage does what it says, and the record of it is true."""

import math

import pytest
import torch

from terraficta.synth.labels.degrade import damage_of, degrade
from terraficta.synth.labels.mass import blocks, confuse, generalise, shift
from terraficta.synth.labels.recipe import RECIPES, Confused, Footprints, LabelRecipe, read_label_recipe
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.tile import Tile

KEY = SceneKey(11, 4)


@pytest.fixture(scope="module")
def tile() -> Tile:
    recipe = read_scene_recipe("tier0").model_copy(update={"size_px": 96, "gsd_m": (10.0, 10.0)})
    return render(recipe, [SceneKey(3, 5)])[0]


def asked(*steps: dict[str, object]) -> LabelRecipe:
    return LabelRecipe.from_dict({"name": "test", "about": "a test", "steps": list(steps)}, where="test")


def test_no_step_is_the_identity(tile: Tile) -> None:
    same = degrade(tile, asked(), KEY)
    assert torch.equal(same.mass, tile.mass)
    assert same.facts["label_damage"] == {"labelled": 1.0, "wrong": 0.0, "distance": 0.0}


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_shipped_recipes_keep_mass_and_say_what_they_cost(tile: Tile, name: str) -> None:
    recipe = read_label_recipe(name)
    worse = degrade(tile, recipe, KEY)
    assert recipe.name == name
    assert worse.facts["labels"] == name
    assert float(worse.mass.min()) >= 0
    assert float(worse.mass.sum(0).max()) <= 1 + 1e-5
    assert 0 < worse.facts["label_damage"]["labelled"] <= 1
    assert torch.equal(degrade(tile, recipe, KEY).mass, worse.mass), "the same key is the same damage"
    assert torch.equal(worse.image, tile.image)


def test_a_point_has_its_class_and_no_class_has_more_than_asked(tile: Tile) -> None:
    few = degrade(tile, asked({"kind": "points", "per_class": 7}), KEY)
    truth, counts = tile.label(), torch.bincount(few.label().flatten().long(), minlength=len(TERRAFICTA) + 1)[1:]
    assert int(counts.max()) == 7
    assert bool((few.label()[few.label() > 0] == truth[few.label() > 0]).all())
    assert few.facts["label_damage"]["wrong"] == 0.0


def test_strokes_stay_in_one_class_and_are_longer_than_points(tile: Tile) -> None:
    few = degrade(tile, asked({"kind": "scribbles", "per_class": 3, "length_m": [100, 200]}), KEY)
    drawn = few.label() > 0
    assert bool((few.label()[drawn] == tile.label()[drawn]).all())
    assert int(drawn.sum()) > 2 * 3 * int((tile.mass.sum((1, 2)) > 20).sum())


def test_shift_by_whole_pixels_moves_and_uncovers() -> None:
    mass = torch.eye(2)[torch.arange(64).view(8, 8) % 2].permute(2, 0, 1)
    moved = shift(mass, 2, -3)
    assert torch.equal(moved[:, 2:, :-3], mass[:, :-2, 3:])
    assert float(moved[:, :2].sum()) == 0
    assert float(moved[:, :, -3:].sum()) == 0
    half = shift(mass, 0.5, 0.0)
    torch.testing.assert_close(half[:, 1:], 0.5 * (mass[:, 1:] + mass[:, :-1]))


def test_blocks_keep_the_total() -> None:
    mass = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0))
    coarse = blocks(mass, 4)
    torch.testing.assert_close(coarse.sum((1, 2)), mass.sum((1, 2)))
    assert torch.equal(coarse[:, :4, :4], coarse[:, :1, :1].expand(3, 4, 4))
    assert blocks(torch.ones(1, 10, 10), 4).shape == (1, 10, 10)


def test_confusion_happens_at_the_known_rate() -> None:
    mass = torch.zeros(3, 400, 400)
    mass[1] = 1.0
    chances = Confused(kind="confused", matrix={TERRAFICTA.classes[1]: {TERRAFICTA.classes[2]: 0.3}})
    three = type(TERRAFICTA)("three", TERRAFICTA.classes[:3], TERRAFICTA.colours[:3])
    given = chances(mass, 10.0, KEY, three)
    error = 4 * math.sqrt(0.3 * 0.7 / 160_000)
    assert abs(float(given[2].mean()) - 0.3) < error
    assert float(given[0].sum()) == 0
    assert abs(damage_of(given, mass).wrong - 0.3) < error
    even = confuse(mass, Confused(kind="confused", rate=0.2).chances(three), torch.rand(400, 400))
    assert abs(float(even[1].mean()) - 0.8) < 0.01


def test_patches_are_mistaken_together(tile: Tile) -> None:
    mass = torch.zeros(2, 100, 100)
    mass[0] = 1.0
    two = type(TERRAFICTA)("two", TERRAFICTA.classes[:2], TERRAFICTA.colours[:2])
    given = Confused(kind="confused", rate=0.5, patch_m=100.0)(mass, 10.0, KEY, two)
    changes = (given[0, 1:] != given[0, :-1]).float().mean()
    assert 0.01 < float(changes) < 0.1  # at most one row in ten is the border of a patch


def test_votes_are_shares_and_their_error_is_as_asked(tile: Tile) -> None:
    soft = degrade(tile, asked({"kind": "votes", "annotators": 9, "error": 0.2}), KEY)
    assert bool(((soft.mass * 9 - (soft.mass * 9).round()).abs() < 1e-4).all())
    truth = tile.mass.argmax(0, keepdim=True)
    assert abs(1 - float(soft.mass.gather(0, truth).mean()) - 0.2) < 0.07
    assert soft.facts["label_damage"]["wrong"] < 0.1, "a majority errs less than its members"


def test_footprints_have_the_density_and_mean_of_their_ground() -> None:
    mass = torch.rand(2, 300, 300, generator=torch.Generator().manual_seed(4))
    mass = mass / mass.sum(0)
    sampled = Footprints(kind="footprints")(mass, 2.0, KEY)
    seen = sampled.sum(0) > 0
    expected = math.pi * 12.5**2 / (60.0 * 600.0)
    assert abs(float(seen.float().mean()) / expected - 1) < 0.35  # a 600 m square holds about one track
    torch.testing.assert_close(sampled[:, seen].sum(1), mass[:, seen].sum(1), rtol=1e-4, atol=1e-2)


def test_generalised_maps_are_smoother_and_hard(tile: Tile) -> None:
    hard = generalise(tile.mass, 9)
    assert bool(((hard == 0) | (hard == 1)).all())

    def edges(mass: torch.Tensor) -> float:
        label = mass.argmax(0)
        return float((label[1:] != label[:-1]).float().mean())

    assert edges(hard) < 0.6 * edges(tile.mass)


def test_merging_and_translating(tile: Tile) -> None:
    wet = degrade(tile, asked({"kind": "merged", "groups": {"wet": ["water", "wetland"], "dry": ["cropland"]}}), KEY)
    assert wet.legend.classes == ("wet", "dry")
    torch.testing.assert_close(
        wet.mass[0], tile.mass[TERRAFICTA.index("water")] + tile.mass[TERRAFICTA.index("wetland")]
    )
    theirs = degrade(tile, asked({"kind": "translated", "legend": "worldcover"}), KEY)
    assert len(theirs.legend) == 11


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"kind": "merged", "groups": {"wet": ["waters"]}}, "waters"),
        ({"kind": "confused", "matrix": {"water": {"snow": 1.4}}}, "at most 1"),
        ({"kind": "translated", "legend": "worldcovers"}, "did you mean worldcover"),
        ({"kind": "points", "per_class": 0}, "greater than or equal to 1"),
        ({"kind": "smudged"}, "smudged"),
    ],
)
def test_bad_steps_are_refused(tile: Tile, step: dict[str, object], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        degrade(tile, asked(step), KEY)
