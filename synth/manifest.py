"""The manifest: tileset.yaml, which makes a corpus a tileset like any real one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.spec.legend import Legend
from synth.spec.recipe import SceneRecipe
from synth.spec.sensor import Sensor, read_sensor, sensor_names

MANIFEST = "tileset.yaml"
TEST_EVERY = 3
"""every third tile is for testing, the others for training"""
SAME_GSD = 1.1
"""tiles whose GSD differs by no more than this factor share a tileset"""


def write_manifests(
    folder: Path, recipe: SceneRecipe, seed: int, records: Sequence[Mapping[str, Any]], sensors: Sequence[Sensor],
    legend: Legend,
) -> list[Path]:  # fmt: skip
    """Write tileset.yaml for the tiles of a corpus.

    A tileset has one sensor and one GSD. Where all tiles share theirs, it stands in the folder itself; else there is
    one a kind, in tilesets/KIND, which points to the same files.

    Returns
    -------
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
        if len(kinds) == 1:
            name, path, up = f"{recipe.name}-{seed}", folder / MANIFEST, ""
        else:
            kind = f"{sensor_number:03d}-{sensor.name}-{gsd_m:g}m"
            name, path, up = f"{recipe.name}-{seed}-{kind}", folder / "tilesets" / kind / MANIFEST, "../../"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_manifest(name, recipe, mine, sensor, legend, gsd_m, up))
        written.append(path)
    return written


def _manifest(
    name: str, recipe: SceneRecipe, records: Sequence[Mapping[str, Any]], sensor: Sensor, legend: Legend,
    gsd_m: float, up: str,
) -> str:  # fmt: skip
    """Its text; strings are written as JSON, which is YAML too."""
    scenes = []
    for n, record in enumerate(records):
        fold = "test" if n % TEST_EVERY == TEST_EVERY - 1 else "train"
        fields = {"id": record["id"], "image": f"{up}tiles/{record['id']}/image.tif"}
        fields["mass"] = f"{up}tiles/{record['id']}/mass.tif"
        if len(records) >= TEST_EVERY:
            fields["fold"] = fold
        scenes.append("  - " + json.dumps(fields))
    return "\n".join(
        [
            f"name: {json.dumps(name)}",
            f"about: {json.dumps(f'fictional land: {recipe.about}')}",
            "source: made by Terraficta; no such place",
            "licence: CC0-1.0",
            "sensor:",
            *_sensor_lines(sensor),
            f"gsd_m: {gsd_m}",
            f"level: {records[0]['level']}",
            f"scale: {sensor.dn_scale:.10f}",
            f"offset: {sensor.dn_offset}",
            "nodata: 0",
            f"legend: {json.dumps(legend.classes)}",
            f"colours: {json.dumps(legend.colours)}",
            f"crosswalk: {json.dumps({c: c for c in legend.classes})}",
            "scenes:",
            *scenes,
            "",
        ]
    )


def _sensor_lines(sensor: Sensor) -> list[str]:
    if sensor.name in sensor_names() and set(sensor.bands) <= set(read_sensor(sensor.name).bands):
        return [f"  like: {sensor.name}", f"  bands: {json.dumps([b.name for b in sensor.bands])}"]
    bands = [{"name": b.name, "centre_nm": b.centre_nm, "fwhm_nm": b.fwhm_nm} for b in sensor.bands]
    return ["  bands:", *("    - " + json.dumps(band) for band in bands)]
