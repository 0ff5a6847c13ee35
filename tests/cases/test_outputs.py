"""What stands on disk is replaced only where it is meant, and what is read never."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import rasterio
import torch
from rasterio.rpc import RPC
from test_inputs import image_file
from tileset_maker import write_tileset

from terraficta.eval.map.predict import require_free
from terraficta.eval.map.product import open_map
from terraficta.eval.map.unfinished import unfinished
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import (
    Run,
    require_new_file,
    require_new_folder,
    require_no_input,
    require_own_record,
    whole_folder,
)


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    path = image_file(tmp_path / "image.tif")
    (tmp_path / "link.tif").symlink_to(path)
    os.link(path, tmp_path / "hard.tif")
    (tmp_path / "map.png").write_bytes(b"a picture of mine")
    for out in ("image.tif", "link.tif", "hard.tif"):
        with pytest.raises(Refusal, match="never written over"):
            require_free(tmp_path / out, [path], "abc", overwrite=True)
    with pytest.raises(Refusal, match="never written over"):
        require_free(tmp_path / "image.xyz", [tmp_path / "image.png", path.rename(tmp_path / "image.png")], "abc", True)
    with pytest.raises(Refusal, match=r"map.png.*--overwrite"):
        require_free(tmp_path / "map.tif", [], "abc", overwrite=False)
    require_free(tmp_path / "map.tif", [], "abc", overwrite=True)


def test_rational_polynomials_stay_with_the_map(tmp_path: Path) -> None:
    numbers = [1.0, *[0.0] * 19]
    rpcs = RPC(
        height_off=300, height_scale=500, lat_off=46, lat_scale=0.01, line_den_coeff=numbers, line_num_coeff=numbers,
        line_off=8, line_scale=8, long_off=15, long_scale=0.01, samp_den_coeff=numbers, samp_num_coeff=numbers,
        samp_off=8, samp_scale=8, err_bias=0, err_rand=0,
    )  # fmt: skip
    with rasterio.open(tmp_path / "raw.tif", "w", "GTiff", 16, 16, 1, dtype="uint8") as file:
        file.rpcs = rpcs
    legend = Legend("made", ("a", "b"), ("#000000", "#ffffff"))
    with (
        rasterio.open(tmp_path / "raw.tif") as raw,
        unfinished(tmp_path / "map.tif", "abc") as kept,
        open_map(tmp_path / "map.tif", raw, legend, {}, kept) as target,
    ):
        target.write(0, 0, torch.full((2, 16, 16), 0.5), torch.ones(16, 16, dtype=torch.bool))
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.rpcs is not None
        assert file.rpcs.lat_off == 46


@pytest.mark.parametrize("stage", ["corpus", "finetune"])
def test_finished_work_is_replaced_only_where_it_is_meant(stage: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with whole_folder(out) as partial:
        Run(stage, {}, 0).write(partial)
        (partial / "old").touch()
    with pytest.raises(Refusal, match=r"--out: found a folder with what a run has made .*--overwrite"):
        require_new_folder(out)
    with pytest.raises(Refusal, match="name another"):
        require_new_folder(out, "pretrain")
    with pytest.raises(KeyboardInterrupt), whole_folder(out, stage) as partial:
        raise KeyboardInterrupt
    assert (out / "old").exists()
    with whole_folder(out, stage) as partial:
        Run(stage, {}, 1).write(partial)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["run.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(Refusal, match="a folder with content"):
        require_new_folder(tmp_path / "mine", stage)


def test_a_folder_that_holds_what_is_read_is_not_replaced(tmp_path: Path) -> None:
    folder = write_tileset(tmp_path / "out" / "tiles")
    with pytest.raises(Refusal, match="never written over"):
        require_no_input([tmp_path / "out"], read_tileset(folder).files)


def test_records_and_files_of_others_stay(tmp_path: Path) -> None:
    Run("finetune", {}, 0).write(tmp_path)
    with pytest.raises(Refusal, match=r"record of another run \(finetune\)"):
        require_own_record(tmp_path, "report")
    require_own_record(tmp_path / "new", "report")
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(Refusal, match="--overwrite"):
        require_new_file(tmp_path / "scores.json", overwrite=False)
    require_new_file(tmp_path / "scores.json", overwrite=True)
    with pytest.raises(Refusal, match="a folder"):
        require_new_file(tmp_path, overwrite=True)
