"""Land cover: what grows, stands and lies on the ground, from the causes that put it there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from synth.scene.climate import LAPSE_K_M, Climate, draw_climate
from synth.scene.field import Fields, lay_fields
from synth.scene.fractal import covered, fbm, hashed, per_scene, planes, uniform, words
from synth.scene.settlement import Settlement, mix_cells, settle
from synth.scene.terrain import Terrain
from synth.scene.water import Water, fill_water
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA, Legend
from synth.spec.recipe import CoverRecipe
from synth.spec.refusal import Refusal


@dataclass(frozen=True)
class LandCover:
    """What covers the ground of N scenes.

    Parameters
    ----------
    cover : (N, H, W) uint8 position in the legend
    parcel : (N, H, W) int64 identity of the object a cell belongs to; 0: natural ground
    vigour : (N, H, W) 0 dry .. 1 lush
    facts : what was drawn for each scene
    legend : of `cover`
    """

    cover: Tensor
    parcel: Tensor
    vigour: Tensor
    facts: list[dict[str, Any]]
    legend: Legend = TERRAFICTA

    def cropped(self, core: slice) -> LandCover:
        """The same land without its margin: rows and columns of `core`."""
        return replace(
            self,
            cover=self.cover[:, core, core],
            parcel=self.parcel[:, core, core],
            vigour=self.vigour[:, core, core],
        )

    def abundance(self, factor: int) -> Tensor:
        """(N, K, H/factor, W/factor) area fraction of every class in blocks of factor x factor fine cells."""
        n, height, width = self.cover.shape
        if factor < 1 or height % factor or width % factor:
            raise Refusal("cover", "factor", factor, f"a divisor of {height} and {width}", "change oversampling")
        blocks = self.cover.reshape(n, height // factor, factor, width // factor, factor)
        counts = torch.zeros(n, len(self.legend), height // factor, width // factor, device=self.cover.device)
        one = torch.ones((), device=self.cover.device)
        for row in range(factor):
            for column in range(factor):
                counts.scatter_add_(1, blocks[:, None, :, row, :, column].to(torch.int64),
                                    one.expand(n, 1, *counts.shape[2:]))  # fmt: skip
        return counts / (factor * factor)


@dataclass(frozen=True)
class Habitat:
    """The causes, cell by cell: summer warmth [deg C], moisture 0..1, and four unit-variance textures."""

    summer_c: Tensor
    moisture: Tensor
    stand: Tensor
    patch: Tensor
    region: Tensor
    grain: Tensor


def _habitat(climates: Sequence[Climate], terrain: Terrain, word: Tensor) -> Habitat:
    device = word.device

    def texture(number: int, spacing_m: float, octaves: int, hurst: float) -> Tensor:
        return fbm(terrain.window, per_scene([spacing_m] * len(word), device), hashed(word, number), octaves, hurst)

    low = terrain.reference_m.amin(1)[:, None, None]
    above = terrain.elevation_m - low
    region = texture(1, 3500.0, 7, 0.8)
    patch = texture(2, 1100.0, 8, 0.55)
    summer = planes([c.summer_c for c in climates], device) - LAPSE_K_M * above + 0.4 * patch
    moisture = planes([c.moisture for c in climates], device) + 0.28 * (terrain.wetness - 0.25) + 0.06 * region
    moisture = (moisture + 1.2e-4 * above - 0.15 * terrain.slope).clamp(0.0, 1.0)
    return Habitat(summer, moisture, texture(3, 450.0, 7, 0.5), patch, region, texture(4, 40.0, 5, 0.35))


def _vegetation(climates: Sequence[Climate], terrain: Terrain, habitat: Habitat) -> Tensor:
    """(N, H, W) class of the natural ground: the one best suited, with textures that blur each other's limits."""
    device = terrain.slope.device
    h, at = habitat, TERRAFICTA.index
    leaning = planes([0.35 * c.conifer for c in climates], device)
    # leaves: conifers where cold, evergreens where hot and wet or summer-dry, deciduous trees between
    cold, hot = (13.5 - h.summer_c) * 0.16, (h.summer_c - 21.0) * 0.16 + (h.moisture - 0.6) * 1.5
    evergreen = torch.maximum(cold, hot).clamp(-0.9, 0.9) + leaning + 0.45 * h.stand + 0.25 * h.region
    tree = torch.minimum((h.moisture - 0.36) * 6.0, (h.summer_c - 6.5) * 0.7).clamp(-4.0, 1.6)
    tree = tree + 0.7 * h.patch + 0.3 * h.stand + 0.35 * h.grain - 0.8 * (terrain.slope - 0.5).clamp(min=0)
    shrub = 0.55 - ((h.moisture - 0.34) * 5.0).abs() + 0.6 * h.stand - 0.3 * h.patch + 0.4 * h.grain
    shrub = shrub + 0.5 * (1 - ((h.summer_c - 6.0) * 0.4).abs()).clamp(min=0)  # dwarf shrubs about the treeline
    grass = 0.25 + ((h.moisture - 0.22) * 4.0).clamp(max=0.4) - 0.5 * h.patch + 0.25 * h.region
    bare = 1.0 - h.moisture * 6.0 + 0.5 * h.region + 0.3 * h.stand + ((5.0 - h.summer_c) * 0.4).clamp(0.0, 1.5)
    sand = bare + 0.7 * h.region - 4.0 * terrain.slope - 0.1 + (h.summer_c - 16) * 0.05
    rock = (terrain.slope - 0.75) * 4.0 + 0.5 * h.stand + ((5.5 - h.summer_c) * 0.25).clamp(0.0, 0.8)
    rock = torch.maximum(rock, bare - 0.5 + 3.0 * (terrain.slope - 0.25))
    best = torch.where(evergreen > 0, at("evergreen_forest"), at("deciduous_forest")).to(torch.uint8)
    score = tree
    rivals = {"shrubland": shrub, "grassland": grass, "bare_soil": bare, "sand": sand, "rock": rock}
    for name, rival in rivals.items():
        best = torch.where(rival > score, at(name), best).to(torch.uint8)
        score = torch.maximum(score, rival)
    return best


