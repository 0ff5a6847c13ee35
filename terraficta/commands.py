"""The front door: one command, `terraficta`: verbs for a user in a hurry, and a room behind each of four words."""

from __future__ import annotations

import errno
import importlib
import logging
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

ROOMS = {
    "synth": "make fictional land",
    "pretrain": "learn on land that never was",
    "finetune": "turn a few real labels into a model of a place",
    "eval": "map, measure, compare, report",
}
VERBS = {
    "map": "an image and some points in, a map and its worth out",
    "start": "write a tileset.yaml for an image and its labels",
    "suggest": "where to label next",
}
"""commands of the door itself"""
VERBS_AT = "terraficta.eval.verbs"
"""where they live"""
ABOVE = {"synth": "terraficta.finetune.narrow.command"}
"""where further commands of a room live that need what lies above it"""

DEBUG = "--debug"
"""anywhere among the words: show where in the code an error came up"""
MEND_GDAL = "the file is damaged, unreadable or of another format: check it with gdalinfo, or copy it again"
MENDS = {
    errno.ENOENT: "check the path",
    errno.EACCES: "change the permissions, or name another place",
    errno.EPERM: "change the permissions, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENOSPC: "free some space, or name a place on another disk",
    errno.EDQUOT: "free some space, or name a place on another disk",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "name a folder, not a file",
    errno.EEXIST: "name another place, or remove what stands there",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""what to do about what the system says"""
OF_MANY = {"--tileset", "--run"}
"""options that may be followed by several values"""


class Rooms(TyperGroup):
    """Opens a room only when it is entered: `terraficta synth` need not load what training needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Verbs first, then the four words in the order of the work."""
        return [*VERBS, *ROOMS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list says of one."""
        said = (VERBS | ROOMS).get(cmd_name)
        return None if said is None else TyperGroup(name=cmd_name, help=said)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Enter a room, or do what a verb says."""
        name, room, rest = super().resolve_command(ctx, args)
        if name in VERBS:
            verbs = typer.main.get_group(importlib.import_module(VERBS_AT).app)
            return name, verbs.commands[name], rest
        if name is not None:
            room = typer.main.get_group(importlib.import_module(f"terraficta.{name}.commands").app)
            if name in ABOVE:
                room.commands.update(typer.main.get_group(importlib.import_module(ABOVE[name]).app).commands)
        return name, room, rest


app = typer.Typer(cls=Rooms, no_args_is_help=True, add_completion=False)


@app.callback()
def door() -> None:
    """Pretrain on land that never was; map land that is."""


def main() -> None:
    """Run the command; bad input, files and disks become one clear line and exit code 2; `--debug` shows the rest."""
    words = sys.argv[1:]
    debug = DEBUG in words
    signal.signal(signal.SIGTERM, _end)
    notes = logging.StreamHandler()
    notes.setFormatter(logging.Formatter("terraficta: %(message)s"))
    logging.getLogger("terraficta").addHandler(notes)
    try:
        app(spread([word for word in words if word != DEBUG]))
    except Exception as error:
        line = None if debug else in_one_line(error)
        if line is None:
            raise
        print(f"terraficta: {line}", file=sys.stderr)
        sys.exit(2)


def in_one_line(error: Exception) -> str | None:
    """File, cause and mend of what files, permissions, disks and GDAL do; None for what would be a fault of ours.

    Examples
    --------
    >>> in_one_line(PermissionError(13, "Permission denied", "map.tif"))
    'map.tif: Permission denied. Mend: change the permissions, or name another place'
    """
    from terraficta.synth.types.refusal import Refusal

    if isinstance(error, Refusal):
        return str(error)
    if type(error).__module__.partition(".")[0] == "rasterio":
        return f"{' '.join(str(error.__cause__ or error).split())}. Mend: {MEND_GDAL}"
    if isinstance(error, OSError):
        cause = error.strerror or " ".join(str(error).split()) or type(error).__name__
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{cause}. Mend: {MENDS.get(error.errno or 0, 'check the path, the disk and the connection')}"
    return None


def spread(words: list[str]) -> list[str]:
    """`--tileset A B C` to `--tileset A --tileset B --tileset C`: an option of many values is named once.

    Examples
    --------
    >>> spread(["--run", "a", "b", "--out", "c"])
    ['--run', 'a', '--run', 'b', '--out', 'c']
    """
    said: list[str] = []
    many, first = None, False
    for word in words:
        if word.startswith("-"):
            many, first = (word if word in OF_MANY else None), True
        elif many and not first:
            said.append(many)
        if not word.startswith("-"):
            first = False
        said.append(word)
    return said


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End as if interrupted, so that half-written files are removed on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
