"""What can go wrong while a corpus is written: a kill at any moment, a full disk, a folder that refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rasterio.transform import from_origin
from tileset_maker import write_raster

from terraficta.synth.corpus import corpus as writer
from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.corpus.verify import verify_corpus
from terraficta.synth.scene.terrain.given_land import read_given
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPE = read_scene_recipe("tier0", ["size_px=16", "oversampling=1"])
COUNT = 6
MAKE = ["synth", "make", "--recipe", "tier0", "--size", "16", "--set", "oversampling=1", "--sensor", "landsat8"]


def make(folder: Path, **options: object) -> dict[str, object]:
    settings: dict = {"seed": 7, "count": COUNT, "folder": folder, "sensor": "landsat8", "device": "cpu"} | options
    return write_corpus(RECIPE, **settings)


def files_of(folder: Path) -> dict[str, bytes]:
    """All but what tells the time."""
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    files.pop("run.json")
    sums = files.pop("checksums.sha256").decode().splitlines()
    return files | {"sums": "\n".join(line for line in sums if not line.endswith("run.json")).encode()}


def run(*words: str, wait: bool = True, **more: str) -> subprocess.Popen[str]:
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | more
    started = subprocess.Popen(
        [sys.executable, "-m", "terraficta", *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if wait:
        started.said = "".join(started.communicate())  # type: ignore[attr-defined]
    return started


def write_dem(path: Path, lift_m: float = 0.0) -> Path:
    """Hills on 120 x 120 posts of 30 m."""
    rows, columns = np.arange(120.0)[:, None], np.arange(120.0)[None]
    height = 300 + lift_m + 60 * np.sin(rows / 17) * np.cos(columns / 23) + 0.4 * rows
    write_raster(path, height.astype(np.float32), transform=from_origin(500000, 5000000, 30, 30))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "corpus"
    make(folder)
    return folder


class Stopped(BaseException):
    """As if the power went: nothing catches it."""


@pytest.mark.parametrize("step", [0, 1, 2, 5, 8, 9])
def test_stopped_at_any_step_it_goes_on_to_the_same_bytes(
    step: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at the n-th rename, of a tile, a record or the corpus; what it would tidy up stays as it is."""
    monkeypatch.setattr(writer, "TILES_A_TASK", 2)
    calls = 0

    def rename(real: object) -> object:
        def stop(*names: object) -> None:
            nonlocal calls
            calls += 1
            if calls > step:
                raise Stopped
            real(*names)  # type: ignore[operator]

        return stop

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename(os.rename))
        patch.setattr(os, "replace", rename(os.replace))
        patch.setattr(shutil, "rmtree", lambda *names, **options: None)
        with pytest.raises(Stopped):
            make(tmp_path / "corpus")
        assert not (tmp_path / "corpus").exists()
    make(tmp_path / "corpus")
    assert files_of(tmp_path / "corpus") == files_of(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    verify_corpus(tmp_path / "corpus")


def test_what_was_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "TILES_A_TASK", 2)

    def stop(done: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        make(tmp_path / "corpus", progress=stop)
    told: list[int] = []
    made: list[range] = []
    real = writer.make_task
    monkeypatch.setattr(
        writer, "make_task", lambda folder, task, device: made.append(task) or real(folder, task, device)
    )
    make(tmp_path / "corpus", progress=told.append)
    assert made == [range(2, 4), range(4, 6)]
    assert told == [2, 2, 2]


def test_a_tile_that_was_hurt_in_between_is_made_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a loss of power: the record was written, the file was not."""
    monkeypatch.setattr(writer, "TILES_A_TASK", 2)

    def stop(done: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        make(tmp_path / "corpus", progress=stop)
    (image,) = (tmp_path / ".corpus.partial/corpus/tiles").glob("*000001/image.tif")
    image.write_bytes(image.read_bytes()[:99])
    make(tmp_path / "corpus")
    assert files_of(tmp_path / "corpus") == files_of(whole)


def test_another_order_does_not_go_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "TILES_A_TASK", 2)

    def stop(done: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        make(tmp_path / "corpus", progress=stop)
    with pytest.raises(Refusal, match="an unfinished corpus of another order"):
        make(tmp_path / "corpus", seed=8)
    make(tmp_path / "corpus")


def test_two_runs_do_not_write_one_corpus(tmp_path: Path) -> None:
    def second(done: int) -> None:
        with pytest.raises(Refusal, match="another run that writes the same corpus"):
            make(tmp_path / "corpus")

    make(tmp_path / "corpus", progress=second)
    verify_corpus(tmp_path / "corpus")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_kill_9_at_any_moment(workers: str, tmp_path: Path) -> None:
    """Killed again and again at other moments, then left alone: the same bytes as from a run that nobody disturbed."""
    words = [*MAKE, "--count", "40", "--seed", "7", "--workers", workers, "--out", str(tmp_path / "corpus")]
    kills = 0
    for wait_s in (4, 5, 6, 7, 8, 9, 10):
        started = run(*words, wait=False)
        try:
            started.communicate(timeout=wait_s)
        except subprocess.TimeoutExpired:
            started.send_signal(signal.SIGKILL)
            started.communicate()
            kills += 1
            assert not (tmp_path / "corpus/corpus.json").exists()
        if (tmp_path / "corpus").exists():
            break
    if not (tmp_path / "corpus").exists():
        last = run(*words)
        assert last.returncode == 0, last.said
    assert kills > 0
    make(tmp_path / "other", count=40)
    assert files_of(tmp_path / "corpus") == files_of(tmp_path / "other")


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """They would wait for work for ever."""
    words = [*MAKE, "--count", "64", "--workers", "2", "--out", str(tmp_path / "corpus")]
    started = run(*words, wait=False)
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list children")
    deadline, workers = time.monotonic() + 90, []
    while len(workers) < 2 and time.monotonic() < deadline and started.poll() is None:
        pids = children.read_text().split()
        workers = [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        time.sleep(0.2)
    assert len(workers) >= 2
    time.sleep(3)
    started.kill()
    started.communicate()
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline + 60:
        time.sleep(0.2)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path: Path) -> None:
    """On a file system of 400 kB, in a name space of its own."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no name spaces here")
    small = tmp_path / "small"
    small.mkdir()
    command = [sys.executable, "-m", "terraficta", *MAKE, "--count", "400", "--out", str(small / "corpus")]
    script = f"mount -t tmpfs -o size=400k tmpfs {small} && {' '.join(map(repr, command))}; echo rc=$?; find {small}"
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, env=env)
    if "permission denied" in done.stderr.lower() and "mount" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert "rc=2" in done.stdout, done.stderr
    assert "No space left on device. Mend: free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert str(small / "corpus") + "\n" not in done.stdout  # it does not stand there
    assert "goes on with it" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    done = run(*MAKE, "--count", "1", "--out", str(tmp_path / "closed/corpus"))
    assert done.returncode == 2
    assert "Permission denied. Mend: change the permissions" in done.said  # type: ignore[attr-defined]


