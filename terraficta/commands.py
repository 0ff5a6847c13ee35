"""The front door: one command, `terraficta`, with a room behind each of its four words."""

from __future__ import annotations

import importlib
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


OF_MANY = {"--tileset", "--run"}
"""options that may be followed by several values"""


class Rooms(TyperGroup):
    """Opens a room only when it is entered: `terraficta synth` need not load what training needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The four words, in the order of the work."""
        return list(ROOMS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list of rooms says of one."""
        return TyperGroup(name=cmd_name, help=ROOMS[cmd_name]) if cmd_name in ROOMS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Enter a room."""
        name, room, rest = super().resolve_command(ctx, args)
        if name is not None:
            room = typer.main.get_group(importlib.import_module(f"terraficta.{name}.commands").app)
        return name, room, rest


app = typer.Typer(cls=Rooms, no_args_is_help=True, add_completion=False)


@app.callback()
def door() -> None:
    """Pretrain on land that never was; map land that is."""


def main() -> None:
    """Run the command; bad input becomes one clear line and exit code 2."""
    from terraficta.synth.types.refusal import Refusal

    signal.signal(signal.SIGTERM, _end)
    try:
        app(spread(sys.argv[1:]))
    except Refusal as refusal:
        print(f"terraficta: {refusal}", file=sys.stderr)
        sys.exit(2)


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
