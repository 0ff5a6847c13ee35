"""What a manifest says of labels and numbers: kept as it is written, asked about where it can mean two things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from tileset_maker import draw_ground, read_manifest_of, write_manifest, write_raster, write_tileset

from terraficta.finetune.tileset.tileset import open_tileset, read_tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.stored import number_text


def change(folder: Path, **keys: Any) -> Path:
    return write_manifest(folder, read_manifest_of(folder) | keys)


def test_labels_from_zero_are_asked_about_and_never_shifted_in_silence(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    _, label = draw_ground(0, 48)
    write_raster(folder / "label0.tif", label - 1)
    with pytest.raises(Refusal, match=r"label: .*soil \(3\) never occurs.*labels_from: 0.*labels_from: 1"):
        read_tileset(folder)
    with pytest.raises(Refusal, match="labels_from: 0"):
        open_tileset(folder)  # as prediction and scoring do
    assert np.array_equal(read_tileset(change(folder, labels_from=0))[0].label().numpy(), label)
    read = read_tileset(change(folder, labels_from=1))[0].label().numpy()
    assert np.array_equal(read, label - 1)


def test_255_is_unlabelled_where_the_file_says_so_and_else_asked_about(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    _, label = draw_ground(0, 48)
    label[:, :5] = 255
    write_raster(folder / "label0.tif", label)
    with pytest.raises(Refusal, match=r"255.*-a_nodata 255.*or set these pixels to 0"):
        read_tileset(folder)
    write_raster(folder / "label0.tif", label, nodata=255)
    assert not read_tileset(folder)[0].label()[:, :5].any()


def test_words_stay_as_they_are_written(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1)
    text = (folder / "tileset.yaml").read_text()
    text = (
        text.replace("- forest", "- 003")
        .replace("- water", "- NO")
        .replace("- soil", "- 1e3")
        .replace("0.0001", "1e-4")
    )
    (folder / "tileset.yaml").write_text(text.replace("id: s0", "id: 2018-07-05"))
    tileset = read_tileset(folder)
    assert tileset.legend.classes == ("003", "NO", "1e3")
    assert tileset[0].id == "made/2018-07-05"
    assert tileset.scale == 1e-4


@pytest.mark.parametrize("value", [0.0, -9999.0, 1e20, -0.1, float(np.finfo("float32").min), 65535.0, 1.5e-7])
def test_a_printed_number_is_read_back_whole(value: float) -> None:
    import yaml

    assert yaml.safe_load(number_text(value)) == value


def test_a_scene_may_be_stored_in_its_own_way(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=2)
    before = read_tileset(folder)[1].image
    with rasterio.open(folder / "image1.tif") as file:
        stored, where = file.read(), {"transform": file.transform}
    write_raster(folder / "image1.tif", stored + np.uint16(1000), **where)
    content = read_manifest_of(folder)
    content["scenes"][1]["offset"] = -0.1
    assert torch.allclose(read_tileset(write_manifest(folder, content))[1].image, before, atol=1e-6)


def test_marks_that_nobody_declared_are_no_reflectance(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "made", scenes=1, scale=1.0, nodata=None)
    image = draw_ground(0, 48)[0].astype(np.float32)
    image[:, :, :4] = np.finfo("float32").min
    write_raster(folder / "image0.tif", image)
    with pytest.raises(Refusal, match="state that stored value as nodata"):
        read_tileset(folder)
