"""Realisations: each the same alone and among others, and maps of what they have in common."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.corpus.realization import NAMES, QUANTILES, realizations
from terraficta.synth.corpus.verify import verify_corpus
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

RECIPE = read_scene_recipe("tier3", ["size_px=16", "oversampling=1"])
SENSOR, KEY, MANY = read_sensor("landsat8"), SceneKey(7, 1), 6


def test_one_is_the_same_alone_and_among_others() -> None:
    together = list(realizations(RECIPE, KEY, range(MANY), SENSOR))
    for number in (4, 1):
        (alone,) = realizations(RECIPE, KEY, [number], SENSOR)
        assert alone == together[number]
    assert together[0] == render(RECIPE, KEY, SENSOR)[0]
    assert len({float(tile.image.sum()) for tile in together}) == MANY
    assert len({tile.facts["sza_deg"] for tile in together}) == MANY
    for tile in together[1:]:  # the ground stays
        assert torch.equal(tile.layers["elevation_m"], together[0].layers["elevation_m"])


def test_maps_are_of_the_realisations(tmp_path: Path) -> None:
    write_corpus(RECIPE, 7, 2, tmp_path / "corpus", sensor="landsat8", device="cpu", realizations=MANY)
    own = list(read_corpus(tmp_path / "corpus"))[1].sensor  # drawn: a camera may come without a band
    images = np.stack([tile.image.numpy() for tile in realizations(RECIPE, KEY, range(MANY), own)])
    expected = dict(zip(NAMES, (images.mean(0), images.std(0), *np.quantile(images, QUANTILES, axis=0)), strict=True))
    for name, values in expected.items():
        with rasterio.open(tmp_path / f"corpus/tiles/7-000001/{name}.tif") as file:
            assert np.allclose(file.read(), values, atol=2e-6), name
            assert file.descriptions[0].startswith("B1 (")
    assert expected["deviation"].mean() > 1e-3
    assert verify_corpus(tmp_path / "corpus")["files"] == 2 * (7 + len(NAMES)) + 8


def test_one_realisation_is_none() -> None:
    with pytest.raises(Refusal, match="2 or more"):
        write_corpus(RECIPE, 7, 1, Path("never"), realizations=1)
