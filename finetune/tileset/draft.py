"""The draft: a tileset.yaml made of an image and labels, with what was guessed, and from what, for the user to read."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rasterio.errors import RasterioError

from terraficta.finetune.tileset.features import Features, read_features
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.finetune.tileset.recognition import Numbers, Recognised, recognise_numbers, recognise_sensor
from terraficta.finetune.tileset.vector import CLASS_WORDS, VectorLabel, is_vector
from terraficta.synth.types.colours import distinct_colours
from terraficta.synth.types.file_name import is_plain
from terraficta.synth.types.legend import TERRAFICTA, USES
from terraficta.synth.types.raster import Raster, open_raster
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.sensor import sensor_names
from terraficta.synth.types.tile import Level

PAINTED_AS = {"settlement": "building", "farmland": "cropland"}
"""whose colour a use has"""
MOST_CLASSES = 60
"""different values that a column of classes has at most, unless it is named"""
GONE = ("", "none", "null", "nan", "<na>")
"""what an empty field of a table reads as"""
SAME_GSD = 0.01
"""by which share pixels may differ from those of the sensor's own product and still be called the same"""
UPS = 2
"""folders that a relative path of a manifest may climb; from farther away files are named whole"""

Ask = Callable[[str, Sequence[str]], str]
"""question, and the answers that may be given -> answer"""


@dataclass(frozen=True)
class Said:
    """What the user says of images and labels; None: the files must tell.

    Parameters
    ----------
    column : str | None
        of the labels that holds the class
    legend : tuple[str, ...]
        class names; class 1 first
    like : str | None
        sensor of the catalogue
    bands : tuple[str, ...]
        names of `like` in file order, or wavelengths in nm
    scale, offset : float | None
        image = stored * scale + offset
    level : Level | None
        BOA | TOA | RADIANCE | DN
    nodata : float | None
        stored value of missing pixels
    gsd_m : float | None
        side of a pixel [m], for images without a place
    means : Mapping[str, dict[str, float] | None]
        what classes are in our legend
    labels_from : int | None
        stored value of the first class, where labels are a raster
    """

    column: str | None = None
    legend: tuple[str, ...] = ()
    like: str | None = None
    bands: tuple[str, ...] = ()
    scale: float | None = None
    offset: float | None = None
    level: Level | None = None
    nodata: float | None = None
    gsd_m: float | None = None
    means: Mapping[str, dict[str, float] | None] = field(default_factory=dict)
    labels_from: int | None = None


@dataclass(frozen=True)
class Draft:
    """A manifest, and what was taken from where.

    Parameters
    ----------
    manifest : Mapping[str, Any]
        content of tileset.yaml; paths are whole
    notes : tuple[str, ...]
        one line for each thing that the files told or that was guessed
    """

    manifest: Mapping[str, Any]
    notes: tuple[str, ...]


def draft_tileset(
    images: Sequence[str | Path], labels: str | Path | None, said: Said, ask: Ask | None = None, thorough: bool = False
) -> Draft:
    """Draft the tileset of some images and their labels.

    Parameters
    ----------
    images : Sequence[str | Path]
        of one camera: one place on several dates, or several places
    labels : str | Path | None
        points, lines or polygons with a class, or a raster on the grid of the one image; None: names alone
    said : Said
        what the user says
    ask : Ask | None
        asks a person where files do not tell; None: there is nobody to ask
    thorough : bool
        whether to ask also where there is a usual answer: what the numbers are

    Raises
    ------
    Refusal
        what neither files nor user tell; labels of one class, or none of which lies on an image
    """
    rasters = [open_raster(image, field="image") for image in images]
    first, notes = rasters[0], []
    sensor = _sensor(first, said, ask)
    numbers = recognise_numbers(first, said.scale, said.offset, said.level)
    if thorough and ask is not None and numbers.level == "DN" and said.level is None:
        numbers = _ask_scale(first, ask)
    notes.append(f"bands: {_band_words(sensor.entry)} ({sensor.because})")
    scaling = "" if numbers.scale is None else f", scale {numbers.scale:g}, offset {numbers.offset:g}"
    notes.append(f"level: {numbers.level}{scaling} ({numbers.because})")
    gsd_m = _gsd_m(first, said, sensor.gsd_m, notes)
    nodata = _nodata(first, said, notes)
    legend, column, labelled = _labels(rasters, labels, said, ask, notes)
    ids = image_words([raster.path for raster in rasters])
    scenes = [
        {"id": scene, "image": _whole(raster.path)} | ({"label": _whole(str(labels)), "fold": "train"} if has else {})
        for scene, raster, has in zip(ids, rasters, labelled, strict=True)
    ]
    manifest: dict[str, Any] = {
        "name": _word(Path(first.name).stem), "about": f"drafted from {', '.join(r.name for r in rasters)}",
        "source": "the user's own", "licence": "the user's own", "sensor": sensor.entry, "gsd_m": gsd_m,
        "level": numbers.level, "scale": numbers.scale, "offset": numbers.offset, "nodata": nodata, "legend": legend,
    }  # fmt: skip
    manifest |= {"colours": legend_colours(legend, said.means)}
    manifest |= {"label_column": column} if column is not None else {}
    manifest |= {"labels_from": said.labels_from} if said.labels_from is not None else {}
    manifest |= {"means": dict(said.means)} if said.means else {}
    return Draft(manifest | {"scenes": scenes}, tuple(notes))


