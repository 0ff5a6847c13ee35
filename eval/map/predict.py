"""Prediction: a fitted map model and an image of any size give a map on disk."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import rasterio
import torch
from torch import Tensor

from terraficta.eval.map.preview import natural_colour, thin, write_preview
from terraficta.eval.map.product import open_map
from terraficta.eval.map.source import Source, open_source
from terraficta.eval.map.trust import trust_file
from terraficta.eval.map.unfinished import content_key, unfinished
from terraficta.eval.map.windows import Windows
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.map_model import MODEL, MapModel, read_map_model
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.plausibility import require_reflectance
from terraficta.finetune.tileset.tileset import Tileset, read_tileset, stack_sensor
from terraficta.pretrain.precision import fast_precision
from terraficta.pretrain.weights import weights_digest
from terraficta.synth.types.file_name import is_plain
from terraficta.synth.types.raster import READ_ERRORS
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, made_by, read_run, require_no_input, whole_file
from terraficta.synth.types.stored import Stored

SAMPLE_PX = 128
"""side of the thinned image that is checked for plausible reflectance [px]"""
PREVIEW_ROWS = 64
"""rows of the preview that are read at once, for they are read with all bands [px]"""
CACHE_BYTES = 64_000_000
"""pixels that GDAL may keep; by its own rule it takes a twentieth of the machine's memory"""
log = logging.getLogger("terraficta")


@dataclass(frozen=True)
class Made:
    """What a prediction has made.

    Parameters
    ----------
    map : Path
        the GeoTIFF
    preview : Path | None
        the PNG; None of a quantity
    record : Path
        the run record
    shares : dict[str, float]
        share of the mapped pixels a class; none of a quantity
    mapped_px : int
        pixels that are not nodata [px]
    familiarity : float | None
        mean over them: 0.5 is what fiction itself has; None where the model cannot tell
    """

    map: Path
    preview: Path | None
    record: Path
    shares: dict[str, float]
    mapped_px: int
    familiarity: float | None


def predict_image(
    run_folder: Path,
    images: Sequence[str | Path],
    out: Path,
    *,
    scene: str | None = None,
    stored: Stored | None = None,
    windows: Windows | None = None,
    device: str = "cpu",
    inputs: Sequence[str | Path] = (),
    overwrite: bool = False,
    tell: Callable[[float], None] = lambda share: None,
) -> Made:
    """Map an image, or before and after, with the model of a fine-tuning run.

    Parameters
    ----------
    run_folder : Path
        of `terraficta finetune run`
    images : Sequence[str | Path]
        one GeoTIFF, or two where the run maps change
    out : Path
        GeoTIFF to write; beside it come .trust.tif, .png, .qml, .tif.aux.xml and .run.json
    scene : str | None
        id of the tile that the image is of; None, or one that the model does not know: where the model scales each
        scene by itself, the image is scaled by its own pixels
    stored : Stored | None
        how the image's numbers are stored; None: as in the tileset that the run was fitted on
    windows : Windows | None
        how the image is cut
    device : str
        "cpu" or "cuda"
    inputs : Sequence[str | Path]
        further files that must not be written over, e.g. of the tileset
    overwrite : bool
        whether a file that stands at `out` may be replaced, though it is no map by this model
    tell : Callable[[float], None]
        called with the share that is done
    """
    if out.suffix.lower() not in {".tif", ".tiff"}:
        raise Refusal(out, "out", out.suffix or "no suffix", ".tif", "name a GeoTIFF")
    model = read_map_model(run_folder, device)
    parent, digest = read_run(run_folder), weights_digest(run_folder / MODEL)
    require_free(out, [*images, *inputs, run_folder / MODEL], digest, overwrite)
    stated = stored is not None
    stored = stored or stored_of_run(run_folder, parent)
    windows = windows or Windows(batch=1 if device == "cpu" else 32)
    run = Run(
        "predict",
        {
            "images": [str(p) for p in images],
            "stored": vars(stored),
            "stated": stated,
            "windows": vars(windows),
            "bands": [asdict(band) for band in model.sensor.bands],
            "gsd_m": model.sensor.gsd_m,
            "precision": fast_precision(device),
        },
        seed=0,
        parents={"map_model": digest},
    )
    about = {"TIFFTAG_SOFTWARE": "terraficta eval predict", "map_model": digest}
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES))
        source = stack.enter_context(open_source(images, stored, model.sensor, model.dates, stated))
        _require_plausible(str(images[0]), source, model)
        scene = scene or str(images[0])
        known = scene in model.encoder.by_scene
        if not known:
            model = replace(model, encoder=model.encoder.with_scene(scene, sampled(source)).to(device))
        hangs_on = {k: v for k, v in run.recipe.items() if k != "images"} | about | made_by()
        hangs_on |= {"scene": scene if known else None, "device": device}
        kept = stack.enter_context(unfinished(out, content_key(source.files_read, hangs_on)))
        height, width = source.shape
        with open_map(out, source.first, model.legend, about, kept, model.sets) as target:
            if target.pieces:
                log.warning("%s: goes on after %d pieces that were mapped before", out, target.pieces)
            for y, x, piece, valid in mapped_pieces(source, model, windows, scene, target.pieces):
                target.write(y, x, piece[:-1], valid, piece[-1])
                tell((y + piece.shape[1]) * (x + piece.shape[2]) / (height * width))
        preview = _write_preview(out, source, model)
        mapped = int(target.counts.sum())
        shares = {n: c / max(mapped, 1) for n, c in zip(model.legend.classes, target.counts.tolist(), strict=True)}
        familiarity = target.familiarity if mapped else None
        metrics = {"mapped_px": mapped, "shares": shares, "familiarity": familiarity}
        metrics |= {} if model.sets is None else {"coverage": model.sets.asked, "coverage_stated": model.sets.stated}
        record = out.with_suffix(".run.json")
        with whole_file(record) as partial:
            content = run.record(metrics, device=device, digest=weights_digest(out))
            partial.write_text(json.dumps(content | {"parent_record": parent}, indent=1, default=str) + "\n")
    if mapped == 0:
        log.warning("%s: no valid pixel, so the map is empty", images[0])
    return Made(out, preview, record, shares, mapped, familiarity)


