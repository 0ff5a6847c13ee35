"""The product: a map on disk that any GIS opens in its right colours."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import rasterio
import torch
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window
from torch import Tensor

from terraficta.eval.map.shares import STEPS, share_bytes
from terraficta.eval.map.trust import BANDS, encode_trust, trust_file
from terraficta.eval.map.unfinished import Unfinished
from terraficta.finetune.conformal import ConformalSets
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

MOST_CLASSES = 255
ENCODED_PX = 32
"""rows of a piece that are encoded at once: what that takes in between is many times the piece"""
AHEAD = ("class", "probability", "entropy")
"""bands ahead of the probability of the first class"""
BEFORE_CLASSES = len(AHEAD)
COUNTS = ("class", "set size")
"""bands that hold whole numbers as they are; the others hold shares"""


def encode(probabilities: Tensor) -> Tensor:
    """Probabilities (K, H, W) to the bytes of a map (3 + K, H, W): see `AHEAD`, then each class.

    Entropy is Shannon's, divided by ln K: 0 where one class is certain, 1 where all are equal.
    """
    probability, best = probabilities.max(0)
    entropy = -torch.special.xlogy(probabilities, probabilities).sum(0) / math.log(max(len(probabilities), 2))
    ahead = torch.stack([best + 1, share_bytes(probability), share_bytes(entropy)])
    return torch.cat([ahead, share_bytes(probabilities)]).to(torch.uint8)


def decode(stored: Tensor) -> Tensor:
    """Bytes of a map (3 + K, ...) to probabilities (K, ...) that sum to 1; 0 where nodata.

    The lowest step holds everything below 0.002 and is read as 0.001: a class that was not impossible stays possible.
    """
    shares = (stored[BEFORE_CLASSES:].float() - 1).clamp(min=0.25) * (stored[:1] > 0)
    return shares / shares.sum(0).clamp(min=1e-12)


class MapWriter:
    """An open map; see `open_map`.

    Parameters
    ----------
    kept : Unfinished
        where it grows
    classes : int
        K
    sets : ConformalSets | None
        of the model
    """

    def __init__(self, kept: Unfinished, classes: int, sets: ConformalSets | None) -> None:
        self._kept, self._sets = kept, sets
        self.pieces, counts, self._familiar = kept.done()
        self.counts = torch.tensor(counts or [0] * classes)

    @property
    def familiarity(self) -> float | None:
        """Mean over what is mapped; None where it is not known."""
        return None if math.isnan(self._familiar) else self._familiar / max(int(self.counts.sum()), 1)

    def write(self, y: int, x: int, probabilities: Tensor, valid: Tensor, familiarity: Tensor | None = None) -> None:
        """Write the next piece: probabilities (K, h, w), familiarity (h, w) at row y, column x; nodata if not `valid`.

        It is on disk when this returns, and counted only then: what was killed on the way is written again.
        """
        height, width = valid.shape
        rows = [slice(start, start + ENCODED_PX) for start in range(0, height, ENCODED_PX)]
        known = torch.full(valid.shape, math.nan) if familiarity is None else familiarity
        stored = [encode(probabilities[:, some]) * valid[some] for some in rows]
        beside = [encode_trust(probabilities[:, some], known[some], self._sets) * valid[some] for some in rows]
        for flat, parts in ((self._kept.flat, stored), (self._kept.flat_trust, beside)):
            with rasterio.open(flat, "r+") as target:
                target.write(torch.cat(parts, 1).numpy(), window=Window(x, y, width, height))
        self.pieces += 1
        self.counts += torch.bincount(probabilities.argmax(0)[valid], minlength=len(self.counts))
        self._familiar += float(known[valid].double().sum())
        self._kept.keep(self.pieces, self.counts.tolist(), self._familiar)


def place_of(source: Any) -> dict[str, Any]:
    """Where the pixels of an open dataset lie, as a profile has it; nothing where it does not say."""
    points, points_crs = source.gcps
    if points:
        return {"gcps": points, "crs": points_crs}
    if source.crs is not None or not source.transform.is_identity:
        return {"crs": source.crs, "transform": source.transform}
    return {}


@contextmanager
def open_map(
    path: Path, source: Any, legend: Legend, about: Mapping[str, Any], kept: Unfinished,
    sets: ConformalSets | None = None,
) -> Iterator[MapWriter]:  # fmt: skip
    """Open a map on the grid of `source`; on success it becomes a Cloud Optimised GeoTIFF beside its style.

    Bands, all uint8 with nodata 0 (GeoTIFF knows one nodata for all of them): `class` (1..K, with colour table and
    names), `probability` of that class, `entropy` (of ln K), then `probability: NAME` for every class. Scale and offset
    are stored with the bands, so a GIS shows probabilities. GeoTIFF keeps no colour table beside further bands, so
    table and names are in `<name>.tif.aux.xml`, which GDAL reads by itself, and `<name>.qml` is QGIS's.

    `<name>.trust.tif` lies beside it on the same grid: `set size` (classes that cannot be ruled out) and `familiarity`
    (0..1). Its tags hold the coverage of the sets and their limits: which classes are in a set follows from the
    probabilities.

    Parameters
    ----------
    path : Path
        of the map, ending in .tif
    source : Any
        open rasterio dataset whose grid the map takes: size, CRS and transform, ground control points, rational
        polynomials
    legend : Legend
        K classes, at most 255
    about : Mapping[str, Any]
        further tags, e.g. the digest of the weights
    kept : Unfinished
        where it grows; it may hold pieces already
    sets : ConformalSets | None
        of the model; None: their sizes are nodata
    """
    if len(legend) > MOST_CLASSES:
        raise Refusal(path, "legend", f"{len(legend)} classes", "at most 255", "merge classes")
    names = [*AHEAD, *(f"probability: {name}" for name in legend.classes)]
    if not kept.begun:
        with _flat(kept.flat_trust, source, BANDS) as target:
            if sets is not None:
                limits = json.dumps(sets.limits.tolist())
                target.update_tags(1, coverage=sets.asked, stated=sets.stated, limits=limits)
        with _flat(kept.flat, source, names) as target:
            target.update_tags(legend=json.dumps(legend.classes), colours=json.dumps(legend.colours), **about)
            target.update_tags(1, **{f"CLASS_{k}": name for k, name in enumerate(legend.classes, 1)})
    yield MapWriter(kept, len(legend), sets)
    for flat, packed in ((kept.flat_trust, kept.packed_trust), (kept.flat, kept.packed)):
        # nearest: a class and its probabilities must come from the same pixel in overviews as well
        copy_raster(
            flat, packed, driver="COG", compress="DEFLATE", level=6, overview_resampling="NEAREST",
            blocksize=512, bigtiff="IF_SAFER",
        )  # fmt: skip
    _write_text(path.with_name(path.name + ".aux.xml"), _pam(legend))
    _write_text(path.with_suffix(".qml"), _qgis_style(legend))
    os.replace(kept.packed_trust, trust_file(path))
    os.replace(kept.packed, path)


@contextmanager
def _flat(path: Path, source: Any, names: Sequence[str]) -> Iterator[Any]:
    """A new file of bytes on the grid of `source`: uncompressed, never sparse, so that pieces are put in their place.

    It stands under its name once it is whole.
    """
    profile: dict[str, Any] = {
        "driver": "GTiff", "dtype": "uint8", "count": len(names), "nodata": 0,
        "height": source.height, "width": source.width,
        "tiled": True, "blockxsize": 256, "blockysize": 256, "BIGTIFF": "IF_SAFER", "photometric": "MINISBLACK",
    }  # fmt: skip
    with whole_file(path) as partial, rasterio.open(partial, "w", **profile | place_of(source)) as target:
        if source.rpcs is not None:
            target.rpcs = source.rpcs
        target.descriptions = names
        target.scales = [1.0 if name in COUNTS else 1 / STEPS for name in names]
        target.offsets = [0.0 if name in COUNTS else -1 / STEPS for name in names]
        yield target


def _write_text(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text)


def _pam(legend: Legend) -> str:
    """GDAL's side file: colour table and category names of band 1, entry 0 clear."""
    entries = ['<Entry c1="0" c2="0" c3="0" c4="0"/>']
    entries += [f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="255"/>' for r, g, b in legend.rgb()]
    categories = "".join(f"<Category>{_text(name)}</Category>" for name in ("", *legend.classes))
    return (
        '<PAMDataset><PAMRasterBand band="1"><ColorInterp>Palette</ColorInterp>'
        f"<ColorTable>{''.join(entries)}</ColorTable><CategoryNames>{categories}</CategoryNames>"
        "</PAMRasterBand></PAMDataset>\n"
    )


def _qgis_style(legend: Legend) -> str:
    """QGIS's side file: show band 1 in the colours and names of the legend."""
    entries = "".join(
        f'<paletteEntry value="{k}" color="{colour}" alpha="255" label={quoteattr(name)}/>'
        for k, (name, colour) in enumerate(zip(legend.classes, legend.colours, strict=True), 1)
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.28"><pipe><rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1">'
        f"<colorPalette>{entries}</colorPalette></rasterrenderer></pipe></qgis>\n"
    )


def _text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def read_legend(path: Path) -> Legend:
    """The legend of a map of ours.

    Raises
    ------
    Refusal
        where the file is not such a map
    """
    try:
        with rasterio.open(path) as source:
            tags, count, dtype = source.tags(), source.count, source.dtypes[0]
    except rasterio.errors.RasterioIOError as error:
        raise Refusal(path, "map", str(error), "a GeoTIFF", "check the path") from error
    if "legend" not in tags or dtype != "uint8" or count != BEFORE_CLASSES + len(json.loads(tags["legend"])):
        mend = "map the image with it first"
        raise Refusal(path, "legend", "no such map", "a map by `terraficta eval predict`", mend)
    return Legend(path.stem, tuple(json.loads(tags["legend"])), tuple(json.loads(tags["colours"])))
