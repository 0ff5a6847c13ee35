"""Terrain: the height of the ground, its slope, its rivers, and where water gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from terraficta.synth.scene.terrain.coast import lower_rivers, sea_level, shape_coast, tilt_to_sea
from terraficta.synth.scene.terrain.drainage import Drainage
from terraficta.synth.scene.terrain.glacier import carve_troughs
from terraficta.synth.scene.terrain.ground import raise_ground
from terraficta.synth.scene.terrain.landform import Landform
from terraficta.synth.scene.terrain.plan import TerrainPlan
from terraficta.synth.scene.terrain.relief import RaisedGround
from terraficta.synth.scene.terrain.rivers import grow_drainage, node_spacing, wander
from terraficta.synth.scene.world.chance import per_scene, seeds_of
from terraficta.synth.scene.world.window import Points, Window, portions_of
from terraficta.synth.types.refusal import Refusal

FOVEA_LANDFORMS = 0.6
"""how far the look by which shares are taken reaches, in units of the largest landforms"""
_FOVEA = [math.sinh(4.0 * t) / math.sinh(4.0) for t in ((2 * i + 1) / 64 - 1 for i in range(64))]


@dataclass(frozen=True)
class Terrain:
    """The ground of N scenes.

    Parameters
    ----------
    elevation_m : Tensor
        (N, H, W) height [m]
    slope : Tensor
        (N, H, W) rise over run
    rise_y : Tensor
        (N, H, W) rise towards the south over run: positive on slopes that face north
    rise_x : Tensor
        (N, H, W) rise towards the east over run
    wetness : Tensor
        (N, H, W) 0 high above the rivers .. 1 beside them on flat ground
    above_river_m : Tensor
        (N, H, W) height above the stream that the ground drains to [m]
    uplift : Tensor
        (N, H, W) 0 plain .. 1 mountain
    river_m : Tensor
        (N, H, W) distance to the bank of the nearest channel [m]; 0 within it, `FAR_M` where none is near
    river_width_m : Tensor
        (N, H, W) bankfull width of that channel [m]
    river_level_m : Tensor
        (N, H, W) height of its water [m]
    valley_foot_m : Tensor
        (N, H, W) distance to the foot of the right-hand side of the nearest larger valley [m]; `FAR_M`
        on its other side
    node : Tensor
        (N, H, W) int64 flat position of the drainage node that a place belongs to
    cell_m : Tensor
        (N,) [m]
    window : Window
        where in the world
    drainage : Drainage
        the river system
    reference_m : Tensor
        (N, P) heights of the world around the origin, by which ranks are taken [m]
    plans : Sequence[TerrainPlan]
        all that was drawn for each scene
    facts : list[dict[str, Any]]
        what is told of each scene
    far : Terrain | None
        the same world as `fovea` sees it, by which shares are taken; None in that look itself
    """

    elevation_m: Tensor
    slope: Tensor
    rise_y: Tensor
    rise_x: Tensor
    wetness: Tensor
    above_river_m: Tensor
    uplift: Tensor
    river_m: Tensor
    river_width_m: Tensor
    river_level_m: Tensor
    valley_foot_m: Tensor
    node: Tensor
    cell_m: Tensor
    window: Window
    drainage: Drainage
    reference_m: Tensor
    plans: Sequence[TerrainPlan]
    facts: list[dict[str, Any]] = field(default_factory=list)
    far: Terrain | None = None

    def part(self, rows: slice) -> Terrain:
        """Some of the scenes."""
        planes: dict[str, Any] = {name: own[rows] for name, own in vars(self).items() if isinstance(own, Tensor)}
        far = None if self.far is None else self.far.part(rows)
        return replace(
            self, window=self.window.part(rows), drainage=self.drainage.part(rows), plans=self.plans[rows],
            facts=self.facts[rows], far=far, **planes,
        )  # fmt: skip


def fovea(forms: Sequence[Landform], device: torch.device | str) -> Window:
    """A coarse look at the world around its origin, denser in the middle: (N, 64, 64) places.

    It reaches as far as `FOVEA_LANDFORMS` of the largest landforms, and 6 km at most.

    What is set by rank (the level of lakes) is ranked here and not in the window that happens to be drawn, so that
    the ground is the same in every window and at every ground sampling distance.
    """
    along = _reach_m(forms, device)[:, None] * per_scene(_FOVEA, device)
    return Window(along, along, torch.full((len(forms),), 60.0, dtype=torch.float64, device=device))


def _reach_m(forms: Sequence[Landform], device: torch.device | str) -> Tensor:
    return per_scene([min(FOVEA_LANDFORMS * f.landform_m, 6000.0) for f in forms], device)


def grow_terrain(
    plans: Sequence[TerrainPlan],
    height: int,
    width: int,
    cell_m: Tensor,
    device: torch.device | str = "cpu",
    origin_cell: Tensor | None = None,
) -> Terrain:
    """Grow the ground of N scenes.

    Parameters
    ----------
    plans : Sequence[TerrainPlan]
        what was drawn, one a scene
    height, width : int
        [fine cells]
    cell_m : Tensor
        (N,) cell size [m]
    device : torch.device | str
        where to compute
    origin_cell : Tensor | None
        (N, 2) int64, the window's middle in whole cells (y, x) from the world's origin; None: at the origin

    Raises
    ------
    Refusal
        a window without cells, or a cell size that is not positive
    """
    if len(plans) == 0 or cell_m.shape != (len(plans),):
        raise Refusal("terrain", "cell_m", tuple(cell_m.shape), f"({len(plans)},), one a plan", "give one a scene")
    if not bool((cell_m > 0).all()):
        raise Refusal("terrain", "cell_m", cell_m.tolist(), "positive sizes in metres", "correct the cell size")
    return raise_terrain(outline_terrain(plans, height, width, cell_m.to(device), origin_cell))


@dataclass(frozen=True)
class Outline:
    """What is known of N worlds before their ground is: rivers on coarse nodes, and the look from afar.

    It costs some thousand operations on few numbers each, whose calls many scenes can share; the ground costs few
    calls on many numbers, and is raised by `part`, for planes of many scenes leave the cache.

    Parameters
    ----------
    plans : Sequence[TerrainPlan]
        all that was drawn for each scene
    window : Window
        where in the world
    padded : Window
        the same with a cell around it
    places : Points
        (N, H+2, W+2) the padded cells among the nodes
    drainage : Drainage
        the river system
    sea_m : Tensor
        (N,) height that the sea comes up to, before heights are measured from it [m]
    far : Terrain
        the world as `fovea` sees it
    """

    plans: Sequence[TerrainPlan]
    window: Window
    padded: Window
    places: Points
    drainage: Drainage
    sea_m: Tensor
    far: Terrain

    def part(self, rows: slice) -> Outline:
        """Some of the scenes."""
        return Outline(
            self.plans[rows], self.window.part(rows), self.padded.part(rows), self.places.part(rows),
            self.drainage.part(rows), self.sea_m[rows], self.far.part(rows),
        )  # fmt: skip


def outline_terrain(
    plans: Sequence[TerrainPlan], height: int, width: int, cell_m: Tensor, origin_cell: Tensor | None = None
) -> Outline:
    """Outline N worlds as far as a window reaches; parameters as of `grow_terrain`."""
    forms, coasts, device = [plan.form for plan in plans], [plan.coast for plan in plans], cell_m.device
    window, padded = (Window.over(height, width, cell_m, origin_cell, pad=pad) for pad in (0, 1))
    look = fovea(forms, device)
    spacing = node_spacing(forms, padded)
    bent = [wander(padded.part(rows), spacing[rows], plans[rows]) for rows in portions_of(window.shape)]
    places = bent[0] if len(bent) == 1 else Points(*(torch.cat(axis) for axis in zip(*map(_axes, bent), strict=True)))
    far_places = wander(look, spacing, plans)
    grown = grow_drainage(plans, (places, far_places), spacing)
    drainage, far_drainage = (carve_troughs(forms, [plan.glacier for plan in plans], part) for part in grown)
    shore = seeds_of([plan.seeds.shore for plan in plans], device)
    coast = seeds_of([plan.seeds.coast for plan in plans], device)
    seen = tilt_to_sea(look, forms, coasts, shore, raise_ground(look, far_places, plans, far_drainage))
    sea_m = sea_level(forms, coasts, seen)
    seen = shape_coast(look, forms, coasts, coast, seen, sea_m)
    far_drainage = lower_rivers(forms, far_drainage, sea_m)
    facts = [{"relief_m": f.relief_m, "landform_m": f.landform_m, "hurst": f.hurst, "style": f.style} for f in forms]
    axis, reach_m = torch.tensor(_FOVEA, device=device), _reach_m(forms, device).to(torch.float32)[:, None, None]
    rise_y, rise_x = (rise / reach_m for rise in torch.gradient(seen.elevation_m, spacing=(axis, axis), dim=(1, 2)))
    reference_m = seen.elevation_m.flatten(1)
    far = terrain_of(seen, rise_y, rise_x, look, far_drainage, reference_m, plans, facts)
    return Outline(plans, window, padded, places, drainage, sea_m, far)


def _axes(points: Points) -> tuple[Tensor, Tensor, Tensor]:
    return points.y_m, points.x_m, points.cell_m


def raise_terrain(outline: Outline) -> Terrain:
    """The ground within an outline."""
    plans, padded, drainage, far = outline.plans, outline.padded, outline.drainage, outline.far
    forms, coasts, device = [plan.form for plan in plans], [plan.coast for plan in plans], outline.sea_m.device
    shore = seeds_of([plan.seeds.shore for plan in plans], device)
    coast = seeds_of([plan.seeds.coast for plan in plans], device)
    ground = tilt_to_sea(padded, forms, coasts, shore, raise_ground(padded, outline.places, plans, drainage))
    ground = shape_coast(padded, forms, coasts, coast, ground, outline.sea_m)
    drainage = lower_rivers(forms, drainage, outline.sea_m)
    raised = ground.elevation_m
    twice = (2 * outline.window.cell_m).to(torch.float32)[:, None, None]
    rise_y = (raised[:, 2:, 1:-1] - raised[:, :-2, 1:-1]) / twice
    rise_x = (raised[:, 1:-1, 2:] - raised[:, 1:-1, :-2]) / twice
    inner = RaisedGround(*(plane[:, 1:-1, 1:-1].contiguous() for plane in vars(ground).values()))
    terrain = terrain_of(inner, rise_y, rise_x, outline.window, drainage, far.reference_m, plans, far.facts)
    return replace(terrain, far=far)


def terrain_of(
    ground: RaisedGround,
    rise_y: Tensor,
    rise_x: Tensor,
    window: Window,
    drainage: Drainage,
    reference_m: Tensor,
    plans: Sequence[TerrainPlan],
    facts: list[dict[str, Any]],
) -> Terrain:
    """The terrain of a ground (N, H, W) and its rise towards the south and the east, over run."""
    slope = torch.sqrt(rise_y * rise_y + rise_x * rise_x)
    return Terrain(
        **vars(ground),
        slope=slope,
        rise_y=rise_y,
        rise_x=rise_x,
        wetness=1 / ((1 + ground.above_river_m / 6.0) * (1 + 8 * slope)),
        cell_m=window.cell_m,
        window=window,
        drainage=drainage,
        reference_m=reference_m,
        plans=plans,
        facts=facts,
    )
