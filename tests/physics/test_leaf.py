"""The leaf against its published reference, its limits and its bounds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expn
from tables import excerpt_and_whole

from terraficta.synth.scene.material.leaf import Leaf, entry_transmittance, leaf_spectra, plate_transmittance
from terraficta.synth.types.refusal import Refusal

NM = torch.arange(400.0, 2501.0, 10.0)


def leaves(count: int = 64, **fixed: float) -> Leaf:
    rng = np.random.default_rng(5)
    spans = {
        "n": (1.0, 3.5), "cab": (0, 100), "car": (0, 25), "ant": (0, 10), "cbrown": (0, 1), "cw": (0, 0.06),
        "cm": (0, 0.03),
    }  # fmt: skip
    return Leaf(
        **{
            name: torch.as_tensor(np.full(count, fixed[name]) if name in fixed else rng.uniform(*span, count)).float()
            for name, span in spans.items()
        }
    )


@pytest.mark.parametrize("version", ["5", "D"])
@pytest.mark.parametrize("path", excerpt_and_whole("prosail.npz"))
def test_equals_the_reference(path: Path, version: str) -> None:
    table = np.load(path)
    rows = table["prospect_version"] == version
    leaf = Leaf(*torch.as_tensor(table["params"][rows, :7]).float().T)
    r, t = leaf_spectra(leaf, torch.as_tensor(table["wavelength_nm"]).float(), version)
    assert np.abs(r.numpy() - table["leaf_refl"][rows]).max() < 5e-6
    assert np.abs(t.numpy() - table["leaf_trans"][rows]).max() < 5e-6


def test_plate_transmittance_is_twice_the_third_exponential_integral() -> None:
    k = np.concatenate([[0.0], np.geomspace(1e-8, 50, 4000)])
    ours = plate_transmittance(torch.as_tensor(k)).numpy()
    assert np.abs(ours - 2 * expn(3, k)).max() < 2e-7


def test_entry_transmittance_of_no_surface_is_one_and_of_water_is_known() -> None:
    assert entry_transmittance(np.array([1.0 + 1e-9]), 90.0)[0] == pytest.approx(1.0, abs=1e-6)
    # diffuse reflectance of a surface of index 1.333: 0.066 (Preisendorfer 1976)
    assert 1 - entry_transmittance(np.array([1.333]), 90.0)[0] == pytest.approx(0.066, abs=1e-3)


def test_no_light_is_made() -> None:
    r, t = leaf_spectra(leaves(), NM)
    assert (r > 0).all()
    assert (t >= 0).all()
    assert (r + t <= 1 + 1e-6).all()


def test_a_leaf_that_absorbs_nothing_loses_nothing() -> None:
    r, t = leaf_spectra(leaves(cab=0, car=0, ant=0, cbrown=0, cw=0, cm=0), NM)
    assert (r + t - 1).abs().max() < 1e-4


def test_an_opaque_leaf_shows_its_surface_only() -> None:
    leaf = leaves(4, n=1.5, cbrown=500)
    r, t = leaf_spectra(leaf, torch.tensor([500.0]))
    assert t.max() < 1e-6
    assert r.std() < 1e-6
    assert 0.03 < r.mean() < 0.06


def test_more_water_is_darker_where_water_absorbs() -> None:
    dry, wet = (leaf_spectra(leaves(8, cw=cw), torch.tensor([850.0, 1650.0]))[0] for cw in (0.005, 0.03))
    assert (wet[:, 1] < dry[:, 1]).all()


def test_a_leaf_is_the_same_alone() -> None:
    leaf = leaves(16)
    alone = Leaf(**{name: value[3:4] for name, value in vars(leaf).items()})
    assert torch.equal(leaf_spectra(leaf, NM.double())[0][3:4], leaf_spectra(alone, NM.double())[0])


@pytest.mark.parametrize(("nm", "version", "field"), [(390.0, "D", "wavelength_nm"), (500.0, "4", "prospect_version")])
def test_refuses_what_it_does_not_know(nm: float, version: str, field: str) -> None:
    with pytest.raises(Refusal, match=field):
        leaf_spectra(leaves(1), torch.tensor([nm]), version)
