"""Optics: the MTF that the sensor's documents state, the plain mean when off, the same bits in any batch."""

import csv

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tables import EXCERPTS

from terraficta.synth.instrument.optics import Optics, draw_optics, margin_cells, observe, point_spread
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import InstrumentRecipe
from terraficta.synth.types.sensor import Band, Sensor, read_sensor, sensor_names


def one_band(mtf: tuple[float, float], gsd_m: float = 10.0, grid_m: float = 10.0) -> Sensor:
    return Sensor("test", (Band("b", 660.0, 30.0, gsd_m=gsd_m, mtf_nyquist=mtf),), gsd_m=grid_m)


def still(sensor: Sensor, psf: float = 1.0) -> Optics:
    return Optics(sensor, psf, np.zeros((1, len(sensor), 2)), ("nearest",))


def edge_ground(size_px: int, factor: int, margin: int, slope: float, across: bool) -> torch.Tensor:
    """A dark and a bright half plane, split by a slanted edge; cells on the edge hold their area fraction."""
    side = size_px * factor + 2 * margin
    fine = 8  # sub-cells, for the area fraction
    axis = (torch.arange(side * fine, dtype=torch.float64) + 0.5) / fine - side / 2
    rows, sub = [], axis.reshape(side, fine)
    for y in sub:  # one row of cells at a time keeps memory small
        inside = (axis[None, :] > slope * y[:, None]).double()
        rows.append(inside.reshape(fine, side, fine).mean((0, 2)))
    ground = torch.stack(rows).float()
    return ground if across else ground.T.contiguous()


def mtf_of_edge(image: NDArray[np.float64], slope: float) -> float:
    """MTF at Nyquist by the slanted-edge method (ISO 12233), the edge running down the columns."""
    size = image.shape[0]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    distance = (x - slope * y) * np.cos(np.arctan(slope))
    near = np.abs(distance) < 16
    bins = 8
    place = np.floor((distance[near] + 16) * bins).astype(int)
    spread = np.bincount(place, image[near]) / np.bincount(place)
    line = np.diff(spread)
    position = np.arange(len(line)) / bins
    step = np.sinc(0.5 / bins)  # differences of bin means blur by two bins, slightly
    return float(np.abs((line * np.exp(-1j * np.pi * position)).sum()) / line.sum() / step**2)


@pytest.mark.parametrize("name", sensor_names())
def test_every_sensor_has_its_documents_mtf_by_construction(name: str) -> None:
    for band in read_sensor(name).bands:
        for mtf in band.mtf_nyquist:
            for cells in (2, 4):
                spread = point_spread(mtf, cells, 1.0, cells, 0.0, 8 * cells)
                place = np.arange(len(spread)) - (len(spread) - 1) / 2
                found = np.sinc(0.5 / cells) * (spread * np.cos(np.pi / cells * place)).sum()
                assert found == pytest.approx(mtf, abs=0.002), band.name


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("mtf", [(0.2, 0.45), (0.3, 0.3), (0.41, 0.17)])
def test_slanted_edge_gives_the_mtf_of_the_documents(mtf: tuple[float, float], factor: int) -> None:
    sensor, slope = one_band(mtf), 0.08
    margin = margin_cells(sensor, InstrumentRecipe(psf=1), factor)
    for across, expected in ((True, mtf[0]), (False, mtf[1])):
        seen = observe(edge_ground(128, factor, margin, slope, across)[None, None], still(sensor), factor, margin)[0, 0]
        image = (seen if across else seen.T).double().numpy()
        assert mtf_of_edge(image, slope) == pytest.approx(expected, abs=0.02)


def test_every_band_of_sentinel2_has_the_mtf_of_the_agencys_psf() -> None:
    slope, factor = 0.08, 2
    rows = list(csv.DictReader((EXCERPTS / "sentinel2_mtf.csv").open()))
    assert len(rows) == 36
    for row in rows:
        sensor = read_sensor({"S2A": "sentinel2a", "S2B": "sentinel2b", "S2C": "sentinel2c"}[row["unit"]])
        band = sensor.pick([row["band"]]).bands[0]
        alone = Sensor("alone", (band,), gsd_m=band.gsd_m or 10.0)  # on its own grid, as the agency measured it
        margin = margin_cells(alone, InstrumentRecipe(psf=1), factor)
        for across, expected in ((True, "mtf_nyq_axis1"), (False, "mtf_nyq_axis0")):
            ground = edge_ground(96, factor, margin, slope, across)[None, None]
            seen = observe(ground, still(alone), factor, margin)[0, 0]
            found = mtf_of_edge((seen if across else seen.T).double().numpy(), slope)
            assert found == pytest.approx(float(row[expected]), abs=0.02), (row["unit"], row["band"], across)


