"""The canopy against its published reference, its limits and its bounds; and the table of canopies."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tables import excerpt_and_whole
from torch import Tensor

from terraficta.synth.scene.material.canopy import Stand, canopy_reflectance, sight_of
from terraficta.synth.scene.material.leaf_angle import CENTRES_DEG, ellipsoidal_angles, verhoef_angles
from terraficta.synth.tools.canopy_table import canopy_spectra, canopy_table
from terraficta.synth.types.refusal import Refusal

COLUMNS = ("n", "cab", "car", "ant", "cbrown", "cw", "cm", "lai", "lidf_a", "hspot", "tts", "tto", "psi")


def stand(lai: Tensor, hotspot: float = 0.1, sza: float = 35.0, vza: float = 20.0, raa: float = 60.0) -> Stand:
    one = torch.ones_like(lai)
    return Stand(lai, ellipsoidal_angles(50 * one), hotspot * one, sza * one, vza * one, raa * one)


def seen(lai: Tensor, leaf_r: float, leaf_t: float, soil: float, **angles: float) -> Tensor:
    full = torch.ones(len(lai), 1, dtype=torch.float64)
    see = sight_of(stand(lai, **angles), torch.float64)
    return canopy_reflectance(leaf_r * full, leaf_t * full, soil * full, see)[:, 0]


def table(count: int = 12) -> dict[str, np.ndarray]:
    """A table of canopies that nothing is wrong with."""
    rng = np.random.default_rng(2)
    spans = {
        "n": (1, 3), "cab": (5, 80), "car": (1, 20), "ant": (0, 5), "cbrown": (0, 1), "cw": (0.003, 0.05),
        "cm": (0.002, 0.02), "lai": (0, 7), "hspot": (0.01, 0.5), "tts": (10, 70), "tto": (0, 35), "psi": (0, 180),
    }  # fmt: skip
    kind = 1 + np.arange(count) % 2
    arrays = {name: rng.uniform(*span, count) for name, span in spans.items()}
    return arrays | {
        "wavelength_nm": np.arange(400.0, 2501.0, 50.0),
        "soil": np.tile(rng.uniform(0.05, 0.4, (count, 1)), (1, 43)),
        "prospect_version": np.where(np.arange(count) % 3 == 0, "5", "D"),
        "lidf_type": kind,
        "lidf_a": np.where(kind == 1, -0.35, 57.0),
        "lidf_b": np.where(kind == 1, -0.15, 0.0),
    }


@pytest.mark.parametrize("path", excerpt_and_whole("prosail.npz"))
def test_equals_the_reference(path: Path, tmp_path: Path) -> None:
    """The figure in the docstrings of `canopy_spectra` (double precision inside)."""
    known = np.load(path)
    arrays = dict(zip(COLUMNS, known["params"].T, strict=False))
    kind, a, b = known["lidf_type_a_b"].T
    arrays |= {"lidf_type": kind, "lidf_a": a, "lidf_b": b}
    arrays |= {name: known[name] for name in ("wavelength_nm", "soil", "prospect_version")}
    np.savez(tmp_path / "in.npz", **arrays)
    assert canopy_table(tmp_path / "in.npz", tmp_path / "out.npz") == len(known["params"])
    ours = np.load(tmp_path / "out.npz")
    assert np.abs(ours["leaf_reflectance"] - known["leaf_refl"]).max() < 5e-6
    assert np.abs(ours["leaf_transmittance"] - known["leaf_trans"]).max() < 5e-6
    assert np.abs(ours["canopy_reflectance"] - known["rsdf"]).max() < 5e-6


def test_no_leaves_is_the_soil_exactly() -> None:
    assert torch.equal(seen(torch.zeros(3), 0.4, 0.5, 0.25), torch.full((3,), 0.25, dtype=torch.float64))


def test_black_leaves_over_soil_follow_the_gap_probability() -> None:
    lai = torch.tensor([0.5, 2.0, 4.0], dtype=torch.float64)
    see = sight_of(stand(lai), torch.float64)
    assert torch.allclose(seen(lai, 0.0, 0.0, 0.3), 0.3 * see.both_seen[:, 0], atol=1e-5)


def test_black_soil_under_a_deep_canopy_does_not_matter() -> None:
    lai = torch.tensor([30.0], dtype=torch.float64)
    assert seen(lai, 0.2, 0.1, 0.0) == pytest.approx(seen(lai, 0.2, 0.1, 0.9).item(), abs=1e-6)


def test_hot_spot_is_the_gap_of_one_line() -> None:
    lai = torch.tensor([2.0], dtype=torch.float64)
    see = sight_of(stand(lai, sza=30.0, vza=30.0, raa=0.0), torch.float64)
    assert see.both_seen.item() == pytest.approx(see.tss.item(), abs=1e-5)
    without = sight_of(stand(lai, hotspot=0.0, sza=30.0, vza=30.0, raa=0.0), torch.float64)
    assert without.both_seen.item() == pytest.approx((see.tss * see.too).item(), abs=1e-5)


@pytest.mark.parametrize("lai", [0.01, 1.0, 8.0, 50.0])
@pytest.mark.parametrize("soil", [0.0, 1.0])
def test_leaves_that_lose_nothing_stay_finite(lai: float, soil: float) -> None:
    value = seen(torch.tensor([lai], dtype=torch.float64), 0.5, 0.5, soil)
    assert torch.isfinite(value).all()
    assert 0 <= value.item() < 1.6


def test_reciprocal() -> None:
    """Sun and observer may change places over a black soil."""
    lai = torch.tensor([0.5, 3.0], dtype=torch.float64)
    there, back = (seen(lai, 0.3, 0.2, 0.0, sza=s, vza=v) for s, v in ((50.0, 20.0), (20.0, 50.0)))
    assert torch.allclose(there, back, rtol=1e-4)


def test_leaf_angles_sum_to_one_and_have_their_mean() -> None:
    mean = torch.tensor([25.0, 40.0, 57.0, 70.0])
    share = ellipsoidal_angles(mean)
    assert torch.allclose(share.sum(1), torch.ones(4, dtype=torch.float64))
    assert ((share * CENTRES_DEG).sum(1) - mean).abs().max() < 2.0
    uniform, flat = verhoef_angles(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0]))
    assert torch.allclose(uniform, torch.full((18,), 1 / 18, dtype=torch.float64))
    assert flat.sum() == pytest.approx(1.0)
    assert flat[0] > 3 * flat[9]


def test_table_rows_do_not_depend_on_each_other(tmp_path: Path) -> None:
    whole = table()
    np.savez(tmp_path / "in.npz", **whole)
    canopy_table(tmp_path / "in.npz", tmp_path / "out.npz")
    one = {name: value if name == "wavelength_nm" else value[4:5] for name, value in whole.items()}
    np.savez(tmp_path / "one.npz", **one)
    canopy_table(tmp_path / "one.npz", tmp_path / "out_one.npz")
    a, b = np.load(tmp_path / "out.npz"), np.load(tmp_path / "out_one.npz")
    for name in ("leaf_reflectance", "leaf_transmittance", "canopy_reflectance"):
        assert a[name].shape == (12, 43)
        assert np.abs(a[name][4] - b[name][0]).max() < 1e-6


def test_threads_change_no_bit() -> None:
    threads, arrays = torch.get_num_threads(), table(3500)  # several batches of each version
    spectra = []
    for count in (1, 3):
        torch.set_num_threads(count)
        spectra.append(canopy_spectra(arrays))
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    assert all(np.array_equal(spectra[0][name], spectra[1][name]) for name in spectra[0])
    assert all(np.isfinite(values).all() for values in spectra[0].values())


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("lai", -1.0, "lai, row 3"), ("n", 0.5, "n, row 3"), ("tts", 95.0, "tts, row 3"), ("cab", np.nan, "cab, row 3"),
        ("soil", 1.5, "soil, row 3"), ("lidf_type", 3, "lidf_type, row 3"), ("prospect_version", "4", "version, row 3"),
        ("lidf_a", -1.5, "lidf_a, row 3"), ("wavelength_nm", 300.0, "wavelength_nm, row 3"),
    ],
)  # fmt: skip
def test_bad_rows_are_refused_by_name(tmp_path: Path, name: str, value: object, field: str) -> None:
    arrays = table()
    arrays[name] = arrays[name].copy()
    arrays[name][3] = value
    np.savez(tmp_path / "in.npz", **arrays)
    with pytest.raises(Refusal, match=field):
        canopy_table(tmp_path / "in.npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_missing_and_misshapen_arrays_are_refused(tmp_path: Path) -> None:
    arrays = table()
    np.savez(tmp_path / "in.npz", **{k: v for k, v in arrays.items() if k != "psi"})
    with pytest.raises(Refusal, match="psi"):
        canopy_table(tmp_path / "in.npz", tmp_path / "out.npz")
    np.savez(tmp_path / "in.npz", **(arrays | {"lai": arrays["lai"][:5]}))
    with pytest.raises(Refusal, match="lai"):
        canopy_table(tmp_path / "in.npz", tmp_path / "out.npz")
    np.savez(tmp_path / "in.npz", **{k: v if k == "wavelength_nm" else v[:0] for k, v in arrays.items()})
    with pytest.raises(Refusal, match="no rows"):
        canopy_table(tmp_path / "in.npz", tmp_path / "out.npz")
    (tmp_path / "in.npz").write_text("not an archive")
    with pytest.raises(Refusal, match=r"in\.npz"):
        canopy_table(tmp_path / "in.npz", tmp_path / "out.npz")
