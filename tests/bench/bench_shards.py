"""Tiles a second that training reads of shards with 2 workers, against the bar of 400 of 128 px, and of single files.

    python tests/bench/bench_shards.py [TILES]

Tiles in seven bands, written once into a temporary folder; the disk's cache is warm, as in all epochs but the first.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.corpus.shard import read_shards, write_shards
from terraficta.synth.types.scene_recipe import read_scene_recipe

BAR, WORKERS, BATCH = 400.0, 2, 16


def spent_s() -> float:
    """Processor seconds of this process and of all its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def rate(samples: Iterable[object], batch: int = 1) -> tuple[float, float]:
    """Tiles a second of wall time, and of processor time of all processes together, their start included."""
    start, used, seen = time.perf_counter(), spent_s(), 0
    for _ in samples:
        seen += batch
    return seen / (time.perf_counter() - start), seen / (spent_s() - used)


def plain(sample: dict[str, object]) -> tuple[object, object]:
    """What a step of training takes."""
    return sample["image"], sample["label"]


def main(tiles: int) -> None:
    """Print rates."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        corpus, shards = Path(folder) / "corpus", Path(folder) / "shards"
        recipe = read_scene_recipe("tier0", ["size_px=128", "oversampling=1", "truth.layers=[]"])
        # a few scenes, each many times: what is read costs the same, what is made does not
        write_corpus(recipe, 7, 16, corpus, sensor="landsat8", device="cpu")
        write_shards(corpus, shards, tiles_a_shard=2)
        again = max(1, tiles // 16)
        for mass in (False, True):
            data = read_shards(shards, mass=mass)
            data = data.repeat(again) if hasattr(data, "repeat") else data
            loader = DataLoader(data.map(plain), batch_size=BATCH, num_workers=WORKERS, drop_last=False)
            wall, core = rate(loader, BATCH)
            print(f"shards, {WORKERS} workers, mass {mass}: {wall:.0f} tiles/s now, {core:.0f} a core-second, "
                  f"so {WORKERS * core:.0f} of two idle cores, {WORKERS * core / BAR:.2f} of the bar")  # fmt: skip
        wall, core = rate(read_corpus(corpus))
        print(f"read_corpus, 1 process: {wall:.0f} tiles/s here and now, {core:.0f} a core-second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1600)
