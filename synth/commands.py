"""The commands of `terraficta synth`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from terraficta.synth.ask import commands as of_questions
from terraficta.synth.card import commands as of_cards
from terraficta.synth.corpus import commands as of_corpora
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import require_new_folder, require_no_input, whole_file
from terraficta.synth.types.scene_recipe import read_scene_recipe

app = typer.Typer(help="Make fictional land: tiles, pictures, and the physics behind them.", no_args_is_help=True)
screen = Console(stderr=True)
app.command()(of_cards.card)
app.command()(of_cards.review)
app.command()(of_cards.context)
app.command()(of_questions.ask)
app.command()(of_corpora.cube)
app.command()(of_corpora.boxes)

Change = Annotated[
    list[str] | None, typer.Option("--set", help="field=value of the recipe, e.g. light.sza_deg=[30,30]")
]
Size = Annotated[int | None, typer.Option("--size", help="Side of a tile in pixels, in place of the recipe's.")]
Camera = Annotated[str | None, typer.Option("--sensor", help="One sensor for all, or 'invented'.")]
Dem = Annotated[str | None, typer.Option(help="Grow on this elevation model: any raster of heights that GDAL opens.")]
Cover = Annotated[str | None, typer.Option(help="Keep to this class map; --cover-legend says what its codes mean.")]
CoverLegend = Annotated[str, typer.Option(help="worldcover, dynamic_world, corine1, ... or terraficta.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[tuple[Progress, TaskID]]:
    columns = TextColumn(f"[bold]{what}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=screen) as progress:
        yield progress, progress.add_task(what, total=total)


@app.command()
def make(
    recipe: Annotated[str, typer.Option(help="Name of a recipe (tier0 .. tier3), or a YAML file.")],
    count: Annotated[int, typer.Option(help="How many tiles.")],
    out: Annotated[Path, typer.Option(help="New or empty folder.")],
    sensor: Camera = None,
    size: Size = None,
    seed: Annotated[int, typer.Option(help="Of the world; scene 42 of a seed is the same in every recipe.")] = 7,
    workers: Annotated[int, typer.Option(help="Processes; the files do not depend on it.")] = 1,
    device: Device = "auto",
    change: Change = None,
    dates: Annotated[
        int | None, typer.Option(min=1, help="Images of the same ground, in place of the recipe's.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="What happens to the labels: points, scribbles, survey, ... or a YAML file.")
    ] = None,
    dem: Dem = None,
    cover: Cover = None,
    cover_legend: CoverLegend = "worldcover",
    cubes: Annotated[
        Path | None, typer.Option(help="With --dates: new folder for each scene as a Zarr cube as well.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the corpus that stands at --out.")] = False,
    realizations: Annotated[
        int, typer.Option(min=0, help="Looks at each ground: their mean, deviation and quantiles are written too.")
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler; its workers see --out under the same path.")
    ] = None,
) -> None:
    """Make a corpus: tiles as GeoTIFFs, with class mass, checksums, a STAC catalogue and a tileset.yaml.

    A run that was broken off goes on where it stopped when it is started again.
    """
    from terraficta.synth.corpus.corpus import STAGE, write_corpus
    from terraficta.synth.labels.recipe import read_label_recipe
    from terraficta.synth.scene.terrain.given_land import read_given

    require_new_folder(out, STAGE if overwrite else None)
    if cubes is not None:
        require_new_folder(cubes)
    require_no_input([out], [path for path in (dem, cover, recipe, labels) if path is not None])
    read = read_scene_recipe(recipe, [*(change or []), *([f"time.dates={dates}"] if dates else [])])
    damage = read_label_recipe(labels) if labels else None
    given = read_given(dem, cover, cover_legend)
    with _bar("synth make", count) as (progress, task):
        record = write_corpus(
            read, seed, count, out, sensor, size, workers, device, lambda done: progress.advance(task, done),
            damage, given, overwrite, realizations, scheduler,
        )  # fmt: skip
    tiles = record["metrics"]["tiles"]
    per_s = tiles / max(record["wall_s"], 1e-9)
    screen.print(f"{tiles} tiles in {record['wall_s']:.1f} s ({per_s:.2f} a second), digest {record['digest']}: {out}")
    if cubes is not None:
        of_corpora.cube(out, cubes)


@app.command()
def show(
    out: Annotated[Path, typer.Option(help="PNG file.")],
    recipe: Annotated[str | None, typer.Option(help="Name of a recipe, or a YAML file; or else --corpus.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Folder that `synth make` wrote.")] = None,
    count: Annotated[int, typer.Option(min=1, max=64, help="How many tiles.")] = 6,
    seed: Annotated[int, typer.Option(help="Of the world.")] = 7,
    sensor: Camera = None,
    size: Size = None,
    device: Device = "auto",
    change: Change = None,
    dem: Dem = None,
    cover: Cover = None,
    cover_legend: CoverLegend = "worldcover",
) -> None:
    """Draw tiles on one page: true colour, false colour, classes, relief."""
    from terraficta.synth.corpus.contact_sheet import write_contact_sheet
    from terraficta.synth.corpus.corpus import read_corpus
    from terraficta.synth.corpus.order import asked_recipe
    from terraficta.synth.scene.terrain.given_land import read_given
    from terraficta.synth.stream import stream_tiles
    from terraficta.synth.types.device import pick_device

    require_no_input([out], [path for path in (dem, cover) if path is not None])
    if (recipe is None) == (corpus is None):
        found = "both" if recipe else "neither"
        raise Refusal("synth show", "--recipe or --corpus", found, "one of them", "write --recipe tier3")
    if corpus is not None:
        tiles = read_corpus(corpus)
    else:
        asked = asked_recipe(read_scene_recipe(str(recipe), change), sensor, size)
        given = read_given(dem, cover, cover_legend)
        tiles = stream_tiles(asked, seed, batch=1, device=pick_device(device), given=given)
    shown = []
    with _bar("synth show", count) as (progress, task):
        for tile in islice(tiles, count):
            shown.append(tile)
            progress.advance(task)
    if not shown:
        raise Refusal(str(corpus), "tiles", 0, "at least one", "make a corpus with --count 1 or more")
    write_contact_sheet(shown, out)
    screen.print(f"{len(shown)} tiles: {out}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder that `synth make` wrote.")],
    render_again: Annotated[int, typer.Option(min=0, help="How many tiles to render again and compare.")] = 0,
    device: Device = "cpu",
    dem: Dem = None,
    cover: Cover = None,
    cover_legend: CoverLegend = "worldcover",
) -> None:
    """Compare every file of a corpus with its checksum, and if asked with what the recipe makes.

    A corpus on given land is rendered again on the same --dem and --cover.
    """
    from terraficta.synth.corpus.verify import verify_corpus
    from terraficta.synth.scene.terrain.given_land import read_given

    given = read_given(dem, cover, cover_legend)
    with _bar("synth verify", None) as (progress, task):
        found = verify_corpus(folder, render_again, device, lambda done: progress.advance(task, done), given)
    again = f", {found['rendered']} rendered again and equal" if render_again else ""
    size_mb = found["bytes"] / 1e6
    screen.print(f"{folder}: {found['tiles']} tiles, {found['files']} files, {size_mb:.1f} MB, all as written{again}")


@app.command()
def shard(
    corpus: Annotated[Path, typer.Argument(help="Folder that `synth make` wrote.")],
    out: Annotated[Path, typer.Option(help="New or empty folder.")],
    tiles: Annotated[int, typer.Option(min=1, help="Tiles in one file.")] = 512,
) -> None:
    """Pack a corpus into WebDataset shards, which training reads from end to end."""
    from terraficta.synth.corpus.shard import write_shards

    with _bar("synth shard", None) as (progress, task):
        count = write_shards(corpus, out, tiles, lambda done: progress.advance(task, done))
    screen.print(f"{count} shards: {out}")


@app.command()
def price(
    recipe: Annotated[list[str], typer.Option(help="Name of a recipe, or a YAML file; may be repeated.")],
    count: Annotated[int, typer.Option(min=1, help="Tiles that are made and measured, of each.")] = 4,
    sensor: Camera = None,
    size: Size = None,
    device: Device = "auto",
    change: Change = None,
    out: Annotated[Path | None, typer.Option(help="Write the table to this Markdown file too.")] = None,
) -> None:
    """Say what tiles cost on this machine: seconds a stage, tiles a second, bytes; and 10 million of them on paper."""
    from terraficta.synth.corpus.price import machine, price_of, price_table

    prices = []
    with _bar("synth price", len(recipe)) as (progress, task):
        for name in recipe:
            prices.append(price_of(read_scene_recipe(name, change), count, sensor, size, device))
            progress.advance(task)
    table = f"{price_table(prices)}\n\n{machine()}, {prices[0].device}, {count} tiles each"
    if out is not None:
        with whole_file(out) as partial:
            partial.write_text(table + "\n")
    print(table)


@app.command()
def toa(
    table: Annotated[Path, typer.Option(help="CSV of sensor, band, angles, air and boa_reflectance.")],
    out: Annotated[Path, typer.Option(help="CSV: the same with toa_reflectance and the terms of the atmosphere.")],
) -> None:
    """Top-of-atmosphere reflectance for a table of conditions."""
    from terraficta.synth.tools.toa_table import toa_table

    require_no_input([out], [table])
    count = toa_table(table, out)
    screen.print(f"{count} conditions: {out}")


@app.command()
def canopy(
    table: Annotated[Path, typer.Option(help="NPZ of leaf and canopy parameters.")],
    out: Annotated[Path, typer.Option(help="NPZ with leaf and canopy spectra.")],
    fuse: Annotated[
        bool, typer.Option(help="Compile first: half a minute and a C++ compiler, worth it from 100,000 canopies on.")
    ] = False,
) -> None:
    """Leaf and canopy reflectance (PROSPECT, 4SAIL) for a table of plants."""
    from terraficta.synth.tools.canopy_table import canopy_table

    require_no_input([out], [table])
    count = canopy_table(table, out, fuse)
    screen.print(f"{count} canopies: {out}")


@app.command("atmosphere-table")
def atmosphere_table(
    out: Annotated[Path | None, typer.Option(help="NPZ file; without it, the one that the package uses.")] = None,
    device: Device = "auto",
) -> None:
    """Solve the atmosphere again, and store the table that every scene is lit by (minutes)."""
    from terraficta.synth.physics.atmosphere_table import FILE, build, write
    from terraficta.synth.types.device import pick_device

    with _bar("atmosphere-table", None) as (progress, task):
        table = build(lambda done, total: progress.update(task, completed=done, total=total), pick_device(device))
    write(table, out or FILE)
    screen.print(f"The atmosphere: {out or FILE}")