def _crops(climates: Sequence[Climate], fields: Fields, keys: Sequence[SceneKey]) -> Tensor:
    """(N, H, W) class of each parcel: shares differ by climate, season, scene and block."""
    device = fields.parcel.device
    shares = []
    for climate, key in zip(climates, keys, strict=True):
        rng = key.at("field", "crops").rng()
        pasture = 0.9 * max(0.0, min(1.0, climate.moisture * 1.2 - climate.warmth * 0.5 + 0.1)) * rng.random()
        orchard = 0.5 * max(0.0, climate.warmth - 0.3) * rng.random() ** 2
        fallow = (0.1 + 0.5 * climate.winter) * rng.random() + 0.15 * (climate.moisture < 0.35)
        crop = 0.35 + rng.random()
        total = pasture + orchard + fallow + crop
        shares.append([pasture / total, (pasture + orchard) / total, (pasture + orchard + fallow) / total])
    habit = uniform(fields.block, 11)
    pick = uniform(fields.parcel, 12)
    pick = torch.where(uniform(fields.parcel, 13) < 0.3, habit, pick)
    first, second, third = (planes([s[k] for s in shares], device) for k in range(3))
    at = TERRAFICTA.index
    kind = torch.where(pick < third, at("fallow"), at("cropland"))
    kind = torch.where(pick < second, at("orchard"), kind)
    return torch.where(pick < first, at("pasture"), kind).to(torch.uint8)


def _farmed(climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, fields: Fields) -> Tensor:
    """(N, H, W) bool: flat, warm, drained ground, farmed in whole blocks where people chose to."""
    device = terrain.slope.device
    quantile = [NormalDist().inv_cdf(min(max(c.farmland * c.arable**0.3, 1e-6), 1 - 1e-6)) for c in climates]
    will = 0.45 * habitat.region + 0.35 * habitat.patch + 2.2 * (uniform(fields.block, 14) - 0.5)
    will = will / math.sqrt(0.45**2 + 0.35**2 + 2.2**2 / 12)
    steep = ((terrain.slope - 0.10) * 10).clamp(min=0) + ((9.0 - habitat.summer_c) * 0.8).clamp(min=0)
    return will + steep < planes(quantile, device)


