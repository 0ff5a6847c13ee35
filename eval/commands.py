"""The commands of `terraficta eval`."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table as Columns

from terraficta.eval.map.predict import stored_of_run
from terraficta.eval.map.sheet import image_sheets, map_sheets, tileset_sheets
from terraficta.eval.map.windows import Windows
from terraficta.eval.studies import app as studies
from terraficta.finetune.map_model import read_encoder
from terraficta.finetune.tileset.tileset import open_tileset, read_tileset
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import (
    Run,
    read_run,
    require_new_file,
    require_new_folder,
    require_no_input,
    require_own_record,
    whole_file,
)
from terraficta.synth.types.stored import Stored

if TYPE_CHECKING:  # what compares and reports is loaded by the commands that do: a map needs the memory
    import pandas as pd

    from terraficta.eval.table import Table

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TaskProgressColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)

app = typer.Typer(help="Map real land, score the map, compare ways to it, report.", no_args_is_help=True)
app.add_typer(studies)


def summary_table(summary: pd.DataFrame) -> Columns:
    """Mean mIoU with intervals, and the paired gain over the best simple arm, also where it is a loss."""
    table = Columns("tileset", "labels", "arm", "mIoU", "gain on best simple arm", "", box=None, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.no_wrap = True
    last: tuple[str, str] | None = None
    for row in summary.to_dict("records"):
        cell = (str(row["tileset"]), str(row["labels_per_class"]))
        mean, high, gain, low_gain, high_gain = (row[c] for c in ("mean", "high", "gain", "gain_low", "gain_high"))
        level = f"{mean:.3f}" if math.isnan(high) else f"{mean:.3f} ± {high - mean:.3f}"
        gained = "" if math.isnan(gain) else f"{gain:+.3f}"
        gained += "" if math.isnan(low_gain) else f" [{low_gain:+.3f}, {high_gain:+.3f}]"
        names = cell if cell != last else ("", "")
        style = "bold" if row["best"] else ""
        table.add_row(
            *names,
            str(row["arm"]),
            level,
            gained or ("best simple arm" if row["arm"] == row["baseline"] else ""),
            str(row["verdict"]),
            style=style,
        )
        last = cell
    return table


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise Refusal("--labels-per-class", "numbers", text, "whole numbers with commas", "write 0,5,25,100") from error


def _said(usual: Stored, scale: float | None, offset: float | None, nodata: float | None) -> Stored:
    """How images are stored by what the user says; who says the scale says the rest too."""
    return Stored(
        usual.scale if scale is None else scale,
        (usual.offset if scale is None else 0.0) if offset is None else offset,
        (usual.nodata if scale is None else None) if nodata is None else nodata,
        usual.dropped,
    )


@app.command()
def predict(
    run: Annotated[Path, typer.Option(help="folder of terraficta finetune run")],
    out: Annotated[
        Path, typer.Option(help="GeoTIFF to write; .trust.tif, .png, .qml, .aux.xml, .run.json come beside it")
    ],
    image: Annotated[
        list[str] | None,
        typer.Option(help="raster, or any name that GDAL opens; several: a map of each, before and after where change"),
    ] = None,
    tileset: Annotated[Path | None, typer.Option(help="map a scene of it, or take scale and nodata from it")] = None,
    scene: Annotated[
        str | None, typer.Option(help="id of a scene of --tileset, the first one by default; all: a map of each")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="image = stored * scale + offset, in place of the tileset's")
    ] = None,
    offset: Annotated[float | None, typer.Option(help="likewise")] = None,
    nodata: Annotated[float | None, typer.Option(help="likewise: stored value of missing pixels")] = None,
    window: Annotated[int, typer.Option(min=32, help="side of a window [px]")] = Windows.size_px,
    overlap: Annotated[int, typer.Option(min=0, help="that neighbouring windows share [px]")] = Windows.overlap_px,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file that stands at --out")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="processes, each with another image")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="address of a dask scheduler, whose workers see all files under the same paths")
    ] = None,
) -> None:
    """Map images of any size: class, probability, entropy and each class, as a COG; what to trust beside it."""
    if image is None and tileset is None:
        raise Refusal("predict", "--image", "none", "--image TIF, or --tileset DIR", "say what to map")
    if image is not None and scene is not None:
        raise Refusal("predict", "--scene", f"{scene} and --image", "one of the two", "drop one")
    if overlap * 2 > window:
        raise Refusal("predict", "--overlap", overlap, f"at most {window // 2}, half of --window", "overlap less")
    where = pick_device(device)
    inputs: list[Path] = []
    if tileset is not None:
        land = open_tileset(tileset)
        sheets, inputs = tileset_sheets(land, read_encoder(run), out, image, scene), land.files
    else:
        sheets = image_sheets(image or [], read_encoder(run).dates, out)
    if (scale, offset, nodata) != (None, None, None):
        usual = stored_of_run(run, read_run(run))
        sheets = [replace(one, stored=_said(one.stored or usual, scale, offset, nodata)) for one in sheets]
    windows = Windows(window, overlap, batch=1 if where == "cpu" else 32)
    with Progress(*COLUMNS, console=Console(stderr=True)) as bar:
        task = bar.add_task("map", total=1.0)
        found = map_sheets(
            run, sheets, windows=windows, device=where, inputs=inputs, overwrite=overwrite, workers=workers,
            scheduler=scheduler, tell=lambda share: bar.update(task, completed=share),
        )  # fmt: skip
    for made in found:
        for path in (made.map, made.preview, made.record):
            if path is not None:
                typer.echo(path)


@app.command()
def score(
    tileset: Annotated[Path, typer.Option(help="folder with a tileset.yaml")],
    run: Annotated[Path | None, typer.Option(help="folder of terraficta finetune run: maps every test scene")] = None,
    map: Annotated[Path | None, typer.Option(help="map of one scene by terraficta eval predict")] = None,
    scene: Annotated[str | None, typer.Option(help="which scene --map shows; the first by default")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file that stands at --out")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Score a model or a map on the labelled pixels of the test fold."""
    from terraficta.eval.score import score_map, score_run, score_tables
    from terraficta.eval.values import score_values

    if (run is None) == (map is None):
        raise Refusal("score", "--run, --map", "both" if run else "none", "one of the two", "say what to score")
    if out is not None:
        require_new_file(out, overwrite)
    land = open_tileset(tileset)
    if out is not None:
        require_no_input([out], [*land.files, *([map] if map is not None else [])])
    if land.quantity is not None:
        if run is None:
            raise Refusal("score", "--map", str(map), "--run of a tileset of values", "say which model to score")
        values = score_values(run, land)
        Console().print(values.table(land.quantity))
        if out is not None:
            with whole_file(out) as partial:
                said = {"tileset": land.name, "scored": str(run), "quantity": land.quantity, **asdict(values)}
                partial.write_text(json.dumps(said, indent=1) + "\n")
            typer.echo(out)
        return
    if run is not None:
        tally = score_run(run, land, pick_device(device))
    else:
        assert map is not None
        tally = score_map(map, land, scene)
    scores = tally.scores()
    console = Console()
    console.print(score_tables(scores, land.legend.classes))
    if out is not None:
        with whole_file(out) as partial:
            content = {"tileset": land.name, "scored": str(run or map), **scores.as_dict()}
            content |= {"classes": land.legend.classes, "confusion": tally.confusion.tolist()}
            partial.write_text(json.dumps(content, indent=1) + "\n")
        typer.echo(out)


