"""The store: grounds kept in memory and on disk, so that each is grown once and seen many times."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from rasterio.transform import Affine
from torch import Tensor

from terraficta.synth.scene.cover.event import Day
from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.scene.ground import Ground, grow, join
from terraficta.synth.scene.land import draw_land
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.frame import Frame
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.scene_recipe import SceneRecipe

OF_THE_GROUND = ("oversampling", "terrain", "cover", "time", "events")
"""fields of a recipe that the ground hangs on; light, air, camera and materials are matters of a look"""
COVER_PLANES = ("cover", "parcel", "vigour", "height_m", "surface_m", "crop", "row", "bridge", "within")
DAMAGED = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)
"""what reading a file that was not written by this store, or was cut off, ends in"""


class GroundStore:
    """Grounds by recipe, scene and size.

    A ground that was kept is the same to the last bit as one that is grown anew. Its name is a digest of all that it
    hangs on: the recipe's part, the address of the scene, frame and sampling distance, given land, and the source text
    of the generator itself, so that a store outlives a change of code without ever handing out a stale ground.

    Parameters
    ----------
    folder : Path | None
        where grounds are kept on disk; None: in memory alone
    most : int
        scenes in memory; the one that was not asked for longest goes first

    Examples
    --------
    >>> from terraficta.synth.types.scene_recipe import read_scene_recipe
    >>> store, recipe = GroundStore(most=2), read_scene_recipe("tier0", ["size_px=16"])
    >>> ground = store.grounds(recipe, [SceneKey(7, 0)], Frame.around(16, 2, 0), [10.0])
    >>> ground is store.grounds(recipe, [SceneKey(7, 0)], Frame.around(16, 2, 0), [10.0]), store.grown
    (True, 1)
    """

    def __init__(self, folder: Path | None = None, most: int = 64) -> None:
        self.folder, self.most = folder, most
        self.grown = 0
        """scenes that had to be grown"""
        self._kept: OrderedDict[str, Ground] = OrderedDict()

    def grounds(
        self, recipe: SceneRecipe, keys: Sequence[SceneKey], frame: Frame, gsd_m: Sequence[float], dates: int = 1,
        given: GivenLand | None = None,
    ) -> Ground:  # fmt: skip
        """The ground of N scenes as one batch; those that are not kept are grown together, and kept.

        Parameters
        ----------
        recipe : SceneRecipe
            as of `grow`
        frame : Frame
            as of `grow`
        gsd_m : Sequence[float]
            as of `grow`
        dates : int
            as of `grow`
        given : GivenLand | None
            as of `grow`
        keys : Sequence[SceneKey]
            which scenes
        """
        names = [ground_name(recipe, key, frame, gsd, dates, given) for key, gsd in zip(keys, gsd_m, strict=True)]
        found = {name: self._find(name, recipe, key) for name, key in zip(names, keys, strict=True)}
        missing = [i for i, name in enumerate(names) if found[name] is None]
        if missing:
            lands = [draw_land(recipe, keys[i]) for i in missing]
            new = grow(recipe, lands, frame, [gsd_m[i] for i in missing], dates, given=given)
            for place, i in enumerate(missing):
                found[names[i]] = self._keep(names[i], new.scene(place))
        parts = [ground for name in names if (ground := found[name]) is not None]
        return parts[0] if len(parts) == 1 else join(parts)

    def _find(self, name: str, recipe: SceneRecipe, key: SceneKey) -> Ground | None:
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        path = self._path(name)
        if path is None or not path.is_file():
            return None
        try:
            ground = _read(path, recipe, key)
        except DAMAGED:
            path.unlink(missing_ok=True)  # it is grown and written again
            return None
        self._remember(name, ground)
        return ground

    def _keep(self, name: str, ground: Ground) -> Ground:
        self.grown += 1
        self._remember(name, ground)
        path = self._path(name)
        if path is not None:
            with whole_file(path) as partial:
                torch.save(_content(ground), partial)
        return ground

    def _remember(self, name: str, ground: Ground) -> None:
        self._kept[name] = ground
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def _path(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / name[:2] / f"{name}.pt"


def ground_name(
    recipe: SceneRecipe, key: SceneKey, frame: Frame, gsd_m: float, dates: int, given: GivenLand | None = None
) -> str:
    """32 hex digits of all that a ground hangs on."""
    content = recipe.model_dump(mode="json", include=set(OF_THE_GROUND))
    real = None if given is None else given_digest(given)
    place = [key.seed, key.index, list(key.path), asdict(frame), gsd_m, dates, real]
    text = json.dumps([content, place, source_digest()], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@lru_cache
def source_digest() -> str:
    """16 hex digits of the source text that grounds grow by."""
    here = Path(__file__).resolve().parent
    sources = [*sorted((here / "scene").rglob("*.py")), *sorted((here / "types").glob("*.py"))]
    total = hashlib.blake2b(digest_size=8)
    for path in sources:
        total.update(path.read_bytes())
    return total.hexdigest()


def given_digest(given: GivenLand) -> str:
    """16 hex digits of the content of given land."""
    total = hashlib.blake2b(repr((given.gsd_m, given.crs, tuple(given.transform))).encode(), digest_size=8)
    for plane in (given.elevation_m, given.cover):
        total.update(b"none" if plane is None else plane.contiguous().cpu().numpy().tobytes())
    return total.hexdigest()


def _content(ground: Ground) -> dict[str, Any]:
    """One scene as tensors and text, which is all that the safe loader of torch reads."""
    grid, window = ground.grids[0], ground.days[0].cover.window
    days: list[dict[str, Tensor | None]] = []
    for day in ground.days:
        own: dict[str, Tensor | None] = {name: getattr(day.cover, name).cpu() for name in COVER_PLANES}
        days.append(own | {"change": None if day.change is None else day.change.cpu()})
    where = None if grid.transform is None else list(grid.transform)[:6]
    return {
        "text": json.dumps(
            {
                "frame": asdict(ground.frame),
                "grid": [grid.height_px, grid.width_px, grid.gsd_m, grid.crs, where],
                "facts": ground.facts[0],
                "days": [day.facts[0] for day in ground.days],
            }
        ),
        "planes": {name: getattr(ground, name).cpu() for name in ("cell_m", "elevation_m", "slope")},
        "window": [window.y_m.cpu(), window.x_m.cpu(), window.cell_m.cpu()],
        "days": days,
    }


def _read(path: Path, recipe: SceneRecipe, key: SceneKey) -> Ground:
    content = torch.load(path, weights_only=True)
    text = json.loads(content["text"])
    height_px, width_px, gsd_m, crs, where = text["grid"]
    land, window = draw_land(recipe, key), Window(*content["window"])
    days = []
    for number, (planes, facts) in enumerate(zip(content["days"], text["days"], strict=True)):
        change = planes.pop("change")
        days.append(Day(LandCover(**planes, window=window, facts=[facts]), [land.moment(number)], change, [facts]))
    grid = Grid(height_px, width_px, gsd_m, crs, None if where is None else Affine(*where))
    frame, facts = Frame(**text["frame"]), (text["facts"],)
    return Ground((land,), frame, (grid,), **content["planes"], days=tuple(days), facts=facts)
