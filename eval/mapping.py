"""The front door: an image and some labels in, a map, its worth and a page about it out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from terraficta.eval.expect.advice import three_lines
from terraficta.eval.expect.crossvalidation import cross_validate
from terraficta.eval.expect.expectation import Expectation, expect
from terraficta.eval.map.dates import join_maps, same_grid
from terraficta.eval.map.predict import Made, map_files, require_free
from terraficta.eval.map.sheet import Sheet, map_sheets, sheet_name
from terraficta.eval.map.unfinished import forget
from terraficta.eval.report.place import write_place_report
from terraficta.finetune.fitting import Fitting, fit_tileset
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset.draft import Ask, Draft, Said, draft_tileset, write_draft
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.corpus.cluster import connect
from terraficta.synth.corpus.workers import require_workers
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, require_no_input, whole_file

MODEL, EXPECTED, STAGE = "model", "expected.json", "map"
"""names in the folder beside a map: of the fine-tuning run, of what is expected, and of the record's stage"""

Tell = Callable[[str, float], None]
"""what is being done, and which share of it is done"""


@dataclass(frozen=True)
class PlaceMap:
    """What mapping a place has made.

    Parameters
    ----------
    maps : tuple[Path, ...]
        GeoTIFFs: one an image, after the one that joins several dates of one place, where there is such
    report : Path
        the page about it
    folder : Path
        tileset.yaml, the run of fine-tuning (`model`), the page and what is expected
    expectation : Expectation | None
        None where there were no labels
    notes : tuple[str, ...]
        what the files told, what was guessed, what classes were taken to mean
    lines : tuple[str, str, str]
        accuracy expected, what is confused, what to do next
    """

    maps: tuple[Path, ...]
    report: Path
    folder: Path
    expectation: Expectation | None
    notes: tuple[str, ...]
    lines: tuple[str, str, str]


def map_image(
    images: str | Path | Sequence[str | Path],
    labels: str | Path | None = None,
    out: str | Path = "map.tif",
    said: Said | None = None,
    *,
    weights: str | None = None,
    random_split: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    workers: int = 1,
    scheduler: str | None = None,
    ask: Ask | None = None,
    tell: Tell = lambda what, share: None,
) -> PlaceMap:
    """Map images from a few labels, or from class names alone, and say what the map is worth.

    The same as `terraficta finetune run` with all labels and `terraficta eval predict`, on a tileset that is drafted
    from the files; that tileset and the run stay beside the map.

    Parameters
    ----------
    images : str | Path | Sequence[str | Path]
        of one camera: one place, also on several dates, or several places; or a folder with tileset.yaml
    labels : str | Path | None
        points, lines or polygons with a class, or a raster on the grid of the image; None: names alone
    out : str | Path
        GeoTIFF to write; a folder of that name comes beside it. Of several images each has its own, named after it
    said : Said | None
        what the user says of images and labels; the files must tell the rest
    weights : str | None
        a file in place of those that ship
    random_split : bool
        judge by labels dealt out at random, without blocks of ground: it flatters, and is marked so everywhere
    seed : int
        of training and judging
    overwrite : bool
        whether what stands at `out` may be replaced
    device : str
        "auto", "cpu" or "cuda"
    workers : int
        processes that map, of several images each another
    scheduler : str | None
        address of a dask scheduler whose workers map instead; they must see all files under the same paths
    ask : Ask | None
        asks a person where files do not tell; None: refused
    tell : Tell
        called with what is being done and the share that is done

    Raises
    ------
    Refusal
        what neither files nor user tell, or what cannot be; then nothing is written

    Examples
    --------
    >>> import terraficta as tf
    >>> made = tf.map_image("scene.tif", "points.gpkg", "map.tif", tf.Said(scale=1e-4))   # doctest: +SKIP
    >>> print(made.lines[0])                                        # doctest: +SKIP
    accuracy expected: 87 % (81 to 93 %) of the land
    """
    paths = [images] if isinstance(images, str | Path) else list(images)
    require_workers(workers)
    if scheduler is not None:
        connect(scheduler).close()  # a wrong address is told at once, not when the model is fitted
    out, on = Path(out), pick_device(device)
    whole = is_tileset(paths)
    _require_room(out, [*paths, *([labels] if labels is not None else [])] if not whole else [], overwrite)
    if whole and (labels is not None or said not in (None, Said())):
        mend = "say it in its tileset.yaml"
        raise Refusal(paths[0], MANIFEST, "a tileset, and options beside it", "one of them", mend)
    tell("read", 0.0)
    draft = None if whole else draft_tileset(paths, labels, said or Said(), ask)
    run = Run(STAGE, {"images": [str(p) for p in paths], "labels": None if labels is None else str(labels)}, seed)
    with new_folder(out.with_suffix("")) as folder, _only_whole_maps() as written:
        land = read_tileset(_tileset_folder(paths, folder, draft))
        tell("read", 1.0)
        tell("fit", 0.0)
        number: int | Literal["all"] = "all" if any(scene.entry.labelled for scene in land.scenes) else 0
        recipe = read_finetune_recipe("standard")
        fitting = fit_tileset(
            land, folder / MODEL, recipe, number=number, weights=weights, seed=seed, device=on
        )  # fmt: skip
        tell("fit", 1.0)
        made = _map_scenes(
            land, folder / MODEL, out, written, device=on, overwrite=overwrite, workers=workers, scheduler=scheduler,
            tell=lambda share: tell("map", share),
        )  # fmt: skip
        mapped = _shares(made)
        tell("judge", 0.0)
        expectation = _expect(land, fitting, mapped, seed, random_split)
        suggest = f"terraficta suggest --run {folder / MODEL} --tileset {land.folder} --out next.gpkg"
        lines = three_lines(expectation, land.legend.classes, land.meanings, mapped, suggest)
        tell("judge", 1.0)
        notes = (*(() if draft is None else draft.notes), *land.meanings.lines())
        report = write_place_report(folder, land, fitting, made, expectation, lines, notes)
        _write_expected(folder, expectation, lines)
        metrics = {"accuracy": expectation.accuracy if expectation else None, "lines": list(lines)}
        run.write(folder, metrics, device=on, maps=[str(one.map) for one in made])
    return PlaceMap(tuple(one.map for one in made), report, folder, expectation, notes, lines)


