"""Fire: the scars of this year's wildfires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, per_scene
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.key import SceneKey

SCAR_M = 4000.0
"""width of the largest scars [m]"""


@dataclass(frozen=True)
class Fire:
    """The fires of N scenes.

    Parameters
    ----------
    front : Tensor
        (N, H, W) how far within a scar, > 0 burnt; fractal edges and unburnt islands; -9 where nothing burnt
    """

    front: Tensor


def draw_burnt_share(climate: Climate, key: SceneKey) -> float:
    """Share of one scene's wild ground that burnt: mostly none, sometimes much (fire sizes are heavy-tailed).

    Source
    ------
    power law of fire sizes, Malamud et al. 1998, doi:10.1126/science.281.5384.1840; how often by climate is chosen by
    us, in the order of Giglio et al. 2013, doi:10.1002/jgrg.20042.
    """
    struck, size = key.at("cover", "fire").rng().random(2)
    return float(0.01 + 0.25 * size**3) if struck < BIOMES[climate.kind].fire else 0.0


def burn(terrain: Terrain, shares: Sequence[float], seed: Tensor, everywhere: bool = False) -> Fire:
    """Burn N scenes; only those that have a fire cost time. Fires run uphill and die in wet ground by the water.

    Parameters
    ----------
    terrain : Terrain
        the ground
    shares : Sequence[float]
        of the wild ground that burns, one a scene
    seed : Tensor
        (N,) int64
    everywhere : bool
        there is a fire in every scene, however small
    """
    shares = [max(share, 1e-3) for share in shares] if everywhere else shares
    lit = [n for n, share in enumerate(shares) if share > 0]
    front = torch.full_like(terrain.slope, -9.0)
    if not lit:
        return Fire(front)
    at = terrain.window
    window = Window(at.y_m[lit], at.x_m[lit], at.cell_m[lit])
    scar = fbm(window, per_scene([SCAR_M] * len(lit), seed.device), hashed(seed[lit], salt.Cover.FIRE), 8, 0.85)
    least = torch.tensor([NormalDist().inv_cdf(1 - shares[n]) for n in lit], dtype=torch.float32, device=seed.device)
    damp = (terrain.wetness[lit] - 0.6).clamp(min=0) * 4.0
    front[lit] = scar - least[:, None, None] + 0.5 * (terrain.slope[lit] - 0.1).clamp(0.0, 0.5) - damp
    return Fire(front)
