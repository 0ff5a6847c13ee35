"""Crops: which ones the farmers of a scene grow, when each is sown, green, ripe and cut, and in which rows it stands.

What others read: `CoverPlan.crops` is the list of a scene, of `draw_crops`; `LandCover.crop` holds 0 or 1 + the
position in that list; `stage(crop, season)` says what stands on the field. `LandCover.row` is the direction
[rad] along which the rows (and tramlines) of a parcel run: a place (y, x) [m] lies `x * sin(row) - y * cos(row)` [m]
across them, with y to the south, and rows repeat every `Crop.row_m`. Round fields have round rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from terraficta.synth.types.key import SceneKey

YEAR_DAYS = 365
"""of the calendar of fiction"""
MIDWINTER_DAY = -10
"""day of the year (north) at which the growing cycle begins: 21 December"""
SPREAD_DAYS = 8.0
"""how far a region's calendar strays from that of its climate, one standard deviation; within a climate planting dates
spread by weeks: Sacks et al. 2010, figure 3"""
RARE = 0.04
"""share of the sown ground below which a crop is left out of a scene's list"""
LEY_YEARS = 3
"""years that a perennial stays on a parcel"""
FILLING = 0.04
"""share of the year for which a paddy stands under water before rice is planted"""
STUBBLE = 0.10
"""share of the year over which stubble is tilled or rots away"""


OVERWINTERS = (-0.15, 0.45)
"""sown before the first and cut after the second, in shares of the growing cycle from midwinter, a crop meets the frost
as a young stand: October, June"""
DORMANT, REGROWTH = 0.14, 0.17
"""leaf area of such a stand, as a share of the largest, until days are warm again, and when that is: late February.
Source: Allen et al. 1998, FAO 56, table 11: 160 days of the 335 of winter wheat are its initial stage where it
freezes"""


class Clime(Protocol):
    """What of a climate decides the crops: `Climate` is one."""

    @property
    def kind(self) -> str:
        """Name of the climate."""


@dataclass(frozen=True)
class Growth:
    """One stand from seed to harvest, in shares of the growing cycle since midwinter; ascending, below 0: last year.

    Parameters
    ----------
    sowing, emergence : float
        seed in the ground; first leaves
    peak : float
        the leaf area is largest
    ripening : float
        leaves begin to die
    harvest : float
        the field is cut
    """

    sowing: float
    emergence: float
    peak: float
    ripening: float
    harvest: float


@dataclass(frozen=True)
class Crop:
    """What a parcel carries in one year.

    Parameters
    ----------
    name : str
        of the crop
    cover : str
        its class, "cropland" or "paddy"
    grows : tuple[Growth, ...]
        one stand, or several one after another (two crops a year, the cuts of a ley)
    height_m : float
        of the ripe stand [m]
    row_m : float
        distance between rows [m]
    lai : float
        largest leaf area index of a good stand
    perennial : bool
        it stays for several years
    share : float
        of the dry fields, or of the paddies
    """

    name: str
    cover: str
    grows: tuple[Growth, ...]
    height_m: float
    row_m: float
    lai: float
    perennial: bool
    share: float


@dataclass(frozen=True)
class Stage:
    """State of a field; every number 0 .. 1, in the shape of the season asked for.

    Parameters
    ----------
    green : np.ndarray
        leaves unfolded, as a share of the largest leaf area; stays while they die
    ripe : np.ndarray
        leaves dead
    stubble : np.ndarray
        what the last harvest left, not yet tilled
    flooded : np.ndarray
        water stands between the plants (paddies from before sowing to ripening)
    """

    green: np.ndarray
    ripe: np.ndarray
    stubble: np.ndarray
    flooded: np.ndarray


@dataclass(frozen=True)
class _Plant:
    """Emergence, peak and ripening as shares of the time from sowing to harvest; the rest as in `Crop`."""

    phases: tuple[float, float, float]
    height_m: float
    row_m: float
    lai: float
    cover: str = "cropland"
    perennial: bool = False


