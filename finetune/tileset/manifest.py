"""The manifest: what `tileset.yaml` says of a real data set, typed and whole."""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from terraficta.synth.types.recipe import read_words
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import SOLAR_RANGE_NM, Band, Sensor, read_sensor, sensor_names
from terraficta.synth.types.tile import Level

MANIFEST = "tileset.yaml"
NAN = (".nan", "nan")
"""how YAML and people write what is not a number"""
Word = Annotated[str, BeforeValidator(lambda value: value if value is None else str(value))]
"""text, as it is written: `003` and `NO` are words"""


def _number(value: Any) -> Any:
    """What YAML writes for special numbers, as Python reads it."""
    if isinstance(value, str):
        word = value.strip().lower()
        return "nan" if word in NAN else word.replace(".inf", "inf").replace("_", "")
    return value


Number = Annotated[float, BeforeValidator(_number)]
"""a number in any spelling: 1e3, 1.0e+3, .nan"""


class Entry(BaseModel):
    """A part of the manifest; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BandEntry(Entry):
    """One band, described by the tileset itself."""

    name: Word
    centre_nm: Annotated[float, BeforeValidator(_number), Field(ge=SOLAR_RANGE_NM[0], le=SOLAR_RANGE_NM[1])]
    fwhm_nm: Annotated[float, BeforeValidator(_number), Field(ge=0.5, le=1500)]
    inferred: bool = False
    gsd_m: float | None = Field(default=None, gt=0)

    def band(self) -> Band:
        """As the vocabulary knows it."""
        return Band(self.name, self.centre_nm, self.fwhm_nm, self.gsd_m)


class SensorEntry(Entry):
    """Either `like` a known sensor with its band names, or `bands` described one by one; `drop` leaves some out."""

    like: str | None = None
    bands: list[Any] | None = None
    drop: list[Word] = []
    inferred: bool = False


class SceneEntry(Entry):
    """One scene: paths relative to the tileset's folder."""

    id: Word
    image: str | None = None
    before: str | None = None
    after: str | None = None
    label: str | None = None
    mass: str | None = None
    value: str | None = None
    fold: str | None = None
    clm: str | None = None
    scale: Number | None = None
    offset: Number | None = None
    region: Word | None = None
    date: Word | None = None
    date_before: Word | None = None
    date_after: Word | None = None

    @property
    def images(self) -> tuple[str, ...]:
        """The image, or both of them."""
        return tuple(path for path in (self.image, self.before, self.after) if path)

    @property
    def labelled(self) -> bool:
        """Whether the scene comes with labels."""
        return bool(self.label or self.mass or self.value)


class Manifest(Entry):
    """The whole of `tileset.yaml`."""

    name: Word
    about: str
    source: str
    licence: str
    task: Literal["cover", "change", "value"] = "cover"
    quantity: str | None = None
    sensor: SensorEntry
    gsd_m: Annotated[float, BeforeValidator(_number), Field(gt=0)]
    level: Level
    scale: Number | None
    offset: Number | None
    nodata: Number | None
    legend: list[str]
    labels_from: int | None = Field(default=None, ge=0, le=1)
    label_column: Word | None = None
    label_crs: Word | None = None
    confidence_column: Word | None = None
    votes_columns: dict[Word, Word] | None = None
    colours: list[Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]] | None = None
    means: dict[str, dict[str, float] | str | None] | None = None
    shares: dict[str, float] | None = None
    scenes: list[SceneEntry] = Field(min_length=1)

    @property
    def dates(self) -> int:
        """Images a scene: 2 for change."""
        return 2 if self.task == "change" else 1


MENDS = {
    "level": "write level: BOA, TOA, RADIANCE or DN; DN where the numbers are not calibrated",
    "scale": "write the factor in reflectance = stored * scale + offset, e.g. scale: 0.0001",
    "offset": "write the summand in reflectance = stored * scale + offset, e.g. offset: 0.0",
    "nodata": "write the value that means no data, or nodata: null where every pixel is measured",
    "gsd_m": "write the ground sampling distance in metres, e.g. gsd_m: 10.0",
    "labels_from": "write labels_from: 1 where 0 is unlabelled, labels_from: 0 where 0 is the first class",
    "legend": "list the class names; class 1 first. An unlabelled tileset has legend: []",
    "scenes": "list at least one scene with id and image",
    "colours": "write one '#rrggbb' a class, or leave the key out",
    "means": "write {forest: {evergreen_forest: 0.5, deciduous_forest: 0.5}}, one name, or null: not to be guessed",
    "shares": "write the share of the land by class, e.g. {forest: 0.5}; leave out what is not known",
    "task": "write task: change for before/after pairs, task: value for a quantity; else leave the key out",
    "quantity": "write what the values are, with the unit, e.g. quantity: above-ground biomass [t ha-1]",
    "centre_nm": "write the centre wavelength in nm, e.g. centre_nm: 865.0; leave bands out that see no sunlight",
    "fwhm_nm": "write the full width at half maximum in nm, e.g. fwhm_nm: 30.0",
}