def legend_colours(legend: Sequence[str], means: Mapping[str, dict[str, float] | None]) -> list[str]:
    """A colour for each class: that of what it means most in our legend, where no class before it has that one.

    Examples
    --------
    >>> water, sea = legend_colours(["water", "lake"], {})
    >>> water == TERRAFICTA.colours[TERRAFICTA.index("water")], sea != water
    (True, True)
    >>> legend_colours(["town"], {})[0] == TERRAFICTA.colours[TERRAFICTA.index("building")]
    True
    """
    meanings = propose_meanings(legend, means)
    colours = (*TERRAFICTA.colours, *(TERRAFICTA.colours[TERRAFICTA.index(PAINTED_AS[use])] for use in USES))
    free = [c for c in distinct_colours(len(legend) + len(TERRAFICTA)) if c not in TERRAFICTA.colours]
    found: list[str] = []
    for row, named in zip(meanings.matrix, meanings.named, strict=True):
        own = [colours[k] for k in row.argsort(descending=True).tolist() if row[k] > 0] if named else []
        found.append(next(c for c in (*own, *free) if c not in found))
    return found


def write_draft(folder: Path, draft: Draft) -> Path:
    """Write tileset.yaml into a folder, the notes as its comments; paths nearby become relative."""
    scenes = [
        {key: _beside(folder, value) if key in ("image", "label") else value for key, value in scene.items()}
        for scene in draft.manifest["scenes"]
    ]
    text = "".join(f"# {note}\n" for note in draft.notes)
    text += yaml.safe_dump(dict(draft.manifest) | {"scenes": scenes}, sort_keys=False, allow_unicode=True, width=120)
    with whole_file(folder / MANIFEST) as partial:
        partial.write_text(text, encoding="utf-8")
    return folder / MANIFEST


def _sensor(raster: Raster, said: Said, ask: Ask | None) -> Recognised:
    """As the file or the user says; a person is asked where neither does."""
    try:
        return recognise_sensor(raster, said.like, said.bands)
    except Refusal as refusal:
        if ask is None or said.bands:
            raise
        like = said.like or ask(f"{refusal.found} in {raster.name}. From which sensor?", sensor_names())
        try:
            return recognise_sensor(raster, like)
        except Refusal as unnamed:
            words = ask(f"{unnamed.found} in {raster.name}. Which, in file order, with commas?", ())
            return recognise_sensor(raster, like, tuple(part.strip() for part in words.split(",")))


def _ask_scale(raster: Raster, ask: Ask) -> Numbers:
    word = ask(f"Reflectance = number in {raster.name} * what? (empty: the numbers are not calibrated)", ())
    try:
        return recognise_numbers(raster, scale=float(word) if word else None)
    except ValueError as error:
        raise Refusal(raster.path, "scale", word, "a number, e.g. 0.0001, or nothing", "answer again") from error


