"""Forestry: stands that are felled and grow again, clearings along forest roads, plantations in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.habitat import Habitat
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import partition
from terraficta.synth.scene.world.chance import hashed, heading, per_scene, seeds_of, turn, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.places import Places, covered, listed
from terraficta.synth.types.legend import TERRAFICTA, UPLAND_FORESTS

PLANTABLE = (*UPLAND_FORESTS, "shrubland", "grassland")
"""wild ground on which plantations are set"""
LOT_M = (4000.0, 250.0)
"""distance between settlers' roads, and width of their lots [m]: lots of 100 ha, 2000 m deep"""
REGROWN = 0.05
"""share of the stands, those felled first, that are young forest again"""
TRACK_M = 2.0
"""half the width of a plantation's tracks [m]"""


@dataclass(frozen=True)
class Stands:
    """Ground that foresters have changed, all (N, H, W).

    Parameters
    ----------
    cover : Tensor
        uint8 class of the natural ground, with clearings and plantations in it
    parcel : Tensor
        int64 identity of the stand; 0 where nothing was done
    row : Tensor
        direction of planted rows [rad]; 0 elsewhere
    """

    cover: Tensor
    parcel: Tensor
    row: Tensor


def _axes(plans: Sequence[CoverPlan], terrain: Terrain, cells: Places) -> tuple[Tensor, Tensor, Tensor]:
    """Seed (M,), and coordinates (M,) along and across the direction of the scene's stands [m]."""
    seed = seeds_of([p.seeds.forestry for p in plans], terrain.slope.device)
    seed = cells.each(seed)
    sin, cos = turn(seed, salt.Forestry.DIRECTION)
    y = cells.of(terrain.window.y_m.to(torch.float32)[:, :, None])
    x = cells.of(terrain.window.x_m.to(torch.float32)[:, None, :])
    return seed, x * cos + y * sin, y * cos - x * sin


def fell(plans: Sequence[CoverPlan], terrain: Terrain, cover: Tensor) -> Stands:
    """Clear forests: rectangular stands, felled one after another, or lots along roads, from the road inwards.

    The share `Climate.clearcut` of the forest has been felled; a larger one adds younger clearings and ages the rest,
    from bare soil to grass, shrubs and young forest; settlers keep theirs as pasture.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene
    terrain : Terrain
        the ground
    cover : Tensor
        (N, H, W) uint8 natural cover
    """
    device, at = cover.device, TERRAFICTA.index
    asked = per_scene([p.climate.clearcut for p in plans], device).to(torch.float32)
    cells = Places.where(TERRAFICTA.among(cover, UPLAND_FORESTS) & (asked > 0)[:, None, None])
    seed, along, across = _axes(plans, terrain, cells)
    share = cells.each(asked)
    settlers = cells.each(torch.tensor([p.settlers for p in plans], device=device))
    by_stand, by_road = not all(p.settlers for p in plans), any(p.settlers for p in plans)
    age, identity, young = _stands(seed, along, across, share) if by_stand else (share, seed, share > 1)
    if by_road:  # few scenes have both
        reached, plot = _lots(seed, along, across, share)
        age, identity = choose(settlers, reached, age), choose(settlers, plot, identity)
    felled = age < 1
    grown = choose(age > 0.45, at("grassland"), at("shrubland"))
    grown = choose(young, cells.of(cover), grown)
    grown = choose(settlers, at("pasture"), choose(age > 0.75, at("bare_soil"), grown))
    grown = choose(settlers & (age > 0.9), at("bare_soil"), grown)
    parcel = choose(felled, identity | (1 << 36), 0)
    after = choose(felled, grown, cells.of(cover)).to(torch.uint8)
    whole = cover.flatten().index_copy(0, cells.at, after).reshape(cover.shape)
    return Stands(whole, cells.onto(parcel, 0), torch.zeros_like(terrain.slope))