@app.command()
def benchmark(
    tileset: Annotated[list[Path], typer.Option(help="tileset folders; name the option once for each")],
    out: Annotated[Path, typer.Option(help="folder; cells that stand there already are not computed again")],
    weights: Annotated[
        Path | None, typer.Option(help="for names, default, ridge and full, in place of those that ship")
    ] = None,
    imagenet: Annotated[
        Path | None, typer.Option(help="file of timm weights of the encoder, for the arm imagenet")
    ] = None,
    recipe: Annotated[str, typer.Option(help="name or file")] = "standard",
    arms: Annotated[str | None, typer.Option(help="with commas, in place of the recipe's")] = None,
    labels_per_class: Annotated[str | None, typer.Option(help="with commas, in place of the recipe's")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="draws of labels, in place of the recipe's")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="field=value of the recipe")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="processes that tilesets are shared out among, one thread each")
    ] = 1,
) -> None:
    """Compare ways to a map: one tidy CSV row a tileset x arm x labels x draw."""
    from terraficta.eval.benchmark.benchmark import run_benchmark
    from terraficta.eval.benchmark.findings import findings, summary_lines
    from terraficta.eval.benchmark.lineup import make_arms
    from terraficta.eval.benchmark.recipe import read_benchmark_recipe
    from terraficta.eval.benchmark.store import ROWS
    from terraficta.eval.benchmark.summary import summarise
    from terraficta.eval.benchmark.workers import Workers

    require_own_record(out, "benchmark")
    changes = list(change or [])
    if arms is not None:
        changes.append(f"arms=[{arms}]")
    if labels_per_class is not None:
        changes.append(f"labels_per_class={_numbers(labels_per_class)}")
    if seeds is not None:
        changes.append(f"seeds={seeds}")
    chosen = read_benchmark_recipe(recipe, changes)
    where = pick_device(device if workers == 1 else "cpu")
    make = functools.partial(make_arms, chosen, weights, where, imagenet=imagenet, readings=out / "readings")
    known, work = make(), None if workers == 1 else Workers(chosen, make, out, workers)
    run = Run(
        "benchmark", chosen.model_dump(mode="json"), seed=0, parents={"weights": (known.record or {}).get("digest")}
    )
    console = Console()
    with Progress(*COLUMNS, console=console) as bar:
        task = bar.add_task("benchmark", total=None)

        def tell(line: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            bar.console.print(line, highlight=False)

        ledger = run_benchmark(tileset, chosen, known.arms, out, tell, work)
    for arm, reason in known.missing.items():
        ledger.skip("all", arm, 0, reason)
    summary, tables = summarise(ledger.rows, ledger.details), findings(ledger, chosen)
    with whole_file(out / "summary.csv") as partial:
        summary.to_csv(partial, index=False, float_format="%.4f")
    best = {f"{r['tileset']} {r['labels_per_class']}": r["arm"] for r in summary.to_dict("records") if r["best"]}
    metrics = {"rows": len(ledger.rows), "best": best}
    digest = hashlib.blake2b((out / ROWS).read_bytes(), digest_size=6).hexdigest()
    about = {
        "weights": "shipped" if weights is None else str(weights),
        "weights_digest": known.weights,
        "parent_record": known.record,
    }
    run.write(
        out, metrics, device=where, digest=digest, **about, tilesets=[str(t) for t in tileset], kind="benchmark",
        tables=[table.plain() for table in tables], left_out=ledger.skipped,
    )  # fmt: skip
    console.print(summary_table(summary))
    for line in summary_lines(tables):
        console.print(line, highlight=False)
    console.print(f"{out / 'benchmark.csv'}\n{out / 'summary.csv'}", highlight=False)


@app.command()
def audit(
    tileset: Annotated[list[Path], typer.Option(help="tileset folders; name the option once for each")],
    out: Annotated[Path | None, typer.Option(help="folder for run.json with the table")] = None,
    plant: Annotated[
        str, typer.Option(help="none, leak, scale, shuffle or all: a fault to break the tiles with")
    ] = "none",
    seed: Annotated[int, typer.Option(help="of the probes")] = 0,
) -> None:
    """Look for three faults by name: test ground that trains, wrong scales, shuffled labels. Status 1 where one is."""
    from terraficta.eval.benchmark.audit import FAULTS, Finding, audit_table, caught
    from terraficta.eval.benchmark.audit import audit as look_for_faults
    from terraficta.eval.benchmark.plant import has_scale
    from terraficta.eval.benchmark.plant import plant as break_tiles

    if plant not in ("none", "all", *FAULTS):
        raise Refusal("audit", "--plant", plant, f"none, all or one of {', '.join(FAULTS)}", "correct the word")
    if out is not None:
        require_own_record(out, "audit")
    run = Run("audit", {"plant": plant, "tilesets": [str(t) for t in tileset]}, seed)
    planted = [f for f in FAULTS if plant in (f, "all")]
    found: dict[str, list[Finding]] = {}
    wrong: list[str] = []
    for folder in tileset:
        land = read_tileset(folder, verify=False)
        tiles = list(land.tiles())
        for fault in (None, *planted) if plant in ("none", "all") else planted:
            name = land.name + (f" with a planted {fault}" if fault else "")
            if fault == "scale" and not has_scale(tiles):
                typer.echo(f"{land.name}: uncalibrated numbers of so few scenes have no scale to be wrong")
                continue
            found[name] = look_for_faults(tiles if fault is None else break_tiles(tiles, fault, seed), seed)
            faults = caught(found[name])
            typer.echo(f"{name}: {', '.join(f'{f} caught' for f in faults) or 'no fault found'}")
            if fault is None:
                wrong += [f"{f} in {name}" for f in faults]
            elif fault not in faults:
                wrong.append(f"planted {fault} not caught in {land.name}")
    table = audit_table(found)
    Console().print(_console_table(table))
    if out is not None:
        run.write(out, {"faults": len(wrong)}, kind="audit", tables=[table.plain()])
        typer.echo(out / "run.json")
    for line in wrong:
        typer.echo(line, err=True)
    if wrong or (plant in FAULTS and planted):
        raise typer.Exit(1)


def _console_table(table: Table) -> Columns:
    """A table of a record, for a terminal."""
    shown = Columns(*table.columns, title=table.title, box=None, padding=(0, 1, 0, 0))
    for line in table.cells():
        shown.add_row(*line)
    return shown


@app.command()
def shift(
    tileset: Annotated[list[Path], typer.Option(help="tileset folders; name the option once for each")],
    out: Annotated[Path, typer.Option(help="folder for run.json with the table")],
    weights: Annotated[Path | None, typer.Option(help="in place of those that ship")] = None,
    arms: Annotated[str, typer.Option(help="with commas")] = "default,ridge,forest-ratios",
    labels_per_class: Annotated[int, typer.Option(min=2)] = 25,
    seeds: Annotated[int, typer.Option(min=1, help="draws of labels")] = 3,
    test_pixels: Annotated[int, typer.Option(min=1, help="of each tileset at most")] = 5000,
) -> None:
    """Whether conformal sets hold what they promise: in place, and under haze, exposure, browning and noise."""
    from terraficta.eval.benchmark.ground import read_ground
    from terraficta.eval.benchmark.lineup import make_arms
    from terraficta.eval.benchmark.recipe import read_benchmark_recipe
    from terraficta.eval.benchmark.shift import coverage_under_shift

    require_own_record(out, "shift")
    changes = [f"arms=[{arms}]", f"labels_per_class=[{labels_per_class}]", f"seeds={seeds}", "goals=[]", "ladder=null"]
    chosen = read_benchmark_recipe("standard", [*changes, f"test_pixels={test_pixels}"])
    known = make_arms(chosen, weights, "cpu")
    run = Run("shift", chosen.model_dump(mode="json"), 0, {"weights": (known.record or {}).get("digest")})
    grounds = (read_ground(folder, test_pixels, 500_000) for folder in tileset)
    table = coverage_under_shift(list(grounds), known.arms, labels_per_class, seeds)
    Console().print(_console_table(table))
    run.write(out, kind="calibration_under_shift", tables=[table.plain()], weights_digest=known.weights)
    typer.echo(out / "run.json")


@app.command()
def results(
    run: Annotated[list[Path], typer.Option(help="folders of runs whose records hold tables; once for each")],
    out: Annotated[Path, typer.Option(help="file to write")] = Path("RESULTS.md"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file that stands at --out")] = False,
) -> None:
    """Every table of some run records as one page of Markdown, losing cells among them."""
    from terraficta.eval.report.results import write_results

    require_new_file(out, overwrite)
    typer.echo(write_results(run, out))


@app.command()
def report(
    run: Annotated[list[Path], typer.Option(help="folders of runs, or maps by eval predict; once for each")],
    out: Annotated[Path, typer.Option(help="folder for report.html")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the report that stands at --out")] = False,
) -> None:
    """One self-contained page: what was done, maps, tables, curves."""
    from terraficta.eval.report.report import PAGE, write_report

    require_own_record(out, "report")
    require_new_file(out / PAGE, overwrite)
    typer.echo(write_report(run, out))


@app.command()
def card(
    map: Annotated[Path, typer.Option(help="map by terraficta eval predict")],
    out: Annotated[Path, typer.Option(help="new or empty folder: NAME.html, NAME.json, review.csv")],
    dem: Annotated[str | None, typer.Option(help="elevation model that covers the map: then heights are told")] = None,
) -> None:
    """Explain a map on one page: areas, patches, borders, waters, settlements, and a sheet for reviewers."""
    from terraficta.eval.report.card import write_map_card

    require_new_folder(out)
    typer.echo(write_map_card(map, out, dem))


@app.command()
def location(
    table: Annotated[Path, typer.Option(help="CSV of x, y, value, and if there is one, split (train, test)")],
    geographic: Annotated[bool, typer.Option("--geographic", help="x and y are longitude and latitude")] = False,
    seed: Annotated[int, typer.Option(help="of the random split")] = 0,
) -> None:
    """What coordinates alone explain of a quantity (Pearson's r squared), and whether a split leaks through them."""
    from terraficta.eval.location.places import explain_by_location, read_points

    shown = Columns("by", "random split", "blocks held out", "your split", "", box=None)
    for row in explain_by_location(read_points(table, geographic), seed):
        split = "–" if row.split is None else f"{row.split:.3f}"
        leak = "leaks: it is explained by what lies nearby" if row.leaks else ""
        shown.add_row(row.by, f"{row.random:.3f}", f"{row.blocked:.3f}", split, leak)
    Console().print(shown)


@app.command("confusions")
def confusions_command(
    tileset: Annotated[list[Path], typer.Option(help="tileset folders; name the option once for each")],
    weights: Annotated[Path | None, typer.Option(help="in place of those that ship")] = None,
    pixels: Annotated[int, typer.Option(min=1, help="test pixels of each tileset that are asked at most")] = 10_000,
) -> None:
    """What the network calls each class of real places, without a label: what fiction gets wrong."""
    from terraficta.eval.benchmark.confusions import confusions
    from terraficta.pretrain.weights import read_weights

    mapper, _ = read_weights(weights)
    console = Console()
    for folder in tileset:
        land = read_tileset(folder)
        table = Columns("class", "share", "IoU", "fiction calls it", "names map it as", title=land.name, box=None)
        rows = confusions(land, mapper, pixels=pixels)
        for row in rows:
            called, mapped = (", ".join(f"{n} {v:.2f}" for n, v in part) for part in (row.called, row.mapped))
            iou = "not named" if math.isnan(row.iou) else f"{row.iou:.3f}"
            table.add_row(row.name, f"{row.share:.3f}", iou, called, mapped)
        console.print(table)
        known = [row.iou for row in rows if not math.isnan(row.iou)]
        if known:
            console.print(f"names alone: mIoU {sum(known) / len(known):.3f} over {len(known)} named classes\n")
