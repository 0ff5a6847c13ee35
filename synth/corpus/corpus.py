"""The corpus: fictional tiles on disk. Write, verify, read back."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from terraficta.synth.corpus.geotiff import (
    IMAGE,
    NOWHERE,
    place,
    read_tile,
    record_of,
    sensor_as_data,
    sensor_from_data,
    sha256_of,
    write_tile,
)
from terraficta.synth.corpus.manifest import write_boxes, write_manifests
from terraficta.synth.instrument.invented import INVENTED
from terraficta.synth.instrument.product import to_dn
from terraficta.synth.labels.degrade import degrade
from terraficta.synth.labels.recipe import LabelRecipe
from terraficta.synth.render import render_dates
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, whole_folder
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor, read_sensor
from terraficta.synth.types.tile import Tile

TILES, LINES, CARD, SUMS = "tiles", "tiles.jsonl", "corpus.json", "checksums.sha256"
STAGE = "corpus"
"""what run.json says of a corpus of ours"""
TILES_A_TASK = 8
FORMAT = 2
REMAKE = "copy it again from where it came, or make the corpus again"

Progress = Callable[[int], None]
"""called with the number of tiles that have just been finished"""
Made = tuple[dict[str, Any], Sensor, Legend, dict[str, str]]
"""what a worker says of a tile that it wrote: record, sensor, legend, {file: sha256}"""


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
) -> dict[str, Any]:
    """Render scenes 0 .. count - 1 of a world, and write each as files that a user would download.

    The folder holds `tiles/ID/` with image.tif, mass.tif, label.tif and a file a layer; `tiles.jsonl` with one record
    a tile; `corpus.json` with the recipe, the legend and the sensors; tileset.yaml (see `corpus.manifest`);
    `checksums.sha256`, which `sha256sum -c` reads too; and `run.json`. All but run.json, which tells the time, and
    its line in the checksums have the same bytes for any number of workers. It is written whole or not at all.

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
    if count < 1:
        raise Refusal("--count", "count", count, "1 or more tiles", "write --count 16")
    if workers < 1:
        raise Refusal("--workers", "workers", workers, "1 or more processes", "write --workers 2")
    device = pick_device(device)
    order = Order(recipe, seed, labels, given)
    run = Run(STAGE, order.as_data(), seed)
    with whole_folder(folder, STAGE if overwrite else None) as partial:
        made: dict[int, list[Made]] = {}
        for part in _make(order, count, partial, workers, device):
            made |= part
            if progress is not None:
                progress(len(part))
        tiles = [tile for i in range(count) for tile in made[i]]
        sums = _write_books(order, tiles, partial, device)
        record = run.record({"tiles": len(tiles)}, device=device, digest=sums[LINES][:12], workers=workers)
        (partial / "run.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
        sums["run.json"] = sha256_of(partial / "run.json")
        lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
        (partial / SUMS).write_text("".join(lines))
    return record


@dataclass(frozen=True)
class Order:
    """What is asked of the generator: a recipe, a world, what happens to the labels, and real land to grow on."""

    recipe: SceneRecipe
    seed: int
    labels: LabelRecipe | None = None
    given: GivenLand | None = None

    def as_data(self) -> dict[str, Any]:
        """The recipe as plain data, with that of the labels and the given land where there are any."""
        data = self.recipe.model_dump(mode="json")
        data |= {} if self.labels is None else {"labels": self.labels.model_dump(mode="json")}
        return data | ({} if self.given is None else {"given": self.given.name})

    def make(self, indices: Sequence[int], device: str) -> list[list[Tile]]:
        """All dates of some scenes, with the labels that were asked for."""
        keys = [SceneKey(self.seed, i) for i in indices]
        scenes = render_dates(self.recipe, keys, device=device, given=self.given)
        if self.labels is None:
            return scenes
        named = zip(scenes, keys, strict=True)
        return [[degrade(tile, self.labels, key.at("date", n)) for n, tile in enumerate(own)] for own, key in named]


def read_corpus(folder: Path) -> Iterator[Tile]:
    """The tiles of a corpus, one in memory at a time, in the order of their index."""
    card = _read_card(folder)
    sensors = [sensor_from_data(data) for data in card["sensors"]]
    legend = Legend(**{**card["legend"], **{k: tuple(card["legend"][k]) for k in ("classes", "colours")}})
    for record in _read_lines(folder):
        yield read_tile(folder / TILES / record["id"], record, sensors[record["sensor"]], legend)


def verify_corpus(
    folder: Path, render_again: int = 0, device: str = "cpu", progress: Progress | None = None
) -> dict[str, int]:
    """Compare every file with its checksum; and, if asked, some tiles with what the recipe makes now.

    Parameters
    ----------
    folder : Path
        of the corpus
    render_again : int
        how many tiles, evenly spread, are rendered again and compared
    device : str
        to render on; on another than the corpus was made on, stored numbers may differ by 1
    progress : Progress | None
        is told of checked files

    Returns
    -------
    dict[str, int]
        {"tiles", "files", "bytes", "rendered"}

    Raises
    ------
    Refusal
        names the first file that is missing, changed or unlisted
    """
    card, files, size = _read_card(folder), 0, 0
    listed = _read_sums(folder)
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file():
            raise Refusal(path, "file", "nothing", "a file of this corpus", REMAKE)
        found = sha256_of(path)
        if found != expected:
            raise Refusal(path, "checksum", f"{found[:12]}...", f"{expected[:12]}... ({path.name} was changed)", REMAKE)
        files, size = files + 1, size + path.stat().st_size
        if progress is not None:
            progress(1)
    records = list(_read_lines(folder))
    if len(records) != card["count"]:
        raise Refusal(folder / LINES, "tiles", len(records), f"{card['count']}, as corpus.json says", REMAKE)
    for record in records:
        if f"{TILES}/{record['id']}/{IMAGE}" not in listed:
            raise Refusal(folder / SUMS, "files", f"no {record['id']}", f"every tile of {LINES}", REMAKE)
    rendered = _compare(folder, card, render_again, pick_device(device)) if render_again else 0
    return {"tiles": len(records), "files": files, "bytes": size, "rendered": rendered}


def asked_recipe(recipe: SceneRecipe, sensor: str | None, size_px: int | None) -> SceneRecipe:
    """The recipe with the amounts of the command line, validated again: what was made is what is recorded."""
    content = recipe.model_dump(mode="json")
    if sensor is not None:
        if sensor != INVENTED:
            read_sensor(sensor)
        content["instrument"]["sensors"] = [sensor]
    if size_px is not None:
        content["size_px"] = size_px
    return SceneRecipe.from_dict(content, where=recipe.name)


def _make(order: Order, count: int, folder: Path, workers: int, device: str) -> Iterator[dict[int, list[Made]]]:
    """Tasks as they are finished, in any order: {scene: its tiles}."""
    tasks = [range(first, min(first + TILES_A_TASK, count)) for first in range(0, count, TILES_A_TASK)]
    if workers == 1 or device != "cpu" or len(tasks) == 1:
        for task in tasks:
            yield _make_task(order, task, folder, device)
        return
    # spawned, not forked: a forked process inherits the locks of torch's and GDAL's threads
    context, others = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    with ProcessPoolExecutor(min(workers, len(tasks)), context, initializer=_start_worker) as pool:
        futures = [pool.submit(_make_task, order, task, folder, device) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:  # an interrupt too: do not wait for what is under way
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its workers
    torch.set_num_threads(1)


def _make_task(order: Order, indices: range, folder: Path, device: str) -> dict[int, list[Made]]:
    """Render and write some scenes."""
    made: dict[int, list[Made]] = {}
    for index, tiles in zip(indices, order.make(indices, device), strict=True):
        made[index] = []
        for number, tile in enumerate(tiles):
            grid = tile.grid
            if grid.crs is None:
                grid = replace(grid, crs=NOWHERE, transform=place(index, grid.width_px, grid.gsd_m))
            sums = write_tile(replace(tile, grid=grid), folder / TILES / tile.id)
            made[index].append((record_of(tile, index, number), tile.sensor, tile.legend, sums))
    return made


def _write_books(order: Order, made: list[Made], folder: Path, device: str) -> dict[str, str]:
    """Write tiles.jsonl, corpus.json and the tilesets; returns the checksum of every file so far."""
    sensors: dict[Sensor, int] = {}
    sums: dict[str, str] = {}
    records = []
    for record, sensor, _, tile_sums in made:
        records.append(record | {"sensor": sensors.setdefault(sensor, len(sensors))})
        sums |= {f"{TILES}/{record['id']}/{name}": digest for name, digest in tile_sums.items()}
    legend = made[0][2]
    (folder / LINES).write_text("".join(json.dumps(record, sort_keys=True) + "\n" for record in records))
    card = {
        "format": FORMAT,
        "count": len(records),
        "seed": order.seed,
        "device": device,
        "recipe": order.recipe.model_dump(mode="json"),
        "recipe_digest": order.recipe.digest(),
        "labels": None if order.labels is None else order.labels.model_dump(mode="json"),
        "given": None if order.given is None else order.given.name,
        "legend": asdict(legend),
        "sensors": [sensor_as_data(sensor) for sensor in sensors],
    }
    (folder / CARD).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")
    written = write_manifests(folder, order.recipe, order.seed, records, list(sensors), legend)
    written += write_boxes(folder, records)
    for path in [folder / LINES, folder / CARD, *written]:
        sums[path.relative_to(folder).as_posix()] = sha256_of(path)
    return sums


def _read_card(folder: Path) -> dict[str, Any]:
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


def _read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / LINES
    if not path.is_file():
        raise Refusal(path, "file", "nothing", "one record a tile", REMAKE)
    with path.open(errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise Refusal(f"{path}:{number}", "json", str(error), "the record of a tile", REMAKE) from error


def _read_sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    if not path.is_file():
        raise Refusal(path, "file", "nothing", "the checksums of this corpus", REMAKE)
    sums = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if len(digest) != 64 or not gap or not name:
            raise Refusal(f"{path}:{number}", "checksum", repr(line[:40]), "sha256, two blanks, a file name", REMAKE)
        sums[name] = digest
    for name in (CARD, LINES):
        if name not in sums:
            raise Refusal(path, "files", f"no {name}", "every file of the corpus", REMAKE)
    return sums


def _compare(folder: Path, card: dict[str, Any], wanted: int, device: str) -> int:
    """Render some tiles again and refuse the first that differs from its files."""
    recipe = SceneRecipe.from_dict(card["recipe"], where=folder / CARD)
    if card["given"] is not None:
        mend = "verify without --render-again: the checksums tell whether files were changed"
        raise Refusal(folder / CARD, "given", card["given"], "fiction alone, which the recipe can make again", mend)
    labels = None if card["labels"] is None else LabelRecipe.from_dict(card["labels"], where=folder / CARD)
    order = Order(recipe, card["seed"], labels)
    scenes = card["count"] // recipe.time.dates
    chosen = set(range(0, scenes, max(1, scenes // wanted))[:wanted])
    allowed, again = 0 if device == card["device"] else 1, {}
    for number, stored in enumerate(read_corpus(folder)):
        index, date = divmod(number, recipe.time.dates)
        if index not in chosen:
            continue
        if index not in again:
            again = {index: order.make([index], device)[0]}
        _require_equal(folder, stored, again[index][date], allowed)
    return len(chosen)


def _require_equal(folder: Path, stored: Tile, made: Tile, allowed: int) -> None:
    where = folder / TILES / stored.id / IMAGE
    found = to_dn(made.image, made.sensor, made.valid).cpu().int()
    apart = int((found - to_dn(stored.image, stored.sensor, stored.valid).int()).abs().max())
    mend = "it was made by another version (see run.json): make it again, or use that version"
    if apart > allowed:
        raise Refusal(where, "pixels", f"up to {apart} DN from what the recipe makes", f"at most {allowed}", mend)
    if not _equal(made.mass.cpu(), stored.mass):
        raise Refusal(where.with_name("mass.tif"), "class mass", "another", "what the recipe makes", mend)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b))