def _stands(seed: Tensor, along: Tensor, across: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Age of stands at places (M,), below 1 felled; their identity; whether young forest has come back.

    Stands are of 150 to 500 m: the lower its lot, the longer ago it was felled.
    """
    row, _, _ = partition(along / 420.0, hashed(seed, salt.Forestry.ROWS), 0.7)
    stand, _, _ = partition(
        across / (160.0 + 240.0 * uniform(hashed(seed, row), salt.StandRow.WIDTH)),
        hashed(seed, salt.Forestry.STANDS, row),
        0.7,
    )
    identity = hashed(seed, row, stand)
    order = uniform(identity, salt.Stand.ORDER)
    return order / share, identity, order < REGROWN  # 1: felled this year


def _lots(seed: Tensor, along: Tensor, across: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The same by settlers' lots on either side of their roads: how far in it is cleared averages the share."""
    road = torch.floor(across / LOT_M[0])
    inward = across / LOT_M[0] - road - 0.5
    lot, _, _ = partition(
        along / LOT_M[1], hashed(seed, salt.Forestry.LOTS, road.to(torch.int64), (inward > 0).long()), 0.3
    )
    plot = hashed(seed, salt.Forestry.PLOT, road.to(torch.int64), lot, (inward > 0).long())
    depth = share + (2 * uniform(plot, salt.Plot.DEPTH) - 1) * torch.minimum(share, 1 - share)
    return (inward.abs() * 2) / depth.clamp(min=1e-6), plot


def plant(
    plans: Sequence[CoverPlan],
    terrain: Terrain,
    habitat: Habitat,
    stands: Stands,
    u01: Tensor,
) -> Stands:
    """Plant trees in rows: estates of large rectangular compartments with tracks between them.

    The share `Climate.plantation` of the ground that could grow them is planted; a larger one only adds compartments.

    Parameters
    ----------
    plans : Sequence[CoverPlan]
        one a scene
    terrain : Terrain
        the ground
    habitat : Habitat
        the ground
    stands : Stands
        what is there before
    u01 : Tensor
        (N, H, W) uniform in [0, 1)
    """
    device, at = u01.device, TERRAFICTA.index
    asked = per_scene([p.climate.plantation for p in plans], device).to(torch.float32)
    ground = (habitat.moisture > 0.38) & (habitat.summer_c > 9.0) & (terrain.slope < 0.45)
    ground &= TERRAFICTA.among(stands.cover, PLANTABLE) & (asked > 0)[:, None, None]
    cells = Places.where(ground)
    seed, along, across = _axes(plans, terrain, cells)
    share = cells.each(torch.sqrt(asked))  # of the estates, and of the compartments in them
    estate_row, _, _ = partition(along / 2200.0, hashed(seed, salt.Forestry.ESTATE_ROWS), 0.7)
    estate, _, _ = partition(across / 1800.0, hashed(seed, salt.Forestry.ESTATES, estate_row), 0.7)
    identity = hashed(seed, salt.Forestry.ESTATE, estate_row, estate)
    some = listed(uniform(identity, salt.Estate.PLANTED) < share)
    along, across, identity = (value.index_select(0, some) for value in (along, across, identity))
    cells = Places(cells.at.index_select(0, some), cells.shape)
    seed, share = (cells.each(value) for value in (seeds_of([p.seeds.forestry for p in plans], device), asked.sqrt()))
    wide = 220.0 + 260.0 * uniform(identity, salt.Estate.WIDTH)
    deep = 160.0 + 140.0 * uniform(identity, salt.Estate.DEPTH)
    row, du, _ = partition(along / wide, hashed(identity, salt.Estate.ROWS), 0.15)
    column, dv, _ = partition(across / deep, hashed(identity, salt.Estate.COLUMNS), 0.15)
    compartment = hashed(identity, row, column)
    planted = uniform(compartment, salt.Compartment.PLANTED) < share
    cell = cells.number(terrain.cell_m)
    track = planted & covered(torch.minimum(du * wide, dv * deep), TRACK_M, cell, cells.of(u01))
    felled = planted & (uniform(compartment, salt.Compartment.FELLED) < 0.06)
    cover = choose(planted, at("plantation"), cells.of(stands.cover))
    cover = choose(track | felled, at("bare_soil"), cover).to(torch.uint8)
    parcel = choose(planted, compartment | (1 << 36), cells.of(stands.parcel))
    parcel = choose(track, 0, parcel)
    return Stands(
        cover=stands.cover.flatten().index_copy(0, cells.at, cover).reshape(u01.shape),
        parcel=stands.parcel.flatten().index_copy(0, cells.at, parcel).reshape(u01.shape),
        row=cells.onto(choose(planted, heading(seed, salt.Forestry.DIRECTION), 0.0), 0.0),
    )
