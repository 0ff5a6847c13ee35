"""Shards: a corpus as a few large files that are read from end to end, for training."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from terraficta.synth.corpus.corpus import CARD, Progress, read_card, read_corpus
from terraficta.synth.instrument.product import NODATA, to_dn
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, read_run, require_new_folder, whole_folder
from terraficta.synth.types.tile import Tile

STAGE = "shards"
INDEX = "shards.json"
TILES_A_SHARD = 512
MASS_STEPS = 255
"""class mass is stored in so many steps; shares of a pixel's fine cells (1/4, 1/16) are then off by 1/510 at most"""


def write_shards(
    corpus: Path, folder: Path, tiles_a_shard: int = TILES_A_SHARD, progress: Progress | None = None
) -> int:
    """Write the tiles of a corpus as WebDataset shards, `shard-000000.tar` and on; returns how many.

    A sample has `image.npy` (B, H, W) uint16 stored numbers, `label.npy` (H, W) uint8, `mass.npy` (K, H, W) uint8 in
    steps of 1/255, and `json` with id, scale, offset, wavelengths, GSD and level. `shards.json` names the legend, the
    shards and the digest of the corpus. Nothing is compressed: the disk is read in order, and the processor has better
    things to do.

    Parameters
    ----------
    corpus : Path
        of `write_corpus`
    folder : Path
        new or empty
    tiles_a_shard : int
        tiles in one file
    progress : Progress | None
        is told of written tiles

    Raises
    ------
    Refusal
        no webdataset here; a folder that is no corpus, or one with content
    """
    wds, card = _webdataset(), read_card(corpus)
    require_new_folder(folder)
    run = Run(STAGE, card["recipe"], card["seed"], {"corpus": read_run(corpus).get("digest")})
    with whole_folder(folder) as unfinished:
        pattern, count = str(unfinished / "shard-%06d.tar"), 0
        # names and times of files are the same whenever they are written
        with wds.ShardWriter(pattern, maxcount=tiles_a_shard, maxsize=1e12, mtime=0, verbose=0) as shards:
            for tile in read_corpus(corpus):
                shards.write(_sample(tile))
                count += 1
                if progress is not None:
                    progress(1)
        names = sorted(path.name for path in unfinished.glob("shard-*.tar"))
        index = {"shards": names, "count": count, "legend": card["legend"], "recipe": card["recipe"]["name"],
                 "recipe_digest": card["recipe_digest"], "seed": card["seed"], "synthetic": True}  # fmt: skip
        (unfinished / INDEX).write_text(json.dumps(index, indent=1) + "\n")
        run.write(unfinished, {"tiles": count, "shards": len(names)})
    return len(names)


def _sample(tile: Tile) -> dict[str, Any]:
    about = {
        "id": tile.id, "scale": tile.sensor.dn_scale, "offset": tile.sensor.dn_offset, "gsd_m": tile.grid.gsd_m,
        "level": tile.level, "sensor": tile.sensor.name, "date": tile.date,
        "bands": [band.name for band in tile.sensor.bands],
        "centre_nm": [band.centre_nm for band in tile.sensor.bands],
        "fwhm_nm": [band.fwhm_nm for band in tile.sensor.bands],
    }  # fmt: skip
    return {
        "__key__": tile.id,
        "image.npy": _npy(to_dn(tile.image, tile.sensor, tile.valid).numpy()),
        "label.npy": _npy(tile.label().numpy().astype(np.uint8)),
        "mass.npy": _npy((tile.mass * MASS_STEPS).round().to(torch.uint8).numpy()),
        "json": json.dumps(about, sort_keys=True).encode(),
    }


def _npy(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def read_shards(folder: Path, mass: bool = False, shuffle: int = 0, seed: int = 0) -> Any:
    """The samples of shards as an iterable dataset of torch: give it to a DataLoader with any number of workers.

    Every worker reads shards of its own, so that there should be no fewer of them than workers. A sample is a mapping:
    `image` (B, H, W) float32 reflectance [-], 0 where not valid; `valid` (H, W) bool; `label` (H, W) uint8, 0
    unlabelled; `mass` (K, H, W) float32 if asked for; and what `json` says.

    Parameters
    ----------
    folder : Path
        of `write_shards`
    mass : bool
        whether class mass is read too; it is the larger part of a sample
    shuffle : int
        samples among which the next is drawn; 0: in order
    seed : int
        of the shuffling

    Raises
    ------
    Refusal
        no webdataset here, a folder without shards, a shard that is missing
    """
    wds, index = _webdataset(), _index(folder)
    urls = [str(folder / name) for name in index["shards"]]
    for url in urls:
        if not Path(url).is_file():
            raise Refusal(url, "shard", "nothing", "a file of these shards", "copy it again, or write them again")
    keys = ("image.npy", "label.npy", "json") + (("mass.npy",) if mass else ())
    dataset = wds.WebDataset(
        urls, shardshuffle=False, nodesplitter=wds.split_by_node, workersplitter=wds.split_by_worker, seed=seed,
        select_files=partial(_is_wanted, keys=keys),
    )  # fmt: skip
    if shuffle:
        dataset = dataset.shuffle(shuffle, seed=seed)
    return dataset.map(_decoded)


def _is_wanted(name: str, keys: tuple[str, ...]) -> bool:
    return name.partition(".")[2] in keys


def _decoded(sample: Mapping[str, bytes]) -> dict[str, Any]:
    about = json.loads(sample["json"])
    dn = torch.from_numpy(_array(sample["image.npy"]).astype(np.float32))
    nothing = dn == NODATA
    image = dn.mul_(about.pop("scale")).add_(about.pop("offset")).masked_fill_(nothing, 0.0)
    found: dict[str, Any] = {"image": image, "valid": ~nothing.all(0)}
    found["label"] = torch.from_numpy(_array(sample["label.npy"]).copy())
    if "mass.npy" in sample:
        found["mass"] = torch.from_numpy(_array(sample["mass.npy"]).astype(np.float32)).div_(MASS_STEPS)
    return found | about


def _array(content: bytes) -> NDArray[Any]:
    """An .npy file without a copy."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape)


def _index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        mend = f"write them with `terraficta synth shard`; a corpus ({CARD}) is read with read_corpus"
        raise Refusal(folder, INDEX, "no such file", "a folder of shards", mend)
    index: dict[str, Any] = json.loads(path.read_text())
    return index


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        mend = 'pip install "terraficta[shards]"'
        raise Refusal("shards", "webdataset", "no webdataset here", "it installed", mend) from error
    return webdataset
