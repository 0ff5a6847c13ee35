"""The points: pixels that a map model asks for, as a file that a GIS opens, in the order of their worth."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rasterio.crs import CRS
from rasterio.warp import transform

from terraficta.eval.map.candidates import PIXELS, read_candidates, together
from terraficta.eval.map.predict import sampled, stored_of_run, stored_of_tileset
from terraficta.eval.map.source import open_source
from terraficta.eval.map.suggestion import Candidates, Suggestion, Weights, in_words, strewn, suggest
from terraficta.finetune.map_model import MapModel, read_map_model
from terraficta.finetune.tileset.features import GEOJSON_CRS, NEEDS_EXTRA
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run, whole_file
from terraficta.synth.types.stored import Stored

MOST_PLACES = 64
"""images of a tileset that are looked at"""
SUFFIXES = (".gpkg", ".geojson")


@dataclass(frozen=True)
class Place:
    """Images of one place.

    Parameters
    ----------
    images : tuple[str, ...]
        one file, or before and after
    scene : str | None
        id of the tile that they are, where a tileset has them
    stored : Stored | None
        how their numbers are stored; None: as in the tileset that the run was fitted on
    """

    images: tuple[str, ...]
    scene: str | None = None
    stored: Stored | None = None


def tileset_places(folder: Path) -> tuple[list[Place], list[str | Path]]:
    """The scenes of a tileset but those that are wholly for tests, and the files that it stands on."""
    land = read_tileset(folder, verify=False)
    places = [
        Place(
            tuple(raster.path for raster in scene.images), f"{land.name}/{scene.entry.id}",
            stored_of_tileset(land, scene.entry.id),
        )
        for scene in land.scenes
        if scene.entry.fold != "test"
    ]  # fmt: skip
    return places, list(land.files)


def image_places(images: Sequence[str], run_folder: Path) -> list[Place]:
    """Images, or pairs of them where a run maps change."""
    dates = read_map_model(run_folder).dates
    return [Place(tuple(images[n : n + dates])) for n in range(0, len(images), dates)]


@dataclass(frozen=True)
class Point:
    """A pixel to label, as it stands in the file.

    Parameters
    ----------
    order : int
        1 for the one to label first
    reason : str
        in words
    first, second : str
        the two likeliest classes
    first_probability, second_probability : float
        of them
    image : str
        the file that it lies in
    row, column : int
        of the pixel
    x, y : float
        of its middle, in the coordinates of the image; column and row where it has none
    """

    order: int
    reason: str
    first: str
    first_probability: float
    second: str
    second_probability: float
    image: str
    row: int
    column: int
    x: float
    y: float


def suggest_points(
    run_folder: Path,
    places: Sequence[Place],
    out: Path,
    number: int,
    *,
    weights: Weights | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> list[Point]:
    """Ask for labels: the pixels of some images that would teach a map model most.

    Parameters
    ----------
    run_folder : Path
        of `terraficta finetune run`
    places : Sequence[Place]
        to look at; of many, 64 that are spread through them
    out : Path
        .gpkg or .geojson; with an empty column `class` to be filled in
    number : int
        points
    weights : Weights | None
        of what speaks for a pixel; None: the usual ones
    device : str
        "cpu" or "cuda"
    seed : int
        of the pixels that are looked at

    Raises
    ------
    Refusal
        another suffix, images of different coordinate systems, or no valid pixel
    """
    if out.suffix.lower() not in SUFFIXES:
        raise Refusal(out, "--out", out.suffix or "no suffix", ".gpkg or .geojson", "name a file of points")
    model, record = read_map_model(run_folder, device), read_run(run_folder)
    if len(places) > MOST_PLACES:
        places = [places[i] for i, _ in strewn(MOST_PLACES, [(n, 0) for n in range(len(places))])]
    parts, grids = [], []
    for n, place in enumerate(places):
        how = place.stored or stored_of_run(run_folder, record)
        with open_source(place.images, how, model.sensor, model.dates, place.stored is not None) as source:
            scene = place.scene or place.images[0]
            mine = model
            if scene not in model.encoder.by_scene:
                mine = replace(model, encoder=model.encoder.with_scene(scene, sampled(source)).to(device))
            parts.append(read_candidates(source, mine, scene, n, -(-PIXELS // len(places)), seed))
            grids.append((source.first.crs, source.first.transform))
    systems = {str(crs) for crs, _ in grids}
    if len(systems) > 1:
        mend = "suggest for the images of one system at a time"
        raise Refusal("suggest", "CRS", ", ".join(sorted(systems)), "one coordinate system", mend)
    candidates = together(parts)
    kept = model.labelled
    features = torch.empty(0, candidates.features.shape[1]) if kept is None else kept.features.float()
    counts = torch.zeros(len(model.legend)) if kept is None else kept.counts
    chosen = suggest(candidates, features, counts, number, weights)
    points = [_point(n, one, candidates, places, grids, model) for n, one in enumerate(chosen, 1)]
    write_points(out, points, grids[0][0])
    return points


def _point(
    order: int, one: Suggestion, candidates: Candidates, places: Sequence[Place], grids: Sequence[tuple[Any, Any]],
    model: MapModel,
) -> Point:  # fmt: skip
    p, scene = candidates.probabilities[one.row], int(candidates.scene[one.row])
    (high, low), (first, second) = (part.tolist() for part in p.topk(2))
    names, row, column = model.legend.classes, int(candidates.y[one.row]), int(candidates.x[one.row])
    x, y = grids[scene][1] @ (column + 0.5, row + 0.5)
    return Point(
        order, in_words(one.reason, names[first], names[second]), names[first], round(high, 3), names[second],
        round(low, 3), places[scene].images[0], row, column, float(x), float(y),
    )  # fmt: skip


def write_points(path: Path, points: Sequence[Point], crs: CRS | None) -> None:
    """Write points as GeoPackage (by pyogrio), or as GeoJSON in longitude and latitude."""
    rows = [{name: value for name, value in asdict(point).items() if name not in ("x", "y")} for point in points]
    x, y = [point.x for point in points], [point.y for point in points]
    with whole_file(path) as partial:
        if path.suffix.lower() == ".gpkg":
            _geopackage(partial, rows, x, y, crs)
            return
        if crs is not None and points:
            x, y = transform(crs, CRS.from_user_input(GEOJSON_CRS), x, y)[:2]
        features = [
            {"type": "Feature", "properties": {**row, "class": None}, "geometry": {"type": "Point", "coordinates": at}}
            for row, at in zip(rows, zip(x, y, strict=True), strict=True)
        ]
        partial.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n")


def _geopackage(
    path: Path, rows: Sequence[dict[str, Any]], x: Sequence[float], y: Sequence[float], crs: CRS | None
) -> None:
    try:
        from pyogrio.raw import write
    except ImportError as error:
        raise Refusal(path, "--out", "a .gpkg file, and no pyogrio", "pyogrio", NEEDS_EXTRA) from error
    shapes = np.array([struct.pack("<BIdd", 1, 1, *at) for at in zip(x, y, strict=True)], dtype=object)
    names = [name for name in Point.__dataclass_fields__ if name not in ("x", "y")]
    columns = [np.array([row[name] for row in rows]) for name in names]
    columns = [column.astype(object) if column.dtype.kind == "U" else column for column in columns]
    write(
        path, shapes, [*columns, np.array([None] * len(rows), dtype=object)], [*names, "class"], driver="GPKG",
        layer="suggested", geometry_type="Point", crs=None if crs is None else crs.to_wkt(),
    )  # fmt: skip
