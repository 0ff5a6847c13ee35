"""The corpus: fictional tiles on disk. Write and read back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from terraficta.synth.corpus.card import write_card
from terraficta.synth.corpus.catalogue import collection_id, item_file, write_catalogue
from terraficta.synth.corpus.geotiff import (
    read_tile,
    record_of,
    sensor_as_data,
    sensor_from_data,
    sha256_of,
    write_tile,
)
from terraficta.synth.corpus.journal import TILES, Journal, open_journal, remove_litter, unfinished
from terraficta.synth.corpus.manifest import write_boxes, write_manifests
from terraficta.synth.corpus.order import TILES_A_TASK, Order, asked_recipe, given_as_data, placed
from terraficta.synth.corpus.workers import require_workers, work_through
from terraficta.synth.labels.recipe import LabelRecipe
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import WATTS_PER_CPU_CORE, Run, made_by
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.tile import Tile

LINES, CARD, SUMS, RUN = "tiles.jsonl", "corpus.json", "checksums.sha256", "run.json"
STAGE = "corpus"
"""what run.json says of a corpus of ours"""
FORMAT = 2
REMAKE = "copy it again from where it came, or make the corpus again"

Progress = Callable[[int], None]
"""called with the number of scenes that have just been finished"""


def write_corpus(
    recipe: SceneRecipe,
    seed: int,
    count: int,
    folder: Path,
    sensor: str | None = None,
    size_px: int | None = None,
    workers: int = 1,
    device: str = "auto",
    progress: Progress | None = None,
    labels: LabelRecipe | None = None,
    given: GivenLand | None = None,
    overwrite: bool = False,
    realizations: int = 0,
    scheduler: str | None = None,
) -> dict[str, Any]:
    """Render scenes 0 .. count - 1 of a world, and write each as files that a user would download.

    The folder holds `tiles/ID/` with image.tif, mass.tif, label.tif, a file a layer and a STAC item; `tiles.jsonl` with
    one record a tile; `corpus.json` with the recipe, the legend and the sensors; tileset.yaml (see `corpus.manifest`);
    catalog.json and collection.json (STAC, see `corpus.catalogue`); README.md, the data card; `checksums.sha256`,
    which `sha256sum -c` reads too; and `run.json`. All but run.json, which tells the time, and its line in the
    checksums have the same bytes for any number of workers, here or on a cluster, and for a run that was broken off
    and went on. It appears in the folder when it is whole; until then `.NAME.partial` beside it holds what was made,
    and the same call goes on with it.

    Parameters
    ----------
    recipe : SceneRecipe
        which scenes
    seed, count : int
        which scenes
    folder : Path
        new or empty
    sensor : str | None
        name of one sensor (or "invented") for all, in place of the recipe's
    size_px : int | None
        side of a tile, in place of the recipe's
    workers : int
        processes, each with one thread; on a GPU the work stays in one
    device : str
        auto, cpu or cuda
    progress : Progress | None
        is told of finished scenes
    labels : LabelRecipe | None
        what happens to the labels; None: they are perfect
    given : GivenLand | None
        real heights, real classes, or both, to grow on
    overwrite : bool
        whether a corpus that stands in the folder may be replaced
    realizations : int
        looks at each ground of which mean, deviation and quantiles are written too; 0: none
    scheduler : str | None
        address of a dask scheduler whose workers do the work; they must see the folder under the same path

    Returns
    -------
    dict[str, Any]
        What run.json says

    Raises
    ------
    Refusal
        an unknown sensor, a count or a size out of range, a folder with content
    """
    recipe = asked_recipe(recipe, sensor, size_px)
    _require_amounts(count, workers, realizations)
    device = pick_device(device)
    order = Order(recipe, seed, labels, given, realizations)
    run = Run(STAGE, order.as_data(), seed)
    asked = {"order": order.as_data(), "seed": seed, "device": device, "code": made_by()}
    with open_journal(folder.absolute(), order, asked, STAGE if overwrite else None) as journal:
        tasks = [range(first, min(first + TILES_A_TASK, count)) for first in range(0, count, TILES_A_TASK)]
        left = unfinished(journal, tasks)
        if progress is not None and len(left) < len(tasks):
            progress(count - sum(map(len, left)))
        work = partial(make_task, journal.folder, device=device)
        for done in work_through(work, left, workers, device, scheduler):
            if progress is not None:
                progress(done)
        remove_litter(journal)
        tiles, digest, sizes, cpu_s = _write_books(order, journal, tasks, device)
        shared = {"device": device, "digest": digest[:12], "workers": workers, "bytes": sizes}
        energy = {} if device == "cuda" else {"energy_wh_estimate": round(cpu_s * WATTS_PER_CPU_CORE / 3600, 4)}
        record = run.record({"tiles": tiles, "cpu_s": round(cpu_s, 2)}, **shared, **energy)
        (journal.corpus / RUN).write_text(json.dumps(record, indent=1, default=str) + "\n")
        with (journal.corpus / SUMS).open("a") as file:
            file.write(f"{sha256_of(journal.corpus / RUN)}  {RUN}\n")
    return record


def read_corpus(folder: Path) -> Iterator[Tile]:
    """The tiles of a corpus, one in memory at a time, in the order of their index."""
    card = read_card(folder)
    sensors = [sensor_from_data(data) for data in card["sensors"]]
    legend = _legend(card["legend"])
    for record in read_lines(folder):
        yield read_tile(folder / TILES / record["id"], record, sensors[record["sensor"]], legend)


def read_card(folder: Path) -> dict[str, Any]:
    """What corpus.json says."""
    path = folder / CARD
    if not path.is_file():
        raise Refusal(folder, CARD, "no such file", "a folder that `terraficta synth make` wrote", "check the path")
    try:
        card: dict[str, Any] = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal(path, "json", str(error), "the card of a corpus", REMAKE) from error
    if card.get("format") != FORMAT:
        mend = "read it with the version of Terraficta that made it (run.json), or make it again"
        raise Refusal(path, "format", card.get("format"), str(FORMAT), mend)
    return card


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of the tiles, in order."""
    path = folder / LINES
    if not path.is_file():
        raise Refusal(path, "file", "nothing", "one record a tile", REMAKE)
    with path.open(errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise Refusal(f"{path}:{number}", "json", str(error), "the record of a tile", REMAKE) from error


def _require_amounts(count: int, workers: int, realizations: int) -> None:
    if count < 1:
        raise Refusal("--count", "count", count, "1 or more tiles", "write --count 16")
    require_workers(workers)
    if realizations < 0 or realizations == 1:
        raise Refusal("--realizations", "realizations", realizations, "2 or more", "write --realizations 16")


def make_task(folder: Path, task: range, device: str) -> int:
    """Render and write some scenes, and record them in the journal; returns how many.

    The same in this process, in another, and on another machine that sees the folder: all that it needs lies there.
    """
    journal, start = Journal(folder), time.thread_time()
    order: Order = journal.order()
    entries: list[list[dict[str, Any]]] = []
    sums: dict[str, str] = {}
    legend: Legend | None = None
    collection = collection_id(order.recipe, order.seed)
    for index, tiles in zip(task, order.make(task, device), strict=True):
        for number, (tile, more) in enumerate(tiles):
            legend = tile.legend
            record = record_of(tile, index, number)
            with journal.tile(tile.id) as own:
                names = write_tile(placed(tile, index), own, more)
                names |= item_file(placed(tile, index), own, collection, index, tuple(more))
                record["bytes"] = {name: (own / name).stat().st_size for name in sorted(names)}
            entries.append([record, sensor_as_data(tile.sensor)])
            sums |= {f"{TILES}/{tile.id}/{name}": digest for name, digest in names.items()}
    assert legend is not None
    cpu_s = time.thread_time() - start
    journal.keep(task, {"entries": entries, "sums": sums, "legend": asdict(legend), "cpu_s": cpu_s})
    return len(task)


def _write_books(
    order: Order, journal: Journal, tasks: Sequence[range], device: str
) -> tuple[int, str, dict[str, int], float]:
    """Write all that tells of the tiles, task by task.

    Returns
    -------
    tuple[int, str, dict[str, int], float]
        number of tiles, digest of their records, sizes of the books [bytes], processor time of all tasks [s]
    """
    folder = journal.corpus
    sensors: dict[str, int] = {}
    records: list[dict[str, Any]] = []
    cpu_s, legend = 0.0, {}
    with (folder / LINES).open("w") as lines, (folder / SUMS).open("w") as sums:
        for task in tasks:
            part = journal.part(task)
            if part is None:
                raise Refusal(journal.folder, "tasks", f"none of {task.start}", "a record of each", "start it again")
            for record, sensor in part["entries"]:
                line = record | {"sensor": sensors.setdefault(json.dumps(sensor), len(sensors))}
                lines.write(json.dumps(line, sort_keys=True) + "\n")
                facts = {name: value for name, value in line["facts"].items() if name == "boxes"}
                records.append(line | {"facts": facts, "bytes": sum(line["bytes"].values())})
            sums.writelines(f"{digest}  {name}\n" for name, digest in part["sums"].items())
            cpu_s, legend = cpu_s + part["cpu_s"], part["legend"]
    read = [json.loads(sensor) for sensor in sensors]
    card = _card(order, device, len(records), legend, read)
    (folder / CARD).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")
    kinds = [sensor_from_data(data) for data in read]
    its = _legend(legend)
    written = write_manifests(folder, order.recipe, order.seed, records, kinds, its)
    written += write_boxes(folder, records)
    written += write_catalogue(folder, order.recipe, order.seed, records, kinds, its)
    written += [write_card(folder, card, records, kinds, order.given)]
    digests = {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in [folder / LINES, folder / CARD, *written]
    }
    with (folder / SUMS).open("a") as sums:
        sums.writelines(f"{digest}  {name}\n" for name, digest in digests.items())
    sizes = {name: (folder / name).stat().st_size for name in digests}
    return len(records), digests[LINES], sizes, cpu_s


def _card(
    order: Order, device: str, count: int, legend: dict[str, Any], sensors: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "count": count,
        "seed": order.seed,
        "device": device,
        "recipe": order.recipe.model_dump(mode="json"),
        "recipe_digest": order.recipe.digest(),
        "labels": None if order.labels is None else order.labels.model_dump(mode="json"),
        "given": None if order.given is None else given_as_data(order.given),
        "realizations": order.realizations,
        "legend": legend,
        "sensors": sensors,
    }


def _legend(data: dict[str, Any]) -> Legend:
    return Legend(**{**data, **{k: tuple(data[k]) for k in ("classes", "colours")}})
