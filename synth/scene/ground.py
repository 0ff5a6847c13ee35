"""The ground: land grown on a fine grid. Made once, kept, seen often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from rasterio.transform import Affine
from torch import Tensor

from terraficta.synth.scene.cover.event import Day, land_on
from terraficta.synth.scene.land import Land
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.scene.terrain.given_terrain import survey_terrain
from terraficta.synth.scene.terrain.terrain import Terrain, outline_terrain, raise_terrain
from terraficta.synth.scene.world.window import Window, portions_of
from terraficta.synth.types.frame import Frame
from terraficta.synth.types.grid import Grid
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import SceneRecipe


@dataclass(frozen=True)
class Ground:
    """What lies there in N scenes, on every date, in fine cells.

    Parameters
    ----------
    lands : tuple[Land, ...]
        as they were drawn, one a scene
    frame : Frame
        of the image and the cells around it
    grids : tuple[Grid, ...]
        where the image of each scene lies
    cell_m : Tensor
        (N,) side of a fine cell [m]
    elevation_m : Tensor
        (N, H', W') height of the ground [m]
    slope : Tensor
        (N, H', W') rise over run [-]
    days : tuple[Day, ...]
        what covers it, date by date
    facts : tuple[dict[str, Any], ...]
        of the terrain, one record a scene
    """

    lands: tuple[Land, ...]
    frame: Frame
    grids: tuple[Grid, ...]
    cell_m: Tensor
    elevation_m: Tensor
    slope: Tensor
    days: tuple[Day, ...]
    facts: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.lands)

    def scene(self, n: int) -> Ground:
        """One of the N scenes alone."""
        return self.scenes(slice(n, n + 1))

    def scenes(self, rows: slice) -> Ground:
        """Some of the N scenes."""
        return Ground(
            self.lands[rows], self.frame, self.grids[rows], self.cell_m[rows], self.elevation_m[rows],
            self.slope[rows], tuple(_scenes_of(day, rows) for day in self.days), self.facts[rows],
        )  # fmt: skip

    def window(self, y_px: int, x_px: int, size_px: int, margin: int) -> Ground:
        """The part that starts at row `y_px`, column `x_px`, with at least `margin` fine cells around it.

        Raises
        ------
        Refusal
            where it, or its margin, reaches beyond the ground
        """
        frame = Frame.around(size_px, self.frame.factor, margin)
        beyond = min(y_px, x_px) < 0 or max(y_px, x_px) + size_px > self.frame.size
        if beyond or frame.margin > self.frame.margin:
            found = f"{size_px} px at ({y_px}, {x_px}) with {frame.margin} cells around"
            there = f"a part of {self.frame.size} px with at most {self.frame.margin} cells around"
            raise Refusal("ground", "window", found, there, "grow a larger ground, or ask for less")
        first = (at * frame.factor + self.frame.margin - frame.margin for at in (y_px, x_px))
        rows, columns = (slice(start, start + frame.side) for start in first)

        def cut(plane: Tensor) -> Tensor:
            return plane[:, rows, columns].contiguous()

        return replace(
            self,
            frame=frame,
            grids=tuple(grid.window(y_px, x_px, size_px, size_px) for grid in self.grids),
            elevation_m=cut(self.elevation_m),
            slope=cut(self.slope),
            days=tuple(_part_of(day, rows, columns, cut) for day in self.days),
        )

    def to(self, device: torch.device | str) -> Ground:
        """The same on a device."""
        return replace(
            self,
            cell_m=self.cell_m.to(device),
            elevation_m=self.elevation_m.to(device),
            slope=self.slope.to(device),
            days=tuple(_moved(day, device) for day in self.days),
        )


def join(grounds: Sequence[Ground]) -> Ground:
    """Grounds of one frame and as many dates as one batch.

    Raises
    ------
    Refusal
        where frames or dates differ
    """
    first = grounds[0]
    for other in grounds:
        if other.frame != first.frame or len(other.days) != len(first.days):
            found, expected = (f"{g.frame}, {len(g.days)} dates" for g in (other, first))
            raise Refusal("ground", "frame", found, expected, "join grounds of one kind")
    return Ground(
        lands=tuple(land for g in grounds for land in g.lands),
        frame=first.frame,
        grids=tuple(grid for g in grounds for grid in g.grids),
        cell_m=torch.cat([g.cell_m for g in grounds]),
        elevation_m=torch.cat([g.elevation_m for g in grounds]),
        slope=torch.cat([g.slope for g in grounds]),
        days=tuple(_joined([g.days[n] for g in grounds]) for n in range(len(first.days))),
        facts=tuple(facts for g in grounds for facts in g.facts),
    )


def grow(
    recipe: SceneRecipe, lands: Sequence[Land], frame: Frame, gsd_m: Sequence[float], dates: int = 1,
    device: torch.device | str = "cpu", given: GivenLand | None = None,
) -> Ground:  # fmt: skip
    """Grow the ground of N lands: terrain, and what covers it on every date. Deterministic.

    Parameters
    ----------
    recipe : SceneRecipe
        its classes' shares, and what covers the land
    lands : Sequence[Land]
        of `draw_land`
    frame : Frame
        how much of each is grown
    gsd_m : Sequence[float]
        side of a pixel, one a scene [m]
    dates : int
        how many of its dates
    device : torch.device | str
        where to compute
    given : GivenLand | None
        real heights, real classes, or both, to grow on
    """
    size = torch.tensor(list(gsd_m), device=device)
    place = (frame.side, frame.side, size / frame.factor)
    plans = [land.terrain for land in lands]
    with torch.inference_mode():
        if given:
            terrain = survey_terrain(given, plans, *place, device)
            return join([_covered(recipe, lands, terrain, frame, size, dates, given)])
        outline = outline_terrain(plans, *place)
        grounds = [
            _covered(recipe, lands[rows], raise_terrain(outline.part(rows)), frame, size[rows], dates)
            for rows in portions_of(outline.window.shape)
        ]
    return join(grounds)


def _covered(
    recipe: SceneRecipe, lands: Sequence[Land], terrain: Terrain, frame: Frame, gsd_m: Tensor, dates: int,
    given: GivenLand | None = None,
) -> Ground:  # fmt: skip
    """The ground of a terrain, once it is covered on every date."""
    covers, moments = [land.cover for land in lands], [land.moments for land in lands]
    events = [land.events for land in lands]
    days = tuple(land_on(recipe, terrain, covers, moments, events, number, given) for number in range(dates))
    grids = tuple(_grid(frame, terrain, n, gsd, given) for n, gsd in enumerate(gsd_m.tolist()))
    return Ground(
        tuple(lands), frame, grids, terrain.cell_m, terrain.elevation_m, terrain.slope, days, tuple(terrain.facts)
    )


def _grid(frame: Frame, terrain: Terrain, scene: int, gsd_m: float, given: GivenLand | None) -> Grid:
    """Where a scene lies: nowhere, or on given land."""
    if given is None:
        return Grid(frame.size, frame.size, gsd_m)
    cell = float(terrain.cell_m[scene])
    row, column = (round(float(m[scene, frame.margin]) / cell - 0.5) for m in (terrain.window.y_m, terrain.window.x_m))
    x, y = given.corner(row, column, cell)
    return Grid(frame.size, frame.size, gsd_m, given.crs, Affine(gsd_m, 0.0, x, 0.0, -gsd_m, y))


# --- days, scene by scene and part by part --------------------------------------------------------------------------


def _scenes_of(day: Day, rows: slice) -> Day:
    cover = replace(
        day.cover.mapped(lambda plane: plane[rows]),
        window=day.cover.window.part(rows),
        facts=day.cover.facts[rows],
    )
    return Day(cover, day.moments[rows], None if day.change is None else day.change[rows], day.facts[rows])


def _part_of(day: Day, rows: slice, columns: slice, cut: Callable[[Tensor], Tensor]) -> Day:
    at = day.cover.window
    cover = replace(day.cover.mapped(cut), window=Window(at.y_m[:, rows], at.x_m[:, columns], at.cell_m))
    return replace(day, cover=cover, change=None if day.change is None else cut(day.change))


def _moved(day: Day, device: torch.device | str) -> Day:
    at = day.cover.window
    window = Window(at.y_m.to(device), at.x_m.to(device), at.cell_m.to(device))
    cover = replace(day.cover.mapped(lambda plane: plane.to(device)), window=window)
    return replace(day, cover=cover, change=None if day.change is None else day.change.to(device))


def _joined(days: Sequence[Day]) -> Day:
    covers, first = [day.cover for day in days], days[0].cover
    planes = iter([torch.cat(parts) for parts in zip(*(cover.planes() for cover in covers), strict=True)])
    windows = [cover.window for cover in covers]
    window = Window(*(torch.cat([getattr(w, name) for w in windows]) for name in ("y_m", "x_m", "cell_m")))
    cover = replace(first.mapped(lambda _: next(planes)), window=window, facts=[f for c in covers for f in c.facts])
    changes = [day.change for day in days if day.change is not None]
    return Day(
        cover,
        [moment for day in days for moment in day.moments],
        torch.cat(changes) if len(changes) == len(days) else None,
        [facts for day in days for facts in day.facts],
    )
