"""Events: what changes land between two dates, each with a dose from nothing (0) to all it can do (1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from terraficta.synth.scene.cover.fire import SCAR_M
from terraficta.synth.scene.cover.landcover import LandCover, grow_landcover
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.cover.season import Moment
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.scene.terrain.overlook import Overlook
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import MASK, hashed, per_scene, uniform
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.scatter import scatter
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA, TIMBER
from terraficta.synth.types.scene_recipe import EVENTS, EventRecipe, SceneRecipe

GROWTH = {"urban_growth": ("settlement", 0.2), "deforestation": ("clearcut", 0.7), "mining": ("quarry", 0.08)}
"""what use of the land grows, and by how much at dose 1 (shares as in `CoverRecipe`)"""
FLOOD_M = 8.0
"""rise of the rivers at dose 1 [m]: a great flood of a lowland river"""
FUEL = (*TIMBER, "shrubland", "grassland", "moss_lichen")
"""classes that burn"""
BURNT_YEARS, GRASS_YEARS, SHRUB_YEARS = 0.7, 2.5, 8.0
"""until when a scar is bare, under grass, under shrubs; then what grew before is back, lower. Boreal and Mediterranean
forests green up within one to five years: B. Bright et al. 2019, doi:10.1186/s42408-018-0021-9; chosen in that order"""
SLIDE_M2, SLIDE_TAIL = 800.0, 1.4
"""least area of a landslide [m2], near which the sizes of an inventory roll over, and exponent of the share of larger
ones: B. Malamud, D. Turcotte, F. Guzzetti, P. Reichenbach 2004, doi:10.1002/esp.1064, eq. (3)"""
SLIDE_SIZES = 3
"""sizes that are strewn one by one, each three times as long as the one before"""
SLIDE_LONG, SCAR, TONGUE, FILLED = 3.0, 0.4, 0.65, 0.648
"""times as long as wide; share of the length that is scar; width of the tongue, of that of the scar; and what such a
shape fills of length times width. The first three are chosen, the last follows"""
SLIDE_SLOPE, SLIDE_REST = 0.3, 0.2
"""slope from which on ground slides, 17 deg, and down to which it runs on, 11 deg; most slides start on 20 to 40 deg
(D. Keefer 1984, doi:10.1130/0016-7606(1984)95<406:LCBE>2.0.CO;2); the other is chosen"""
SLIDE_YEARS, SCAR_YEARS = 3.0, 8.0
"""until when a tongue lies bare, and its scar, which has lost its soil; then under grass; chosen in that order"""


@dataclass(frozen=True)
class Event:
    """One event of one scene.

    Parameters
    ----------
    kind : str
        one of `EVENTS`
    dose : float
        0 .. 1
    since : int
        number of the first date that shows it
    seed : int
        of its pattern
    """

    kind: str
    dose: float
    since: int
    seed: int


def draw_events(recipes: Sequence[EventRecipe], key: SceneKey) -> list[Event]:
    """Draw the events of one scene."""
    events = []
    for number, recipe in enumerate(recipes):
        own = key.at("event", number)
        low, high = recipe.dose
        dose = low + (high - low) * float(own.at("dose").rng().random())
        events.append(Event(recipe.kind, dose, recipe.after + 1, own.at("pattern").field_seed()))
    return events


def seen(events: Sequence[Event], number: int) -> list[Event]:
    """Those that have happened by a date."""
    return [event for event in events if event.since <= number and event.dose > 0]


def grown(moment: Moment, events: Sequence[Event]) -> Moment:
    """The moment with the use of land, and the height of rivers, that events have brought."""
    climate, rise = moment.climate, moment.rise_m
    for event in seen(events, moment.number):
        if event.kind in GROWTH:
            name, most = GROWTH[event.kind]
            climate = replace(climate, **{name: min(1.0, getattr(climate, name) + most * event.dose)})
        elif event.kind == "flood" and event.since == moment.number:  # a pulse: the next date is dry again
            rise += FLOOD_M * event.dose
    return replace(moment, climate=climate, rise_m=rise)


def strike(
    cover: LandCover, terrain: Terrain, moments: Sequence[Moment], events: Sequence[Sequence[Event]],
    dates: Sequence[Sequence[Moment]],
) -> LandCover:  # fmt: skip
    """The land after the events that strike places: fire, dieback, harvest, landslide; in the order they came.

    Parameters
    ----------
    cover : LandCover
        land that does not know of them
    terrain : Terrain
        its ground
    moments : Sequence[Moment]
        of this date, one a scene
    events : Sequence[Sequence[Event]]
        of each scene
    dates : Sequence[Sequence[Moment]]
        all dates of each scene
    """
    before = cover
    for n, moment in enumerate(moments):
        for event in seen(events[n], moment.number):
            if event.kind in STRIKES:
                age = moment.years - dates[n][event.since].years
                one = STRIKES[event.kind](_only(cover, n), terrain, n, event, age)
                cover = _with(cover, one, n)
    struck = (cover.cover != before.cover) | (cover.parcel != before.parcel)
    return replace(cover, within=torch.where(struck & (cover.parcel == 0), 0, cover.within))  # it is of one piece


def facts_of(events: Sequence[Event]) -> dict[str, Any]:
    """As plain data."""
    return {"events": [{"kind": e.kind, "dose": e.dose, "since": e.since} for e in events]} if events else {}


def changed(now: LandCover, undisturbed: LandCover, moments: Sequence[Moment], events: Sequence[Sequence[Event]]
            ) -> Tensor:  # fmt: skip
    """(N, H, W) uint8: 0 where the land is as it would be without events, else 1 + the kind of the last one."""
    differs = (now.cover != undisturbed.cover) | ((now.vigour - undisturbed.vigour).abs() > 0.05)
    code = torch.zeros_like(now.cover)
    for n, moment in enumerate(moments):
        for event in seen(events[n], moment.number):
            own = _touched(now, undisturbed, n, event)
            code[n] = torch.where(differs[n] & own, 1 + EVENTS.index(event.kind), code[n])
    return code


def _touched(now: LandCover, before: LandCover, n: int, event: Event) -> Tensor:
    """(H, W) bool: where a change can be the work of this kind of event."""
    after, first = now.cover[n], before.cover[n]
    if event.kind == "dieback":
        return (after == first) & TERRAFICTA.among(first, TIMBER)
    if event.kind == "harvest":
        return after == TERRAFICTA.index("fallow")
    if event.kind == "flood":
        return after == TERRAFICTA.index("water")
    if event.kind == "burn":
        return TERRAFICTA.among(first, FUEL)
    return torch.ones_like(after, dtype=torch.bool)


# --- what strikes places ---------------------------------------------------------------------------------------------


def _only(cover: LandCover, n: int) -> LandCover:
    """Scene n alone."""
    return cover.mapped(lambda plane: plane[n : n + 1])


def _with(cover: LandCover, one: LandCover, n: int) -> LandCover:
    """With scene n replaced."""
    parts = iter(one.planes())

    def placed(plane: Tensor) -> Tensor:
        return torch.cat([plane[:n], next(parts), plane[n + 1 :]])

    return cover.mapped(placed)


def _scene(terrain: Terrain, n: int) -> Window:
    return terrain.window.part(slice(n, n + 1))


def _field(terrain: Terrain, n: int, seed: int, spacing_m: float, octaves: int, hurst: float) -> Tensor:
    device = terrain.slope.device
    seeds = torch.tensor([seed], dtype=torch.int64, device=device)
    return fbm(_scene(terrain, n), per_scene([spacing_m], device), seeds, octaves, hurst)


def _above(dose: float, most: float) -> float:
    """What a unit-variance field exceeds on the share `most * dose` of the ground."""
    return NormalDist().inv_cdf(1 - min(max(most * dose, 1e-9), 1 - 1e-9))


def _burn(cover: LandCover, terrain: Terrain, n: int, event: Event, age: float) -> LandCover:
    """A scar with a fractal front that runs uphill and dies in wet ground; it greens, and the forest comes back."""
    front = _field(terrain, n, event.seed, SCAR_M / 2, 8, 0.8) - _above(event.dose, 0.75)
    front = front + 0.5 * (terrain.slope[n] - 0.1).clamp(0.0, 0.5) - 4 * (terrain.wetness[n] - 0.6).clamp(min=0)
    scar = (front > 0) & TERRAFICTA.among(cover.cover, FUEL)
    pace = age * (1 + 0.25 * _field(terrain, n, event.seed + salt.Burn.REGROWTH, 300.0, 4, 0.6).clamp(-2, 2))
    at = TERRAFICTA.index
    forest = TERRAFICTA.among(cover.cover, TIMBER)
    stage = torch.where(pace < GRASS_YEARS, at("grassland"), at("shrubland"))
    stage = torch.where(pace < BURNT_YEARS, at("burnt"), stage)
    back = torch.where(forest, pace >= SHRUB_YEARS, pace >= GRASS_YEARS)
    struck = scar & ~back
    young = (pace / 25.0).clamp(0.3, 1.0)
    return replace(
        cover,
        cover=torch.where(struck, stage, cover.cover).to(torch.uint8),
        parcel=torch.where(struck, 0, cover.parcel),
        row=torch.where(struck, 0.0, cover.row),
        height_m=torch.where(struck, 0.0, torch.where(scar & forest, cover.height_m * young, cover.height_m)),
    )


def _dieback(cover: LandCover, terrain: Terrain, n: int, event: Event, age: float) -> LandCover:
    """Stands die in patches, the more the poorer they grow; what is dead stays grey for a decade."""
    sick = _field(terrain, n, event.seed, 700.0, 6, 0.6) - 2.0 * (cover.vigour - 0.5)
    depth = ((sick - _above(event.dose, 0.8)) * 2).clamp(0.0, 1.0) * (1 - age / 10.0 if age < 10 else 0.0)
    dying = TERRAFICTA.among(cover.cover, TIMBER)
    return replace(cover, vigour=torch.where(dying, cover.vigour * (1 - depth), cover.vigour))


def _harvest(cover: LandCover, terrain: Terrain, n: int, event: Event, age: float) -> LandCover:
    """Fields are cut and lie bare until the next year, each whole."""
    seed = torch.tensor(event.seed, dtype=torch.int64, device=cover.cover.device)
    cut = (cover.crop > 0) & (uniform(hashed(seed, cover.parcel & MASK), salt.Reaped.CUT) < event.dose)
    cut &= torch.tensor(age < 0.5, device=cut.device)
    fallow = TERRAFICTA.index("fallow")
    return replace(
        cover,
        cover=torch.where(cut, fallow, cover.cover).to(torch.uint8),
        crop=torch.where(cut, 0, cover.crop).to(torch.uint8),
    )


def _slide(cover: LandCover, terrain: Terrain, n: int, event: Event, age: float) -> LandCover:
    """Steep ground gives way: a scar, and below it a tongue; grass returns after some years, to the tongue first."""
    scar, tongue = slides(terrain, n, event)
    spared = TERRAFICTA.among(cover.cover, ("water", "building", "snow")) | cover.bridge
    scar, tongue = scar & ~spared, tongue & ~spared
    slid = scar | tongue
    bare = scar if age < SCAR_YEARS else torch.zeros_like(scar)
    bare = slid if age < SLIDE_YEARS else bare
    stage = torch.where(bare, TERRAFICTA.index("bare_soil"), TERRAFICTA.index("grassland"))
    return replace(
        cover,
        cover=torch.where(slid, stage, cover.cover).to(torch.uint8),
        parcel=torch.where(slid, 0, cover.parcel),
        crop=torch.where(slid, 0, cover.crop).to(torch.uint8),
        row=torch.where(slid, 0.0, cover.row),
        height_m=torch.where(slid, 0.0, cover.height_m),
    )


def slides(terrain: Terrain, n: int, event: Event) -> tuple[Tensor, Tensor]:
    """Scars and tongues (1, H, W) bool of the landslides of scene n; a tongue lies downhill of its scar.

    Areas follow the power law of inventories: for each size the world is cut into squares that the longest of it spans,
    and each holds one with the probability that the law leaves. It begins at its site and runs down the slope.
    """
    device, window = terrain.slope.device, _scene(terrain, n).points()
    slope = terrain.slope[n].flatten()[None]
    rise = torch.stack([v[n].flatten() for v in (terrain.rise_y, terrain.rise_x)])
    broad = _broad(terrain, n)
    scar = torch.zeros_like(slope, dtype=torch.bool)
    tongue = scar.clone()
    for size in range(SLIDE_SIZES):
        least_m2, longer = SLIDE_M2 * 9**size, 9**-SLIDE_TAIL
        seed = hashed(torch.tensor([event.seed], dtype=torch.int64, device=device), size)
        sites = scatter(window, per_scene([3 * math.sqrt(least_m2 * SLIDE_LONG / FILLED)], device), seed)
        present = sites.draw(salt.Slide.PRESENT) < event.dose * (9 * longer) ** size
        rarer = 1 - (1 - longer) * sites.draw(salt.Slide.SIZE).to(torch.float64)
        area_m2 = least_m2 * rarer ** (-1 / SLIDE_TAIL)
        long_m = torch.sqrt(area_m2 * (SLIDE_LONG / FILLED)).to(torch.float32)
        way = torch.lerp(rise, broad, (size + 1) / SLIDE_SIZES)  # what is long does not turn with every gully
        down_y, down_x = (-way / way.square().sum(0).sqrt().clamp(min=1e-6)).unsqueeze(1)
        for site in sites.around():
            reach, here = long_m.gather(1, site.which), present.gather(1, site.which)
            along = (site.dy * down_y + site.dx * down_x) / reach
            across = (site.dy * down_x - site.dx * down_y).abs() * (2 * SLIDE_LONG) / reach
            scar |= here & (across < _lens(along, 0.0, SCAR))
            tongue |= here & (across < TONGUE * _lens(along, 0.5 * SCAR, 1.0))
    scar &= slope > SLIDE_SLOPE
    tongue &= ~scar & (slope > SLIDE_REST)
    shape = (1, *terrain.slope.shape[1:])
    return scar.view(shape), tongue.view(shape)


def _broad(terrain: Terrain, n: int) -> Tensor:
    """(2, H*W) rise towards the south and the east over run of scene n, as it looks from afar."""
    assert terrain.far is not None, "the look from afar is struck by nothing"
    far = terrain.far.part(slice(n, n + 1))
    return Overlook.of(far).over(_scene(terrain, n), torch.stack([far.rise_y, far.rise_x])).flatten(1)


def _lens(along: Tensor, first: float, last: float) -> Tensor:
    """1 in the middle of a stretch, 0 at its ends and beyond, as the width of an ellipse."""
    t = (2 * along - first - last) / (last - first)
    return (1 - t * t).clamp(min=0).sqrt()


STRIKES: dict[str, Callable[[LandCover, Terrain, int, Event, float], LandCover]] = {
    "burn": _burn,
    "dieback": _dieback,
    "harvest": _harvest,
    "landslide": _slide,
}


# --- the whole ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """The land of N scenes on one of their dates.

    Parameters
    ----------
    cover : LandCover
        what covers the ground
    moments : list[Moment]
        the date, one a scene
    change : Tensor | None
        (N, H, W) uint8 as in `changed`; None where the recipe has no events
    facts : list[dict[str, Any]]
        what was drawn, one record a scene
    """

    cover: LandCover
    moments: list[Moment]
    change: Tensor | None
    facts: list[dict[str, Any]]


def land_on(
    recipe: SceneRecipe,
    terrain: Terrain,
    plans: Sequence[CoverPlan],
    dates: Sequence[Sequence[Moment]],
    events: Sequence[Sequence[Event]],
    number: int,
    given: GivenLand | None = None,
) -> Day:
    """The land on date `number`: its season, weather and use, and what has happened to it since the first.

    Parameters
    ----------
    recipe : SceneRecipe
        shares that are asked for, and whether there are events
    terrain : Terrain
        its ground
    plans : Sequence[CoverPlan]
        of `draw_cover_plan`, one a scene
    dates : Sequence[Sequence[Moment]]
        of `draw_moments` and `draw_events`, all of each scene
    events : Sequence[Sequence[Event]]
        of `draw_moments` and `draw_events`, all of each scene
    number : int
        of the date
    given : GivenLand | None
        real land, whose class map is kept to
    """
    plain = [own[number] for own in dates]
    if not any(seen(own, number) for own in events):
        cover = grow_landcover(recipe.cover, terrain, plans, plain, given)
        change = torch.zeros_like(cover.cover) if recipe.events else None
        moments = plain
    else:
        moments = [grown(moment, own) for moment, own in zip(plain, events, strict=True)]
        undisturbed = grow_landcover(recipe.cover, terrain, plans, plain, given)
        cover = undisturbed if moments == plain else grow_landcover(recipe.cover, terrain, plans, moments, given)
        cover = strike(cover, terrain, moments, events, dates)
        change = changed(cover, undisturbed, moments, events)
    facts = [m.facts() | facts_of(own) for m, own in zip(moments, events, strict=True)]
    return Day(cover, moments, change, facts)
