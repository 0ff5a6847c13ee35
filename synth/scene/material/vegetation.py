"""Vegetation: leaves, wood, undergrowth, litter and soil of each plant-covered class, put together and lit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from terraficta.synth.scene.material.canopy import Sight, Stand, canopy_reflectance, sight_of
from terraficta.synth.scene.material.leaf import Leaf, leaf_constants, plate_stack
from terraficta.synth.scene.material.leaf_angle import ellipsoidal_angles

VEGETATED = (
    "needleleaf_forest", "evergreen_forest", "deciduous_forest", "mangrove", "plantation", "shrubland", "grassland",
    "moss_lichen", "pasture", "wetland", "cropland", "paddy", "fallow", "orchard", "park", "burnt",
)  # fmt: skip
LEAF = ("n", "cab", "car", "ant", "cbrown", "cw", "cm")
"""traits that are fields of `Leaf`, in order"""
STANDS_AT_ONCE = 128
"""spectra that are computed together: few enough for the cache, and so many that calls cost little"""
LANES = 16
"""rows of a batch come in such multiples: rows x wavelengths then fill the SIMD lanes of any processor"""
SKYLIGHT = 0.2
"""share of the light that reaches a gap between trees in their shadow: skylight, and what leaves let through; chosen"""
SUN_ZENITH_DEG = 35.0
"""at which a palette is lit; what other angles do is the business of light, not of materials"""


def vegetation_reflectance(
    traits: Mapping[str, Tensor], soil: Tensor, litter: Tensor, bark: Tensor, water: Tensor, wavelength_nm: Tensor
) -> tuple[Tensor, Tensor]:
    """Reflectance of plant-covered ground seen from above, and of what lies below its upper layer.

    Parameters
    ----------
    traits : Mapping[str, Tensor]
        (S,) each; names and units as in vegetation.yaml
    soil, litter, bark, water : Tensor
        (S, L) what else is there

    Returns
    -------
    tuple[Tensor, Tensor]
        (S, L) twice: an upper layer (leaves, dead leaves and bark mixed by area) of cover `crown` over grass of LAI
        `under` over soil, litter and standing water; and those without the upper layer, in the shadow of trees

    Source
    ------
    Li & Strahler 1992, doi:10.1109/36.134078, eqs. 5-8: of the ground between crowns of cover c, (1 - c)^m is in the
    sun, with m the length of their shadows in crowns less its overlap with the view; here m is `tall`, 1 for trees.
    """

    upper = _sight(traits["lai"], traits["slope"], traits["hotspot"])
    one = torch.ones_like(traits["lai"][:1])
    lower = _sight(traits["under"], 60.0 * one, 0.03 * one)
    constants = leaf_constants("D", wavelength_nm)
    seen, below = torch.empty_like(soil), torch.empty_like(soil)
    for first in range(0, len(soil), STANDS_AT_ONCE):
        rows = slice(first, first + STANDS_AT_ONCE)
        own = {name: values[rows] for name, values in traits.items()}
        grass, leaf_r, leaf_t = _leaves(own, constants)
        ground = soil[rows] + own["litter"][:, None] * (litter[rows] - soil[rows])
        ground += own["flood"][:, None] * (water[rows] - ground)
        if grass is not None:
            some, r, t = grass
            ground[some] = canopy_reflectance(r, t, ground[some], lower.rows(rows).rows(some))
        gap = ground * shaded(own["crown"], own["tall"])[:, None]
        below[rows] = gap
        wood = own["wood"][:, None]
        plant_r, plant_t = leaf_r + wood * (bark[rows] - leaf_r), leaf_t * (1 - wood)
        above = canopy_reflectance(plant_r, plant_t, ground, upper.rows(rows))
        seen[rows] = gap + own["crown"][:, None] * (above - gap)
    return seen, below


def shaded(crown: Tensor, tall: Tensor) -> Tensor:
    """Light in the gaps between plants of cover `crown` over that in the open."""
    sunlit = (1 - crown).clamp(min=0) ** tall
    return sunlit + SKYLIGHT * (1 - sunlit)


def _leaves(
    traits: Mapping[str, Tensor], constants: tuple[Tensor, Tensor, Tensor, Tensor]
) -> tuple[tuple[Tensor, Tensor, Tensor] | None, Tensor, Tensor]:
    """Undergrowth where there is some (rows, reflectance, transmittance), and the leaves (S, L) of the upper layer.

    All are lit in one go.
    """
    one = torch.ones_like(traits["lai"])
    live = torch.stack([traits[name] for name in LEAF])
    grass = torch.stack(
        [1.6 * one, 0.8 * traits["cab"], 0.8 * traits["car"], one, traits["cbrown"], 0.011 * one, 0.005 * one]
    )
    dry = torch.stack(
        [traits["n"] + 0.3, 1.5 * one, 0.3 * traits["car"], 0.2 * traits["ant"], 0.35 + 0.6 * traits["cbrown"],
         0.0012 * one, 0.9 * traits["cm"]]
    )  # fmt: skip
    grassy, dying = _rows_where(traits["under"] > 0), _rows_where(traits["dead"] > 0)
    leaf = Leaf(*torch.cat([live, grass[:, grassy], dry[:, dying]], 1))
    counts = [len(one), len(grassy), len(dying)]
    (leaf_r, grass_r, dead_r), (leaf_t, grass_t, dead_t) = (
        part.split(counts) for part in plate_stack(leaf, *constants)
    )
    if len(dying):
        share = traits["dead"][dying][:, None]
        leaf_r[dying] += share * (dead_r - leaf_r[dying])
        leaf_t[dying] += share * (dead_t - leaf_t[dying])
    escape = clumped(leaf_r + leaf_t, traits["clump"][:, None])
    return (grassy, grass_r, grass_t) if len(grassy) else None, leaf_r * escape, leaf_t * escape


def _rows_where(some: Tensor) -> Tensor:
    """Rows that are asked for, the last again until they fill whole SIMD lanes: bits do not hang on how many."""
    rows = torch.nonzero(some).flatten()
    return torch.cat([rows, rows[-1:].expand(-len(rows) % LANES)])


def clumped(albedo: Tensor, recollision: Tensor) -> Tensor:
    """What is left of the light that leaves scatter, once some of it has met other leaves of the same shoot or crown.

    Parameters
    ----------
    albedo : Tensor
        of single leaves, reflectance + transmittance
    recollision : Tensor
        chance that scattered light meets another leaf of its clump, 0..1

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


def _sight(lai: Tensor, slope: Tensor, hotspot: Tensor) -> Sight:
    zero = lai.new_zeros(1)
    stand = Stand(lai, ellipsoidal_angles(slope), hotspot, zero + SUN_ZENITH_DEG, zero, zero)
    return sight_of(stand, lai.dtype)
