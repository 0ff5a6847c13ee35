"""Crosswalks: whole, conservative, and reversible where they lose nothing."""

import pytest
import torch

from terraficta.synth.types.crosswalk import crosswalk_from, crosswalk_to, legend_names, read_legend
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal

OTHERS = [name for name in legend_names() if name != TERRAFICTA.name]
SIZES = {"worldcover": 11, "dynamic_world": 9, "sen12ms_lccs": 8, "eurosat": 10, "corine1": 5, "openearthmap": 8,
         "loveda": 7}  # fmt: skip


def test_every_legend_has_the_classes_of_its_source() -> None:
    assert {name: len(read_legend(name)) for name in OTHERS} == SIZES


@pytest.mark.parametrize("name", OTHERS)
def test_shares_are_shares(name: str) -> None:
    matrix = crosswalk_to(name).matrix()
    assert matrix.shape == (SIZES[name], len(TERRAFICTA))
    assert float(matrix.min()) >= 0
    assert float(matrix.sum(0).max()) <= 1 + 1e-6
    assert bool((matrix.sum(1) > 0).all()), "a class of theirs that nothing of ours can become"


@pytest.mark.parametrize("name", ["worldcover", "dynamic_world", "sen12ms_lccs", "corine1", "loveda"])
def test_whole_land_maps_to_whole_land(name: str) -> None:
    mass = torch.rand(2, len(TERRAFICTA), 4, 4, generator=torch.Generator().manual_seed(1))
    mass = mass / mass.sum(1, keepdim=True)
    torch.testing.assert_close(crosswalk_to(name)(mass).sum(1), torch.ones(2, 4, 4))


@pytest.mark.parametrize("name", OTHERS)
def test_there_and_back_conserves_mass_and_prior(name: str) -> None:
    prior = torch.rand(len(TERRAFICTA), generator=torch.Generator().manual_seed(2)) + 0.1
    to, back = crosswalk_to(name).matrix(), crosswalk_from(name, prior.tolist()).matrix()
    torch.testing.assert_close(back.sum(0), torch.ones(SIZES[name]))
    labelled = to.sum(0)
    torch.testing.assert_close(back @ (to @ prior), prior * labelled, atol=1e-5, rtol=1e-5)


def test_our_own_is_the_identity() -> None:
    torch.testing.assert_close(crosswalk_to("terraficta").matrix(), torch.eye(len(TERRAFICTA)))


def test_an_unknown_legend_is_refused_with_a_guess() -> None:
    with pytest.raises(Refusal, match="did you mean worldcover"):
        crosswalk_to("world_cover")
    with pytest.raises(Refusal, match="prior"):
        crosswalk_from("worldcover", [0.0] * len(TERRAFICTA))
