"""The card of a map: a real map measured as scenes of fiction are."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from terraficta.eval.map.product import AHEAD, encode
from terraficta.eval.report.card import sheet_of_map, write_map_card
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal

LEGEND = Legend("place", ("grassland", "lake", "built up"), ("#00ff00", "#0000ff", "#ff0000"))
"""names as users have them: what is water and what is settled follows from what they mean"""


def write_map(path: Path, crs: str | None = "EPSG:32630") -> Path:
    """60 x 80 pixels of 20 m: a lake of 10 x 10, a town of 5 x 20, the first row not mapped."""
    label = torch.zeros(60, 80, dtype=torch.long)
    label[20:30, 30:40], label[40:45, 50:70] = 1, 2
    sure = torch.nn.functional.one_hot(label, 3).permute(2, 0, 1).float()
    stored = encode(0.7 * sure + 0.1).numpy()
    stored[:, 0] = 0
    count = len(AHEAD) + len(LEGEND)
    place = {} if crs is None else {"crs": crs, "transform": from_origin(400_000, 5_800_000, 20, 20)}
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=count, height=60, width=80, nodata=0, **place
    ) as file:
        file.update_tags(legend=json.dumps(LEGEND.classes), colours=json.dumps(LEGEND.colours), weights="abc")
        file.write(stored)
    return path


def write_heights(path: Path, west: float = 399_000) -> Path:
    heights = np.broadcast_to(np.arange(200, dtype=np.float32), (200, 200)).copy()
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 200, "width": 200, "crs": "EPSG:32630"}
    with rasterio.open(path, "w", **profile, transform=from_origin(west, 5_801_000, 30, 30)) as file:
        file.write(heights, 1)
    return path


def test_a_map_is_measured(tmp_path: Path) -> None:
    page = write_map_card(
        write_map(tmp_path / "place.tif"), tmp_path / "card", str(write_heights(tmp_path / "dem.tif"))
    )
    card = json.loads(page.with_suffix(".json").read_text())
    assert (card["kind"], card["grid"]["crs"]) == ("map", "EPSG:32630")
    assert card["grid"]["bounds"] == [400_000, 5_798_800, 401_600, 5_800_000]
    assert card["known_share"] == pytest.approx(59 / 60)
    areas = {row["name"]: row["area_ha"] for row in card["classes"]}
    assert areas["lake"] == pytest.approx(100 * 0.04, rel=2e-3), "20 m of the grid are 20 m of ground to 1 in 1000"
    assert [(w["name"], w["kind"]) for w in card["waters"]] == [("lake 1", "lake")]
    assert [(s["name"], s["buildings"], s["whole"]) for s in card["settlements"]] == [("settlement 1", None, True)]
    assert card["relief"]["highest"]["part"].endswith("east")
    assert card["facts"]["map"]["weights"] == "abc"
    assert (tmp_path / "card" / "review.csv").is_file()
    assert "data:image/png" in page.read_text()


def test_a_map_without_a_place_and_heights_with_gaps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="crs: found none"):
        sheet_of_map(write_map(tmp_path / "nowhere.tif", crs=None))
    with pytest.raises(Refusal, match="no height for"):
        sheet_of_map(write_map(tmp_path / "place.tif"), str(write_heights(tmp_path / "dem.tif", west=400_800)))
