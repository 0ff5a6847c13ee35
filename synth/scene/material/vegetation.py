"""Vegetation: leaves, wood, undergrowth, litter and soil of each plant-covered class, put together and lit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from terraficta.synth.scene.material.canopy import Stand, canopy_reflectance, sight_of
from terraficta.synth.scene.material.leaf import Leaf, leaf_spectra
from terraficta.synth.scene.material.leaf_angle import ellipsoidal_angles

VEGETATED = (
    "needleleaf_forest", "evergreen_forest", "deciduous_forest", "mangrove", "plantation", "shrubland", "grassland",
    "moss_lichen", "pasture", "wetland", "cropland", "paddy", "fallow", "orchard", "park", "burnt",
)  # fmt: skip
SUN_ZENITH_DEG = 35.0
"""at which a palette is lit; what other angles do is the business of light, not of matter"""


def vegetation_reflectance(
    traits: Mapping[str, Tensor], soil: Tensor, litter: Tensor, bark: Tensor, water: Tensor, wavelength_nm: Tensor
) -> tuple[Tensor, Tensor]:
    """Reflectance of plant-covered ground seen from above, and of what lies below its upper layer.

    Parameters
    ----------
    traits : (S,) each; names and units as in vegetation.yaml
    soil, litter, bark, water : (S, L) what else is there

    Returns
    -------
    (S, L) twice: an upper layer (leaves, dead leaves and bark mixed by area) of cover `crown` over grass of LAI `under`
    over soil, litter and standing water; and those without the upper layer
    """

    def share(name: str) -> Tensor:
        return traits[name][:, None]

    ground = soil + share("litter") * (litter - soil)
    ground = ground + share("flood") * (water - ground)
    one = torch.ones_like(traits["lai"])
    grass = Leaf(
        n=1.6 * one, cab=0.8 * traits["cab"], car=0.8 * traits["car"], ant=one,
        cbrown=traits["cbrown"], cw=0.011 * one, cm=0.005 * one,
    )  # fmt: skip
    below = _layer(*leaf_spectra(grass, wavelength_nm), ground, traits["under"], 60.0 * one, 0.03 * one)
    live_r, live_t = leaf_spectra(
        Leaf(**{name: traits[name] for name in ("n", "cab", "car", "ant", "cbrown", "cw", "cm")}), wavelength_nm
    )
    dry = Leaf(
        n=traits["n"] + 0.3, cab=1.5 * one, car=0.3 * traits["car"], ant=0.2 * traits["ant"],
        cbrown=0.35 + 0.6 * traits["cbrown"], cw=0.0012 * one, cm=0.9 * traits["cm"],
    )  # fmt: skip
    dead_r, dead_t = leaf_spectra(dry, wavelength_nm)
    leaf_r, leaf_t = live_r + share("dead") * (dead_r - live_r), live_t + share("dead") * (dead_t - live_t)
    escape = clumped(leaf_r + leaf_t, share("clump"))
    leaf_r, leaf_t = leaf_r * escape, leaf_t * escape
    plant_r, plant_t = leaf_r + share("wood") * (bark - leaf_r), leaf_t * (1 - share("wood"))
    above = _layer(plant_r, plant_t, below, traits["lai"], traits["slope"], traits["hotspot"])
    return below + share("crown") * (above - below), below


def clumped(albedo: Tensor, recollision: Tensor) -> Tensor:
    """What is left of the light that leaves scatter, once some of it has met other leaves of the same shoot or crown.

    Parameters
    ----------
    albedo : of single leaves, reflectance + transmittance
    recollision : chance that scattered light meets another leaf of its clump, 0..1

    Source
    ------
    Rautiainen & Stenberg 2005, doi:10.1016/j.rse.2005.02.009: shoots scatter w (1 - p) / (1 - p w); why conifers are
    dark in the near infrared and hardly darker in red.
    """
    return (1 - recollision) / (1 - recollision * albedo)


def leaf_area(traits: Mapping[str, Tensor]) -> Tensor:
    """Green leaf area index (S,) of all layers [m2 m-2]."""
    return traits["crown"] * traits["lai"] * (1 - traits["wood"]) * (1 - traits["dead"]) + traits["under"]


def plant_cover(traits: Mapping[str, Tensor]) -> Tensor:
    """Share of the ground (S,) that the upper layer hides from above, its leaves at random."""
    return traits["crown"] * (1 - torch.exp(-0.6 * traits["lai"]))


def _layer(leaf_r: Tensor, leaf_t: Tensor, ground: Tensor, lai: Tensor, slope: Tensor, hotspot: Tensor) -> Tensor:
    zero = torch.zeros_like(lai)
    stand = Stand(lai, ellipsoidal_angles(slope), hotspot, zero + SUN_ZENITH_DEG, zero, zero)
    return canopy_reflectance(leaf_r, leaf_t, ground, sight_of(stand, leaf_r.dtype))
