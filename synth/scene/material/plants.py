"""Plants: which kinds and crops grow in each class of a scene, in what condition, how far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from terraficta.synth.scene.material.phenology import at_season, draw_timing
from terraficta.synth.scene.material.trait import Setting, Traits, draw_kinds, draw_traits
from terraficta.synth.types.crop import Crop, draw_crops
from terraficta.synth.types.key import SceneKey

VARIANTS = 16
TRAITS = (
    "n", "cab", "car", "ant", "cbrown", "cw", "cm", "lai", "slope", "hotspot", "wood", "clump", "crown", "litter",
    "under", "flood", "dead", "tall",
)  # fmt: skip
SHARES = ("wood", "clump", "crown", "litter", "flood", "dead")
SOWN = ("cropland", "paddy")
_MOST = np.array([[1.0 if name in SHARES else np.inf] for name in TRAITS])
KINDS_AT_ONCE = {"plantation": 2, "orchard": 2, "pasture": 2}
"""how many kinds of plants share the variants of a class; one where nothing is said, of the sown classes the crops"""
EVEN = 0.4
"""spread of vigour among the fields of one crop over that among wild plants: people see to it"""
WOODED = ("needleleaf_forest", "evergreen_forest", "deciduous_forest", "mangrove", "plantation")
"""classes of trees that can die where they stand"""
TALL = {**dict.fromkeys(WOODED, 1.0), "orchard": 0.5, "park": 0.5}
"""how far plants throw their shadows into the gaps between them, 0 .. 1: trees wider apart than they are high less"""
DEAD_VARIANTS = 2
"""at the barest end of each kind of tree: dead or defoliated, dying"""
ROWED = ("plantation", "cropland", "orchard")
"""classes that stand in rows wide enough to be seen"""
ROWS_M = {
    "pine": (2.8, 0.0), "eucalyptus": (3.0, 0.0), "rubber": (6.5, 0.0), "oil_palm": (8.0, 9.0),
    "orchard": (4.5, 3.5), "olive": (7.0, 7.0), "vineyard": (2.2, 0.0),
}  # fmt: skip
"""distance between rows, and between the trees of a row [m] (0: they touch); common planting distances, chosen"""
Sown = dict[str, list[tuple[int, Crop]]]
"""{sown class: [(number in `LandCover.crop`, crop)]}"""


@dataclass(frozen=True)
class Plants:
    """The plants of one class in one scene.

    Parameters
    ----------
    traits : Traits
        {trait: (V,)}, its groups one after the other, each from the barest to the lushest
    runs : list[tuple[int, int]]
        first and last variant of each group
    spacing_m : np.ndarray
        (V, 2) as in `Mixture`
    """

    traits: Traits
    runs: list[tuple[int, int]]
    spacing_m: np.ndarray


def draw_plants(
    cover: str, key: SceneKey, setting: Setting, sown: Sequence[tuple[int, Crop]], varied: bool = True
) -> Plants:
    """What grows in a class.

    Parameters
    ----------
    cover : str
        one of `VEGETATED`
    key : SceneKey
        of the class in the scene
    setting : Setting
        of the scene
    sown : Sequence[tuple[int, Crop]]
        its crops, if it is sown
    varied : bool
        False: their groups alone, where nobody looks at what sets them apart
    """
    kinds = [cover] * len(sown) if sown else draw_kinds(cover, key, setting, KINDS_AT_ONCE.get(cover, 1))
    ends = [VARIANTS * number // len(kinds) for number in range(len(kinds) + 1)]
    runs = [(first, after - 1) for first, after in pairwise(ends)]
    if not varied:
        return Plants({}, runs, np.zeros((VARIANTS, 2)))
    parts, spacing = [], []
    for number, head in enumerate(kinds):
        crop = sown[number][1] if sown else None
        own = key.at(head, crop.name if crop else number)
        count = ends[number + 1] - ends[number]
        vigour = (2 * (np.arange(count) + 0.5) / count - 1) * (EVEN if crop else 1)
        traits = _ordered(_whole(draw_traits(head, own, vigour, setting)))
        traits = _whole(at_season(head, traits, setting, draw_timing(own.at("season"), count), crop))
        traits["tall"] = np.full(count, TALL.get(cover, 0.0))
        parts.append(_dying(traits) if cover in WOODED else traits)
        spacing += [(crop.row_m, 0.0) if crop else ROWS_M.get(head, (0.0, 0.0))] * count
    plants = {name: np.concatenate([part[name] for part in parts]) for name in TRAITS}
    return Plants(plants, runs, np.array(spacing))


def draw_sown(setting: Setting, key: SceneKey, crops: Sequence[Crop] | None = None) -> Sown:
    """The crops of a scene; rice of the Mediterranean where a climate lists none.

    Parameters
    ----------
    setting : Setting
        of the scene
    key : SceneKey
        of the scene itself, as `draw_crops` has it
    crops : Sequence[Crop] | None
        of the scene, where they have been drawn already
    """
    crops = draw_crops(setting, key) if crops is None else crops
    sown = {name: [(n, c) for n, c in enumerate(crops, 1) if c.cover == name] for name in SOWN}
    if not sown["paddy"]:
        foreign = draw_crops(replace(setting, kind="mediterranean"), key)
        sown["paddy"] = [(0, c) for c in foreign if c.cover == "paddy"]
    return sown


def _whole(traits: Traits) -> Traits:
    """Every trait, 0 where a kind of plants has none, bounded."""
    zero = np.zeros(len(traits["lai"]))
    rows = np.array([traits.get(name, zero) for name in TRAITS])
    return dict(zip(TRAITS, np.minimum(np.maximum(rows, 0), _MOST), strict=True))


def _ordered(traits: Traits) -> Traits:
    """From the barest to the greenest, whatever the season then does to them: a parcel keeps its plants all year."""
    order = np.argsort(traits["crown"] * (1 - np.exp(-0.6 * traits["lai"] * (1 - traits["dead"]))), kind="stable")
    return {name: values[order] for name, values in traits.items()}


def _dying(traits: Traits) -> Traits:
    """The barest variants of a forest without their leaves: grey stems, brown needles, little below."""
    death = np.clip(1 - np.arange(len(traits["lai"])) / (DEAD_VARIANTS - 0.2), 0, 1)
    return traits | {
        "lai": traits["lai"] * (1 - 0.5 * death),
        "wood": traits["wood"] + (0.65 - traits["wood"]).clip(0) * death,
        "dead": traits["dead"] + (0.97 - traits["dead"]) * death,
        "cbrown": traits["cbrown"] + 0.5 * death,
        "under": traits["under"] * (1 - 0.8 * death),
        "litter": traits["litter"] + (0.8 - traits["litter"]).clip(0) * death * (traits["flood"] == 0),
    }
