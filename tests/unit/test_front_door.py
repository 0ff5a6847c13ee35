"""The front door: verbs and four rooms, opened only when entered; bad input is one line and exit code 2."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def terraficta(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "terraficta", *words], cwd=ROOT, capture_output=True, text=True)


def test_the_list_of_rooms() -> None:
    done = terraficta("--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("map", "start", "suggest", "synth", "pretrain", "finetune", "eval"))


def test_help_does_not_load_torch() -> None:
    script = (
        "import sys; from terraficta.commands import main; sys.argv = ['terraficta', 'synth', 'make', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'lightning', 'rasterio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "--workers" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_bad_input_is_one_line_and_exit_code_2() -> None:
    done = terraficta("synth", "verify", "nowhere")
    assert done.returncode == 2
    last = [line for line in done.stderr.splitlines() if line.startswith("terraficta:")]
    assert last == [
        "terraficta: nowhere: corpus.json: found no such file, expected a folder that `terraficta synth make` wrote. "
        "Mend: check the path"
    ]
    assert "Traceback" not in done.stderr
    last = terraficta("map", "nowhere.tif", "--legend", "forest,water").stderr.strip().splitlines()[-1]
    assert last == (
        "terraficta: nowhere.tif: image: found no file nowhere.tif, expected a raster that GDAL reads. "
        "Mend: check the path"
    )
    assert terraficta("sing").returncode == 2


@pytest.mark.parametrize("room", ["synth", "pretrain", "finetune", "eval"])
def test_no_command_hides_another(room: str) -> None:
    """Typer takes two commands of one name without a word, and shows the last."""
    app = importlib.import_module(f"terraficta.{room}.commands").app
    found = list(app.registered_commands)
    for group in app.registered_groups:
        found += group.typer_instance.registered_commands
    names = [command.name or command.callback.__name__ for command in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
