"""The golden scenes: what is rendered, and how it is summed up."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from rasterio.transform import Affine

from terraficta.synth.instrument.product import to_dn
from terraficta.synth.render import render, render_dates
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.crosswalk import read_legend
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import EVENTS, RECIPES, TRUTHS, SceneRecipe, read_scene_recipe
from terraficta.synth.types.tile import Tile

HERE = Path(__file__).parent
DIGESTS, TWIN = HERE / "digests.json", HERE / "twin.npz"
KEYS = [SceneKey(2026, index) for index in range(4)]
SIDE_PX = 32


def machine() -> str:
    """What the last bit of a float may hang on: processor capability and torch."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} torch {torch.__version__}"


def changed(name: str, **changes: object) -> SceneRecipe:
    """A shipped recipe in small."""
    base = read_scene_recipe(name).model_dump(mode="json")
    return SceneRecipe.from_dict(base | {"size_px": SIDE_PX} | changes, where="golden")


def hills() -> GivenLand:
    """A given elevation model and class map that are written down as a formula."""
    rows, columns = torch.arange(160.0)[:, None], torch.arange(160.0)[None]
    height = 300 + 60 * torch.sin(rows / 17) * torch.cos(columns / 23) + 0.4 * rows
    legend = read_legend("worldcover")
    cover = ((rows // 40 + columns // 40).long() % len(legend)).expand(160, 160)
    return GivenLand("hills", height.float(), cover, legend, 30.0, "EPSG:32633", Affine(30, 0, 5e5, 0, -30, 5e6))


def in_time() -> list[Tile]:
    """Three dates with every event."""
    events = [{"kind": kind, "dose": [0.5, 0.9], "after": n % 2} for n, kind in enumerate(EVENTS)]
    time = {"dates": 3, "years": 2.0, "flood_m": [0.0, 2.0], "tide": [0.0, 1.0], "rain": [0.0, 1.0]}
    recipe = changed("tier3", time=time, events=events)
    return [tile for dates in render_dates(recipe, KEYS) for tile in dates]


def in_detail() -> list[Tile]:
    """Pixels of a metre, all layers of truth."""
    return render(changed("tier3", gsd_m=[1.0, 2.0], truth={"layers": list(TRUTHS)}), KEYS)


CASES: dict[str, Callable[[], list[Tile]]] = {
    **{path.stem: lambda name=path.stem: render(changed(name), KEYS) for path in sorted(RECIPES.glob("*.yaml"))},
    "dates": in_time,
    "detail": in_detail,
    "given": lambda: render(changed("tier3", gsd_m=[20.0, 30.0]), KEYS, given=hills()),
}


def digest(tile: Tile) -> str:
    """16 hex digits of stored numbers, class mass and layers."""
    sum_ = hashlib.blake2b(digest_size=8)
    for plane in (
        to_dn(tile.image, tile.sensor).to(torch.int32),
        tile.mass,
        *(v for _, v in sorted(tile.layers.items())),
    ):
        sum_.update(plane.contiguous().numpy().tobytes())
    return sum_.hexdigest()
