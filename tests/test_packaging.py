"""What is installed: one name, whole, and the generator without what learning needs."""

import fnmatch
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
STOREYS = ("synth", "pretrain", "finetune", "eval")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_SHIPPED = {"pretrain/TRIALS.md"}
"""files of the four folders that only a checkout has"""
LEARNING = (
    "albumentations",
    "jinja2",
    "lightning",
    "pytorch_lightning",
    "sklearn",
    "timm",
    "torchmetrics",
    "torchvision",
)
"""import names of the `learn` extra; pandas is not among them, for pvlib brings it"""


def packages() -> dict[str, Path]:
    """Every package of ours and its folder."""
    folders = {path.parent for storey in STOREYS for path in (ROOT / storey).rglob("*.py")}
    ours = {"terraficta." + ".".join(folder.relative_to(ROOT).parts): folder for folder in folders}
    return {"terraficta": ROOT / "terraficta", **ours}


def test_packages_are_the_folders() -> None:
    assert sorted(SETTINGS["tool"]["setuptools"]["packages"]) == sorted(packages())
    assert all((folder / "__init__.py").is_file() for folder in packages().values())


def test_folders_are_installed_under_one_name() -> None:
    places = SETTINGS["tool"]["setuptools"]["package-dir"]
    assert places == {"terraficta": "terraficta"} | {f"terraficta.{storey}": storey for storey in STOREYS}
    for storey in STOREYS:
        link = ROOT / "terraficta" / storey
        assert link.resolve() == ROOT / storey, "tools that read the tree follow these links"


def test_every_other_file_is_shipped_or_named() -> None:
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]
    for storey in STOREYS:
        for path in (ROOT / storey).rglob("*"):
            if path.is_dir() or path.suffix in (".py", ".pyc"):
                continue
            inside, name = str(path.relative_to(ROOT / storey)), str(path.relative_to(ROOT))
            shipped = any(fnmatch.fnmatch(inside, pattern) for pattern in patterns[f"terraficta.{storey}"])
            assert shipped != (name in NOT_SHIPPED), name


def test_version_is_one() -> None:
    """pyproject, CITATION and the newest heading of CHANGELOG agree, and the last two on the day."""
    number = SETTINGS["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert cited["version"] == number
    assert newest == f"## {number}, {cited['date-released']}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing of an earlier build gets in and nothing is left behind."""
    source = tmp_path_factory.mktemp("source")
    for folder in ("terraficta", *STOREYS):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(source / "dist"), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = (source / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds this wheel and nothing else."""
    place = tmp_path_factory.mktemp("installed") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    return place


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables that lend the libraries of this interpreter, without Terraficta and without what learning needs."""
    libraries = tmp_path_factory.mktemp("libraries")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        name = entry.name.split("-")[0].removesuffix(".py").lower().replace("-", "_")
        if name not in LEARNING and name != "scikit_learn" and "terraficta" not in name:
            (libraries / entry.name).symlink_to(entry)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(libraries), "OMP_NUM_THREADS": "1"}


def run(*words: str, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_holds_one_package_whole(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"terraficta"}
    assert len(tops) == 2
    expected = {"terraficta/__init__.py", "terraficta/__main__.py", "terraficta/commands.py", "terraficta/py.typed"}
    for storey in STOREYS:
        for path in (ROOT / storey).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and path.suffix != ".pyc" and name not in NOT_SHIPPED:
                expected.add(f"terraficta/{name}")
    assert {name for name in names if name.startswith("terraficta/")} == expected


@pytest.mark.slow
def test_wheel_imports_anywhere(installed: Path, environment: dict[str, str], tmp_path: Path) -> None:
    script = "import terraficta, terraficta.synth.render; print(terraficta.__file__, terraficta.synth.render.__file__)"
    for place in run(str(installed / "bin/python"), "-c", script, cwd=tmp_path, env=environment).split():
        assert Path(place).is_relative_to(installed)
    assert "pretrain" in run(str(installed / "bin/terraficta"), "--help", cwd=tmp_path, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNING)
def test_what_learning_needs_is_away(name: str, installed: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Else the next test would prove nothing."""
    script = f"import importlib.util; print(importlib.util.find_spec({name!r}))"
    assert run(str(installed / "bin/python"), "-c", script, cwd=tmp_path, env=environment).strip() == "None"


@pytest.mark.slow
def test_generator_needs_nothing_that_learning_needs(
    installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    door = str(installed / "bin/terraficta")
    made = ("synth", "make", "--recipe", "tier3", "--count", "1", "--size", "32", "--out", "corpus")
    run(door, *made, cwd=tmp_path, env=environment)
    run(door, "synth", "verify", "corpus", "--render-again", "1", cwd=tmp_path, env=environment)
    run(
        door, "synth", "show", "--corpus", "corpus", "--count", "1", "--out", "sheet.png", cwd=tmp_path, env=environment
    )
    assert (tmp_path / "corpus/tileset.yaml").is_file()
    assert (tmp_path / "sheet.png").stat().st_size > 1000
