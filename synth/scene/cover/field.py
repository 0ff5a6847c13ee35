"""Fields: how the land of a scene is farmed, which ground is, and what stands on each parcel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.cover.habitat import Habitat
from terraficta.synth.scene.cover.parcel import Blocks, FieldSystem, cut_parcels
from terraficta.synth.scene.cover.rotation import rotate
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.cells import Cells, voronoi
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, seeds_of, turn, uniform
from terraficta.synth.scene.world.lattice import warp
from terraficta.synth.scene.world.places import Places, covered
from terraficta.synth.scene.world.window import Points
from terraficta.synth.types.crop import draw_crops
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA

BLOCK_M = 420.0
"""least width of a block, however small its fields: farmsteads stand at its corners [m]"""
SYSTEMS: dict[str, FieldSystem] = {
    "patchwork": FieldSystem(180, block=3.5, jitter=0.9, bend=0.5, stretch=1.8, hedge_m=0.7, hedged=0.4, track_m=2.0),
    "strips": FieldSystem(140, block=4.5, jitter=0.9, bend=0.6, stretch=7.0, track_m=1.6),
    "bocage": FieldSystem(110, block=2.6, jitter=0.95, bend=0.9, stretch=1.4, hedge_m=2.8, hedged=0.9, track_m=1.8),
    "long_lots": FieldSystem(170, block=6.0, jitter=0.3, stretch=11.0, surveyed=True, hedge_m=1.0, hedged=0.3,
                             track_m=2.5),
    "prairie": FieldSystem(420, block=2.4, jitter=0.0, stretch=1.5, surveyed=True, track_m=2.8),
    "pivots": FieldSystem(330, block=4.0, jitter=0.0, stretch=1.3, surveyed=True, track_m=2.2, pivot=0.65),
    "mosaic": FieldSystem(55, block=3.2, jitter=1.0, bend=1.0, stretch=1.6, hedge_m=0.9, hedged=0.35, track_m=0.9),
    "terraces": FieldSystem(60, block=4.0, jitter=0.9, bend=0.7, stretch=2.0, hedge_m=0.6, hedged=0.2, track_m=1.2,
                            terrace_m=2.5),
}  # fmt: skip
"""by name; numbers chosen. Forms after Vink and others in J. Meynier 1970, Les paysages agraires: openfield with
strips, bocage, rang; and the Public Land Survey's square miles."""
PRACTICE: dict[str, Mapping[str, float]] = {
    "tundra": {"patchwork": 1.0},
    "boreal": {"patchwork": 0.6, "long_lots": 0.25, "strips": 0.15},
    "temperate": {"patchwork": 0.35, "strips": 0.2, "bocage": 0.2, "prairie": 0.15, "long_lots": 0.1},
    "mediterranean": {"patchwork": 0.35, "mosaic": 0.25, "terraces": 0.3, "strips": 0.1},
    "steppe": {"prairie": 0.4, "pivots": 0.3, "strips": 0.3},
    "desert": {"pivots": 0.5, "mosaic": 0.3, "prairie": 0.2},
    "savanna": {"mosaic": 0.65, "prairie": 0.2, "pivots": 0.15},
    "monsoon": {"mosaic": 0.6, "terraces": 0.25, "strips": 0.15},
    "rainforest": {"mosaic": 0.6, "terraces": 0.3, "patchwork": 0.1},
}
"""how often each system occurs in each climate; chosen"""
RICE = {"mediterranean": 0.25, "desert": 0.1, "savanna": 0.25, "monsoon": 0.9, "rainforest": 0.7}
"""share of the scenes in which wet lowland is under rice; chosen"""
USES = {
    "tundra": (0.8, 0.0, 0.1), "boreal": (0.3, 0.0, 0.08), "temperate": (0.25, 0.05, 0.05),
    "mediterranean": (0.06, 0.4, 0.12), "steppe": (0.12, 0.03, 0.2), "desert": (0.02, 0.3, 0.15),
    "savanna": (0.15, 0.06, 0.3), "monsoon": (0.05, 0.08, 0.12), "rainforest": (0.2, 0.15, 0.15),
}  # fmt: skip
"""typical shares of pasture, orchard (and vineyard), fallow in the farmed ground; chosen after FAOSTAT Land Use 2019"""


