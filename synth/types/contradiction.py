"""Contradictions: recipes that no land can follow, refused with the field and the mend."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from terraficta.synth.types.biome import ANYWHERE, BIOMES, LAPSE_K_M, can_grow, chances, snow_c, summer_c
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal

if TYPE_CHECKING:
    from terraficta.synth.types.recipe import CoverRecipe, SceneRecipe

NATURAL = tuple(c for c in TERRAFICTA.classes if c in ANYWHERE or any(c in b.grows for b in BIOMES.values()))
"""classes that grow or lie there without people, in the order of the legend"""
DIALS = {"building": "settlement", "road": "settlement", "park": "settlement", "water": "water",
         "plantation": "plantation", "quarry": "quarry"}  # fmt: skip
"""which dial sets the share of a class that is not natural; all others are use of land: farmland"""
MOST = 0.9
"""largest share of its natural ground that a class can be given in any one scene"""


def _did_you_mean(name: str, among: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, among, 1, 0.5)
    return f"did you mean {close[0]}?" if close else "use one of these names"


def require_consistent_cover(cover: CoverRecipe) -> None:
    """Refuse a land cover that contradicts itself.

    Raises
    ------
    Refusal : unknown climates or classes, spans without a climate, more than the whole ground, classes that cannot grow
    """
    for name in cover.climates:
        if name not in BIOMES:
            raise Refusal("cover", "climates", name, f"some of {', '.join(BIOMES)}", _did_you_mean(name, tuple(BIOMES)))
    if not cover.climates:
        raise Refusal("cover", "climates", "an empty list", f"some of {', '.join(BIOMES)}", "name at least one climate")
    if not any(chances(cover.climates, cover.warmth, cover.moisture)):
        spans = "; ".join(f"{n} has warmth {BIOMES[n].warmth}, moisture {BIOMES[n].moisture}" for n in cover.climates)
        found = f"warmth {cover.warmth}, moisture {cover.moisture}"
        expected = f"spans that leave a climate: {spans}"
        raise Refusal("cover", "climates", found, expected, "widen them, or add a climate")
    used = {name: getattr(cover, name)[0] for name in ("water", "farmland", "settlement")}
    if sum(used.values()) > 1:
        found = " + ".join(f"{name} {least:g}" for name, least in used.items())
        raise Refusal("cover", "water", f"at least {found} = {sum(used.values()):g}", "at most 1, the whole ground",
                      "lower the first number of one of these spans")  # fmt: skip
    _require_shares(cover, sum(used.values()))


def _require_shares(cover: CoverRecipe, used: float) -> None:
    for name, share in cover.shares.items():
        field = f"shares.{name}"
        if name not in TERRAFICTA.classes:
            mend = _did_you_mean(name, NATURAL)
            raise Refusal("cover", field, "no class of the legend", f"one of {', '.join(NATURAL)}", mend)
        if name not in NATURAL:
            mend = f"drop it, and set {DIALS.get(name, 'farmland')}"
            raise Refusal("cover", field, "a class that is not natural", f"one of {', '.join(NATURAL)}", mend)
        if not 0 <= share <= 1:
            raise Refusal("cover", field, share, "a share between 0 and 1", "give the part of the natural ground")
        able = [climate for climate in BIOMES if can_grow(name, climate)]
        rates = dict(zip(cover.climates, chances(cover.climates, cover.warmth, cover.moisture), strict=True))
        part = sum(rate for climate, rate in rates.items() if climate in able)
        if share > 0 and part == 0:
            found = f"{share:g} of it in {', '.join(n for n, rate in rates.items() if rate)} only"
            mend = f"add one of {', '.join(able)}, or drop it"
            raise Refusal("cover", field, found, "a climate where it grows", mend)
        if share > MOST * part:
            most = f"at most {MOST * part:.2f}: {part:.2f} of the scenes have a climate where it grows"
            raise Refusal("cover", field, share, most, "lower it, or ask for fewer climates")
    total = sum(cover.shares.values())
    if total > 1:
        raise Refusal("cover", "shares", f"a sum of {total:g}", "at most 1, all of the natural ground", "lower some")
    if total > 0 and used >= 1:
        raise Refusal("cover", "shares", "no natural ground", "some ground that is neither water, farmed nor built",
                      "lower water, farmland or settlement, or drop the shares")  # fmt: skip


def require_consistent_scene(scene: SceneRecipe) -> None:
    """Refuse a land cover that its terrain cannot carry.

    Raises
    ------
    Refusal : snow where no mountain reaches the snow line, mangroves without a warm tidal coast
    """
    cover, terrain = scene.cover, scene.terrain
    if cover.shares.get("snow"):
        _require_snow(scene)
    if cover.shares.get("mangrove") and cover.water[1] == 0:
        raise Refusal("cover", "cover.shares.mangrove", f"water {cover.water}", "water, on whose shores they stand",
                      "raise cover.water, or drop the mangroves")  # fmt: skip
    if cover.shares.get("mangrove") and "coast" not in terrain.styles:
        raise Refusal("cover", "cover.shares.mangrove", f"terrain.styles {terrain.styles}", "a coast among them",
                      "add coast to terrain.styles, or drop the mangroves")  # fmt: skip


def _require_snow(scene: SceneRecipe) -> None:
    cover, relief_m = scene.cover, scene.terrain.relief_m[1]
    least, most = cover.season
    winter = max((2 * least - 1) ** 2, (2 * most - 1) ** 2)
    short = []
    for name in cover.climates:
        left = BIOMES[name].within(cover.warmth, cover.moisture)
        if left is not None:
            lowest_c = summer_c(left[0][0])
            line_c = snow_c(winter, BIOMES[name].latitude_deg[1])
            short.append((lowest_c - LAPSE_K_M * relief_m - line_c, (lowest_c - line_c) / LAPSE_K_M, name))
    missing, line_m, name = min(short)
    if missing > 0:
        expected = f"ground above the snow line, which in {name} lies {line_m:.0f} m above the lowest ground"
        mend = "raise terrain.relief_m, ask for a colder climate or a season nearer winter, or drop the snow"
        raise Refusal("cover", "cover.shares.snow", f"mountains of at most {relief_m:g} m", expected, mend)
