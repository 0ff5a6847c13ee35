"""What the pages in docs/ tell a user to type runs, on small data, and gives what they say."""

import doctest
import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tileset_maker import LEGEND, write_raster, write_tileset

from terraficta.commands import app, spread
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.legend import TERRAFICTA

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
SLOW = {"map_my_image.md"}
"""pages that need the weights of a network"""
SMALL_MODEL = "{spectral: 8, context: 8, encoder_args: {dims: [8, 8, 8, 8], depths: [1, 1, 1, 1]}}"
SMALLER = {
    "--size 64": "--size 32",
    "--recipe standard --minutes 20 --workers 1": "--recipe standard --steps 2 --set 'lands={tier1: 1.0}' "
    f"--set size_px=32 --set memory=2 --set episode.scenes=2 --set 'model={SMALL_MODEL}'",
}
"""what a test types in place of what takes minutes"""
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```", re.M | re.S)


def given(folder: Path) -> None:
    """What a user has: a tile with labels, an elevation model and a class map of one place."""
    write_tileset(folder, scenes=1, size=80)
    for name in ("image", "label"):
        (folder / f"{name}0.tif").rename(folder / f"{name}.tif")
    write_points(folder)
    for name in ("fold0.tif", "tileset.yaml"):
        (folder / name).unlink()
    rows, columns = np.arange(160.0)[:, None], np.arange(160.0)[None]
    height = 300 + 60 * np.sin(rows / 17) * np.cos(columns / 23) + 0.4 * rows
    classes = np.array([10, 30, 40, 50, 80])[((rows // 40 + columns // 40) % 5).astype(int)]
    at = {"transform": from_origin(500000, 5000000, 30, 30)}
    write_raster(folder / "dem.tif", height.astype(np.float32), **at)
    write_raster(folder / "worldcover.tif", classes.astype(np.uint8), **at)


def write_points(folder: Path) -> None:
    """Points with a class in the middle of every patch of the label, in the system of the image."""
    with rasterio.open(folder / "label.tif") as file:
        label, transform = file.read(1), file.transform
    lines = ["x,y,class"]
    for row in range(4, 80, 8):
        for column in range(4, 80, 8):
            x, y = transform @ (column + 0.5, row + 0.5)
            lines.append(f"{x},{y},{LEGEND[label[row, column] - 1]}")
    (folder / "points.csv").write_text("\n".join(lines))


def type_in(line: str) -> None:
    """One line of a shell block, in this process."""
    for long, short in SMALLER.items():
        line = line.replace(long, short)
    command, *words = shlex.split(line, comments=True)
    assert command == "terraficta", f"{line}: pages use our command alone"
    assert app(spread(words), standalone_mode=False) in (None, 0), line


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow if p in SLOW else ()) for p in PAGES])
def test_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(tmp_path / "my")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, (language, title, text) in enumerate(BLOCK.findall((DOCS / page).read_text())):
        if title:
            Path(title).write_text(text)
        elif language == "sh":
            for line in text.splitlines():
                if line.strip():
                    type_in(line)
        elif language == "pycon":
            test = doctest.DocTestParser().get_doctest(text, names, f"{page}, block {number}", page, 0)
            said: list[str] = []
            found = doctest.DocTestRunner(verbose=False).run(test, out=said.append, clear_globs=False)
            names = test.globs
            assert found.attempted > 0
            assert found.failed == 0, "".join(said)
        else:
            pytest.fail(f"{page}: a block of {language} that nobody runs")


@pytest.mark.parametrize("notebook", sorted(path.name for path in DOCS.glob("*.ipynb")))
def test_notebook_runs(notebook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    cells = json.loads((DOCS / notebook).read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 3
    for number, text in enumerate(code):
        exec(compile(text, f"{notebook}, cell {number}", "exec"), names)
    assert (tmp_path / "map" / "report.html").is_file()


def test_pages_are_listed_and_linked_files_exist() -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    for path in DOCS.rglob("*.md"):
        assert f"- {path.relative_to(DOCS)}\n" in nav, path
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).is_file(), f"{path}: {target}"


def test_every_room_has_its_page() -> None:
    """A package is shown with all below it; one that no page names, nor one above it, would be missing."""
    shown = {name for path in (DOCS / "api").glob("*.md") for name in re.findall(r"^::: (\S+)", path.read_text(), re.M)}
    alone = {"terraficta", "terraficta.synth", "terraficta.synth.scene"}
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]:
        above = {".".join(package.split(".")[:n]) for n in range(1, 1 + package.count(".") + 1)}
        assert package in alone or above & shown, f"{package}: name it on a page of docs/api"


def test_small_words_still_fit() -> None:
    """A replacement that matches nothing would let the long form run."""
    text = "".join((DOCS / page).read_text() for page in PAGES)
    assert all(long in text for long in SMALLER)


def test_glossary_is_the_one_of_the_code() -> None:
    included = re.findall(r'--8<-- "([^"]+)"', (DOCS / "glossary.md").read_text())
    assert [(ROOT / name).is_file() for name in included] == [True]


def table_rows() -> list[tuple[str, str]]:
    """(file, name) of every row of the tables in CONTRIBUTING."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    return [(path, name) for path, names in rows for name in re.findall(r"`([^`]+)`", names)]


@pytest.mark.parametrize(("path", "name"), table_rows())
def test_tables_of_contributing_name_what_is_there(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    assert re.search(rf"\b{re.escape(name)}\b", text), f"{path} has no {name}"


def tables_by(names: Sequence[str]) -> dict[str, str]:
    """Files of synth that hold a constant which names three or more of these, and its first line."""
    found = {}
    for path in sorted((ROOT / "synth").rglob("*.py")):
        for table in re.findall(r"^[A-Z_]+(?:: [^=\n]+)? = [({].*?^(?=\S)", path.read_text(), re.M | re.S):
            if sum(f'"{name}"' in table for name in names) >= 3:
                found[path.relative_to(ROOT).as_posix()] = table.splitlines()[0]
    return found


@pytest.mark.parametrize("names", [TERRAFICTA.classes, tuple(BIOMES)], ids=["classes", "climates"])
def test_contributing_misses_no_table(names: Sequence[str]) -> None:
    """Else whoever adds a class or a climate forgets it there."""
    known, found = {path for path, _ in table_rows()}, tables_by(names)
    assert len(found) >= 5
    assert {path: table for path, table in found.items() if path not in known} == {}
