"""The journal: what of a corpus is written already, so that a run that was broken off goes on where it stopped."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import pickle
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from terraficta.synth.corpus.geotiff import sha256_of
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import require_new_folder

TILES = "tiles"
ORDER, ASKED, LOCK, PARTS, CORPUS = "order.pickle", "order.json", "lock", "parts", "corpus"
"""what lies in the folder of an unfinished corpus: the order for the workers, the same to compare with, the lock of
the run, one record a task, and the corpus itself"""
PARTIAL = ".partial"
log = logging.getLogger("terraficta")


@dataclass(frozen=True)
class Journal:
    """The folder of an unfinished corpus, `.NAME.partial` beside the place where the corpus will stand.

    A tile is renamed into its place when it is whole, and a task is recorded when all of its tiles are: what is not
    recorded is made again, and what is recorded is compared with its checksums before it is believed.

    Parameters
    ----------
    folder : Path
        of the unfinished corpus
    """

    folder: Path

    @property
    def corpus(self) -> Path:
        """Where the corpus grows."""
        return self.folder / CORPUS

    def order(self) -> Any:
        """The order, as it was given."""
        with (self.folder / ORDER).open("rb") as file:
            return pickle.load(file)

    def keep(self, task: range, part: dict[str, Any]) -> None:
        """Record a task as done."""
        path = self._part(task)
        partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
        with partial.open("w") as file:
            json.dump(part, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    def part(self, task: range) -> dict[str, Any] | None:
        """What was recorded of a task; None where it was not, or not whole."""
        try:
            part: dict[str, Any] = json.loads(self._part(task).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return part

    def done(self, task: range) -> bool:
        """Whether all files of a task stand as they were recorded."""
        part = self.part(task)
        if part is None:
            return False
        for name, digest in part["sums"].items():
            path = self.corpus / name
            if not path.is_file() or sha256_of(path) != digest:
                return False
        return True

    def _part(self, task: range) -> Path:
        return self.folder / PARTS / f"{task.start:09d}-{len(task)}.json"

    @contextmanager
    def tile(self, name: str) -> Iterator[Path]:
        """A folder for a tile, renamed to `tiles/NAME` when it is whole.

        Where that stands already, of a run that was killed or of another worker that was thought lost, it is replaced.
        """
        goal = self.corpus / TILES / name
        partial = goal.with_name(f".{name}.{uuid4().hex[:8]}{PARTIAL}")
        partial.mkdir()
        try:
            yield partial
            while not _renamed(partial, goal):
                old = goal.with_name(f".{name}.{uuid4().hex[:8]}{PARTIAL}")
                with suppress(FileNotFoundError):  # another worker was quicker
                    os.rename(goal, old)
                    shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _renamed(partial: Path, goal: Path) -> bool:
    """Rename a folder; False where one with content stands at its goal."""
    try:
        os.rename(partial, goal)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


@contextmanager
def open_journal(goal: Path, order: Any, asked: dict[str, Any], overwrites: str | None) -> Iterator[Journal]:
    """The journal of a corpus that will stand at `goal`; it goes there when all was done, and is kept if not.

    Parameters
    ----------
    goal : Path
        new or empty
    order : Any
        for the workers
    asked : dict[str, Any]
        the same as plain data, with the code that runs: an unfinished corpus goes on only under the same
    overwrites : str | None
        stage of runs whose folder may be replaced

    Raises
    ------
    Refusal
        a folder with content, an unfinished corpus of another order, another run at work
    """
    require_new_folder(goal, overwrites)
    folder = goal.with_name(f".{goal.name}{PARTIAL}")
    (folder / CORPUS / TILES).mkdir(parents=True, exist_ok=True)
    (folder / PARTS).mkdir(exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        _lock(lock, folder)
        journal = Journal(folder)
        _require_same(folder, asked)
        with (folder / ORDER).open("wb") as file:
            pickle.dump(order, file)
        try:
            yield journal
            require_new_folder(goal, overwrites)
            _move(journal.corpus, goal)
        except BaseException:
            _tell(journal, goal)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _lock(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system takes it back from a run that was killed
    except BlockingIOError as error:
        mend = "wait for it, or name another folder"
        raise Refusal(folder, "--out", "another run that writes the same corpus", "no other run", mend) from error


def _require_same(folder: Path, asked: dict[str, Any]) -> None:
    """Take an unfinished corpus up again only where the same order, by the same code, has begun it."""
    said = json.dumps(asked, sort_keys=True, indent=1)
    path = folder / ASKED
    if path.is_file() and any((folder / PARTS).glob("[0-9]*.json")) and path.read_text() != said:
        found = "an unfinished corpus of another order, or made by another version"
        mend = "remove it, name another --out, or ask for what it was begun with"
        raise Refusal(folder, "--out", found, "one that can be gone on with", mend)
    path.write_text(said)


def _move(corpus: Path, goal: Path) -> None:
    old = goal.with_name(f".{goal.name}.{uuid4().hex[:8]}.old")
    if goal.exists():
        os.replace(goal, old)
    os.replace(corpus, goal)
    shutil.rmtree(old, ignore_errors=True)


def _tell(journal: Journal, goal: Path) -> None:
    """Say what is kept; leave nothing where nothing was made."""
    tasks = sum(1 for _ in (journal.folder / PARTS).glob("[0-9]*.json"))
    if tasks:
        log.warning("%s holds what was made so far: the same command goes on with it", journal.folder)
    else:
        shutil.rmtree(journal.folder, ignore_errors=True)


def remove_litter(journal: Journal) -> None:
    """Remove what killed workers left beside the tiles."""
    for path in (journal.corpus / TILES).glob(f".*{PARTIAL}"):
        shutil.rmtree(path, ignore_errors=True)


def unfinished(journal: Journal, tasks: Iterable[range]) -> list[range]:
    """Tasks that are still to be done."""
    return [task for task in tasks if not journal.done(task)]
