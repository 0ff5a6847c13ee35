"""Truth: what a tile says of its ground beyond classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.crown import CONICAL, SPREAD_M
from terraficta.synth.scene.cover.event import Day
from terraficta.synth.scene.cover.landcover import LandCover
from terraficta.synth.scene.ground import Ground
from terraficta.synth.scene.material.palette import Palette, PaletteBands, leaf_area_index, material_code, ndvi
from terraficta.synth.types.legend import TERRAFICTA

TALL = tuple(name for names in SPREAD_M.values() for name in names)
"""classes whose height is that of a canopy"""
CLOUD_OPACITY = 0.5
"""from which on a pixel is cloud and not land: it has no valid label"""


@dataclass(frozen=True)
class PixelTruth:
    """What is true of the pixels of N scenes.

    Parameters
    ----------
    mass : Tensor
        (N, K, H, W) area fraction of every class; 0 under cloud
    layers : dict[str, Tensor]
        (N, H, W) by name: those that the recipe asks for, and `change`, `changed` on later dates
    """

    mass: Tensor
    layers: dict[str, Tensor]


def pixel_truth(
    names: Sequence[str], ground: Ground, day: Day, palette: Palette, bands: PaletteBands, cloud: Tensor
) -> PixelTruth:
    """Truth on the pixels: fractions and means of fine cells, and for codes the cell in the middle.

    Parameters
    ----------
    names : Sequence[str]
        layers, out of TRUTHS
    ground : Ground
        of N scenes
    day : Day
        one of its dates
    palette : Palette
        what the classes are made of
    bands : PaletteBands
        the same as the sensor sees it
    cloud : Tensor
        (N, H, W) opacity of the clouds, 0..1
    """
    frame, cover = ground.frame, day.cover
    mass = cover.cropped(frame.core).abundance(frame.factor) * (cloud < CLOUD_OPACITY)[:, None]
    layers = {"elevation_m": frame.on_pixels(ground.elevation_m), "cloud": cloud}
    if "material" in names:
        layers["material"] = frame.in_the_middle(material_code(cover, bands))
    for name, plane in ground_truth(names, ground.slope, cover, palette).items():
        layers[name] = frame.on_pixels(plane) if plane.is_floating_point() else numbered(frame.in_the_middle(plane))
    layers = {name: layers[name] for name in names}
    if day.change is not None and day.moments[0].number > 0:
        layers["change"] = frame.in_the_middle(day.change)
        layers["changed"] = 1 + (layers["change"] > 0).to(torch.uint8)
    return PixelTruth(mass, layers)


def ground_truth(names: Sequence[str], slope: Tensor, cover: LandCover, palette: Palette) -> dict[str, Tensor]:
    """Planes (N, H, W) of the ground by name: float32 amounts, to be averaged, and int64 `building` of objects.

    Names of other layers are passed over. The mean of a height counts ground without roofs or crowns as 0.
    """
    at = cover.legend.index
    roof = cover.cover == at("building")

    def canopy() -> Tensor:
        under = torch.zeros_like(roof)
        for name in TALL:
            under |= cover.cover == at(name)
        return torch.where(under, cover.height_m, 0.0)

    makers: dict[str, Callable[[], Tensor]] = {
        "slope": lambda: slope,
        "surface_m": lambda: cover.surface_m,
        "canopy_height_m": canopy,
        "agb_t_ha": lambda: above_ground_biomass(cover.cover, canopy()),
        "building_height_m": lambda: torch.where(roof, cover.height_m, 0.0),
        "ndvi": lambda: ndvi(cover, palette),
        "lai": lambda: leaf_area_index(cover, palette),
        "building": lambda: cover.building,
    }
    return {name: makers[name]() for name in names if name in makers}


def above_ground_biomass(cover: Tensor, height_m: Tensor) -> Tensor:
    """Above-ground biomass of a closed stand of equal trees (...) [t ha-1], from class and height of the canopy [m].

    Error
    -----
    0.6 of a single tree's biomass (the paper's figure); that all trees of a stand are alike, and as far apart as their
    crowns are wide, is ours.

    Source
    ------
    T. Jucker et al. 2017, eq. 2, doi:10.1111/gcb.13388: biomass by height times crown diameter, for angiosperms and
    gymnosperms.
    """
    total = torch.zeros_like(height_m)
    for spread, names in SPREAD_M.items():
        for name in names:
            conifer = name in CONICAL
            scale, power = (0.016 + 0.093, 2.013 - 0.223) if conifer else (0.016, 2.013)
            tree_kg = scale * (height_m * spread).clamp(min=0.0) ** power * math.exp(0.204**2 / 2)
            stand = tree_kg * (10.0 / (spread * spread))  # 10,000 m2 / ha over 1000 kg / t
            total = torch.where(cover == TERRAFICTA.index(name), stand, total)
    return total


def numbered(identity: Tensor) -> Tensor:
    """(N, H, W) int32: identities of each scene as 1..n in their own order; 0 stays 0."""
    planes = []
    for scene in identity:
        _, rank = torch.unique(scene[scene != 0], return_inverse=True)
        plane = torch.zeros(scene.shape, dtype=torch.int32, device=scene.device)
        plane[scene != 0] = (rank + 1).to(torch.int32)
        planes.append(plane)
    return torch.stack(planes)


def boxes_of(number: Tensor) -> list[list[int]]:
    """[id, y0, x0, y1, x1] of every instance of a plane (H, W) of numbers 1..n; ends lie outside [px]."""
    y, x = number.nonzero(as_tuple=True)
    count = int(number.max()) if len(y) else 0
    own = number[y, x].long() - 1
    ends = []
    for along in (y, x):
        start = torch.full((count,), max(number.shape), device=number.device)
        ends.append(start.scatter_reduce(0, own, along, "amin"))
        ends.append(torch.zeros_like(start).scatter_reduce(0, own, along + 1, "amax"))
    y0, y1, x0, x1 = ends
    names = torch.arange(1, count + 1, device=number.device)
    rows: list[list[int]] = torch.stack([names, y0, x0, y1, x1], 1).tolist()
    return rows
