"""What the README tells a user to type exists."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from terraficta.commands import ABOVE, VERBS, VERBS_AT

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    lines = [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", README, re.S)
        for line in block.splitlines()
    ]
    inline = re.findall(r"`(terraficta [^`]+)`", README)
    made = [f"terraficta {rest}" for rest in re.findall(r"^\t\$\(TF\) (.*)$", (ROOT / "Makefile").read_text(), re.M)]
    made = [re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "X", line) for line in made]
    return [line for line in [*lines, *inline, *made] if line.startswith("terraficta ") and "COMMAND" not in line]


@pytest.mark.parametrize("line", commands())
def test_command_and_options_exist(line: str) -> None:
    _, room, *rest = shlex.split(line)
    if room in VERBS:
        verb, modules = room, [VERBS_AT]
    else:
        verb, modules = rest.pop(0), [f"terraficta.{room}.commands", *([ABOVE[room]] if room in ABOVE else [])]
    known = {}
    for module in modules:
        group = typer.main.get_group(importlib.import_module(module).app)
        known |= group.commands if isinstance(group, typer.core.TyperGroup) else {str(group.name): group}
    command = known[verb]
    options = {name for parameter in command.params for name in parameter.opts}
    for word in rest:
        if word.startswith("--"):
            assert word in options, f"{room} {verb} has no {word}"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_pictures_exist() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path


def test_two_commands_come_first() -> None:
    block = README.index("```sh")
    assert README[block:].startswith("```sh\nmake demo")
    assert block < 200