def test_a_folder_that_refuses_is_one_line_for_root_too() -> None:
    done = run(*MAKE, "--count", "1", "--out", "/proc/corpus")
    assert done.returncode == 2
    said = done.said.strip().splitlines()  # type: ignore[attr-defined]
    assert said[-1].startswith("terraficta: /proc/")
    assert "Mend: " in said[-1]


def test_a_clock_that_jumps_changes_nothing(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two years back in the middle of a run: the same bytes, and no negative times."""
    real, shift = time.time, 0.0

    def jump(done: int) -> None:
        nonlocal shift
        shift -= 2 * 365 * 86400

    monkeypatch.setattr(writer, "TILES_A_TASK", 2)
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    make(tmp_path / "corpus", progress=jump)
    assert files_of(tmp_path / "corpus") == files_of(whole)
    assert json.loads((tmp_path / "corpus/run.json").read_text())["wall_s"] > 0


def test_verify_names_flipped_missing_truncated_and_foreign_at_once(whole: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(whole, corpus)
    a, b, c = sorted(corpus.glob("tiles/*/image.tif"))[:3]
    content = bytearray(a.read_bytes())
    content[-9] ^= 4
    a.write_bytes(content)
    b.write_bytes(b.read_bytes()[:50])
    c.unlink()
    (corpus / "tiles/notes.txt").write_text("mine")
    with pytest.raises(Refusal) as told:
        verify_corpus(corpus)
    said = str(told.value)
    assert "4 faults" in said
    assert f"{a.parent.name}/image.tif: checksum" in said
    assert "image.tif was flipped" in said
    assert f"{b.parent.name}/image.tif" in said
    assert "image.tif was truncated, 50 of " in said
    assert f"{c.parent.name}/image.tif: nothing: it is missing" in said
    assert "tiles/notes.txt: one that is foreign" in said


def test_a_foreign_file_alone_is_named(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "corpus")
    (tmp_path / "corpus/tiles/7-999999").mkdir()
    (tmp_path / "corpus/tiles/7-999999/image.tif").write_bytes(b"II*")
    with pytest.raises(Refusal, match=r"7-999999/image\.tif: file: found one that is foreign.*remove what is not"):
        verify_corpus(tmp_path / "corpus")


def test_a_corpus_on_given_land_is_made_again_on_the_same_land(tmp_path: Path) -> None:
    dem, other = write_dem(tmp_path / "dem.tif"), write_dem(tmp_path / "other.tif", lift_m=1.0)
    recipe = read_scene_recipe("tier1", ["size_px=16"])
    given = read_given(dem, None)
    write_corpus(recipe, 7, 2, tmp_path / "corpus", sensor="landsat8", device="cpu", given=given)
    assert verify_corpus(tmp_path / "corpus", render_again=2, given=read_given(dem, None))["rendered"] == 2
    assert str(tmp_path) not in (tmp_path / "corpus/corpus.json").read_text()
    with pytest.raises(Refusal, match="add --dem FILE"):
        verify_corpus(tmp_path / "corpus", render_again=2)
    with pytest.raises(Refusal, match=r"another \(.*the land it was grown on"):
        verify_corpus(tmp_path / "corpus", render_again=2, given=read_given(other, None))
    card = (tmp_path / "corpus/README.md").read_text()
    assert "terrain, shadows and rivers show the real place" in card
    assert torch.isfinite(next(iter(read_corpus(tmp_path / "corpus"))).image).all()


def test_the_card_says_synthetic_first(whole: Path) -> None:
    card = (whole / "README.md").read_text()
    title, _, first, *_ = card.splitlines()
    assert "SYNTHETIC" in title
    assert "SYNTHETIC" in first
    assert "No such place exists" in first
    assert json.loads((whole / "corpus.json").read_text())["recipe_digest"] in card
    for part in ("How it was made", "Limits", "What it may reveal", "Energy", "Licence"):
        assert f"## {part}" in card
    assert json.loads((whole / "run.json").read_text())["energy_wh_estimate"] > 0
