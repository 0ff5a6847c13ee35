"""Fields: how the land of a scene is farmed, which ground is, and what stands on each parcel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.cover.habitat import Habitat
from terraficta.synth.scene.cover.parcel import Blocks, FieldUses, cut_parcels
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import Cells, voronoi
from terraficta.synth.scene.world.chance import hashed, per_scene, planes, seeds_of, turn, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.lattice import warp
from terraficta.synth.scene.world.places import Places, covered
from terraficta.synth.scene.world.window import Points, Window
from terraficta.synth.types.crop import LEY_YEARS, Crop
from terraficta.synth.types.legend import TERRAFICTA

BUND_M = 0.45
"""half the width of the bank between paddies [m]"""
FINEST = 0.2
"""hedges and bunds narrower than this share of a cell are not drawn: a whole cell of one would be a speck five times
its size"""
WILL = (0.8, 0.25, 0.7, 0.25)
"""what decides whether ground is farmed: the region (3.5 km), the neighbourhood (1.1 km), fertile ground, the owner of
a block; as standard deviations. Mostly what is wide, so that forests are whole"""
CLUSTERED = 0.65
"""share of the parcels whose lasting use is that of their block: orchards and pastures lie together"""


@dataclass(frozen=True)
class Fields:
    """The farmed ground; all (N, H, W).

    Parameters
    ----------
    inside : Tensor
        bool, farmed or between fields
    cover : Tensor
        uint8 class of what stands there: the use of a field, or hedge, bund, corner, track
    parcel : Tensor
        int64 identity of the field; 0 on hedges, bunds, corners
    row : Tensor
        direction of the rows [rad], as in `synth/types/crop.py`
    """

    inside: Tensor
    cover: Tensor
    parcel: Tensor
    row: Tensor


def lay_blocks(plans: Sequence[CoverPlan], at: Window | Points) -> Blocks:
    """Cut N scenes into blocks: bent cells, or the squares of a survey."""
    device = at.y_m.device
    seed = seeds_of([p.seeds.field for p in plans], device)
    systems = [p.system for p in plans]
    block_m = per_scene([p.system.block_m(p.climate.field_m) for p in plans], device)
    reach_m = block_m * per_scene([0.1 * s.bend for s in systems], device)
    bent = warp(at, block_m * 1.2, hashed(seed, salt.Field.BEND), reach_m)
    survey = turn(hashed(seed, salt.Field.SURVEY), salt.Survey.DIRECTION)
    sin, cos = (v.to(torch.float64)[:, None, None] for v in survey)
    turned = Points(bent.y_m * cos - bent.x_m * sin, bent.x_m * cos + bent.y_m * sin, at.cell_m)
    jitter = per_scene([s.jitter for s in systems], device).to(torch.float32)[:, None]
    cells = voronoi(turned, block_m, hashed(seed, salt.Field.BLOCKS), jitter)
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
    owner = uniform(blocks.identity, salt.Block.FARMED) - 0.5
    region, patch, ground, whim = WILL
    will = region * habitat.region + patch * habitat.patch - ground * fertile + whim * math.sqrt(12) * owner
    will = will / math.sqrt(sum(part * part for part in WILL))
    steep = ((terrain.slope - 0.10) * 10).clamp(min=0) + ((9.0 - habitat.summer_c) * 0.8).clamp(min=0)
    return will + steep < planes(quantile, device)


def farm(
    plans: Sequence[CoverPlan],
    terrain: Terrain,
    habitat: Habitat,
    blocks: Blocks,
    free: Tensor,
    u01: Tensor,
    tree: Tensor,
    years: Sequence[int],
) -> Fields:
    """Farm N scenes.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene; years since the first
    years : Sequence[int]
        one a scene; years since the first
    terrain : Terrain
        the ground
    habitat : Habitat
        the ground
    blocks : Blocks
        the ground
    free : Tensor
        (N, H, W) bool, where one can farm
    u01 : Tensor
        (N, H, W) uniform in [0, 1): what is narrower than a cell covers its share of cells
    tree : Tensor
        (N, 1, 1) class of the trees that people plant
    """
    device, at = u01.device, TERRAFICTA.index
    farmed = choose_farmed([p.climate for p in plans], terrain, habitat, blocks) & free
    cells = Places.where(farmed)
    systems = [p.system for p in plans]
    number = cells.number
    slope, moisture = cells.of(terrain.slope), cells.of(habitat.moisture)
    low = (slope < 0.03) & (cells.of(terrain.above_river_m) < 8.0)
    paddy = (low | (number([s.terrace_m for s in systems]) > 0)) & (number([float(s.rice) for s in systems]) > 0)
    paddy &= cells.of(habitat.summer_c) > 16.0
    seed = seeds_of([p.seeds.field for p in plans], device)
    parcels = cut_parcels(systems, [p.climate.field_m for p in plans], terrain, blocks, cells, seed, paddy)
    block, cell = cells.of(blocks.identity), number(terrain.cell_m)
    cover = _uses([p.uses for p in plans], cells, block, parcels.identity, paddy, years)
    own = torch.ones_like(paddy)

    def lay(where: Tensor, what: Tensor | str) -> None:
        nonlocal cover, own
        cover = choose(where, at(what) if isinstance(what, str) else what, cover).to(torch.uint8)
        own = own & ~where

    wild = choose(moisture < 0.35, at("bare_soil"), at("grassland"))
    own_u01 = cells.of(u01)
    lay(parcels.idle, wild)
    bund = choose(FINEST * cell > 2 * BUND_M, 0.0, BUND_M)
    lay((cover == at("paddy")) & covered(parcels.edge_m, bund, cell, own_u01), "grassland")
    hedge = number([s.hedge_m for s in systems]) * (0.5 + uniform(block, salt.Block.HEDGE))
    hedge = choose(uniform(parcels.strip, salt.Strip.HEDGED) < number([s.hedged for s in systems]), hedge, 0.0)
    hedge = choose((cover == at("paddy")) | (moisture < 0.2) | (2 * hedge < FINEST * cell), 0.0, hedge)
    scrub = choose(cells.of(habitat.grain) > -0.3, cells.each(tree.flatten()), at("shrubland"))
    lay(covered(parcels.edge_m, hedge, cell, own_u01), scrub)
    used = uniform(cells.of(blocks.junction), salt.Corner.TRACK) < 0.7
    track = covered(cells.of(blocks.edge_m), number([s.track_m for s in systems]), cell, own_u01) & used
    lay(track, "road")
    identity = choose(own, parcels.identity | (1 << 33), choose(track, block | (1 << 35), 0))
    return Fields(farmed, cells.onto(cover, 0), cells.onto(identity, 0), cells.onto(parcels.row, 0.0))


def _uses(
    uses: Sequence[FieldUses],
    cells: Places,
    block: Tensor,
    parcel: Tensor,
    paddy: Tensor,
    years: Sequence[int],
) -> Tensor:
    """(M,) uint8 class of each parcel: shares differ by climate, scene and block; fallow moves from year to year."""
    shares = [(use.pasture, use.orchard, use.fallow) for use in uses]
    pasture, orchard, fallow = (cells.each(share) for share in torch.tensor(shares, device=parcel.device).unbind(1))
    at = TERRAFICTA.index
    year = cells.each(torch.tensor(list(years), device=parcel.device))
    habit, own = uniform(block, salt.Block.HABIT), uniform(parcel, salt.Parcel.USE)
    lasting = choose(uniform(parcel, salt.Parcel.FOLLOWS_BLOCK) < CLUSTERED, habit, own)
    resting = uniform(hashed(parcel, year), salt.ParcelYear.FALLOW) < fallow / (1 - pasture - orchard)
    use = choose(paddy, at("paddy"), at("cropland"))
    use = choose(resting, at("fallow"), use)
    use = choose((lasting < pasture + orchard) & ~paddy, at("orchard"), use)
    return choose((lasting < pasture) & ~paddy, at("pasture"), use).to(torch.uint8)


def sow(lists: Sequence[Sequence[Crop]], cover: Tensor, parcel: Tensor, years: Sequence[int]) -> Tensor:
    """(N, H, W) uint8: 1 + place in the scene's list of the crop that each sown parcel carries in a year; 0 elsewhere.

    Parameters
    ----------
    lists : Sequence[Sequence[Crop]]
        of `draw_crops`, one a scene
    years : Sequence[int]
        since the first, one a scene
    cover : Tensor
        (N, H, W) uint8 class
    parcel : Tensor
        (N, H, W) int64 identity
    """
    at = TERRAFICTA.index
    paddy = cover == at("paddy")
    cells = Places.where(paddy | (cover == at("cropland")))
    return cells.onto(rotate(lists, cells.scene, cells.of(parcel), cells.of(paddy), years), 0)


def rotate(
    lists: Sequence[Sequence[Crop]], scene: Tensor, parcel: Tensor, paddy: Tensor, years: Sequence[int]
) -> Tensor:
    """Number of the crop (M,) uint8, 1 + place in the scene's list, that sown parcels carry; 0 where the list has none.

    Annual crops follow each other by lot; perennials stay for `LEY_YEARS`, begun in another year on every parcel.

    Parameters
    ----------
    lists : Sequence[Sequence[Crop]]
        of `draw_crops`, one a scene
    scene, parcel : Tensor
        (M,) int64 which scene, and identity of the parcel
    paddy : Tensor
        (M,) bool, it carries rice
    years : Sequence[int]
        since the first, one a scene
    """
    device = parcel.device
    year = torch.tensor(list(years), device=device)[scene]
    lasting = torch.tensor([sum(c.share for c in crops if c.perennial) for crops in lists], device=device)[scene]
    begun = torch.div(hashed(parcel, salt.Parcel.LEY_BEGUN) % LEY_YEARS + year, LEY_YEARS, rounding_mode="floor")
    stays = uniform(hashed(parcel, begun), salt.ParcelYear.LEY) < lasting
    group = choose(paddy, 2, choose(stays, 0, 1))
    edges = torch.tensor([_edges(crops, max(map(len, lists))) for crops in lists], device=device)[scene, group]
    pick = uniform(hashed(parcel, choose(stays, begun, year)), salt.ParcelYear.CROP)
    passed = (pick[:, None] >= edges).sum(1)
    return choose(edges[:, -1] > 0, passed + 1, 0).to(torch.uint8)


def _edges(crops: Sequence[Crop], slots: int) -> list[list[float]]:
    """[perennials, annuals, paddy rice][slots] where the part of each crop ends in 0 .. 1; past 1 after the last."""
    rows = []
    for cover, perennial in (("cropland", True), ("cropland", False), ("paddy", False)):
        parts = [c.share if (c.cover, c.perennial) == (cover, perennial) else 0.0 for c in crops]
        parts += [0.0] * (slots - len(parts))
        total = sum(parts)
        last = max((n for n, part in enumerate(parts) if part > 0), default=slots)
        rows.append([2.0 if n >= last else sum(parts[: n + 1]) / max(total, 1e-9) for n in range(slots)])
    return rows
