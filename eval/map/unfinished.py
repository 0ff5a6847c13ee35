"""The unfinished map: what is done of a map, kept beside it until all is, so that a killed prediction goes on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from terraficta.synth.types.file_name import files_of
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

try:
    import fcntl
except ImportError:  # not a Unix: two predictions of one map at once go unnoticed there
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".unfinished"
"""of the hidden folder beside a map that is being made"""
log = logging.getLogger("terraficta")


@dataclass(frozen=True)
class Unfinished:
    """A folder that holds a map as far as it is.

    Parameters
    ----------
    folder : Path
        hidden, beside the map
    """

    folder: Path

    @property
    def flat(self) -> Path:
        """The map without compression, all of its pixels in place, those not yet mapped nodata."""
        return self.folder / "flat.tif"

    @property
    def flat_trust(self) -> Path:
        """The same of the trust beside it."""
        return self.folder / "flat.trust.tif"

    @property
    def packed(self) -> Path:
        """The map in its last form, before it is given its name."""
        return self.folder / "packed.tif"

    @property
    def packed_trust(self) -> Path:
        """The same of the trust beside it."""
        return self.folder / "packed.trust.tif"

    @property
    def begun(self) -> bool:
        """Whether both files are there to be filled."""
        return self.flat.is_file() and self.flat_trust.is_file()

    def done(self) -> tuple[int, list[int], float]:
        """Pieces on disk, and what they hold: pixels of each class, familiarity in all; at first (0, [], 0)."""
        path = self.folder / "done.json"
        if not (path.is_file() and self.begun):
            return 0, [], 0.0
        content = json.loads(path.read_text())
        return content["pieces"], content["counts"], content["familiar"]

    def keep(self, pieces: int, counts: Sequence[int], familiar: float) -> None:
        """Say that so many pieces are on disk."""
        with whole_file(self.folder / "done.json") as partial:
            partial.write_text(json.dumps({"pieces": pieces, "counts": list(counts), "familiar": familiar}))


@contextmanager
def unfinished(out: Path, key: str) -> Iterator[Unfinished]:
    """The unfinished map that stands beside `out` under a key, or a new one; those of other keys are thrown away.

    It is thrown away at the end, and where the input is refused. It stays where the process is killed or interrupted,
    or the disk is full.

    Parameters
    ----------
    out : Path
        the map to be
    key : str
        of all that its numbers hang on; see `content_key`

    Raises
    ------
    Refusal
        another process is at the same map
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    mine = out.with_name(f".{out.stem}.{key}{SUFFIX}")
    forget(out, mine)
    mine.mkdir(exist_ok=True)
    with _locked(mine) as free:
        if not free:
            mend = "wait for it, or name another --out"
            raise Refusal(out, "--out", "another process that makes this map", "one process a map", mend)
        kept = Unfinished(mine)
        try:
            yield kept
        except Refusal:
            shutil.rmtree(mine, ignore_errors=True)
            raise
        except BaseException as error:
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(out)  # GDAL says what is wrong with a disk, and not where
            if kept.done()[0] == 0:
                shutil.rmtree(mine, ignore_errors=True)
            else:
                log.warning("%s: what is mapped is kept; the same command goes on from there", out)
            raise
        shutil.rmtree(mine, ignore_errors=True)


def forget(out: Path, but: Path | None = None) -> None:
    """Throw away what is unfinished of a map and in nobody's hands, but one folder."""
    same_map = re.compile(rf"\.{re.escape(out.stem)}\.[0-9a-z]+{re.escape(SUFFIX)}")
    for other in out.parent.glob(f".*{SUFFIX}"):
        if other != but and same_map.fullmatch(other.name):
            with _locked(other) as free:
                if free:
                    shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether nobody else is at a folder; nobody is, while this lasts."""
    if fcntl is None:
        yield True
        return
    with (folder / "lock").open("w") as file:
        yield _lock(file)


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def content_key(files: Iterable[str], about: Mapping[str, Any]) -> str:
    """12 hex digits of the content of files and of all else that a map hangs on.

    Parameters
    ----------
    files : Iterable[str]
        names of GDAL's too; what lies on another machine is not read for this, and its key is a new one every time
    about : Mapping[str, Any]
        plain data
    """
    digest = hashlib.blake2b(json.dumps(about, sort_keys=True, default=str).encode(), digest_size=6)
    for name in files:
        found = files_of(name)
        if not found:
            digest.update(os.urandom(16))
        for path in found:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, hashlib.blake2b).digest())
    return digest.hexdigest()
