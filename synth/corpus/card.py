"""The data card: one page that says what a corpus is, what it is not, and what it may reveal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.sensor import Sensor

README = "README.md"
MOST_SENSORS = 20
"""sensors that are named one by one"""


def write_card(
    folder: Path, card: Mapping[str, Any], records: Sequence[Mapping[str, Any]], sensors: Sequence[Sensor],
    given: GivenLand | None,
) -> Path:  # fmt: skip
    """Write README.md, the data card of a corpus.

    Parameters
    ----------
    folder : Path
        of the corpus
    card : Mapping[str, Any]
        what corpus.json says
    records : Sequence[Mapping[str, Any]]
        of the tiles, with their `bytes`
    sensors : Sequence[Sensor]
        of all tiles
    given : GivenLand | None
        real land that it was grown on
    """
    recipe = card["recipe"]
    parts = [
        f"# {recipe['name']}-{card['seed']}: SYNTHETIC",
        _what(card, given),
        "## How it was made\n\n" + _made(card),
        "## What it holds\n\n" + _holds(card, records, sensors),
        "## Limits\n\n" + _limits(card),
        "## What it may reveal\n\n" + _reveals(given),
        "## Energy\n\n`run.json` says how long it took, on what, and what that cost (`metrics.cpu_s`, "
        "`energy_wh_estimate`: processor time x 10 W a core, an estimate). It is not said here, for this page has the "
        "same bytes wherever and however often the corpus is made.",
        "## Licence\n\nCC0-1.0. Whoever trains on it should say so: synthetic data, made by Terraficta.",
    ]
    (folder / README).write_text("\n\n".join(parts) + "\n")
    return folder / README


def _what(card: Mapping[str, Any], given: GivenLand | None) -> str:
    land = "No such place exists" if given is None else f"It stands on real land ({given.name}), and did not happen"
    return (
        f"**These {card['count']} tiles are SYNTHETIC. {land}.** They were drawn by Terraficta, a procedural "
        f"generator of satellite scenes: {card['recipe']['about']}.\nNo satellite took them. They lie "
        + ("at sea, at the oceanic pole of inaccessibility, where no land can be taken for them."
           if given is None else "where the given land lies.")
    )  # fmt: skip


def _made(card: Mapping[str, Any]) -> str:
    rows = {
        "recipe": f"`{card['recipe']['name']}`, in full in `corpus.json`",
        "recipe digest": f"`{card['recipe_digest']}`",
        "seed": f"{card['seed']}",
        "device": f"{card['device']} (elsewhere stored numbers may differ by 1)",
        "labels": "perfect" if card["labels"] is None else f"damaged on purpose: `{card['labels'].get('name', 'own')}`",
        "given land": "none"
        if card["given"] is None
        else f"`{card['given']['name']}`, digest `{card['given']['digest']}`",
        "checksums": "`checksums.sha256` (`sha256sum -c checksums.sha256`); digest of all records in `run.json`",
    }
    table = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    proof = "`terraficta synth verify FOLDER --render-again 8` compares every file, and makes eight tiles anew."
    return f"| | |\n|---|---|\n{table}\n\n{proof} `run.json` names the versions of all that made it."


def _holds(card: Mapping[str, Any], records: Sequence[Mapping[str, Any]], sensors: Sequence[Sensor]) -> str:
    size_mb = sum(int(record["bytes"]) for record in records) / 1e6
    gsd = sorted({float(record["gsd_m"]) for record in records})
    levels = ", ".join(f"{name} {count}" for name, count in sorted(Counter(r["level"] for r in records).items()))
    named = [f"{sensor.name} ({len(sensor)} bands)" for sensor in sensors[:MOST_SENSORS]]
    more = f" and {len(sensors) - MOST_SENSORS} more" if len(sensors) > MOST_SENSORS else ""
    layers = sorted({layer for record in records for layer in record["layers"]})
    looks = card["realizations"]
    lines = [
        f"- {card['count']} tiles of {card['recipe']['size_px']} px, {size_mb:.1f} MB; {gsd[0]:g} to {gsd[-1]:g} m",
        f"- images `image.tif`: level {levels}; reflectance = stored x scale + offset, 0 no data; band names and "
        "wavelengths in the file",
        f"- sensors: {', '.join(named)}{more}",
        f"- labels: {len(card['legend']['classes'])} classes; `mass.tif` area fractions, `label.tif` the heaviest",
        f"- further truth: {', '.join(layers) or 'none'}",
        "- `catalog.json` (STAC), `tileset.yaml` (Terraficta), `tiles.jsonl` (all that was drawn, a line a tile)",
    ]
    if looks:
        lines.append(f"- of {looks} looks at each ground: `mean.tif`, `deviation.tif`, `quantile05/50/95.tif`")
    return "\n".join(lines)


def _limits(card: Mapping[str, Any]) -> str:
    lines = [
        "- Not fit to measure a real place, to tell of change that happened, or to stand in for a test on real tiles.",
        "- Frequencies of classes are those of the recipe, not of the earth.",
        "- Labels are right by construction; real ones are not. A score on this corpus says how well fiction is read.",
        "- The physics is approximate: `synth/data/SOURCES.md` names the sources, docstrings the error of each model.",
        "- Towns, crops and forests follow rules; what the rules do not know (a culture's way of building, a rare "
        "crop, dirt on a lens) is not in it.",
    ]
    if card["recipe"]["air"]["clouds"][1] == 0:
        lines.append("- No tile has clouds.")
    return "\n".join(lines)


def _reveals(given: GivenLand | None) -> str:
    if given is None:
        return (
            "Nothing of a real place or person: all that it holds follows from the recipe, the seed and public tables."
        )
    heights = (
        "Its heights are those of the given elevation model: terrain, shadows and rivers show the real place to "
        "whoever knows it, and the elevation layer, where there is one, repeats the model at the sampling of a pixel. "
        "If the model may not be passed on, neither may this corpus."
        if given.elevation_m is not None
        else ""
    )
    classes = (
        "Its classes keep to the given map: they show where that map sees fields, forest and houses. If the map shows "
        "what should not be shown (holdings, sites, habitats of a protected kind), this corpus does too. Its licence "
        "binds the labels."
        if given.cover is not None
        else ""
    )
    rest = (
        "Buildings, roads, crops and dates are invented: they tell nothing of who lives there, and must not be read so."
    )
    return " ".join(text for text in (heights, classes, "Tiles carry the real coordinates.", rest) if text)