def grow_landcover(recipe: CoverRecipe, terrain: Terrain, keys: Sequence[SceneKey]) -> LandCover:
    """Cover the ground of N scenes.

    Parameters
    ----------
    recipe : span of each number
    terrain : of `grow_terrain`, with the same keys
    keys : one a scene
    """
    if len(keys) != len(terrain.cell_m):
        raise Refusal("cover", "keys", len(keys), f"{len(terrain.cell_m)} keys", "hand over the keys of the terrain")
    device = terrain.slope.device
    climates = [draw_climate(recipe, key) for key in keys]
    word = words([k.at("cover").word() for k in keys], device)
    dice = uniform(hashed(word[:, None, None], mix_cells(terrain)))
    points = terrain.window.points()
    habitat = _habitat(climates, terrain, word)
    water = fill_water(climates, terrain, keys, dice)
    fields = lay_fields(climates, points, keys)
    town = settle(climates, terrain, points, fields, keys, dice)
    cover, parcel = _compose(climates, terrain, habitat, water, fields, town, keys, dice)
    growth = planes([1.0 - 0.45 * c.winter for c in climates], device)
    vigour = (0.1 + 0.85 * habitat.moisture) * growth + 0.07 * habitat.patch + 0.05 * habitat.stand
    vigour = (vigour + 0.05 * habitat.grain).clamp(0.0, 1.0)
    return LandCover(cover, parcel, vigour, [c.facts() for c in climates])


def _compose(
    climates: Sequence[Climate], terrain: Terrain, habitat: Habitat, water: Water, fields: Fields, town: Settlement,
    keys: Sequence[SceneKey], dice: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Lay the layers over each other: vegetation, marsh, fields, towns, water, roads, snow."""
    device, at = terrain.slope.device, TERRAFICTA.index
    style = [k.at("cover", "style").rng().random(4) for k in keys]
    cell = terrain.cell_m.to(torch.float32)[:, None, None]
    cover = _vegetation(climates, terrain, habitat)

    def lay(where: Tensor, what: Tensor | str) -> None:
        nonlocal cover
        value = at(what) if isinstance(what, str) else what
        cover = torch.where(where, value, cover).to(torch.uint8)

    # marsh: hardly above the water, on flat ground, in patches; peat also away from it where cool and wet
    near_m = planes([0.3 + 2.2 * c.moisture * s[3] for c, s in zip(climates, style, strict=True)], device)
    boggy = 1 - water.above_m / near_m + 0.7 * habitat.patch + 0.3 * habitat.stand
    peat = (habitat.moisture - 0.75) * 4 + (11 - habitat.summer_c) * 0.15 + habitat.region + 0.5 * habitat.patch - 1.6
    flat = (terrain.slope < 0.06) & (habitat.moisture > 0.3) & (habitat.summer_c > 3)
    marsh = flat & (((boggy > 0.4) & (water.above_m < 2 * near_m)) | (peat > 0.3))
    lay(marsh, "wetland")

    farmed = _farmed(climates, terrain, habitat, fields) & ~marsh & ~water.shore & ~water.open_water
    lay(farmed, _crops(climates, fields, keys))
    hedge = planes([5.0 * s[0] if s[0] > 0.5 else 0.0 for s in style], device) * uniform(fields.block, 15)
    hedged = farmed & covered(fields.edge_m, hedge, cell, dice)
    lay(hedged, torch.where(habitat.grain > -0.3, at("deciduous_forest"), at("shrubland")))
    track = planes([1.2 + 2.0 * s[1] for s in style], device)
    tracks = farmed & covered(fields.block_edge_m, track, cell, dice) & (uniform(fields.junction, 16) < 0.7)

    town_ground = town.inside & ~water.open_water
    g = town.garden
    yard = torch.where(g < 0.55, at("pasture"), torch.where(g < 0.85, at("deciduous_forest"), at("bare_soil")))
    yard = torch.where(habitat.moisture < 0.25, at("bare_soil"), yard)
    yard = torch.where((habitat.grain > 0.9) & (habitat.moisture > 0.3), at("deciduous_forest"), yard)
    lay(town_ground, yard)
    lay(town_ground & town.roof, "building")
    lay(water.open_water, "water")
    lay(water.shore & ~town.inside, "sand")
    road = (town.road | tracks) & ~water.open_water
    bridge = town.main_road & water.river
    lay(road | bridge, "road")

    natural = ~(farmed | town_ground | water.open_water | road | bridge)
    line = planes([3.0 + 4.0 * c.winter for c in climates], device)
    lay(natural & (habitat.summer_c + 0.8 * habitat.stand + 1.5 * (terrain.slope - 0.6).clamp(min=0) < line), "snow")

    parcel = torch.zeros(terrain.slope.shape, dtype=torch.int64, device=device)
    parcel = torch.where(farmed & ~hedged, fields.parcel, parcel)
    parcel = torch.where(town_ground | road | bridge, town.lot, parcel)
    return cover, torch.where(tracks & road, fields.block | (1 << 35), parcel)