@dataclass(frozen=True)
class Fields:
    """The farmed ground; all (N, H, W).

    Parameters
    ----------
    inside : bool, farmed or between fields
    cover : uint8 class of what stands there: the use of a field, or hedge, bund, corner, track
    parcel : int64 identity of the field; 0 on hedges, bunds, corners
    row : direction of the rows [rad], as in `synth/scene/crop.py`
    """

    inside: Tensor
    cover: Tensor
    parcel: Tensor
    row: Tensor


def draw_field_system(climate: Climate, key: SceneKey) -> FieldSystem:
    """Draw one scene's way of farming: of its climate, and rather one that goes with the size of its fields."""
    fit = {
        name: share / (1 + 3 * math.log(climate.field_m / SYSTEMS[name].usual_m) ** 2)
        for name, share in PRACTICE[climate.kind].items()
    }
    rng = key.at("field", "system").rng()
    name = rng.choice(list(fit), p=[share / sum(fit.values()) for share in fit.values()])
    rice = key.at("field", "paddy").rng().random() < RICE.get(climate.kind, 0.0)
    return SYSTEMS[str(name)].varied(key.at("field", "system", "numbers"), rice)


def lay_blocks(climates: Sequence[Climate], points: Points, keys: Sequence[SceneKey]) -> Blocks:
    """Cut N scenes into blocks: bent cells, or the squares of a survey."""
    device = points.y_m.device
    word = seeds_of([k.at("field").word() for k in keys], device)
    systems = [draw_field_system(c, k) for c, k in zip(climates, keys, strict=True)]
    block_m = per_scene([max(c.field_m * s.block, BLOCK_M) for c, s in zip(climates, systems, strict=True)], device)
    bent = warp(points, block_m * 1.2, hashed(word, 1), block_m * per_scene([0.1 * s.bend for s in systems], device))
    sin, cos = (v.to(torch.float64)[:, None, None] for v in turn(hashed(word, 3), 2))
    turned = Points(bent.y_m * cos - bent.x_m * sin, bent.x_m * cos + bent.y_m * sin, points.cell_m)
    jitter = per_scene([s.jitter for s in systems], device).to(torch.float32)[:, None]
    cells = voronoi(turned, block_m, hashed(word, 2), jitter)
    y, x = bent.y_m.to(torch.float32), bent.x_m.to(torch.float32)
    return Blocks(cells.identity, cells.edge_m, cells.junction_m, cells.junction, y, x)


def choose_farmed(climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, blocks: Cells) -> Tensor:
    """(N, H, W) bool: flat, warm, moist ground, farmed in whole blocks where people chose to.

    A larger share only adds ground.
    """
    device = terrain.slope.device
    quantile = [NormalDist().inv_cdf(min(max(c.farmland * c.arable**0.15, 1e-6), 1 - 1e-6)) for c in climates]
    look = (terrain.far or terrain).wetness.flatten(1).sort(1).values
    middle, high = (look[:, int(share * look.shape[1])][:, None, None] for share in (0.5, 0.84))
    fertile = ((terrain.wetness - middle) / (high - middle + 0.03)).clamp(-1.5, 1.5)
    will = 0.4 * habitat.region + 0.25 * habitat.patch - 0.7 * fertile + 2.2 * (uniform(blocks.identity, 14) - 0.5)
    will = will / math.sqrt(0.4**2 + 0.25**2 + 0.7**2 + 2.2**2 / 12)
    steep = ((terrain.slope - 0.10) * 10).clamp(min=0) + ((9.0 - habitat.summer_c) * 0.8).clamp(min=0)
    return will + steep < planes(quantile, device)


