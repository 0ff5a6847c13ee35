"""The shipped encoder reads any bands in any order, gives maps as timm does, and is the same network as ONNX."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import terraficta as tf
from terraficta.pretrain.catalogue import TerrafictaWeights
from terraficta.pretrain.export.onnx import CALIBRATED, RELATIVE, export_onnx
from terraficta.pretrain.pyramid import band_ranges, load_encoder
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Band, Sensor, read_sensor
from terraficta.synth.types.tile import Level


def evenly(bands: int) -> Sensor:
    """A sensor of so many bands between 430 and 2400 nm."""
    centres = np.linspace(430.0, 2400.0, bands) if bands > 4 else np.array([490.0, 560.0, 665.0, 842.0][:bands])
    like = read_sensor("sentinel2a").bands[0]
    return Sensor("even", tuple(replace(like, name=f"e{i}", centre_nm=float(c), fwhm_nm=30.0)
                                for i, c in enumerate(centres)), gsd_m=10.0)  # fmt: skip


def scene(sensor: Sensor, size: int = 64) -> torch.Tensor:
    """A fictional scene as the sensor sees it (1, B, size, size)."""
    recipe = tf.recipe("tier1", [f"size_px={size}", "gsd_m=[10,10]"])
    return tf.render(recipe, tf.SceneKey(5, 1), sensor=sensor)[0].image[None]


@pytest.mark.parametrize("bands", [3, 4, 7, 10, 13, 218])
def test_any_number_of_bands(bands: int) -> None:
    encoder = load_encoder(evenly(bands)).eval()
    with torch.no_grad():
        maps = encoder(torch.rand(2, bands, 50, 70))
    assert [m.shape[1] for m in maps] == encoder.channels
    assert [64 // m.shape[2] for m in maps] == encoder.reduction
    assert all(bool(m.isfinite().all()) for m in maps)


def test_bands_in_another_order_are_the_same_and_a_dropped_one_costs_little() -> None:
    sensor = read_sensor("sentinel2a")
    image = scene(sensor)
    order = torch.randperm(len(sensor), generator=torch.Generator().manual_seed(3)).tolist()
    turned = replace(sensor, bands=tuple(sensor.bands[i] for i in order))
    fewer = replace(sensor, bands=sensor.bands[1:])
    with torch.no_grad():
        whole = load_encoder(sensor).eval().read(image)[1].softmax(1)
        same = load_encoder(turned).eval().read(image[:, order])[1].softmax(1)
        less = load_encoder(fewer).eval().read(image[:, 1:])[1].softmax(1)
    assert torch.allclose(whole, same, atol=1e-4)
    assert float((whole - less).abs().sum(1).mean()) < 0.6, "total variation distance 0.3 at most"


def test_wrong_bands_are_refused() -> None:
    with pytest.raises(Refusal, match="bands"):
        load_encoder(evenly(7))(torch.rand(1, 6, 64, 64))


def test_shipped_weights_know_the_main_classes_of_fiction() -> None:
    sensor = read_sensor("sentinel2a")
    keys = [tf.SceneKey(404, index) for index in range(6)]
    tiles = tf.render(tf.recipe("atlas", ["size_px=64", "gsd_m=[10,10]"]), keys, sensor=sensor)
    with torch.no_grad():
        said = load_encoder(sensor).eval().read(torch.stack([t.image for t in tiles]))[1].softmax(1)
    mass = torch.stack([t.mass for t in tiles])
    chance = float(mass.mean((0, 2, 3)).square().sum())
    assert float((said * mass).sum(1).mean()) > 1.5 * chance, "right more often than one who knows the shares"


def test_weights_by_name() -> None:
    entry = TerrafictaWeights.STANDARD
    assert entry.path.stat().st_size < 16 * 2**20
    assert entry.transforms(torch.rand(5, 32, 32)).shape == (4, 5, 32, 32)
    assert entry.meta["record"]["stage"] == "pretrain"
    assert len(entry.load().legend) == 24
    assert len(tf.load_weights()[0].legend) == 24


@pytest.mark.parametrize(("level", "names"), [("BOA", CALIBRATED), ("DN", RELATIVE)])
def test_onnx_says_the_same(tmp_path: Path, level: Level, names: tuple[str, ...]) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    sensor = read_sensor("landsat8")
    encoder = load_encoder(sensor, level).eval()
    path = export_onnx(encoder.mapper, sensor, tmp_path / "mapper.onnx", level)
    images = torch.cat([scene(sensor, 96), scene(sensor, 96) * 0.7])
    ranges = band_ranges(images)
    numbers = {"image": images} | vars(ranges)
    session = runtime.InferenceSession(str(path))
    features, logits = session.run(None, {name: numbers[name].numpy() for name in names})
    with torch.no_grad():
        mine = encoder.read(images)
    assert np.abs(features - mine[0].numpy()).max() < 1e-3
    assert np.abs(logits - mine[1].numpy()).max() < 1e-3


def test_band_is_a_public_name() -> None:
    assert tf.Band is Band