def sampled(source: Source, windows: int = 6, side: int = 64) -> Tensor:
    """(B, P) valid pixels of windows that are spread evenly over a source: enough to scale it by."""
    height, width = source.shape
    high, wide = min(side, height), min(side, width)
    corners = [
        (i * (height - high) // max(windows - 1, 1), j * (width - wide) // max(windows - 1, 1))
        for i in range(windows)
        for j in range(windows)
    ]
    read = [source.read(y, x, high, wide) for y, x in dict.fromkeys(corners)]
    pixels = torch.cat([image[:, valid] for image, valid in read], 1)
    return pixels if pixels.shape[1] else torch.zeros(len(pixels), 1)


def mapped_pieces(
    source: Source, model: MapModel, windows: Windows, scene: str, done: int = 0
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """(y, x, piece (K + 1, h, w), valid (h, w)) that together cover the source, each pixel once.

    A piece is the probabilities and, last, the familiarity. `done`: pieces that are there already, and left out.
    """
    height, width = source.shape
    high, wide = min(windows.size_px, height), min(windows.size_px, width)

    def predict(corners: Sequence[tuple[int, int]]) -> Tensor:
        images, valids = zip(*(source.read(y, x, high, wide) for y, x in corners), strict=True)
        found = model.with_familiarity(torch.stack(images), torch.stack(valids), [scene] * len(images))
        return torch.cat([found[0], found[1][:, None]], 1)

    for y, x, piece in windows.strips(height, width, predict, done=done):
        yield y, x, piece, source.read(y, x, *piece.shape[1:])[1]


def stored_of_tileset(tileset: Tileset, scene: str | None = None) -> Stored:
    """How a tileset's images are stored, or those of one scene by its id."""
    for one in tileset.scenes:
        if one.entry.id == scene:
            return one.stored(tileset.scale, tileset.offset, tileset.nodata)
    return Stored(tileset.scale, tileset.offset, tileset.nodata, tileset.dropped)


def stored_of_run(folder: Path, record: Mapping[str, Any]) -> Stored:
    """How the images of the tileset were stored that a run was fitted on.

    Raises
    ------
    Refusal
        where neither the run says so nor its tileset is to be found
    """
    stated = record.get("tileset")
    if isinstance(stated, Mapping) and {"scale", "offset", "nodata"} <= set(stated):
        return Stored(stated["scale"], stated["offset"], stated["nodata"], tuple(stated.get("dropped", ())))
    if isinstance(stated, str) and (Path(stated) / MANIFEST).is_file():
        return stored_of_tileset(read_tileset(stated, verify=False))
    mend = "give --tileset DIR of images stored in the same way, or --scale and --offset"
    raise Refusal(folder / "run.json", "tileset", stated, "a tileset that is there", mend)


def scene_images(tileset: Tileset, scene: str | None, encoder: Encoder) -> list[str]:
    """The image files of a scene by its id (None: the first), once the tileset is known to suit a model's encoder."""
    encoder.require_sensor(tileset.sensor if encoder.dates == 1 else stack_sensor(tileset.sensor))
    if tileset.level != encoder.level:
        mend = "fine-tune on a tileset of this level"
        raise Refusal(tileset.folder, "level", tileset.level, f"{encoder.level}, as the run was fitted on", mend)
    by_id = {entry.entry.id: entry for entry in tileset.scenes}
    if scene is not None and scene not in by_id:
        known = ", ".join(list(by_id)[:12]) + (" ..." if len(by_id) > 12 else "")
        raise Refusal(tileset.folder, "scene", scene, f"one of {known}", "use an id of tileset.yaml")
    chosen = tileset.scenes[0] if scene is None else by_id[scene]
    return [raster.path for raster in chosen.images]


def scene_of(tileset: Tileset, images: Sequence[str | Path]) -> str | None:
    """The id of the scene that these files are, where the tileset holds it."""
    wanted = [_whole_name(path) for path in images]
    for scene in tileset.scenes:
        if [_whole_name(raster.path) for raster in scene.images] == wanted:
            return scene.entry.id
    return None


def _whole_name(name: str | Path) -> str:
    return os.path.realpath(name) if is_plain(str(name)) else str(name)


def map_files(out: Path) -> list[Path]:
    """The files of a map: itself, and what comes beside it."""
    beside_it = [out.with_suffix(suffix) for suffix in (".png", ".qml", ".run.json")]
    return [out, trust_file(out), *beside_it, out.with_name(out.name + ".aux.xml")]


def require_free(out: Path, inputs: Sequence[str | Path], model: str, overwrite: bool) -> None:
    """Refuse to write a map over an input, or over anything but an earlier map by the same model.

    Raises
    ------
    Refusal
        before anything is read or written
    """
    beside_it = map_files(out)
    require_no_input(beside_it, inputs)
    there = [path for path in beside_it if path.exists()]
    if overwrite or not there:
        return
    try:
        with rasterio.open(out) as file:
            mine = file.tags().get("map_model") == model
    except READ_ERRORS:
        mine = False
    if not mine:
        mend = "name another --out, or add --overwrite to replace what stands there"
        raise Refusal(there[0], "--out", "a file that stands there", "a new name, or a map by this model", mend)
    log.warning("%s: the earlier map by this model is replaced", out)


def _require_plausible(path: str, source: Source, model: MapModel) -> None:
    """Refuse reflectance that cannot be, e.g. an image stored in another scale than the run's tileset."""
    if model.encoder.level not in {"BOA", "TOA"}:
        return
    height, width = source.shape
    image, valid = source.read(0, 0, height, width, step=thin(max(height, width), SAMPLE_PX))
    pixels = image[: len(model.sensor), valid].T
    require_reflectance(path, pixels, torch.zeros(len(pixels), dtype=torch.uint8), model.sensor, ())


def _write_preview(out: Path, source: Source, model: MapModel) -> Path:
    height, width = source.shape
    step = thin(max(height, width))
    shown, rows = list(model.sensor.reading_order()), step * PREVIEW_ROWS
    parts = []
    for y in range(0, height, rows):
        image, there = source.read(y, 0, min(rows, height - y), width, step=step)
        parts.append((image[shown], there))
    image = torch.cat([part for part, _ in parts], 1)
    valid = torch.cat([there for _, there in parts])
    with rasterio.open(out) as made:
        label = made.read(1, out_shape=tuple(valid.shape))
    picture = natural_colour(image, valid, (0, 1, 2))
    preview = out.with_suffix(".png")
    write_preview(preview, label, model.legend, out.stem, picture)
    return preview
