"""The experts of the default head: trees as arrays, names by Bayes' rule, and their product."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier

from terraficta.finetune.context import (
    MOST_PAIRS,
    WIDE_PX,
    band_pairs,
    context_features,
    normalised_differences,
)
from terraficta.finetune.evidence import Evidence
from terraficta.finetune.experts.blend import Blend, Exponents
from terraficta.finetune.experts.fit import exponents_for, fit_blend, prior_of
from terraficta.finetune.experts.forest import Forest, fit_forest
from terraficta.finetune.experts.names import FLOOR, LEAST_MEAN, NamesHead
from terraficta.finetune.recipe import BlendRecipe, FinetuneRecipe
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.pretrain.head import fit_ridge
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import read_sensor


def clusters(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """(P, 6) features and (P,) classes 0, 1, 3 of four."""
    rng = np.random.default_rng(seed)
    classes = np.array([0, 1, 3])[np.arange(count) % 3]
    middle = np.random.default_rng(99).normal(size=(4, 6)) * 2
    return (middle[classes] + rng.normal(size=(count, 6))).astype(np.float32), classes


def test_trees_as_arrays_say_what_scikit_learn_says() -> None:
    x, classes = clusters(0)
    weight = np.linspace(0.5, 1, len(x))
    forest = fit_forest(x, classes, weight, 4, seed=3, trees=20)
    model = ExtraTreesClassifier(20, class_weight="balanced", random_state=3).fit(x, classes, sample_weight=weight)
    y = np.concatenate([clusters(1, 20_000)[0], x])  # more than one chunk, and the labels themselves
    found = forest.probabilities(y)
    assert found[:, [0, 1, 3]] == pytest.approx(model.predict_proba(y), abs=1e-6)
    assert (found[:, 2] == 0).all()
    again = Forest.of_arrays(forest.arrays())
    assert np.array_equal(again.probabilities(y), found)


def test_a_tree_whose_walk_would_not_end_is_refused() -> None:
    x, classes = clusters(0)
    arrays = fit_forest(x, classes, np.ones(len(x)), 4, seed=0, trees=2).arrays()
    arrays["left"] = arrays["left"].clone()
    arrays["left"][1] = 0
    with pytest.raises(Refusal, match="children"):
        Forest.of_arrays(arrays)


@pytest.mark.parametrize("dates", [1, 2])
@pytest.mark.parametrize("sensor", ["sentinel2a", "landsat5"])
def test_band_pairs_are_few_and_spread(sensor: str, dates: int) -> None:
    known = read_sensor(sensor)
    pairs = band_pairs(known, dates)
    assert len(set(pairs)) == len(pairs) <= MOST_PAIRS
    assert max(map(max, pairs)) < dates * len(known)
    shortest = int(known.centre_nm.argmin())
    assert any(shortest in pair for pair in pairs)
    if dates == 1 and sensor == "landsat5":
        assert len(pairs) == len(known) * (len(known) - 1) // 2


def test_context_leaves_missing_pixels_out() -> None:
    image = torch.rand(1, 2, 9, 9) * 5000 + 3000
    valid = torch.ones(1, 9, 9, dtype=torch.bool)
    valid[0, 4, 5] = False
    found = context_features(torch.where(valid[:, None], image, 0), valid, ((0, 1),))[0, :, 4, 4]
    around = image[0, :, 2:7, 2:7].double()[:, valid[0, 2:7, 2:7]]
    assert found[2:4].numpy() == pytest.approx(around.mean(1).numpy(), rel=1e-5)
    assert found[4:6].numpy() == pytest.approx(around.std(1, correction=0).numpy(), rel=1e-3)
    assert float(found[6]) == pytest.approx(float(normalised_differences(image, ((0, 1),))[0, 0, 4, 4]))


def test_wide_surroundings_leave_missing_pixels_out() -> None:
    image = torch.rand(1, 2, 48, 48) * 5000 + 3000
    valid = torch.rand(1, 48, 48) > 0.3
    found = context_features(torch.where(valid[:, None], image, 0), valid, (), (1,))[0, :, 24, 24]
    assert len(found) == 3 * 2 + 2 * len(WIDE_PX)
    for number, side in enumerate(WIDE_PX):
        near = slice(24 - side // 2, 25 + side // 2)
        around = image[0, 1, near, near].double()[valid[0, near, near]]
        mean, spread = found[6 + 2 * number : 8 + 2 * number].tolist()
        assert mean == pytest.approx(float(around.mean()), rel=1e-5)
        assert spread == pytest.approx(float(around.std(correction=0)), rel=1e-3)


def test_half_of_the_trees_see_the_first_features_alone() -> None:
    x, classes = clusters(0)
    forest = fit_forest(x, classes, np.ones(len(x)), 4, seed=0, trees=10, alone=2)
    assert len(forest.roots) == 10
    middle = forest.roots[5]
    assert set(forest.feature[:middle]) == {0, 1}
    assert forest.feature[middle:].max() == x.shape[1] - 1
    halves = [fit_forest(part, classes, np.ones(len(x)), 4, seed=0, trees=5) for part in (x[:, :2], x)]
    y = clusters(1, 500)[0]
    wanted = (halves[0].probabilities(y[:, :2]) + halves[1].probabilities(y)) / 2
    assert forest.probabilities(y) == pytest.approx(wanted, abs=1e-6)


def said(*names: str) -> Evidence:
    """Pixels that fiction is sure of."""
    fiction = torch.full((len(names), len(TERRAFICTA)), -20.0)
    for row, name in enumerate(names):
        fiction[row, TERRAFICTA.index(name)] = 0.0
    blank = np.zeros((len(names), 2), np.float32)
    return Evidence(torch.zeros(len(names), 3), torch.log_softmax(fiction, 1), torch.zeros(len(names), 2), blank)


def test_names_sum_what_fiction_says() -> None:
    head = NamesHead.of(propose_meanings(["a", "b", "cloud"], {
        "a": {"pasture": 0.75, "grassland": 0.24, "road": 0.01}, "b": {"grassland": 0.75, "building": 0.25},
    }))  # fmt: skip
    found = head.log_probabilities(said("pasture", "grassland", "building", "snow", "road")).exp()
    high, low = 1 + FLOOR, FLOOR
    wanted = [[high, low, low], [high, high, low], [low, high, low], [low, low, high], [low, low, high]]
    for row, expected in zip(found, wanted, strict=True):
        assert (row * sum(expected)).tolist() == pytest.approx(expected, abs=1e-4)


def test_what_a_whole_place_is_called_tells_nothing_apart() -> None:
    """Of a place that fiction calls grass, hardly here and surely there, the hardly grassy part is the forest."""
    fiction = torch.full((4, len(TERRAFICTA)), 1e-6)
    grass, forest = TERRAFICTA.index("grassland"), TERRAFICTA.index("deciduous_forest")
    fiction[:, grass], fiction[:, forest] = torch.tensor([0.9, 0.9, 0.6, 0.6]), torch.tensor([0.1, 0.1, 0.4, 0.4])
    evidence = replace(said(*["grassland"] * 4), fiction=torch.log_softmax(fiction.log(), 1))
    names = NamesHead.of(propose_meanings(["forest", "grass"]))
    assert names.log_probabilities(evidence).argmax(1).tolist() == [1, 1, 1, 1]
    balanced = names.balanced(evidence, torch.ones(4))
    assert balanced.log_probabilities(evidence).argmax(1).tolist() == [1, 1, 0, 0]
    twice = balanced.balanced(evidence, torch.ones(4))
    assert torch.equal(twice.offset, balanced.offset), "what it was before does not count"
    absent = NamesHead.of(propose_meanings(["forest", "grass", "snow"])).balanced(evidence, torch.ones(4))
    assert float(absent.offset[2]) == pytest.approx(-np.log(LEAST_MEAN)), "what is hardly seen may not be there"


def test_names_count_as_far_as_labels_bear_them_out() -> None:
    names = NamesHead.of(propose_meanings(["forest", "grass", "water"]))
    seen = said(*["deciduous_forest", "grassland", "water"] * 4)
    truth = torch.eye(3).repeat(4, 1)
    assert names.worth(seen, truth) == 1
    assert names.worth(seen, truth.roll(1, 1)) == 0, "always wrong"
    assert names.worth(said(*["water"] * 12), truth) == 0, "as good as chance"
    some = truth.clone()
    some[5:] = truth[5:].roll(1, 1)
    assert 0 < names.worth(seen, some) < 1, "5 of 12 right, where chance has 4"


def test_an_area_of_a_use_is_of_no_cover() -> None:
    """A lawn in town is grass where nobody asks for towns, and town where somebody does."""
    lawn = replace(said("park", "park", "water"), uses=torch.tensor([[0.9, 0.0], [0.0, 0.9], [0.0, 0.0]]))
    asked = NamesHead.of(propose_meanings(["town", "grass"], {"town": "settlement", "grass": {"park": 1.0}}))
    found = asked.log_probabilities(lawn).exp()
    total = 1 + 2 * FLOOR
    assert found[0].tolist() == pytest.approx([(0.9 + FLOOR) / total, (0.1 + FLOOR) / total], abs=1e-4)
    assert found[1].tolist() == pytest.approx([FLOOR / total, (1 + FLOOR) / total], abs=1e-4)
    assert found[2].tolist() == pytest.approx([0.5, 0.5])
    plain = NamesHead.of(propose_meanings(["lawn", "water"])).log_probabilities(lawn).exp()
    assert plain[0, 0] == plain[1, 0] > 0.9


def test_the_blend_is_the_product_of_its_experts() -> None:
    meanings = propose_meanings(["forest", "water"], shares={"forest": 0.8})
    evidence = said("water", "deciduous_forest")
    names = NamesHead.of(meanings)
    head = fit_ridge(torch.randn(6, 3), torch.eye(2).repeat(3, 1), torch.tensor(0.1), torch.tensor(2.0))
    blend = Blend(head, None, None, names, Exponents(0.5, 1.0, 1.0, 2.0), prior_of(meanings))
    wanted = 0.5 * head.log_probabilities(evidence.features) + 2 * names.log_probabilities(evidence)
    wanted = wanted + 0.5 * torch.tensor([0.8, 0.2]).log()
    assert torch.allclose(blend.log_probabilities(evidence), torch.log_softmax(wanted, 1), atol=1e-6)
    again = Blend.of_content(blend.content())
    assert torch.equal(again.log_probabilities(evidence), blend.log_probabilities(evidence))


def test_exponents_follow_the_number_of_labels() -> None:
    recipe = BlendRecipe(names=((5, 1.0), (100, 0.2)))
    assert recipe.names_at(1) == pytest.approx(1.0)
    assert recipe.names_at(1000) == pytest.approx(0.2)
    assert recipe.names_at(500**0.5) == pytest.approx(0.6)
    whole = FinetuneRecipe(name="t", about="t", blend=recipe)
    mass = torch.eye(2).repeat(5, 1)
    assert exponents_for(mass, 0.5, whole) == pytest.approx((0.0, recipe.forest, recipe.linear, 0.5))
    assert exponents_for(mass, 0.0, whole) == pytest.approx((recipe.ridge, recipe.forest, recipe.linear, 0.0))


def test_the_temperature_is_that_of_labels_not_seen() -> None:
    rng = torch.Generator().manual_seed(0)
    mass = torch.eye(2).repeat(60, 1)
    features = torch.randn(120, 40, generator=rng)  # nothing to learn: whoever is sure is wrong
    evidence = Evidence(features, None, None, features.numpy())
    recipe = FinetuneRecipe(name="t", about="t", blend=BlendRecipe(temperature_doubt=3.0))

    def fit(x: torch.Tensor, y: torch.Tensor):  # noqa: ANN202
        return fit_ridge(x, y, torch.tensor(0.01), torch.tensor(20.0))

    fitted = fit_blend(evidence, mass, np.arange(120), fit, propose_meanings(["wheat", "rye"]), None, recipe, 0)
    assert fitted.temperature > 4
    usual = FinetuneRecipe(name="t", about="t")
    kept = fit_blend(evidence, mass, np.arange(120), fit, propose_meanings(["wheat", "rye"]), None, usual, 0)
    assert usual.blend.temperature < kept.temperature < fitted.temperature, "labels move it from what is believed"
