"""The sheet: one of several maps by the same model, made one after another, in processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from terraficta.eval.map.predict import (
    Made,
    predict_image,
    require_free,
    scene_images,
    scene_of,
    stored_of_tileset,
)
from terraficta.eval.map.quantity import predict_quantity
from terraficta.eval.map.windows import Windows
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.map_model import MODEL
from terraficta.finetune.tileset.draft import image_words
from terraficta.finetune.tileset.tileset import Tileset
from terraficta.pretrain.weights import weights_digest
from terraficta.synth.corpus.workers import work_through
from terraficta.synth.types.file_name import is_plain
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run
from terraficta.synth.types.stored import Stored

EVERY = "all"
"""in place of the id of a scene: each of them"""


@dataclass(frozen=True)
class Sheet:
    """One map that is to be made.

    Parameters
    ----------
    images : tuple[str, ...]
        one image, or before and after
    out : Path
        GeoTIFF to write
    scene : str | None
        id of the tile that the image is of, as in `predict_image`
    stored : Stored | None
        how the image's numbers are stored; None: as in the tileset that the run was fitted on
    """

    images: tuple[str, ...]
    out: Path
    scene: str | None = None
    stored: Stored | None = None

    def whole(self) -> Sheet:
        """The same with paths that hold in any working folder."""
        images = tuple(str(Path(name).absolute()) if is_plain(name) else name for name in self.images)
        return replace(self, images=images, out=self.out.absolute())


def sheet_name(out: Path, word: str, several: bool) -> Path:
    """Where one of several maps is written: beside `out`, the word behind its name."""
    return out.with_name(f"{out.stem}_{word}{out.suffix}") if several else out


def image_sheets(images: Sequence[str], dates: int, out: Path) -> list[Sheet]:
    """A map of each image, or of each two, before and after.

    Raises
    ------
    Refusal
        no image, or an odd one where there must be two
    """
    if not images or len(images) % dates:
        wanted = "an image" if dates == 1 else "two images, before and after"
        raise Refusal("--image", "number", len(images), wanted, "repeat --image as often as the run has dates")
    groups = [tuple(images[start : start + dates]) for start in range(0, len(images), dates)]
    words = image_words([group[-1] for group in groups])
    several = len(groups) > 1
    return [Sheet(group, sheet_name(out, word, several)) for group, word in zip(groups, words, strict=True)]


def tileset_sheets(
    land: Tileset, encoder: Encoder, out: Path, images: Sequence[str] | None, scene: str | None
) -> list[Sheet]:
    """Maps of images, read as those of a tileset are; or of one of its scenes, the first by default, or of all.

    Parameters
    ----------
    land : Tileset
        opened
    encoder : Encoder
        of the model
    images : Sequence[str] | None
        that may lie in the tileset; None: its scenes
    scene : str | None
        id of a scene, or `EVERY`
    """
    if images is not None:
        sheets = image_sheets(images, encoder.dates, out)
    elif scene == EVERY and all(one.entry.id != EVERY for one in land.scenes):
        ids, several = [one.entry.id for one in land.scenes], len(land.scenes) > 1
        sheets = [Sheet(tuple(scene_images(land, own, encoder)), sheet_name(out, own, several)) for own in ids]
    else:
        sheets = [Sheet(tuple(scene_images(land, scene, encoder)), out)]
    found = []
    for sheet in sheets:
        own = scene_of(land, sheet.images)
        known = None if own is None else f"{land.name}/{own}"
        found.append(replace(sheet, scene=known, stored=stored_of_tileset(land, own)))
    return found


def map_sheets(
    run_folder: Path,
    sheets: Sequence[Sheet],
    *,
    windows: Windows | None = None,
    device: str = "cpu",
    inputs: Sequence[str | Path] = (),
    overwrite: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    tell: Callable[[float], None] = lambda share: None,
) -> list[Made]:
    """Map all sheets with the model of a fine-tuning run; the same bytes for any number of workers, here or elsewhere.

    Parameters
    ----------
    run_folder : Path
        of `terraficta finetune run`
    sheets : Sequence[Sheet]
        what is to be mapped
    windows, device, inputs, overwrite
        as in `predict_image`
    workers : int
        processes, each with one thread and one sheet at a time
    scheduler : str | None
        address of a dask scheduler whose workers map in place of processes here; they must see all files under the
        same paths
    tell : Callable[[float], None]
        called with the share that is done

    Returns
    -------
    list[Made]
        in the order of the sheets

    Raises
    ------
    Refusal
        as in `predict_image`, and two sheets under one name; what stands at the names is looked at before anything is
        mapped
    """
    outs, digest = [sheet.out for sheet in sheets], weights_digest(run_folder / MODEL)
    twice = next((out for out in outs if outs.count(out) > 1), None)
    if twice is not None:
        raise Refusal(twice, "--out", "two maps of one name", "a name for each", "map them one by one")
    images = [name for sheet in sheets for name in sheet.images]
    for out in outs:
        require_free(out, [*images, *inputs, run_folder / MODEL], digest, overwrite)
    make = partial(_make, windows=windows, device=device, inputs=tuple(inputs))
    found: dict[int, Made] = {}
    if scheduler is None and (workers == 1 or len(sheets) == 1):
        for number, sheet in enumerate(sheets):

            def told(share: float) -> None:
                tell((len(found) + share) / len(sheets))

            found[number] = make(run_folder, sheet, tell=told)
        return list(found.values())
    tasks = [(number, sheet.whole() if scheduler else sheet) for number, sheet in enumerate(sheets)]
    work = partial(_numbered, make, run_folder.absolute())
    for number, made in work_through(work, tasks, workers, device, scheduler):
        found[number] = made
        tell(len(found) / len(sheets))
    return [found[number] for number in range(len(sheets))]


def _numbered(make: Callable[[Path, Sheet], Made], run_folder: Path, task: tuple[int, Sheet]) -> tuple[int, Made]:
    """A sheet beside its number, for sheets are finished in any order."""
    return task[0], make(run_folder, task[1])


def _make(
    run_folder: Path,
    sheet: Sheet,
    *,
    windows: Windows | None,
    device: str,
    inputs: Sequence[str | Path],
    tell: Callable[[float], None] = lambda share: None,
) -> Made:
    if read_run(run_folder).get("quantity") is not None:
        return predict_quantity(
            run_folder, sheet.images, sheet.out, scene=sheet.scene, stored=sheet.stored, windows=windows,
            inputs=inputs, overwrite=True, tell=tell,
        )  # fmt: skip
    return predict_image(
        run_folder, sheet.images, sheet.out, scene=sheet.scene, stored=sheet.stored, windows=windows, device=device,
        inputs=inputs, overwrite=True, tell=tell,
    )  # fmt: skip