PLANTS = {
    "winter_cereal": _Plant((0.07, 0.74, 0.87), 0.9, 0.14, 5.5),
    "spring_cereal": _Plant((0.10, 0.55, 0.76), 0.9, 0.14, 4.5),
    "maize": _Plant((0.07, 0.52, 0.76), 2.5, 0.75, 4.5),
    "oilseed": _Plant((0.06, 0.70, 0.86), 1.5, 0.30, 5.0),
    "roots": _Plant((0.11, 0.50, 0.85), 0.6, 0.60, 4.5),
    "legumes": _Plant((0.08, 0.54, 0.76), 0.7, 0.35, 4.5),
    "sunflower": _Plant((0.09, 0.53, 0.74), 1.7, 0.70, 3.5),
    "cotton": _Plant((0.06, 0.55, 0.78), 1.1, 0.90, 3.5),
    "rice": _Plant((0.08, 0.58, 0.76), 0.9, 0.22, 5.0, cover="paddy"),
    "sugarcane": _Plant((0.06, 0.60, 0.88), 3.0, 1.40, 6.0, perennial=True),
    "fodder": _Plant((0.05, 0.75, 0.97), 0.6, 0.14, 4.5, perennial=True),
}
"""Phases after the four-stage crop coefficients of Allen et al. 1998, FAO Irrigation and Drainage Paper 56, table 11;
heights from its table 12; row spacings and leaf areas are common agronomic figures, one digit, chosen by us."""

_Year = tuple[float, tuple[tuple[int, int], ...]]
_CUTS = ((75, 150), (152, 215), (217, 290))
CALENDARS: dict[str, dict[str, _Year]] = {
    "tundra": {"fodder": (0.7, ((140, 220),)), "spring_cereal": (0.1, ((145, 245),)), "roots": (0.2, ((150, 250),))},
    "boreal": {
        "spring_cereal": (0.45, ((132, 240),)), "fodder": (0.3, ((115, 175), (177, 235))),
        "winter_cereal": (0.1, ((-120, 222),)), "oilseed": (0.1, ((138, 258),)), "roots": (0.05, ((140, 262),)),
    },
    "temperate": {
        "winter_cereal": (0.32, ((-90, 207),)), "maize": (0.2, ((118, 275),)), "oilseed": (0.11, ((-128, 200),)),
        "spring_cereal": (0.1, ((88, 222),)), "fodder": (0.1, _CUTS), "legumes": (0.08, ((118, 262),)),
        "roots": (0.07, ((105, 285),)), "sunflower": (0.02, ((112, 258),)),
    },
    "mediterranean": {
        "winter_cereal": (0.45, ((-45, 165),)), "sunflower": (0.12, ((85, 235),)), "fodder": (0.1, _CUTS),
        "legumes": (0.1, ((-30, 150),)), "maize": (0.1, ((105, 265),)), "cotton": (0.06, ((110, 285),)),
        "roots": (0.07, ((50, 200),)), "rice": (1.0, ((128, 270),)),
    },
    "steppe": {
        "winter_cereal": (0.4, ((-100, 190),)), "spring_cereal": (0.2, ((115, 240),)), "maize": (0.12, ((122, 270),)),
        "sunflower": (0.12, ((122, 262),)), "fodder": (0.08, _CUTS), "cotton": (0.08, ((118, 290),)),
    },
    "desert": {
        "winter_cereal": (0.3, ((-45, 140),)), "fodder": (0.3, ((10, 65), (67, 115), (117, 190), (192, 265))),
        "cotton": (0.2, ((90, 270),)), "maize": (0.1, ((190, 300),)), "roots": (0.1, ((-70, 60),)),
        "rice": (1.0, ((140, 275),)),
    },
    "savanna": {
        "maize": (0.5, ((160, 290),)), "legumes": (0.2, ((170, 295),)), "cotton": (0.15, ((165, 320),)),
        "roots": (0.1, ((130, 380),)), "sugarcane": (0.05, ((45, 400),)), "rice": (1.0, ((175, 310),)),
    },
    "monsoon": {
        "winter_cereal": (0.32, ((175, 285), (-45, 92))), "oilseed": (0.2, ((170, 265), (-75, 55))),
        "legumes": (0.14, ((-55, 70),)), "maize": (0.12, ((170, 275), (-40, 95))), "cotton": (0.1, ((165, 335),)),
        "sugarcane": (0.07, ((50, 410),)), "roots": (0.05, ((-60, 50),)),
        "rice": (1.0, ((185, 315), (0, 125))),
    },
    "rainforest": {
        "roots": (0.35, ((60, 370),)), "maize": (0.25, ((75, 190), (245, 355))), "sugarcane": (0.2, ((30, 390),)),
        "legumes": (0.2, ((85, 180), (250, 345))), "rice": (1.0, ((20, 140), (190, 310))),
    },
}  # fmt: skip
"""By climate and crop: share, and days of the year (north) of sowing and harvest of each stand.

Source: W. Sacks et al. 2010, doi:10.1111/j.1466-8238.2010.00551.x, and the FAO crop calendar, read off by us for one
region that stands for the climate, to about ten days: Finland, Germany, Andalusia, Ukraine, Nile valley, Mali,
Ganges plain (wheat after a summer crop), Java. Shares chosen after those regions' harvested areas. Rice has the
paddies to itself."""


