"""The card: all that is measured of a scene or a map, as plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terraficta.synth.card.patch import borders, class_areas
from terraficta.synth.card.relief import relief
from terraficta.synth.card.settlement import settlements
from terraficta.synth.card.sheet import Sheet
from terraficta.synth.card.water import waters
from terraficta.synth.types.run import made_by, whole_file

FORMAT = 1
PRINT_PX_M = 0.28e-3
"""side of a pixel on a screen, by which a scale 1 : n is told [m]. Source: OGC 06-042, WMS 1.3.0, 7.2.4.6.9"""
GROUPS: Mapping[str, str] = {
    "seeds": "recipe recipe_digest seed index date_number year",
    "land": "style relief_m landform_m hurst rise_m tide",
    "climate and season": "kind moisture warmth season drought rain",
    "use": "water farmland field_m settlement industry greenery conifer plantation clearcut quarry canal power_line",
    "sun and view": "sza_deg saa_deg vza_deg vaa_deg latitude_deg day_of_year",
    "air": "aerosol aot550 aot550_guess haze water_vapour_cm water_vapour_guess_cm ozone_cm rayleigh adjacency "
    "cloud_share cloud_size_m cloud_base_m",
}
"""facts of fiction by what they are of; all others go under `camera`"""
UNSHOWN = ("boxes",)
"""facts that are told elsewhere on the card"""


def make_card(sheet: Sheet) -> dict[str, Any]:
    """What a card says, as JSON has it: every number in the unit that ends its name; areas in hectares.

    Parameters
    ----------
    sheet : Sheet
        what is measured

    Returns
    -------
    dict[str, Any]
        name, kind (fiction or map), grid, known share, classes, borders, relief, waters, settlements, facts
    """
    found, small = waters(sheet)
    shown = relief(sheet)
    card: dict[str, Any] = {
        "format": FORMAT,
        "name": sheet.name,
        "kind": "map" if sheet.key is None else "fiction",
        "grid": _grid(sheet),
        "known_share": float((sheet.label > 0).mean()),
        "legend": dict(zip(sheet.legend.classes, sheet.legend.colours, strict=True)),
        "classes": [asdict(row) for row in class_areas(sheet)],
        "borders": [asdict(row) for row in borders(sheet)],
        "relief": None if shown is None else asdict(shown),
        "waters": [asdict(row) for row in found],
        "waters_too_small": small,
        "settlements": [asdict(row) for row in settlements(sheet)],
        "facts": facts_by_group(sheet.facts) if sheet.key is not None else {"map": dict(sheet.facts)},
        "made_by": made_by(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(card, default=_plain))
    return plain


def facts_by_group(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was drawn for a scene, by what it is of."""
    groups = {title: {name: facts[name] for name in names.split() if name in facts} for title, names in GROUPS.items()}
    named = {name for names in GROUPS.values() for name in names.split()}
    groups["camera"] = {name: value for name, value in facts.items() if name not in named and name not in UNSHOWN}
    return {title: group for title, group in groups.items() if group}


def write_card_data(card: Mapping[str, Any], path: Path) -> None:
    """Write a card as JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(card, indent=1, allow_nan=False) + "\n")


def _grid(sheet: Sheet) -> dict[str, Any]:
    grid = sheet.grid
    height, width = grid.shape
    ends = None
    if grid.transform is not None:
        corners = [grid.transform * corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
        ends = [f(c[axis] for c in corners) for f, axis in ((min, 0), (min, 1), (max, 0), (max, 1))]
    return {
        "width_px": width,
        "height_px": height,
        "gsd_m": grid.gsd_m,
        "width_km": width * grid.gsd_m / 1000,
        "height_km": height * grid.gsd_m / 1000,
        "area_ha": width * height * sheet.pixel_ha,
        "scale": f"1 : {round_to(grid.gsd_m / PRINT_PX_M):,}",
        "crs": grid.crs,
        "bounds": ends,
    }


def round_to(number: float, digits: int = 2) -> int:
    """A whole number of so many leading digits.

    Examples
    --------
    >>> round_to(35_714.3)
    36000
    """
    return int(round(number, digits - 1 - math.floor(math.log10(max(number, 1.0)))))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
