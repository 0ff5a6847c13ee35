"""The recognition: which sensor a file is from and what its numbers are, as the file says, or as somebody says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp

from terraficta.synth.types.band_order import COLOURS_NM, plain, stated_order
from terraficta.synth.types.raster import Raster
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import SOLAR_RANGE_NM, Sensor, read_sensor, sensor_names
from terraficta.synth.types.tile import Level

START = r"(?<![a-z0-9])"
"""before a word in names that are joined by underscores"""
PRODUCTS = (
    (rf"sentinel-?2a|{START}s2a[_ ]", "sentinel2a"), (rf"sentinel-?2b|{START}s2b[_ ]", "sentinel2b"),
    (rf"sentinel-?2c|{START}s2c[_ ]", "sentinel2c"), (rf"sentinel-?2|{START}s2[_ ]", "sentinel2a"),
    (rf"landsat[-_ ]?9|{START}lc09", "landsat9"), (rf"landsat[-_ ]?8|{START}lc08", "landsat8"),
    (rf"landsat[-_ ]?7|{START}le07", "landsat7"), (rf"landsat[-_ ]?5|{START}lt05", "landsat5"),
    (rf"superdove|{START}psb\.sd", "superdove"), (rf"worldview-?3|{START}wv0?3", "worldview3"),
    (rf"worldview-?2|{START}wv0?2", "worldview2"), ("pleiades", "pleiades1a"), (rf"{START}enmap", "enmap"),
)  # fmt: skip
"""how products name their sensor in file names and tags; the first that fits counts"""
STACKS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "sentinel2": (
        ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"),
        ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
        ("B02", "B03", "B04", "B08"),
    ),
    "landsat8": (("B1", "B2", "B3", "B4", "B5", "B6", "B7"), ("B2", "B3", "B4", "B5", "B6", "B7")),
    "landsat9": (("B1", "B2", "B3", "B4", "B5", "B6", "B7"), ("B2", "B3", "B4", "B5", "B6", "B7")),
}
"""what stacks of a sensor usually hold, where they have another number of bands than it"""
NOMINAL = {"red": (635.0, 54.0), "green": (560.0, 54.0), "blue": (460.0, 64.0), "nir": (860.0, 54.0)}
"""centre and width of a band that is known by its colour alone: those of `aerial_rgbn` [nm]"""
COLOURS = {ColorInterp.red: "red", ColorInterp.green: "green", ColorInterp.blue: "blue"}
TOA_WORDS = re.compile(rf"{START}(msil1c|l1c|l1tp|l1gt|l1gs|level-?1c|toa)(?![a-z])", re.I)
"""how products say that the air is still in them"""
MOST_WIDTH_NM = 100.0
"""width of a band whose neighbours lie far away"""


@dataclass(frozen=True)
class Recognised:
    """What is known of the bands of a file.

    Parameters
    ----------
    entry : dict[str, Any]
        as `sensor:` in tileset.yaml
    because : str
        what said so, in words
    gsd_m : float | None
        of the sensor's own product [m]
    """

    entry: dict[str, Any]
    because: str
    gsd_m: float | None = None


@dataclass(frozen=True)
class Numbers:
    """What the stored numbers of a file are.

    Parameters
    ----------
    level : Level
        BOA | TOA | RADIANCE | DN
    scale, offset : float | None
        image = stored * scale + offset; None: as the file declares
    because : str
        what said so, in words
    """

    level: Level
    scale: float | None
    offset: float | None
    because: str


def recognise_sensor(raster: Raster, like: str | None = None, bands: Sequence[str] = ()) -> Recognised:
    """The bands of a file: as stated, else by wavelengths, names, product or colours in the file.

    Parameters
    ----------
    raster : Raster
        its head
    like : str | None
        sensor of the catalogue
    bands : Sequence[str]
        in file order: names of `like`, or without it `centre` or `centre/width` [nm]

    Raises
    ------
    Refusal
        where nothing says what the bands are, or what is said fits the file not
    """
    if like is not None:
        return _like(raster, like, bands, "as stated")
    if bands:
        return Recognised({"bands": _stated_bands(bands)}, "as stated")
    count = len(_names(raster))
    if all(centre is not None for centre in _centres(raster)):
        return Recognised({"bands": _by_wavelength(raster)}, "by the wavelengths in the file")
    product = _product(raster)
    if product is not None:
        return _like(raster, product, (), "by the name of the product")
    named = _by_names(raster)
    if named is not None:
        return named
    colours = _colours(raster)
    if len(colours) == count:
        entry = [
            {"name": name, "centre_nm": NOMINAL[name][0], "fwhm_nm": NOMINAL[name][1]} for name in colours
        ]  # fmt: skip
        return Recognised({"bands": entry, "inferred": True}, "by colours alone, at nominal wavelengths")
    fitting = [name for name in sensor_names() if len(read_sensor(name)) == count]
    mend = f"name the sensor: --like {fitting[0] if fitting else 'sentinel2a'}"
    mend += "" if fitting else " --bands with the names of its bands in file order"
    mend += f"; known are {', '.join(sensor_names())}; or --bands 482/60,562/57,... (centre/width in nm)"
    raise Refusal(raster.path, "bands", f"{count} bands that nothing names", "a sensor or wavelengths", mend)


def recognise_numbers(
    raster: Raster, scale: float | None = None, offset: float | None = None, level: Level | None = None
) -> Numbers:
    """What the numbers of a file are: as stated, else as the file declares, else uncalibrated."""
    usual: Level = "TOA" if TOA_WORDS.search(_words(raster)) else "BOA"
    if any(unit and "sr" in unit.lower() and "w" in unit.lower() for unit in raster.units):
        usual = "RADIANCE"
    if scale is not None or offset is not None:
        return Numbers(level or usual, 1.0 if scale is None else scale, offset or 0.0, "scale as stated")
    if raster.declared() is not None:
        return Numbers(level or usual, None, None, "scale and offset as the file declares")
    whole = all(np.issubdtype(np.dtype(kind), np.integer) for kind in raster.dtypes)
    likely = "0.0001" if whole else "1"
    if level in ("BOA", "TOA"):
        mend = f"add --scale {likely} (reflectance = stored * scale + offset)"
        raise Refusal(raster.path, "scale", "none in the file", f"a scale, as --level {level} says", mend)
    because = "no scale in the file, so numbers are taken as uncalibrated"
    if level is None and "uint8" not in raster.dtypes:  # eight bits are a picture more often than reflectance
        because += f"; where they are reflectance, say so, e.g. --scale {likely}"
    return Numbers(level or "DN", 1.0, 0.0, because)


def _like(raster: Raster, like: str, bands: Sequence[str], because: str) -> Recognised:
    if like not in sensor_names():
        mend = "use a name of the catalogue, or --bands 482/60,562/57,... (centre/width in nm)"
        raise Refusal("--like", "sensor", like, f"one of {', '.join(sensor_names())}", mend)
    sensor = read_sensor(like)
    names = [band.name for band in sensor.bands]
    if bands:
        by_plain = {plain(name): name for name in names}
        unknown = [band for band in bands if plain(band) not in by_plain]
        if unknown:
            mend = "use the names of the sensor, in file order"
            raise Refusal("--bands", "bands", ", ".join(unknown), f"bands of {like}: {', '.join(names)}", mend)
        return Recognised({"like": like, "bands": [by_plain[plain(band)] for band in bands]}, because, sensor.gsd_m)
    order = stated_order(_names(raster), _centres(raster), sensor.bands)
    if order is not None and None not in order:
        named = [names[k] for k in order if k is not None]
        return Recognised({"like": like, "bands": named}, f"{because}, bands as named in the file", sensor.gsd_m)
    count = len(_names(raster))
    stacks = [names, *(list(s) for key, found in STACKS.items() if like.startswith(key) for s in found)]
    for stack in stacks:
        if len(stack) == count:
            how = f"{because}, bands taken to be {', '.join(stack)}"
            return Recognised({"like": like, "bands": stack}, how, sensor.gsd_m)
    mend = f"name its bands in file order: --bands {','.join(names[:count])}"
    raise Refusal(raster.path, "bands", f"{count} bands without names of {like}", f"{len(names)} or --bands", mend)


def _stated_bands(bands: Sequence[str]) -> list[dict[str, Any]]:
    """`centre` or `centre/width` in nm, as bands b1, b2, ..."""
    try:
        parts = [[float(part) for part in band.split("/")] for band in bands]
        if any(len(part) not in (1, 2) for part in parts):
            raise ValueError
    except ValueError as error:
        mend = "write --bands 482/60,562/57,... (centre/width in nm), or name the sensor with --like"
        raise Refusal("--bands", "bands", ",".join(bands), "wavelengths, as no --like is given", mend) from error
    widths = _widths([part[0] for part in parts])
    return [
        {"name": f"b{n}", "centre_nm": part[0], "fwhm_nm": part[1] if len(part) == 2 else widths[n - 1]}
        for n, part in enumerate(parts, 1)
    ]


def _by_wavelength(raster: Raster) -> list[dict[str, Any]]:
    centres = [float(centre or 0) for centre in _centres(raster)]
    dark = [f"{nm:.0f} nm" for nm in centres if not SOLAR_RANGE_NM[0] <= nm <= SOLAR_RANGE_NM[1]]
    if dark:
        mend = "leave bands out that see no sunlight (gdal_translate -b)"
        raise Refusal(raster.path, "bands", f"bands at {', '.join(dark[:6])}", "350 to 2500 nm", mend)
    with raster.opened() as file:
        stated = [_width(file, n) for n in _numbers(raster)]
    near = _widths(centres)
    names = _distinct([name or f"b{n}" for n, name in enumerate(_names(raster), 1)])
    return [
        {"name": name, "centre_nm": round(nm, 3), "fwhm_nm": round(width or guess, 3)}
        for name, nm, width, guess in zip(names, centres, stated, near, strict=True)
    ]


def _width(file: Any, band: int) -> float | None:
    """The width that a file declares for a band [nm]."""
    um = file.tags(band, ns="IMAGERY").get("FWHM_UM")
    text = um or {key.lower(): value for key, value in file.tags(band).items()}.get("fwhm")
    try:
        value = None if text is None else float(text)
    except ValueError:
        return None
    return None if value is None or value <= 0 else value * 1000 if um or value < 1 else value


def _widths(centres: Sequence[float]) -> list[float]:
    """Distance to the nearest other band, at most `MOST_WIDTH_NM`."""
    return [
        min([MOST_WIDTH_NM, *(max(abs(nm - other), 0.5) for k, other in enumerate(centres) if k != n)])
        for n, nm in enumerate(centres)
    ]


def _distinct(names: Sequence[str]) -> list[str]:
    return [f"{name}_{n}" if names.count(name) > 1 else name for n, name in enumerate(names, 1)]


def _product(raster: Raster) -> str | None:
    """The sensor that the file name or the tags name."""
    words = _words(raster)
    return next((sensor for pattern, sensor in PRODUCTS if re.search(pattern, words, re.I)), None)


def _words(raster: Raster) -> str:
    """File name and tags in a row."""
    with raster.opened() as file:
        tags = {**file.tags(), **file.tags(ns="IMAGERY")}
    return " ".join([raster.name, *(f"{key}={value}" for key, value in tags.items())])


def _by_names(raster: Raster) -> Recognised | None:
    """The sensor whose bands are named like those of the file; pixels decide between Sentinel-2 and Landsat."""
    names = _names(raster)
    words = {plain(name or "") for name in names}
    if not all(names):
        return None
    colours = [_colour(name or "") for name in names]
    if all(colours) and len(set(colours)) == len(colours):
        bands = [{"name": c, "centre_nm": NOMINAL[c][0], "fwhm_nm": NOMINAL[c][1]} for c in colours if c]
        return Recognised({"bands": bands, "inferred": True}, "by the colours in the file, at nominal wavelengths")
    fitting = [name for name in ("sentinel2a", "landsat8") if words <= _plain_names(read_sensor(name))]
    if "sentinel2a" in fitting and "landsat8" in fitting and raster.gsd_m is not None:
        fitting = ["sentinel2a" if raster.gsd_m < 25 else "landsat8"]  # both count b2, b3, ...
    if len(fitting) != 1:
        return None
    return _like(raster, fitting[0], (), f"by the names of the bands, taken to be of {fitting[0]}")


def _plain_names(sensor: Sensor) -> set[str]:
    return {plain(band.name) for band in sensor.bands}


def _colour(name: str) -> str | None:
    word = plain(name)
    known = {"nearinfrared": "nir", "r": "red", "g": "green", "b": "blue", "n": "nir"}
    word = known.get(word, word)
    return word if word in NOMINAL and word in COLOURS_NM else None


def _colours(raster: Raster) -> list[str]:
    """The colours that the bands are marked with, as many as are marked."""
    with raster.opened() as file:
        kinds = [file.colorinterp[n - 1] for n in _numbers(raster)]
    found = [COLOURS[kind] for kind in kinds if kind in COLOURS]
    if len(found) == 3 and len(kinds) == 4 and kinds[3] not in COLOURS:
        found.append("nir")
    return found if len(set(found)) == len(found) else []


def _numbers(raster: Raster) -> list[int]:
    """Numbers of the bands of a file, without alpha."""
    return [n for n in raster.order if n != raster.alpha]


def _names(raster: Raster) -> list[str | None]:
    return [raster.names[n - 1] for n in _numbers(raster)]


def _centres(raster: Raster) -> list[float | None]:
    return [raster.centres_nm[n - 1] for n in _numbers(raster)]
