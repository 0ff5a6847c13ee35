"""Habitat: warmth, moisture and texture of each place, and what would grow there if nobody lived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.climate import LAPSE_K_M, Climate
from synth.scene.fractal import fbm, hashed, per_scene, planes
from synth.scene.terrain import Terrain
from synth.spec.legend import TERRAFICTA


@dataclass(frozen=True)
class Habitat:
    """The causes, cell by cell: summer warmth [deg C], moisture 0..1, and four unit-variance textures."""

    summer_c: Tensor
    moisture: Tensor
    stand: Tensor
    patch: Tensor
    region: Tensor
    grain: Tensor


def find_habitat(climates: Sequence[Climate], terrain: Terrain, word: Tensor) -> Habitat:
    device = word.device

    def texture(number: int, spacing_m: float, octaves: int, hurst: float) -> Tensor:
        return fbm(terrain.window, per_scene([spacing_m] * len(word), device), hashed(word, number), octaves, hurst)

    low = terrain.reference_m.amin(1)[:, None, None]
    above = terrain.elevation_m - low
    region = texture(1, 3500.0, 7, 0.8)
    patch = texture(2, 1100.0, 8, 0.8)
    summer = planes([c.summer_c for c in climates], device) - LAPSE_K_M * above + 0.4 * patch
    moisture = planes([c.moisture for c in climates], device) + 0.28 * (terrain.wetness - 0.25) + 0.06 * region
    moisture = (moisture + 1.2e-4 * above - 0.15 * terrain.slope).clamp(0.0, 1.0)
    return Habitat(summer, moisture, texture(3, 450.0, 7, 0.75), patch, region, texture(4, 40.0, 5, 0.35))


def natural_cover(climates: Sequence[Climate], terrain: Terrain, habitat: Habitat) -> Tensor:
    """(N, H, W) class of the natural ground: the one best suited, with textures that blur each other's limits."""
    device = terrain.slope.device
    h, at = habitat, TERRAFICTA.index
    leaning = planes([0.35 * c.conifer for c in climates], device)
    # leaves: conifers where cold, evergreens where hot and wet or summer-dry, deciduous trees between
    cold, hot = (13.5 - h.summer_c) * 0.16, (h.summer_c - 21.0) * 0.16 + (h.moisture - 0.6) * 1.5
    evergreen = torch.maximum(cold, hot).clamp(-0.9, 0.9) + leaning + 0.45 * h.stand + 0.25 * h.region
    tree = torch.minimum((h.moisture - 0.36) * 6.0, (h.summer_c - 6.5) * 0.7)
    tree = torch.minimum(tree.clamp(min=-4.0), 1.3 + ((h.moisture - 0.65) * 6.0).clamp(0.0, 1.8))
    tree = tree + 0.7 * h.patch + 0.3 * h.stand + 0.18 * h.grain - 0.8 * (terrain.slope - 0.5).clamp(min=0)
    shrub = 0.55 - ((h.moisture - 0.34) * 5.0).abs() + 0.6 * h.stand - 0.3 * h.patch + 0.2 * h.grain
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