def _band_words(entry: Mapping[str, Any]) -> str:
    if "like" in entry:
        return f"{', '.join(entry['bands'])} of {entry['like']}"
    words = [f"{band['name']} {band['centre_nm']:.0f} nm" for band in entry["bands"]]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


def _gsd_m(raster: Raster, said: Said, usual_m: float | None, notes: list[str]) -> float:
    if said.gsd_m is not None:
        return said.gsd_m
    if raster.gsd_m is not None:
        near = usual_m is not None and abs(raster.gsd_m / usual_m - 1) < SAME_GSD
        return usual_m if near and usual_m is not None else float(f"{raster.gsd_m:.3g}")
    if usual_m is None:
        mend = "give the side of a pixel in metres, e.g. --gsd 10"
        raise Refusal(raster.path, "pixel size", "no georeference", "the size of pixels on the ground", mend)
    notes.append(f"pixels of {usual_m:g} m, as usual for the sensor; the image says nothing (--gsd corrects it)")
    return usual_m


def _nodata(raster: Raster, said: Said, notes: list[str]) -> float | None:
    if said.nodata is not None:
        return said.nodata
    declared = [value for value in raster.nodata if value is not None]
    if declared:
        return float(declared[0])
    if any(np.issubdtype(np.dtype(kind), np.floating) for kind in raster.dtypes):
        return float("nan")
    step = max(1, max(raster.shape) // 512)
    with raster.opened() as file:
        thin, _ = raster.numbers(file, shape=(-(-raster.height_px // step), -(-raster.width_px // step)))
    empty = float((thin == 0).all(0).mean())
    if empty > 0:
        notes.append(f"nodata: 0 ({empty:.1%} of the pixels are 0 in every band)")
    return 0.0 if empty > 0 else None


def _labels(
    rasters: Sequence[Raster], labels: str | Path | None, said: Said, ask: Ask | None, notes: list[str]
) -> tuple[list[str], str | None, list[bool]]:
    """Legend, column, and which images have labels."""
    nothing = [False] * len(rasters)
    if labels is None:
        if not said.legend:
            mend = "give labels (--labels POINTS) or class names (--legend forest,water,urban)"
            raise Refusal("map", "--labels", "neither labels nor class names", "one of them", mend)
        return list(said.legend), None, nothing
    path = str(labels)
    if not is_vector(path):
        if not said.legend:
            mend = "name its classes in order, class 1 first: --legend forest,water,urban"
            raise Refusal(path, "legend", "a raster of numbers", "names for its classes", mend)
        if len(rasters) > 1:
            mend = "give points or polygons, or write a tileset.yaml (terraficta start)"
            raise Refusal(path, "--labels", f"one raster for {len(rasters)} images", "one image", mend)
        return list(said.legend), None, [True]
    if is_plain(path) and not Path(path).is_file():
        raise Refusal(path, "--labels", "no such file", "points, lines or polygons with a class", "check the path")
    features = read_features(path)
    if not features.rows:
        raise Refusal(path, "--labels", "no features", "points, lines or polygons with a class", "export it again")
    column = said.column or _column(path, features, said, ask)
    found = _classes(path, features, column)
    legend = list(said.legend) or _in_order(found)
    if len(legend) < 2:
        mend = "label a second class; one class makes no map"
        raise Refusal(path, column, f"one class ({', '.join(legend)})", "at least two", mend)
    notes.append(f"classes: {', '.join(legend)} (column {column}{'' if said.column else ', guessed'})")
    return legend, column, _lie_on(path, features, rasters, tuple(legend), column, notes)


def _column(path: str, features: Features, said: Said, ask: Ask | None) -> str:
    """The column that holds the class: by its name, else the only one that can be; a person is asked in doubt."""
    able = [name for name in features.rows[0] if 2 <= len(_values(features, name)) <= MOST_CLASSES]
    if said.legend:
        wanted = {name.lower() for name in said.legend}
        able = [name for name in able if {value.lower() for value in _values(features, name)} <= wanted] or able
    known = sorted((n for n in able if n.strip().lower() in CLASS_WORDS), key=lambda n: CLASS_WORDS.index(n.lower()))
    if known:
        return known[0]
    words = [name for name in able if any(re.search("[a-z]", value, re.I) for value in _values(features, name))]
    repeated = [n for n in words or able if len(_values(features, n)) < len(features.rows)]
    if len(repeated) == 1:
        return repeated[0]
    columns = list(features.rows[0])
    if ask is not None and able:
        return ask(f"Which column of {Path(path).name} holds the class?", able)
    single = [name for name in columns if len(_values(features, name)) == 1 and name.strip().lower() in CLASS_WORDS]
    if single:
        mend = "label a second class; one class makes no map"
        found = f"one class ({', '.join(_values(features, single[0]))})"
        raise Refusal(path, single[0], found, "at least two", mend)
    mend = f"name it: --column {(repeated or able or columns or ['NAME'])[0]}"
    raise Refusal(path, "--column", f"columns {', '.join(columns) or 'none'}", "one that holds the class", mend)


def _values(features: Features, column: str) -> Counter[str]:
    """How often each value occurs, empty ones left out."""
    texts = ["" if row.get(column) is None else str(row[column]).strip() for row in features.rows]
    return Counter(text for text in texts if text.lower() not in GONE)


def _classes(path: str, features: Features, column: str) -> Counter[str]:
    """How often each class occurs; spellings that differ in case alone are one class, named as most often."""
    if column not in features.rows[0]:
        columns = ", ".join(features.rows[0])
        raise Refusal(path, "--column", column, f"one of {columns}", "correct the name of the column")
    found: dict[str, Counter[str]] = {}
    for text, count in _values(features, column).items():
        found.setdefault(_number_word(text).lower(), Counter())[_number_word(text)] += count
    return Counter({own.most_common(1)[0][0]: own.total() for own in found.values()})


def _number_word(text: str) -> str:
    """A class number as people write it: 3 for 3.0."""
    return text[:-2] if re.fullmatch(r"\d+\.0", text) else text


def _in_order(classes: Mapping[str, int]) -> list[str]:
    """Numbers by size, names by the alphabet."""
    if all(name.isdigit() for name in classes):
        return sorted(classes, key=int)
    return sorted(classes, key=str.lower)


def _lie_on(
    path: str, features: Features, rasters: Sequence[Raster], legend: tuple[str, ...], column: str, notes: list[str]
) -> list[bool]:
    """Which images have labels; refuses where none has, and counts what lies on none."""
    reached = np.zeros(len(features.shapes), dtype=bool)
    labelled = []
    for raster in rasters:
        try:
            mine = np.array(VectorLabel(path, raster, legend, column).on_image(features))
        except RasterioError as error:
            mend = "check the coordinate system of the file"
            raise Refusal(path, "CRS", str(error), "coordinates that can be moved", mend) from error
        labelled.append(bool(mine.any()))
        reached |= mine
    if not reached.any():
        mend = "check the coordinate system of the file, and that it lies on the image"
        where = rasters[0].name if len(rasters) == 1 else "any image"
        raise Refusal(path, "--labels", f"{len(reached)} features, none on {where}", "labels on the image", mend)
    outside = int((~reached).sum())
    if outside:
        notes.append(f"{outside} of {len(reached)} labels lie outside {'the image' if len(rasters) == 1 else 'all'}")
    there = {
        _number_word(str(row.get(column)).strip()).lower() for row, on in zip(features.rows, reached, strict=True) if on
    }
    lost = [name for name in legend if name.lower() not in there and not name.isdigit()]
    if lost:
        notes.append(f"{', '.join(lost)}: no label on the image, so not mapped")
    return labelled


def image_words(names: Sequence[str]) -> list[str]:
    """One word an image, by its name, all different.

    Examples
    --------
    >>> image_words(["a/june.tif", "b/june.tif", "july 1.tif"])
    ['june_1', 'june_2', 'july_1']
    """
    words = [_word(Path(re.split(r"[/\\]", name)[-1]).stem) for name in names]
    return [f"{word}_{n}" if words.count(word) > 1 else word for n, word in enumerate(words, 1)]


def _word(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text) or "image"


def _whole(name: str) -> str:
    return os.path.abspath(name) if is_plain(name) else name


def _beside(folder: Path, name: str) -> str:
    if not is_plain(name):
        return name
    near = os.path.relpath(name, folder)
    return near if near.split(os.sep).count(os.pardir) <= UPS else name
