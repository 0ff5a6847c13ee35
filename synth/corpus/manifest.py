"""The manifest: tileset.yaml, which makes a corpus a tileset like any real one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terraficta.synth.types.legend import TERRAFICTA, Legend
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Sensor, read_sensor, sensor_names

MANIFEST = "tileset.yaml"
BOXES = "annotations.json"
TEST_EVERY = 3
"""every third tile is for testing, the others for training"""
CHANGE = Legend("change", ("unchanged", "changed"), ("#9a9a9a", "#d7263d"))
QUANTITIES = {
    "canopy_height_m": "canopy height [m]", "building_height_m": "building height [m]",
    "agb_t_ha": "above-ground biomass [t ha-1]",
}  # fmt: skip
"""layers of truth that get a tileset of values, and what they are called there"""
SAME_GSD = 1.1
"""tiles whose GSD differs by no more than this factor share a tileset"""


def write_manifests(
    folder: Path, recipe: SceneRecipe, seed: int, records: Sequence[Mapping[str, Any]], sensors: Sequence[Sensor],
    legend: Legend,
) -> list[Path]:  # fmt: skip
    """Write tileset.yaml for the tiles of a corpus.

    A tileset has one sensor and one GSD. Where all tiles share theirs, it stands in the folder itself; else there is
    one a kind, in tilesets/KIND, which points to the same files. Where events were asked for, `change` holds another,
    of pairs of dates; where heights or biomass were, `values/LAYER` holds one of them.

    Returns
    -------
    list[Path]
        The files written
    """
    kinds: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for record in records:
        step = round(math.log(record["gsd_m"]) / math.log(SAME_GSD))
        kinds.setdefault((record["sensor"], step), []).append(record)
    written = []
    for (sensor_number, _), mine in sorted(kinds.items()):
        sensor = sensors[sensor_number]
        gsd_m = round(math.exp(sum(math.log(r["gsd_m"]) for r in mine) / len(mine)), 6)
        kind = "" if len(kinds) == 1 else f"{sensor_number:03d}-{sensor.name}-{gsd_m:g}m"
        name, place = f"{recipe.name}-{seed}", Path("tilesets") / kind if kind else Path()
        head = Head("-".join([name, kind]) if kind else name, recipe.about, sensor, gsd_m, mine[0]["level"])
        texts = {place: _cover_manifest(head, mine, legend, "../" * len(place.parts))}
        if any("changed" in record["layers"] for record in mine):
            place = Path("change") / kind if kind else Path("change")
            texts[place] = _change_manifest(head, mine, "../" * len(place.parts))
        for layer in QUANTITIES:
            if all(layer in record["layers"] for record in mine):
                place = Path("values") / layer / kind if kind else Path("values") / layer
                texts[place] = _value_manifest(head, mine, layer, "../" * len(place.parts))
        for place, text in texts.items():
            path = folder / place / MANIFEST
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            written.append(path)
    return written


def write_boxes(folder: Path, records: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write annotations.json with the boxes of buildings, in COCO's format; nothing where no tile has any.

    Source
    ------
    T.-Y. Lin et al. 2014, doi:10.1007/978-3-319-10602-1_48; boxes are [x, y, width, height] in pixels.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, record in enumerate(records, start=1):
        if "boxes" not in record["facts"]:
            continue
        images.append({"id": number, "file_name": f"tiles/{record['id']}/image.tif"})
        for _, y0, x0, y1, x1 in record["facts"]["boxes"]:
            box = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1} | box)
    if not images:
        return []
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "building"}]}
    (folder / BOXES).write_text(json.dumps(content, indent=1) + "\n")
    return [folder / BOXES]


@dataclass(frozen=True)
class Head:
    """What the tilesets of one kind of tiles have in common."""

    name: str
    about: str
    sensor: Sensor
    gsd_m: float
    level: str

    def lines(self, name: str) -> list[str]:
        """As YAML; strings are written as JSON, which is YAML too."""
        return [
            f"name: {json.dumps(name)}",
            f"about: {json.dumps(f'fictional land: {self.about}')}",
            "source: made by Terraficta; no such place",
            "licence: CC0-1.0",
            "sensor:",
            *_sensor_lines(self.sensor),
            f"gsd_m: {self.gsd_m}",
            f"level: {self.level}",
            f"scale: {self.sensor.dn_scale:.10f}",
            f"offset: {self.sensor.dn_offset}",
            "nodata: 0",
        ]


def _fold(position: int, scenes: int) -> dict[str, str]:
    """Dates of one ground are in one fold."""
    return {"fold": "test" if position % TEST_EVERY == TEST_EVERY - 1 else "train"} if scenes >= TEST_EVERY else {}


def _by_scene(records: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    scenes: dict[int, list[Mapping[str, Any]]] = {}
    for record in records:
        scenes.setdefault(record["index"], []).append(record)
    return list(scenes.values())


def _cover_manifest(head: Head, records: Sequence[Mapping[str, Any]], legend: Legend, up: str) -> str:
    """Text of the tileset of all images and their class mass."""
    scenes, lines = _by_scene(records), []
    for position, dates in enumerate(scenes):
        for record in dates:
            fields = {name: f"{up}tiles/{record['id']}/{name}.tif" for name in ("image", "mass")}
            when = {"date": record["date"]} if record["date"] else {}
            lines.append("  - " + json.dumps({"id": record["id"]} | fields | _fold(position, len(scenes)) | when))
    walk = {c: c for c in legend.classes} if legend == TERRAFICTA else None
    return "\n".join(
        [
            *head.lines(head.name),
            f"legend: {json.dumps(legend.classes)}",
            f"colours: {json.dumps(legend.colours)}",
            *([f"means: {json.dumps(walk)}"] if walk else []),
            "scenes:",
            *lines,
            "",
        ]
    )


def _change_manifest(head: Head, records: Sequence[Mapping[str, Any]], up: str) -> str:
    """Text of the tileset of pairs: the first date of each scene, and each later one with what events changed."""
    scenes, lines = _by_scene(records), []
    for position, (first, *later) in enumerate(scenes):
        for record in later:
            fields = {
                "id": record["id"],
                "before": f"{up}tiles/{first['id']}/image.tif",
                "after": f"{up}tiles/{record['id']}/image.tif",
                "label": f"{up}tiles/{record['id']}/changed.tif",
                "date_before": first["date"],
                "date_after": record["date"],
            }
            lines.append("  - " + json.dumps(fields | _fold(position, len(scenes))))
    legend = [f"legend: {json.dumps(CHANGE.classes)}", f"colours: {json.dumps(CHANGE.colours)}"]
    return "\n".join([*head.lines(f"{head.name}-change"), "task: change", *legend, "scenes:", *lines, ""])


def _value_manifest(head: Head, records: Sequence[Mapping[str, Any]], layer: str, up: str) -> str:
    """Text of the tileset of all images and one quantity."""
    scenes, lines = _by_scene(records), []
    for position, dates in enumerate(scenes):
        for record in dates:
            files = {"image": f"{up}tiles/{record['id']}/image.tif", "value": f"{up}tiles/{record['id']}/{layer}.tif"}
            lines.append("  - " + json.dumps({"id": record["id"]} | files | _fold(position, len(scenes))))
    said = ["task: value", f"quantity: {json.dumps(QUANTITIES[layer])}", "legend: []"]
    return "\n".join([*head.lines(f"{head.name}-{layer}"), *said, "scenes:", *lines, ""])


def _sensor_lines(sensor: Sensor) -> list[str]:
    if sensor.name in sensor_names() and set(sensor.bands) <= set(read_sensor(sensor.name).bands):
        return [f"  like: {sensor.name}", f"  bands: {json.dumps([b.name for b in sensor.bands])}"]
    bands = [{"name": b.name, "centre_nm": b.centre_nm, "fwhm_nm": b.fwhm_nm} for b in sensor.bands]
    return ["  bands:", *("    - " + json.dumps(band) for band in bands)]