def _growth(plant: _Plant, sowing_day: float, harvest_day: float) -> Growth:
    sowing, harvest = ((day - MIDWINTER_DAY) / YEAR_DAYS for day in (sowing_day, harvest_day))
    emergence, peak, ripening = (sowing + share * (harvest - sowing) for share in plant.phases)
    return Growth(sowing, emergence, peak, ripening, harvest)


def draw_crops(climate: Clime, key: SceneKey) -> tuple[Crop, ...]:
    """The crops of one scene: those of its climate, some regions keen on one, some early, some late.

    Parameters
    ----------
    climate : Clime
        its `kind` counts
    key : SceneKey
        of the scene itself, not of a thing in it
    """
    weight, late = {}, {}
    for name, (usual, _) in CALENDARS[climate.kind].items():
        taste, delay = key.at("field", "crop", name).rng().standard_normal(2)
        weight[name], late[name] = usual * float(np.exp(0.8 * taste)), SPREAD_DAYS * float(delay)

    def whole(cover: str) -> float:
        return sum(w for name, w in weight.items() if PLANTS[name].cover == cover)

    weight = {name: w for name, w in weight.items() if w > RARE * whole(PLANTS[name].cover)}
    crops = []
    for name in weight:
        plant, (_, stands) = PLANTS[name], CALENDARS[climate.kind][name]
        grows = tuple(_growth(plant, sowing + late[name], harvest + late[name]) for sowing, harvest in stands)
        share = weight[name] / whole(plant.cover)
        crops.append(Crop(name, plant.cover, grows, plant.height_m, plant.row_m, plant.lai, plant.perennial, share))
    return tuple(crops)


def _ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 at `low`, 1 at `high`, smooth between."""
    t = np.clip((value - low) / max(high - low, 1e-6), 0.0, 1.0)
    ramp: np.ndarray = t * t * (3 - 2 * t)
    return ramp


def stage(crop: Crop, season: float | np.ndarray) -> Stage:
    """What stands on the fields of a crop at a time of year (share of the growing cycle, any shape).

    The stand sown last counts; before it was sown, what is left of the one before.
    """
    season = np.asarray(season, dtype=np.float64)
    since = np.stack([(season - g.sowing) % 1.0 for g in crop.grows])
    last = since.argmin(0)
    green, ripe, stubble, flooded = (np.zeros_like(season) for _ in range(4))
    wet = crop.cover == "paddy"
    for number, g in enumerate(crop.grows):
        mine, age = last == number, since[number]
        length = g.harvest - g.sowing
        stands = mine & (age < length)
        grown = _ramp(age, g.emergence - g.sowing, g.peak - g.sowing)
        if g.sowing < OVERWINTERS[0] and g.harvest > OVERWINTERS[1] and not crop.perennial:
            spring = _ramp(age, REGROWTH - g.sowing, g.peak - g.sowing)
            grown = np.minimum(grown, DORMANT + (1 - DORMANT) * spring)
        green = np.where(stands, grown, green)
        ripe = np.where(stands, _ramp(age, g.ripening - g.sowing, length), ripe)
        stubble = np.where(mine & ~stands, 1 - _ramp(age, length, length + STUBBLE), stubble)
        filled = mine & (age < g.ripening - g.sowing) | (age > 1 - FILLING)
        flooded = np.where(filled, float(wet), flooded)
    return Stage(green, ripe, stubble, flooded)