def _refusal(path: Path, error: ValidationError, model: type[Entry], prefix: str = "") -> Refusal:
    """The first fault of a pydantic report, in our own words."""
    first = error.errors()[0]
    named = [
        step for step in first["loc"] if "[" not in str(step)
    ]  # without the branch of a union, e.g. dict[str,float]
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in named]
    field = (prefix + "".join(steps)).lstrip(".") or MANIFEST
    last = str(first["loc"][-1]) if first["loc"] else ""
    if field == "crosswalk":
        expected = "means:, which has taken its place"
        return Refusal(path, field, "a key of older tilesets", expected, "rename crosswalk: to means:")
    mend = MENDS.get(str(first["loc"][0]) if not prefix and first["loc"] else last, "correct this field")
    if first["type"] == "extra_forbidden":
        sections: dict[str, type[Entry]] = {"scenes": SceneEntry, "sensor": SensorEntry}
        known = sections.get(str(first["loc"][0]), model)
        near = difflib.get_close_matches(last, known.model_fields, 1)
        mend = f"did you mean {near[0]}?" if near else "remove the key, or make it a comment"
        return Refusal(path, field, "an unknown key", f"one of {', '.join(known.model_fields)}", mend)
    if first["type"] == "missing":
        return Refusal(path, field, "nothing", "a value; this key is required", mend)
    return Refusal(path, field, repr(first["input"]), first["msg"].replace("Input should be ", ""), mend)


