"""The cluster: the same bytes from dask's workers, one of which is killed in the middle."""

import os
import signal
from pathlib import Path

import pytest
from test_faults import RECIPE, files_of, make

from terraficta.synth.corpus import corpus as writer
from terraficta.synth.corpus.corpus import write_corpus
from terraficta.synth.corpus.verify import verify_corpus
from terraficta.synth.types.refusal import Refusal

distributed = pytest.importorskip("distributed")
COUNT = 24


def test_a_worker_that_is_killed_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "TILES_A_TASK", 1)
    killed: list[int] = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as cluster:

        def kill(done: int) -> None:
            if not killed:
                victim = next(iter(cluster.workers.values())).pid
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        make(tmp_path / "corpus", count=COUNT, scheduler=cluster.scheduler_address, progress=kill)
    assert killed
    make(tmp_path / "alone", count=COUNT)
    assert files_of(tmp_path / "corpus") == files_of(tmp_path / "alone")
    assert verify_corpus(tmp_path / "corpus")["tiles"] == COUNT


def test_nobody_at_the_address_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terraficta.synth.corpus.cluster.TIMEOUT_S", 1)
    with pytest.raises(Refusal, match="a dask scheduler.*dask worker ADDRESS"):
        write_corpus(RECIPE, 7, 1, tmp_path / "corpus", device="cpu", scheduler="tcp://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []
