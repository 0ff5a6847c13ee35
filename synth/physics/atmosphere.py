"""The atmosphere of a scene: what its air is, and what a product would believe of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from terraficta.synth.physics.aerosol import AEROSOLS
from terraficta.synth.physics.air_terms import RANGES, AirTerms, air_terms
from terraficta.synth.physics.coarse import COARSE, fine
from terraficta.synth.physics.sun import Sun
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import AirRecipe
from terraficta.synth.types.sensor import Sensor

AEROSOL_ODDS = (0.5, 0.15, 0.1, 0.15, 0.1)
"""how often each of AEROSOLS is drawn: most land lies under continental air"""
WHOLE = {"aerosol", "seed"}
"""fields of an atmosphere that are whole numbers"""
HAZE_M, HAZE_SPREAD = 3000.0, 0.6
"""size of its blobs [m], and standard deviation of the logarithm of its optical thickness"""


@dataclass(frozen=True)
class Atmosphere:
    """The air over N scenes; every field but `adjacency` is (N,).

    Parameters
    ----------
    aot550 : Tensor
        aerosol optical thickness at 550 nm above the ground, without haze
    water_vapour_cm, ozone_cm : Tensor
        columns above the ground
    rayleigh : Tensor
        share of a whole atmosphere of molecules, 0..1
    aerosol : Tensor
        index into AEROSOLS
    haze : Tensor
        mean of the extra aerosol optical thickness that varies over the scene
    cloud_share, cloud_size_m, cloud_base_m : Tensor
        of the clouds
    adjacency : float
        0: neighbours do not shine into each other's view; 1: they do
    aot550_guess, water_vapour_guess_cm : Tensor
        what an imperfect correction believes
    seed : Tensor
        seed of the fields of haze and clouds
    """

    aot550: Tensor
    water_vapour_cm: Tensor
    ozone_cm: Tensor
    rayleigh: Tensor
    aerosol: Tensor
    haze: Tensor
    cloud_share: Tensor
    cloud_size_m: Tensor
    cloud_base_m: Tensor
    adjacency: float
    aot550_guess: Tensor
    water_vapour_guess_cm: Tensor
    seed: Tensor

    @classmethod
    def none(cls, scenes: int = 1) -> Atmosphere:
        """No air at all: the identity."""
        zero, whole = torch.zeros(scenes), torch.zeros(scenes, dtype=torch.int64)
        numbers = {f.name: whole if f.name in WHOLE else zero for f in fields(cls) if f.name != "adjacency"}
        return cls(adjacency=0.0, **numbers)

    @property
    def absent(self) -> Tensor:
        """(N,) bool: no molecules, no aerosol, no gas."""
        amounts = torch.stack([self.aot550, self.haze, self.water_vapour_cm, self.ozone_cm, self.rayleigh])
        return (amounts == 0).all(0)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """One record a scene."""
        numbers = [f.name for f in fields(self) if f.name not in WHOLE | {"adjacency"}]
        return [
            {"aerosol": AEROSOLS[int(self.aerosol[i])], "adjacency": self.adjacency}
            | {n: float(getattr(self, n)[i]) for n in numbers}
            for i in range(len(self.aot550))
        ]

    def to(self, device: torch.device | str) -> Atmosphere:
        """The same on a device."""
        there = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "adjacency"}
        return Atmosphere(adjacency=self.adjacency, **there)


def draw_atmosphere(recipe: AirRecipe, keys: Sequence[SceneKey]) -> Atmosphere:
    """The air of each scene, and what a product would believe of it."""
    rows: dict[str, list[float]] = {f.name: [] for f in fields(Atmosphere) if f.name != "adjacency"}
    for key in keys:
        rng = key.at("air").rng()
        aot, water, ozone, haze, clouds = (
            float(rng.uniform(*span))
            for span in (recipe.aot550, recipe.water_vapour_cm, recipe.ozone_cm, recipe.haze, recipe.clouds)
        )
        drawn = {
            "aot550": aot, "water_vapour_cm": water, "ozone_cm": ozone, "rayleigh": recipe.rayleigh,
            "aerosol": int(rng.choice(len(AEROSOLS), p=AEROSOL_ODDS)), "haze": haze, "cloud_share": clouds,
            "cloud_size_m": float(10 ** rng.uniform(2.7, 3.8)), "cloud_base_m": float(10 ** rng.uniform(2.7, 3.5)),
            # products are off by about 0.05 + 0.15 aot (one sigma): ACIX-II, Doxani 2023, doi:10.1016/j.rse.2022.113412
            "aot550_guess": _within("aot550", aot + haze + float(rng.normal()) * (0.05 + 0.15 * (aot + haze))),
            "water_vapour_guess_cm": _within("water_vapour_cm", water * (1 + 0.1 * float(rng.normal()))),
            "seed": key.at("air", "fields").field_seed(),
        }  # fmt: skip
        for name, value in drawn.items():
            rows[name].append(value)
    columns = {n: torch.tensor(v, dtype=torch.int64 if n in WHOLE else torch.float32) for n, v in rows.items()}
    return Atmosphere(adjacency=recipe.adjacency, **columns)


def _within(name: str, guess: float) -> float:
    low, high = RANGES[name]
    return min(max(guess, low), high)


def haze_field(air: Atmosphere, height: int, width: int, cell_m: Tensor) -> Tensor:
    """Aerosol optical thickness at 550 nm (N, H, W): even air plus log-normal haze."""
    aot = air.aot550[:, None, None].expand(-1, height, width)
    if not bool((air.haze > 0).any()):
        return aot
    f = next(f for f in (COARSE, 4, 2, 1) if height % f == 0 and width % f == 0)
    window = Window.over(height // f, width // f, cell_m.double() * f)
    field = fbm(window, torch.full_like(cell_m, HAZE_M).double(), air.seed + 1, 3)
    haze = air.haze[:, None, None] * torch.exp(HAZE_SPREAD * field.double() - HAZE_SPREAD**2 / 2).float()
    thick = (air.aot550[:, None, None] + haze).clamp(max=RANGES["aot550"][1])
    return fine(thick[:, None], (height, width))[:, 0]


def terms_over(aot: Tensor, elevation_km: Tensor, sun: Sun, air: Atmosphere, sensor: Sensor) -> AirTerms:
    """Terms of the air (N, B, h, w) over maps of aerosol and elevation (N, h, w).

    Solved at 3 x 3 nodes of the scene's own range of aerosol and elevation, between them by parabolas.
    """
    nodes_a, weights_a = _nodes(aot, 0.05)
    nodes_z, weights_z = _nodes(elevation_km, 0.1)
    per_scene = [
        v[:, None, None]
        for v in (sun.sza_deg, sun.vza_deg, sun.raa_deg, air.aerosol, air.water_vapour_cm, air.ozone_cm, air.rayleigh)
    ]
    sza, vza, raa, aerosol, water, ozone, rayleigh = per_scene
    at_nodes = air_terms(
        sensor, sza, vza, raa, nodes_a[:, :, None], aerosol, water, ozone, nodes_z[:, None, :], rayleigh
    )  # each (N, 3, 3, B)
    together = torch.cat(at_nodes, -1)[..., None, None]  # (N, 3, 3, 8 B, 1, 1)
    total = together.new_zeros(len(aot), together.shape[3], *aot.shape[1:])
    for i in range(3):
        for j in range(3):
            total.addcmul_(together[:, i, j], (weights_a[i] * weights_z[j])[:, None])
    return AirTerms(*total.chunk(len(at_nodes), 1))


def _nodes(field: Tensor, least_range: float) -> tuple[Tensor, list[Tensor]]:
    """Three nodes (N, 3) that span a field (N, h, w), and the field's quadratic Lagrange weights on them."""
    low, high = field.amin((1, 2)), field.amax((1, 2))
    high = torch.maximum(high, low + least_range)
    nodes = torch.stack([low, (low + high) / 2, high], 1)
    t = (field - low[:, None, None]) / (high - low)[:, None, None]
    return nodes, [(1 - t) * (1 - 2 * t), 4 * t * (1 - t), t * (2 * t - 1)]