def farm(
    climates: Sequence[Climate],
    terrain: Terrain,
    habitat: Habitat,
    blocks: Blocks,
    free: Tensor,
    keys: Sequence[SceneKey],
    dice: Tensor,
    tree: Tensor,
    years: Sequence[int],
) -> Fields:
    """Farm N scenes.

    Parameters
    ----------
    climates, keys, years : one a scene; years since the first
    terrain, habitat, blocks : the ground
    free : (N, H, W) bool, where one can farm
    dice : (N, H, W) uniform in [0, 1): what is narrower than a cell covers its share of cells
    tree : (N, 1, 1) class of the trees that people plant
    """
    device, at = dice.device, TERRAFICTA.index
    farmed = choose_farmed(climates, terrain, habitat, blocks) & free
    cells = Places.where(farmed)
    systems = [draw_field_system(c, k) for c, k in zip(climates, keys, strict=True)]

    def number(values: Sequence[float]) -> Tensor:
        return per_scene(values, device).to(torch.float32)[cells.scene]

    slope, moisture = cells.of(terrain.slope), cells.of(habitat.moisture)
    low = (slope < 0.03) & (cells.of(terrain.above_river_m) < 8.0)
    paddy = (low | (number([s.terrace_m for s in systems]) > 0)) & (number([float(s.rice) for s in systems]) > 0)
    paddy &= cells.of(habitat.summer_c) > 16.0
    parcels = cut_parcels(systems, climates, terrain, blocks, cells, keys, paddy)
    block, cell = cells.of(blocks.identity), number(terrain.cell_m.tolist())
    cover = _uses(climates, keys, cells.scene, block, parcels.name, paddy, years)
    own = torch.ones_like(paddy)

    def lay(where: Tensor, what: Tensor | str) -> None:
        nonlocal cover, own
        cover = torch.where(where, at(what) if isinstance(what, str) else what, cover).to(torch.uint8)
        own = own & ~where

    wild = torch.where(moisture < 0.35, at("bare_soil"), at("grassland"))
    throw = cells.of(dice)
    lay(parcels.idle, wild)
    lay((cover == at("paddy")) & covered(parcels.edge_m, 0.45, cell, throw), "grassland")
    hedge = number([s.hedge_m for s in systems]) * (0.5 + uniform(block, 15))
    hedge = torch.where(uniform(parcels.strip, 16) < number([s.hedged for s in systems]), hedge, 0.0)
    hedge = torch.where((cover == at("paddy")) | (moisture < 0.2), 0.0, hedge)
    scrub = torch.where(cells.of(habitat.grain) > -0.3, tree.flatten()[cells.scene], at("shrubland"))
    lay(covered(parcels.edge_m, hedge, cell, throw), scrub)
    used = uniform(cells.of(blocks.junction), 16) < 0.7
    track = covered(cells.of(blocks.edge_m), number([s.track_m for s in systems]), cell, throw) & used
    lay(track, "road")
    name = torch.where(own, parcels.name | (1 << 33), torch.where(track, block | (1 << 35), 0))
    return Fields(farmed, cells.onto(cover, 0), cells.onto(name, 0), cells.onto(parcels.row, 0.0))


def _uses(
    climates: Sequence[Climate],
    keys: Sequence[SceneKey],
    scene: Tensor,
    block: Tensor,
    parcel: Tensor,
    paddy: Tensor,
    years: Sequence[int],
) -> Tensor:
    """(M,) uint8 class of each parcel: shares differ by climate, scene and block; fallow moves from year to year."""
    shares = []
    for climate, key in zip(climates, keys, strict=True):
        taste = 2.0 * key.at("field", "uses").rng().random(3) ** 1.5
        asked = [float(t) * usual for t, usual in zip(taste, USES[climate.kind], strict=True)]
        whole = max(1.0, sum(asked) / 0.9)
        shares.append([share / whole for share in asked])
    pasture, orchard, fallow = torch.tensor(shares, device=parcel.device)[scene].unbind(1)
    at = TERRAFICTA.index
    year = torch.tensor(list(years), device=parcel.device)[scene]
    habit, own = uniform(block, 11), uniform(parcel, 12)
    lasting = torch.where(uniform(parcel, 13) < 0.4, habit, own)
    resting = uniform(hashed(parcel, year), 14) < fallow / (1 - pasture - orchard)
    use = torch.where(paddy, at("paddy"), at("cropland"))
    use = torch.where(resting, at("fallow"), use)
    use = torch.where((lasting < pasture + orchard) & ~paddy, at("orchard"), use)
    return torch.where((lasting < pasture) & ~paddy, at("pasture"), use).to(torch.uint8)


def sow(
    climates: Sequence[Climate], keys: Sequence[SceneKey], cover: Tensor, parcel: Tensor, years: Sequence[int]
) -> Tensor:
    """(N, H, W) uint8: 1 + place in the scene's list of the crop that each sown parcel carries in a year; 0 elsewhere.

    Parameters
    ----------
    climates, keys, years : one a scene; years since the first
    cover : (N, H, W) uint8 class
    parcel : (N, H, W) int64 identity
    """
    at = TERRAFICTA.index
    paddy = cover == at("paddy")
    cells = Places.where(paddy | (cover == at("cropland")))
    lists = [draw_crops(c, k) for c, k in zip(climates, keys, strict=True)]
    return cells.onto(rotate(lists, cells.scene, cells.of(parcel), cells.of(paddy), years), 0)
