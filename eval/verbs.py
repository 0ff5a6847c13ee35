"""The commands of the front door: `terraficta map`, `terraficta start` and `terraficta suggest`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.prompt import Prompt
from rich.table import Table

from terraficta.eval.map.points import image_places, suggest_points, tileset_places
from terraficta.eval.mapping import MODEL, is_tileset, map_image, new_folder
from terraficta.finetune.map_model import MODEL as MODEL_FILE
from terraficta.finetune.tileset.draft import Ask, Said, draft_tileset, write_draft
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.finetune.tileset.vector import is_vector
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import require_no_input
from terraficta.synth.types.tile import Level

LEVELS: tuple[Level, ...] = ("BOA", "TOA", "RADIANCE", "DN")
SHOWN = 10
"""suggestions that are printed"""

app = typer.Typer(help="From an image and some points to a map.", no_args_is_help=True)

Column = Annotated[str | None, typer.Option(help="of the labels that holds the class; guessed where it is left out")]
Legend = Annotated[str | None, typer.Option(help="class names with commas; without labels, names alone make the map")]
Like = Annotated[str | None, typer.Option(help="sensor of the catalogue, e.g. sentinel2a, landsat8, aerial_rgb")]
Bands = Annotated[
    str | None, typer.Option(help="with commas, in file order: names of --like, or centre/width in nm: 482/60,562/57")
]
Scale = Annotated[float | None, typer.Option(help="reflectance = stored * scale + offset; where the file is silent")]
Offset = Annotated[float | None, typer.Option(help="likewise")]
LevelOption = Annotated[str | None, typer.Option(help="BOA, TOA, RADIANCE or DN: what the numbers are")]
Nodata = Annotated[float | None, typer.Option(help="stored value of missing pixels, where the file is silent")]
Gsd = Annotated[float | None, typer.Option(help="side of a pixel [m], for images without a place")]
LabelsFrom = Annotated[
    int | None, typer.Option(min=0, max=1, help="stored value of the first class, where labels are a raster")
]
Workers = Annotated[int, typer.Option(min=1, help="processes that map, of several images each another")]
Scheduler = Annotated[str | None, typer.Option(help="of a dask cluster that maps instead: tcp://HOST:8786")]
Means = Annotated[
    list[str] | None,
    typer.Option(help="what a class is in our legend: forest=evergreen_forest:0.5,deciduous_forest:0.5; bog=none"),
]


@app.command("map")
def map_command(
    files: Annotated[
        list[str], typer.Argument(help="images of one camera, or a folder with tileset.yaml", metavar="IMAGE...")
    ],
    labels: Annotated[
        str | None, typer.Option(help="points, lines, polygons (GeoPackage, GeoJSON, CSV, shapefile) or a raster")
    ] = None,
    out: Annotated[Path, typer.Option(help="GeoTIFF to write; report and model come into a folder of its name")] = Path(
        "map.tif"
    ),
    legend: Legend = None,
    column: Column = None,
    like: Like = None,
    bands: Bands = None,
    scale: Scale = None,
    offset: Offset = None,
    level: LevelOption = None,
    nodata: Nodata = None,
    gsd: Gsd = None,
    means: Means = None,
    labels_from: LabelsFrom = None,
    weights: Annotated[str | None, typer.Option(help="in place of those that ship")] = None,
    random_split: Annotated[
        bool, typer.Option("--random-split", help="judge by labels dealt out at random: flatters, and says so")
    ] = False,
    seed: Annotated[int, typer.Option(help="of training and judging")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an earlier map and its folder")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    workers: Workers = 1,
    scheduler: Scheduler = None,
) -> None:
    """Map an image from a few labels, and say how good the map is and what to do next."""
    images, drawn = _sorted(files, labels)
    said = _said(legend, column, like, bands, scale, offset, level, nodata, gsd, means, labels_from)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        rows: dict[str, TaskID] = {}

        def tell(what: str, share: float) -> None:
            if what not in rows:
                rows[what] = bar.add_task(what, total=1.0)
            bar.update(rows[what], completed=share)

        made = map_image(
            images, drawn, out, None if is_tileset(images) else said, weights=weights, random_split=random_split,
            seed=seed, overwrite=overwrite, device=device, workers=workers, scheduler=scheduler,
            ask=None if is_tileset(images) else _asker(bar), tell=tell,
        )  # fmt: skip
    for note in made.notes:
        console.print(f"  {note}", highlight=False, soft_wrap=True)
    for path in (*made.maps, made.report):
        typer.echo(path)
    for line in made.lines:
        typer.echo(line)


@app.command("start")
def start_command(
    files: Annotated[list[str], typer.Argument(help="images of one camera, then the labels", metavar="IMAGE LABELS")],
    out: Annotated[Path, typer.Option(help="new folder for tileset.yaml")],
    labels: Annotated[str | None, typer.Option(help="where they are a raster")] = None,
    legend: Legend = None,
    column: Column = None,
    like: Like = None,
    bands: Bands = None,
    scale: Scale = None,
    offset: Offset = None,
    level: LevelOption = None,
    nodata: Nodata = None,
    gsd: Gsd = None,
    means: Means = None,
    labels_from: LabelsFrom = None,
) -> None:
    """Write a tileset.yaml for an image and its labels, asking for what the files do not tell."""
    images, drawn = _sorted(files, labels)
    said = _said(legend, column, like, bands, scale, offset, level, nodata, gsd, means, labels_from)
    if out.exists() and any(out.iterdir()):
        raise Refusal(out, "--out", "a folder with content", "a new or empty folder", "name another, or remove it")
    draft = draft_tileset(images, drawn, said, _asker(), thorough=True)
    with new_folder(out) as folder:
        written = write_draft(folder, draft)
        land = read_tileset(folder)
    console = Console(stderr=True)
    for note in (*draft.notes, *land.meanings.lines()):
        console.print(f"  {note}", highlight=False, soft_wrap=True)
    typer.echo(written)


@app.command("suggest")
def suggest_command(
    run: Annotated[Path, typer.Option(help="folder that terraficta map left, or of terraficta finetune run")],
    out: Annotated[Path, typer.Option(help="points to write: .gpkg or .geojson")],
    count: Annotated[int, typer.Option(min=1, help="points wanted")] = 50,
    image: Annotated[list[str] | None, typer.Option(help="rasters to look at; before and after where change")] = None,
    tileset: Annotated[Path | None, typer.Option(help="look at its scenes but those that are for tests")] = None,
    seed: Annotated[int, typer.Option(help="of the pixels that are looked at")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Where to label next: the pixels that would teach the map most, in order, with the reason."""
    model = run if (run / MODEL_FILE).is_file() else run / MODEL
    if image is None and tileset is None and (run / MANIFEST).is_file():
        tileset = run
    if (image is None) == (tileset is None):
        found = "both" if image else "none"
        raise Refusal("suggest", "--image, --tileset", found, "one of the two", "say where to look")
    inputs: Sequence[str | Path]
    if tileset is not None:
        places, inputs = tileset_places(tileset)
    else:
        assert image is not None
        places, inputs = image_places(image, model), image
    require_no_input([out], inputs)
    points = suggest_points(model, places, out, count, device=pick_device(device), seed=seed)
    table = Table("order", "likeliest", "", "next", "", "because", box=None, pad_edge=False)
    for point in points[:SHOWN]:
        two = (point.first, f"{point.first_probability:.2f}", point.second, f"{point.second_probability:.2f}")
        table.add_row(str(point.order), *two, point.reason)
    Console(stderr=True).print(table)
    typer.echo(out)


