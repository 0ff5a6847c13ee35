"""Runs: the record that every artefact carries, and files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

from terraficta.synth.types.file_name import files_of
from terraficta.synth.types.refusal import Refusal

WATTS_PER_CPU_CORE = 10.0
"""rough draw of one busy server core [W] (TDP / cores of current server parts: 5-15 W); an estimate, and named so"""
WATTS_PER_GPU = 400.0
"""rough draw of one busy data-centre GPU [W]"""
VERSIONS = ("terraficta", "torch", "timm", "lightning", "numpy", "rasterio")
"""packages whose versions a run records, where they are installed: the generator needs not all of them"""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, renamed to it on success and removed on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, overwrites: str | None = None) -> Iterator[Path]:
    """The same for a folder; one with content is refused, unless it is what a run of stage `overwrites` has made."""
    require_new_folder(path, overwrites)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    partial.mkdir()
    try:
        yield partial
        require_new_folder(path, overwrites)
        old = path.with_name(f".{path.name}.{uuid4().hex[:8]}.old")
        if path.exists():
            os.replace(path, old)
        os.replace(partial, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_new_folder(path: Path, overwrites: str | None = None) -> None:
    """Refuse a folder with content, unless a run of stage `overwrites` has made it.

    Raises
    ------
    Refusal
        before any work is done
    """
    if path.is_file():
        raise Refusal(path, "--out", "a file", "a folder", "name another")
    if not path.is_dir() or not any(path.iterdir()):
        return
    found, mend = "a folder with content", "name another, or remove it"
    try:
        stage = read_run(path).get("stage")
    except Refusal:
        stage = None
    if stage is not None:
        found, mend = f"a folder with what a run has made ({stage})", "name another, or add --overwrite to replace it"
    if overwrites is None or stage != overwrites:
        raise Refusal(path, "--out", found, "a new or empty folder", mend if overwrites is None else "name another")


def require_own_record(folder: Path, stage: str) -> None:
    """Refuse a folder that holds the record of a run of another stage, before any work is done."""
    if (folder / "run.json").is_file() and (there := read_run(folder).get("stage")) != stage:
        mend = "name a folder of its own"
        raise Refusal(folder / "run.json", "--out", f"the record of another run ({there})", f"one of {stage}", mend)


def require_new_file(path: Path, overwrite: bool) -> None:
    """Refuse to write over a file unasked, before any work is done."""
    if path.is_dir():
        raise Refusal(path, "--out", "a folder", "a file", "name a file in it")
    if path.exists() and not overwrite:
        mend = "name another, or add --overwrite to replace it"
        raise Refusal(path, "--out", "a file that stands there", "a new file", mend)


def require_no_input(outputs: Iterable[Path], inputs: Iterable[str | Path]) -> None:
    """Refuse to write over a file that is read, by whatever name or link it goes.

    Parameters
    ----------
    outputs : Iterable[Path]
        that will be written; a folder stands for all that it holds
    inputs : Iterable[str | Path]
        that are read; names of GDAL's own stand for the files that they lie in

    Raises
    ------
    Refusal
        names the output
    """
    read = [path for name in inputs for path in files_of(name)]
    for output in outputs:
        for path in read:
            inside = output.is_dir() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output))
            same = os.path.realpath(output) == os.path.realpath(path) or (output.exists() and output.samefile(path))
            if inside or same:
                mend = "name another file: what is read is never written over"
                raise Refusal(output, "--out", f"the input {path}", "a file that is no input", mend)


def _git_commit() -> str | None:
    """The commit of this package, where its own files are kept in a repository; none of the user's."""
    mine = Path(__file__).resolve()
    git = ["git", "-C", str(mine.parent)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", mine.name], capture_output=True, check=True)
        done = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # installed without its repository
    return done.stdout.strip()


def made_by() -> dict[str, Any]:
    """The code that numbers come from: commit and versions."""
    found = {}
    for package in VERSIONS:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return {"git_commit": _git_commit(), "versions": found}


class Run:
    """The record of one run: recipe in full, parents, seed, versions, device, wall time, energy estimate, metrics.

    Parameters
    ----------
    stage : str
        "corpus" | "pretrain" | "finetune" | "predict" | "map" | "benchmark" | "report"
    recipe : Mapping[str, Any]
        in full, as plain data
    parents : Mapping[str, str | None] | None
        digests of the runs this one stands on, by role, e.g. {"weights": "3f2a..."}
    seed : int
        of the run

    Examples
    --------
    >>> run = Run("corpus", recipe={"name": "tier0"}, seed=7)
    >>> run.record(metrics={"tiles": 4})["stage"]
    'corpus'
    """

    def __init__(
        self, stage: str, recipe: Mapping[str, Any], seed: int, parents: Mapping[str, str | None] | None = None
    ) -> None:
        self.stage, self.recipe, self.seed, self.parents = stage, dict(recipe), seed, dict(parents or {})
        self._wall, self._cpu, self._started = time.perf_counter(), time.process_time(), datetime.now(UTC)

    def record(self, metrics: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """What stands in run.json."""
        import torch

        wall_s, cpu_s = time.perf_counter() - self._wall, time.process_time() - self._cpu
        on_gpu = more.get("device", "cpu") == "cuda"
        joules = cpu_s * WATTS_PER_CPU_CORE + (wall_s * WATTS_PER_GPU if on_gpu else 0.0)
        return {
            "stage": self.stage,
            "recipe": self.recipe,
            "seed": self.seed,
            "parents": self.parents,
            "started": self._started.isoformat(timespec="seconds"),
            "wall_s": round(wall_s, 3),
            "energy_wh_estimate": round(joules / 3600, 4),
            **made_by(),
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "device": torch.cuda.get_device_name() if on_gpu else "cpu",
            "metrics": dict(metrics or {}),
            **{k: v for k, v in more.items() if k != "device"},
        }

    def write(self, folder: Path, metrics: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Write run.json into a folder."""
        with whole_file(folder / "run.json") as partial:
            partial.write_text(json.dumps(self.record(metrics, **more), indent=1, default=str) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """Read the run.json of an artefact."""
    path = folder / "run.json"
    if not path.is_file():
        raise Refusal(folder, "run.json", "none", "a folder that a Terraficta run wrote", "check the path")
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise Refusal(
            path, "run.json", str(error), "the record of a run", "the file is damaged: copy it again"
        ) from error
    return record
