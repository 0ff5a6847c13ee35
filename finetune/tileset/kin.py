"""Kin: what land that a legend has no class for is taken for in it, as people do who must give every pixel a class."""

from __future__ import annotations

from torch import Tensor

from terraficta.synth.types.legend import TERRAFICTA

_TREES = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "plantation")
KIN: dict[str, tuple[tuple[str, ...], ...]] = {
    **{name: (tuple(tree for tree in _TREES if tree != name), ("mangrove",)) for name in _TREES},
    "mangrove": (_TREES[1:3], ("wetland",)),
    "shrubland": (("grassland",), _TREES[1:3]),
    "grassland": (("pasture",), ("shrubland",)),
    "moss_lichen": (("grassland",), ("shrubland",)),
    "pasture": (("grassland",), ("park",)),
    "wetland": (("grassland",), ("pasture",)),
    "cropland": (("fallow", "paddy"), ("pasture", "grassland")),
    "paddy": (("cropland",), ("wetland",)),
    "fallow": (("cropland",), ("bare_soil",)),
    "orchard": (("plantation",), ("cropland",)),
    "park": (("pasture", "grassland"), ("cropland",)),
    "bare_soil": (("fallow",), ("sand", "rock", "quarry")),
    "sand": (("bare_soil",), ("rock", "quarry")),
    "rock": (("bare_soil", "sand", "quarry"), ("building", "road")),
    "burnt": (("bare_soil",), ("grassland", "shrubland")),
    "quarry": (("bare_soil", "rock", "sand"), ("building", "road")),
    "snow": (("rock", "bare_soil"),),
    "water": (("wetland",),),
    "building": (("road",), ("bare_soil",)),
    "road": (("building",), ("bare_soil",)),
}
"""nearest first, two steps at most; chosen by what covers the ground, not by any image"""


def adopted(membership: Tensor) -> Tensor:
    """Membership (24, K) with the classes that no column has joined to those of their nearest kin.

    Examples
    --------
    >>> import torch
    >>> legend = torch.zeros(24, 2)
    >>> legend[TERRAFICTA.index("pasture"), 0] = legend[TERRAFICTA.index("water"), 1] = 1
    >>> adopted(legend)[TERRAFICTA.index("cropland")]  # a legend of grass and water: a green field is grass
    tensor([1., 0.])
    """
    known, found = membership.amax(1) > 0, membership.clone()
    for number, name in enumerate(TERRAFICTA.classes):
        for kin in () if known[number] else KIN[name]:
            rows = [TERRAFICTA.index(other) for other in kin if known[TERRAFICTA.index(other)]]
            if rows:
                found[number] = membership[rows].amax(0)
                break
    return found