def is_tileset(paths: Sequence[str | Path]) -> bool:
    """Whether what is to be mapped is a folder with tileset.yaml."""
    return len(paths) == 1 and (Path(paths[0]) / MANIFEST).is_file()


def _tileset_folder(paths: Sequence[str | Path], folder: Path, draft: Draft | None) -> Path:
    if draft is None:
        return Path(paths[0])
    write_draft(folder, draft)
    return folder


def _require_room(out: Path, inputs: Sequence[str | Path], overwrite: bool) -> None:
    """Refuse a name that is none for a map, or where something stands."""
    if out.suffix.lower() not in {".tif", ".tiff"}:
        raise Refusal(out, "--out", out.suffix or "no suffix", ".tif", "name a GeoTIFF")
    require_no_input([out], inputs)
    require_free(out, inputs, "none yet", overwrite)
    folder = out.with_suffix("")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    record = folder / "run.json"
    mine = record.is_file() and json.loads(record.read_text()).get("stage") == STAGE
    if not (mine and overwrite):
        mend = "name another --out" + (", or add --overwrite" if mine else "")
        raise Refusal(folder, "--out", "a folder that stands there", "no such folder", mend)
    shutil.rmtree(folder)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder that is gone again, with all in it, where what fills it fails."""
    above = next(p for p in folder.parents if p.exists())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in folder.parents:
            if parent == above or any(parent.iterdir()):
                break
            parent.rmdir()
        raise


@contextmanager
def _only_whole_maps() -> Iterator[list[Path]]:
    """Collects the files that are to be written, and takes them away again where one of the later steps fails.

    What stood there before, a user's own or an earlier map, stays.
    """
    written: list[Path] = []
    try:
        yield written
    except BaseException as error:
        for path in written:
            if isinstance(error, Refusal):  # what a person interrupts goes on with the same command
                forget(path)
            path.unlink(missing_ok=True)
        raise


def _map_scenes(land: Tileset, run: Path, out: Path, written: list[Path], **how: Any) -> list[Made]:
    """A map of every scene, and one that joins several dates of one place; `how`: as in `map_sheets`."""
    several = len(land.scenes) > 1
    sheets = [
        Sheet(
            tuple(image.path for image in scene.images), sheet_name(out, scene.entry.id, several),
            f"{land.name}/{scene.entry.id}", scene.stored(land.scale, land.offset, land.nodata),
        )
        for scene in land.scenes
    ]  # fmt: skip
    written += [part for sheet in sheets for part in map_files(sheet.out) if not part.exists()]
    made = map_sheets(run, sheets, inputs=land.files, **how)
    if several and same_grid([one.map for one in made]):
        written += [part for part in map_files(out) if not part.exists()]
        made.insert(0, join_maps(made, out))
    return made


def _shares(made: Sequence[Made]) -> NDArray[np.float64]:
    """(K,) share of the mapped land that is each class; several dates of one place count once."""
    first = made[:1] if len(made) > 1 and same_grid([one.map for one in made]) else made
    total = sum(one.mapped_px * np.array(list(one.shares.values())) for one in first)
    found: NDArray[np.float64] = np.asarray(total, dtype=np.float64)
    return found / max(float(found.sum()), 1.0)


def _expect(
    land: Tileset, fitting: Fitting, mapped: NDArray[np.float64], seed: int, random_split: bool
) -> Expectation | None:
    if fitting.labels is None:
        return None
    cv = cross_validate(
        fitting.model.encoder, fitting.tiles, fitting.labels, land.meanings, fitting.recipe,
        temperature=fitting.model.temperature, seed=seed, random=random_split, evidence=fitting.evidence,
    )  # fmt: skip
    return expect(cv, land.legend.classes, mapped, land.gsd_m, seed)


def _write_expected(folder: Path, expectation: Expectation | None, lines: Sequence[str]) -> None:
    content = {"lines": list(lines)} | ({} if expectation is None else expectation.as_dict())
    with whole_file(folder / EXPECTED) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")