def _sorted(files: Sequence[str], labels: str | None) -> tuple[list[str], str | None]:
    """Images, and the labels among them: a vector file is no image."""
    drawn = [name for name in files if is_vector(name)] + ([labels] if labels is not None else [])
    images = [name for name in files if not is_vector(name)]
    if not images:
        raise Refusal("map", "IMAGE", ", ".join(files), "an image", "name the GeoTIFF first")
    if len(drawn) > 1:
        raise Refusal("map", "--labels", ", ".join(drawn), "one file", "put them together (ogrmerge.py)")
    return images, drawn[0] if drawn else None


def _said(
    legend: str | None, column: str | None, like: str | None, bands: str | None, scale: float | None,
    offset: float | None, level: str | None, nodata: float | None, gsd: float | None, means: Sequence[str] | None,
    labels_from: int | None,
) -> Said:  # fmt: skip
    known = next((own for own in LEVELS if level is not None and own == level.upper()), None)
    if level is not None and known is None:
        raise Refusal("--level", "level", level, ", ".join(LEVELS), "use one of them")
    return Said(
        column, _words(legend), like, _words(bands), scale, offset, known, nodata, gsd,
        dict(_meaning(text) for text in means or ()), labels_from,
    )  # fmt: skip


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _meaning(text: str) -> tuple[str, dict[str, float] | None]:
    """`class=name`, `class=name:weight,name:weight` or `class=none`."""
    name, sign, rest = text.partition("=")
    try:
        parts = [part.partition(":") for part in _words(rest)]
        weights = {ours.strip(): float(weight) if colon else 1.0 for ours, colon, weight in parts}
    except ValueError:
        weights = {}
    if not sign or not weights:
        mend = "write --means forest=evergreen_forest:0.5,deciduous_forest:0.5, or --means bog=none"
        raise Refusal("--means", "means", text, "class=name:weight,name:weight", mend)
    return name.strip(), None if set(weights) == {"none"} else weights


def _asker(bar: Progress | None = None) -> Ask | None:
    """Asks on the terminal; None where nobody sits at it."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str, answers: Sequence[str]) -> str:
        if bar is not None:
            bar.stop()
        try:
            return Prompt.ask(question, choices=list(answers) or None, console=Console(stderr=True), default="")
        finally:
            if bar is not None:
                bar.start()

    return ask
