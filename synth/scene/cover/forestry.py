"""Forestry: stands that are felled and grow again, clearings along forest roads, plantations in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.cover.habitat import Habitat
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world.cells import partition
from terraficta.synth.scene.world.chance import hashed, heading, per_scene, seeds_of, turn, uniform
from terraficta.synth.scene.world.places import Places, covered
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA

FORESTS = ("needleleaf_forest", "evergreen_forest", "deciduous_forest")
"""natural ones on dry ground"""
PLANTABLE = (*FORESTS, "shrubland", "grassland")
"""wild ground on which plantations are set"""
FISHBONE = {"rainforest": 0.7, "monsoon": 0.25}
"""share of the scenes where settlers clear lots along forest roads instead of stands being felled; chosen after
Rondonia in E. Arima et al. 2005, doi:10.1111/j.1467-8306.2005.00462.x"""
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
    cover : uint8 class of the natural ground, with clearings and plantations in it
    parcel : int64 identity of the stand; 0 where nothing was done
    row : direction of planted rows [rad]; 0 elsewhere
    """

    cover: Tensor
    parcel: Tensor
    row: Tensor


def _axes(
    climates: Sequence[Climate], terrain: Terrain, keys: Sequence[SceneKey], cells: Places
) -> tuple[Tensor, Tensor, Tensor]:
    """Seed word (M,), and coordinates (M,) along and across the direction of the scene's stands [m]."""
    word = seeds_of([k.at("forestry").word() for k in keys], terrain.slope.device)[cells.scene]
    sin, cos = turn(word, 1)
    y = cells.of(terrain.window.y_m.to(torch.float32)[:, :, None])
    x = cells.of(terrain.window.x_m.to(torch.float32)[:, None, :])
    return word, x * cos + y * sin, y * cos - x * sin


def among(cover: Tensor, names: Sequence[str]) -> Tensor:
    """(N, H, W) bool: where the class is one of these."""
    chosen = torch.zeros_like(cover, dtype=torch.bool)
    for name in names:
        chosen |= cover == TERRAFICTA.index(name)
    return chosen


def fell(climates: Sequence[Climate], terrain: Terrain, cover: Tensor, keys: Sequence[SceneKey]) -> Stands:
    """Clear forests: rectangular stands, felled one after another, or lots along roads, from the road inwards.

    The share `Climate.clearcut` of the forest has been felled; a larger one adds younger clearings and ages the rest,
    from bare soil to grass, shrubs and young forest; settlers keep theirs as pasture.

    Parameters
    ----------
    climates, keys : one a scene
    terrain : the ground
    cover : (N, H, W) uint8 natural cover
    """
    device, at = cover.device, TERRAFICTA.index
    asked = per_scene([c.clearcut for c in climates], device).to(torch.float32)
    cells = Places.where(among(cover, FORESTS) & (asked > 0)[:, None, None])
    scene = cells.scene
    word, along, across = _axes(climates, terrain, keys, cells)
    share = asked[scene]
    lots = [k.at("forestry", "lots").rng().random() < FISHBONE.get(c.kind, 0.0) for c, k in
            zip(climates, keys, strict=True)]  # fmt: skip
    settlers = torch.tensor(lots, device=device)[scene]
    # stands of 150 to 500 m: the lower its lot, the longer ago it was felled
    row, _, _ = partition(along / 420.0, hashed(word, 3), 0.7)
    stand, _, _ = partition(across / (160.0 + 240.0 * uniform(hashed(word, row), 4)), hashed(word, 4, row), 0.7)
    name = hashed(word, row, stand)
    order = uniform(name, 5)
    # settlers: depth cleared of each lot on either side of the road; it averages the share asked for
    road = torch.floor(across / LOT_M[0])
    inward = across / LOT_M[0] - road - 0.5
    lot, _, _ = partition(along / LOT_M[1], hashed(word, 6, road.to(torch.int64), (inward > 0).long()), 0.3)
    plot = hashed(word, 7, road.to(torch.int64), lot, (inward > 0).long())
    depth = share + (2 * uniform(plot, 8) - 1) * torch.minimum(share, 1 - share)
    reached = (inward.abs() * 2) / depth.clamp(min=1e-6)
    age = torch.where(settlers, reached, order / share)  # 1: this year
    felled = age < 1
    grown = torch.where(age > 0.45, at("grassland"), at("shrubland"))
    grown = torch.where(order < REGROWN, cells.of(cover), grown)
    grown = torch.where(settlers, at("pasture"), torch.where(age > 0.75, at("bare_soil"), grown))
    grown = torch.where(settlers & (age > 0.9), at("bare_soil"), grown)
    named = torch.where(felled, torch.where(settlers, plot, name) | (1 << 36), 0)
    after = torch.where(felled, grown, cells.of(cover)).to(torch.uint8)
    whole = cover.flatten().index_copy(0, cells.at, after).reshape(cover.shape)
    return Stands(whole, cells.onto(named, 0), torch.zeros_like(terrain.slope))


def plant(
    climates: Sequence[Climate],
    terrain: Terrain,
    habitat: Habitat,
    stands: Stands,
    keys: Sequence[SceneKey],
    dice: Tensor,
) -> Stands:
    """Plant trees in rows: estates of large rectangular compartments with tracks between them.

    The share `Climate.plantation` of the ground that could grow them is planted; a larger one only adds compartments.

    Parameters
    ----------
    climates, keys : one a scene
    terrain, habitat : the ground
    stands : what is there before
    dice : (N, H, W) uniform in [0, 1)
    """
    device, at = dice.device, TERRAFICTA.index
    asked = per_scene([c.plantation for c in climates], device).to(torch.float32)
    ground = (habitat.moisture > 0.38) & (habitat.summer_c > 9.0) & (terrain.slope < 0.45)
    ground &= among(stands.cover, PLANTABLE) & (asked > 0)[:, None, None]
    cells = Places.where(ground)
    scene = cells.scene
    word, along, across = _axes(climates, terrain, keys, cells)
    share = torch.sqrt(asked)[scene]  # of the estates, and of the compartments in them
    estate_row, _, _ = partition(along / 2200.0, hashed(word, 11), 0.7)
    estate, _, _ = partition(across / 1800.0, hashed(word, 12, estate_row), 0.7)
    name = hashed(word, 13, estate_row, estate)
    wide, deep = 220.0 + 260.0 * uniform(name, 1), 160.0 + 140.0 * uniform(name, 2)
    row, du, _ = partition(along / wide, hashed(name, 14), 0.15)
    column, dv, _ = partition(across / deep, hashed(name, 15), 0.15)
    compartment = hashed(name, row, column)
    planted = (uniform(name, 16) < share) & (uniform(compartment, 17) < share)
    cell = per_scene(terrain.cell_m.tolist(), device).to(torch.float32)[scene]
    track = planted & covered(torch.minimum(du * wide, dv * deep), TRACK_M, cell, cells.of(dice))
    felled = planted & (uniform(compartment, 18) < 0.06)
    cover = torch.where(planted, at("plantation"), cells.of(stands.cover))
    cover = torch.where(track | felled, at("bare_soil"), cover).to(torch.uint8)
    parcel = torch.where(planted, compartment | (1 << 36), cells.of(stands.parcel))
    parcel = torch.where(track, 0, parcel)
    return Stands(
        cover=stands.cover.flatten().index_copy(0, cells.at, cover).reshape(dice.shape),
        parcel=stands.parcel.flatten().index_copy(0, cells.at, parcel).reshape(dice.shape),
        row=cells.onto(torch.where(planted, heading(word, 1), 0.0), 0.0),
    )
