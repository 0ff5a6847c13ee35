"""Bands of spectrometers that hold nothing: named, left out in the manifest, and left out of what is mapped."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from tileset_maker import BANDS, draw_ground, read_manifest_of, write_manifest, write_raster, write_tileset

from terraficta.eval.map.predict import stored_of_run, stored_of_tileset
from terraficta.eval.map.source import open_source
from terraficta.finetune.fitting import about_tileset
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal

EMPTY = -32768


def spectrometer(folder: Path, mark: int = EMPTY, alpha: bool = False, **sensor: Any) -> Path:
    """A tileset of seven bands, of which the third and the last hold nothing."""
    write_tileset(folder, scenes=1, nodata=EMPTY)
    stored = np.clip(np.round(draw_ground(0)[0] * 1e4), 1, 32767).astype(np.int16)
    nothing = np.full((1, *stored.shape[1:]), mark, np.int16)
    stored = np.concatenate([stored[:2], nothing, stored[2:], nothing])
    if alpha:
        stored = np.concatenate([stored, np.full_like(nothing, 255)])
    write_raster(folder / "image0.tif", stored)
    if alpha:
        with rasterio.open(folder / "image0.tif", "r+") as file:
            file.colorinterp = [*file.colorinterp[:7], rasterio.enums.ColorInterp.alpha]
    nm = [490.0, 560.0, 1380.0, 665.0, 842.0, 1610.0, 1880.0]
    bands: list[dict[str, Any]] = [
        {"name": f"b{n}", "centre_nm": centre, "fwhm_nm": 20.0} for n, centre in enumerate(nm, 1)
    ]
    content = read_manifest_of(folder) | {"sensor": {"bands": bands} | sensor}
    return write_manifest(folder, content)


def test_empty_bands_are_named_and_left_out(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"bands b3, b7 -32768 throughout.*drop: \[b3, b7\]"):
        read_tileset(spectrometer(tmp_path / "whole"))
    plain = read_tileset(write_tileset(tmp_path / "plain", scenes=1))[0]
    for alpha in (False, True):
        tileset = read_tileset(spectrometer(tmp_path / f"less{alpha}", drop=["b3", "b7"], alpha=alpha))
        assert [band.name for band in tileset.sensor.bands] == ["b1", "b2", "b4", "b5", "b6"]
        assert torch.equal(tileset[0].image, plain.image)
        assert bool(tileset[0].valid.all())


def test_bands_without_light_need_no_wavelength(tmp_path: Path) -> None:
    folder = spectrometer(tmp_path / "made", drop=["b3", "b7"])
    content = read_manifest_of(folder)
    content["sensor"]["bands"][2]["centre_nm"] = 0.0  # as PRISMA has it
    content["sensor"]["bands"][6] = {"name": "b7"}
    assert len(read_tileset(write_manifest(folder, content)).sensor) == 5


def test_bands_of_one_value_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read_tileset(spectrometer(tmp_path / "made", mark=7))
    assert "hold one value throughout: b3, b7" in caplog.text


def test_what_is_dropped_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"sensor.drop: found b33.*did you mean b3"):
        read_tileset(spectrometer(tmp_path / "made", drop=["b33"]))
    folder = spectrometer(tmp_path / "less", drop=["b3", "b7"])
    write_raster(folder / "image0.tif", np.ones((5, 48, 48), np.int16))
    with pytest.raises(Refusal, match=r"found 5 bands, expected 7, dropped ones among them"):
        read_tileset(folder)


def test_a_catalogued_sensor_may_lose_bands(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    content = read_manifest_of(folder)
    content["sensor"]["drop"] = ["B03"]
    tileset = read_tileset(write_manifest(folder, content))
    assert [band.name for band in tileset.sensor.bands] == [name for name in BANDS if name != "B03"]


def test_a_map_leaves_out_what_its_tileset_left_out(tmp_path: Path) -> None:
    folder = spectrometer(tmp_path / "made", drop=["b3", "b7"])
    tileset = read_tileset(folder)
    stored = stored_of_tileset(tileset)
    assert stored_of_run(folder, {"tileset": about_tileset(tileset)}) == stored
    with open_source([folder / "image0.tif"], stored, tileset.sensor, 1) as source:
        assert torch.equal(source.read(0, 0, *source.shape)[0], tileset[0].image)
    less = write_raster(tmp_path / "less.tif", (tileset[0].image.numpy() * 1e4).round().astype(np.int16))
    with open_source([less], stored, tileset.sensor, 1) as source:  # the same bands, already left out
        assert torch.allclose(source.read(0, 0, *source.shape)[0], tileset[0].image, atol=1e-6)