def test_off_is_the_plain_mean_of_the_ground() -> None:
    sensor = read_sensor("sentinel2a")
    toa = torch.rand(2, len(sensor), 64, 96, generator=torch.Generator().manual_seed(1))
    assert torch.equal(observe(toa, Optics.none(sensor, 2), 1), toa)
    seen = observe(toa, Optics.none(sensor, 2), 4)
    assert torch.allclose(seen, torch.nn.functional.avg_pool2d(toa, 4), atol=3e-7)
    within = observe(toa, Optics.none(sensor, 2), 2, margin=16)
    assert torch.allclose(within, torch.nn.functional.avg_pool2d(toa[..., 16:-16, 16:-16], 2), atol=3e-7)


def test_even_ground_stays_even() -> None:
    sensor, recipe = read_sensor("sentinel2a"), InstrumentRecipe(psf=1, misregistration_px=0.3)
    optics = draw_optics(recipe, sensor, [SceneKey(1, 0), SceneKey(1, 1)])
    seen = observe(torch.full((2, len(sensor), 128, 128), 0.37), optics, 2, margin=0)
    assert torch.allclose(seen, torch.tensor(0.37), atol=1e-6)


def test_a_shift_moves_a_band_by_its_fraction_of_a_pixel() -> None:
    sensor = one_band((0.3, 0.3))
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")
    ground = (0.003 * x + 0.001 * y)[None, None]
    moved = Optics(sensor, 1.0, np.array([[[0.5, -0.25]]]), ("nearest",))
    difference = observe(ground, moved, 2, 16) - observe(ground, still(sensor), 2, 16)
    assert torch.allclose(difference, torch.tensor(2 * (0.001 * 0.5 - 0.003 * 0.25)), atol=2e-6)


def test_a_coarse_band_is_coarse_on_the_fine_grid() -> None:
    sensor = one_band((0.3, 0.3), gsd_m=20.0)
    ground = torch.rand(1, 1, 192, 192, generator=torch.Generator().manual_seed(2))
    seen = observe(ground, still(sensor), 2, 32)[0, 0]
    blocks = seen.reshape(32, 2, 32, 2)
    assert torch.equal(blocks[:, 0, :, 0], blocks[:, 1, :, 1])  # nearest: four pixels, one value
    alone = observe(ground, still(one_band((0.3, 0.3), gsd_m=20.0, grid_m=20.0)), 4, 32)[0, 0]
    assert torch.allclose(blocks[:, 0, :, 0], alone, atol=1e-6)  # the value a 20 m camera would give
    smooth = observe(ground, Optics(sensor, 1.0, np.zeros((1, 1, 2)), ("bilinear",)), 2, 32)[0, 0]
    assert smooth.std() < seen.std()
    assert smooth.mean() == pytest.approx(float(seen.mean()), abs=3e-3)


def test_alone_and_in_a_batch_the_same_bits() -> None:
    sensor, recipe = read_sensor("sentinel2a"), InstrumentRecipe(psf=1, misregistration_px=0.1)
    keys = [SceneKey(3, i) for i in range(3)]
    margin = margin_cells(sensor, recipe, 2)
    toa = torch.rand(3, len(sensor), 128 + 2 * margin, 128 + 2 * margin, generator=torch.Generator().manual_seed(3))
    together = observe(toa, draw_optics(recipe, sensor, keys), 2, margin)
    for i, key in enumerate(keys):
        alone = observe(toa[i : i + 1].clone(), draw_optics(recipe, sensor, [key]), 2, margin)
        assert torch.equal(alone[0], together[i])
    at_once = observe(toa, draw_optics(recipe, sensor, keys), 2, margin, together=True)  # as on a GPU
    assert torch.allclose(at_once, together, atol=1e-6)


def test_a_scene_is_blurred_alike_whatever_it_is_batched_with() -> None:
    sensor = read_sensor("sentinel2a")
    recipe = InstrumentRecipe(psf=1.0, misregistration_px=0.6)
    toa = torch.rand(6, len(sensor), 96, 96, generator=torch.Generator().manual_seed(3))
    for seed in range(8):
        keys = [SceneKey(seed, i) for i in range(6)]
        batch = observe(toa, draw_optics(recipe, sensor, keys), 2, 16)
        for i, key in enumerate(keys):
            assert torch.equal(observe(toa[i : i + 1], draw_optics(recipe, sensor, [key]), 2, 16)[0], batch[i])