def read_manifest(folder: Path) -> Manifest:
    """Read and check `tileset.yaml`; the rasters it names are not touched.

    Raises
    ------
    Refusal
        names the field and the mend
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise Refusal(folder, MANIFEST, "no such file", "a folder that holds a tileset.yaml", "check the path")
    content = read_words(path)
    if not isinstance(content, dict):
        raise Refusal(path, "yaml", type(content).__name__, "keys and values", "see the format of a tileset")
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise _refusal(path, error, Manifest) from error
    _check_legend(path, manifest)
    _check_votes(path, manifest)
    _check_numbers(path, manifest)
    _check_scenes(path, manifest)
    if (manifest.task == "value") != bool(manifest.quantity) or (manifest.quantity and manifest.legend):
        found = f"task: {manifest.task}, quantity: {manifest.quantity}, {len(manifest.legend)} classes"
        expected = "task: value with a quantity and legend: [], or neither"
        raise Refusal(path, "quantity", found, expected, MENDS["quantity"])
    return manifest


def _check_legend(path: Path, manifest: Manifest) -> None:
    twice = sorted({name for name in manifest.legend if manifest.legend.count(name) > 1})
    if twice:
        raise Refusal(path, "legend", f"{', '.join(twice)} more than once", "every class once", "rename or merge")
    if len(manifest.legend) > 255:
        raise Refusal(path, "legend", f"{len(manifest.legend)} classes", "at most 255", "merge classes")
    if manifest.colours is not None and len(manifest.colours) != len(manifest.legend):
        found, expected = f"{len(manifest.colours)} colours", f"{len(manifest.legend)}, one a class"
        raise Refusal(path, "colours", found, expected, MENDS["colours"])


def _check_votes(path: Path, manifest: Manifest) -> None:
    strange = [name for name in manifest.votes_columns or {} if name not in manifest.legend]
    if strange:
        mend = "write {forest: column with votes for forest, ...}"
        raise Refusal(path, "votes_columns", strange[0], f"a class of {', '.join(manifest.legend)}", mend)
    if manifest.votes_columns is not None and manifest.label_column is not None:
        mend = "keep the one that says what the class is"
        raise Refusal(path, "votes_columns", "label_column beside it", "one of them", mend)


def _check_numbers(path: Path, manifest: Manifest) -> None:
    stated = [("", manifest.scale, manifest.offset)]
    stated += [(f"scenes[{n}].", scene.scale, scene.offset) for n, scene in enumerate(manifest.scenes)]
    for field, scale, offset in stated:
        if scale is not None and (not math.isfinite(scale) or scale <= 0):
            raise Refusal(path, f"{field}scale", scale, "a positive number", MENDS["scale"])
        if offset is not None and not math.isfinite(offset):
            raise Refusal(path, f"{field}offset", offset, "a finite number", MENDS["offset"])


def _check_scenes(path: Path, manifest: Manifest) -> None:
    ids = [scene.id for scene in manifest.scenes]
    for n, scene in enumerate(manifest.scenes):
        field = f"scenes[{n}] ({scene.id})"
        if ids.count(scene.id) > 1:
            raise Refusal(path, field, f"id {scene.id} more than once", "every id once", "rename one of the scenes")
        keys = {key for key in ("image", "before", "after") if getattr(scene, key)}
        expected = {"before", "after"} if manifest.task == "change" else {"image"}
        if keys != expected:
            found = " and ".join(sorted(keys)) or "no image"
            mend = "task: change takes `before:` and `after:`; every other task takes `image:`"
            raise Refusal(path, field, found, " and ".join(sorted(expected, reverse=True)), mend)
        if bool(scene.value) and manifest.task != "value":
            mend = "write task: value and quantity:, or leave `value:` out"
            raise Refusal(path, f"{field}.value", scene.value, "no values where classes are mapped", mend)
        if manifest.task == "value" and (scene.label or scene.mass):
            mend = "give the quantity as `value:`, a raster of numbers"
            raise Refusal(path, field, "classes where a quantity is mapped", "value:", mend)
        if scene.label and scene.mass:
            raise Refusal(path, field, "both label and mass", "one of them", "keep the one that holds the truth")
        if (scene.label or scene.mass) and not manifest.legend:
            raise Refusal(path, "legend", "no classes", f"the classes of {scene.label or scene.mass}", MENDS["legend"])


def sensor_of(path: Path, manifest: Manifest) -> Sensor:
    """The sensor of one date, bands in file order, with the tileset's own GSD and scale.

    Raises
    ------
    Refusal
        an unknown sensor or band, a band without wavelength, a wavelength that is not in nm, a name twice
    """
    entry = manifest.sensor
    names, dropped = band_names(path, manifest), dropped_bands(path, manifest)
    kept = [n for n in range(len(names)) if n not in dropped]
    if entry.like is not None:
        known = read_sensor(entry.like)
        bands = tuple(_known_band(path, n, names[n] if entry.bands is None else entry.bands[n], known) for n in kept)
    else:
        bands = tuple(_described_band(path, n, (entry.bands or [])[n]) for n in kept)
    if not bands:
        raise Refusal(path, "sensor.bands", "no bands", "the bands of the image in file order", "list them")
    return Sensor(
        name=entry.like or manifest.name, bands=bands, gsd_m=manifest.gsd_m,
        dn_scale=1.0 if manifest.scale is None else manifest.scale,
        dn_offset=0.0 if manifest.offset is None else manifest.offset,
    )  # fmt: skip


def band_names(path: Path, manifest: Manifest) -> list[str]:
    """Names of all bands of the files, in their order, dropped ones among them."""
    entry = manifest.sensor
    if entry.like is not None and entry.like not in sensor_names():
        mend = "use a name of the catalogue, or describe the bands: {name, centre_nm, fwhm_nm}"
        raise Refusal(path, "sensor.like", entry.like, f"one of {', '.join(sensor_names())}", mend)
    if entry.like is not None and entry.bands is None:
        names = [band.name for band in read_sensor(entry.like).bands]
    elif entry.bands:
        named = [content.get("name", f"band {n}") if isinstance(content, dict) else content
                 for n, content in enumerate(entry.bands, 1)]  # fmt: skip
        names = [str(name) for name in named]
    else:
        mend = "write {like: sentinel2a, bands: [B02, ...]} or bands: [{name, centre_nm, fwhm_nm}, ...]"
        raise Refusal(path, "sensor", "neither like nor bands", "one of them", mend)
    for n, name in enumerate(names):
        if name in names[:n]:
            raise Refusal(path, f"sensor.bands[{n}]", f"{name} a second time", "every band once", "correct the name")
    return names


def dropped_bands(path: Path, manifest: Manifest) -> tuple[int, ...]:
    """Positions of the bands in the files that are left out, e.g. those that hold nothing."""
    names = band_names(path, manifest)
    for name in manifest.sensor.drop:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            mend = f"did you mean {near[0]}?" if near else "use a name of sensor.bands"
            raise Refusal(path, "sensor.drop", name, "the name of a band", mend)
    return tuple(n for n, name in enumerate(names) if name in manifest.sensor.drop)


def _known_band(path: Path, n: int, content: Any, known: Sensor) -> Band:
    bands = {band.name: band for band in known.bands}
    if content not in bands:
        mend = "use the names of the sensor in file order; without `like`, describe every band"
        raise Refusal(path, f"sensor.bands[{n}]", content, f"a band of {known.name}: {', '.join(bands)}", mend)
    return bands[content]


def _parsed(value: Any) -> float | None:
    try:
        return float(_number(value))
    except (TypeError, ValueError):
        return None


def _described_band(path: Path, n: int, content: Any) -> Band:
    field = f"sensor.bands[{n}]"
    if not isinstance(content, dict):
        mend = f"write {{name: {content}, centre_nm: ..., fwhm_nm: ...}}, or name the sensor with `like:`"
        raise Refusal(path, field, f"only the name {content}", "a band with centre_nm and fwhm_nm", mend)
    field += f" ({content['name']})" if "name" in content else ""
    for key in ("centre_nm", "fwhm_nm"):
        value = _parsed(content.get(key))
        least = SOLAR_RANGE_NM[0] / 1000 if key == "centre_nm" else 0
        if value is not None and least < value < (20 if key == "centre_nm" else 0.5):
            mend = f"write {key}: {value * 1000:g}"
            raise Refusal(path, f"{field}.{key}", value, "nanometres; this looks like micrometres", mend)
    try:
        return BandEntry.model_validate(content).band()
    except ValidationError as error:
        raise _refusal(path, error, BandEntry, prefix=field) from error
