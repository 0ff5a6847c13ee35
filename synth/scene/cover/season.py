"""The season: dates on which the same ground is seen, and what each brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.types.crop import MIDWINTER_DAY, YEAR_DAYS
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import TimeRecipe

FIRST_YEAR = 2001
LOW_TIDE = -1.0


@dataclass(frozen=True)
class Moment:
    """One date of one scene.

    Parameters
    ----------
    number : int
        0 the first date
    year : int
        0 the year of the first date
    climate : Climate
        with the season of this date, and the use that the land has by now
    rise_m : float
        of rivers and lakes above their mean level [m]
    tide : float
        -1 low .. 1 high
    rain : float
        0 .. 1, how wet the ground is from it
    """

    number: int
    year: int
    climate: Climate
    rise_m: float = 0.0
    tide: float = LOW_TIDE
    rain: float = 0.0

    @property
    def years(self) -> float:
        """Time since the midwinter before the first date [years]."""
        return self.year + self.climate.season

    @property
    def date(self) -> date:
        """In a calendar of fiction that begins in 2001; midwinter is in December in the north, in June in the south."""
        south = YEAR_DAYS / 2 if self.climate.latitude_deg < 0 else 0.0
        days = self.climate.season * YEAR_DAYS + MIDWINTER_DAY + south
        return date(FIRST_YEAR + self.year, 1, 1) + timedelta(days=int(days))

    @property
    def day_of_year(self) -> int:
        """1 .. 366."""
        return self.date.timetuple().tm_yday

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        states = {"rise_m": self.rise_m, "tide": self.tide, "rain": self.rain}
        return {"date_number": self.number, "year": self.year} | states | self.climate.facts()


def draw_moments(recipe: TimeRecipe, climate: Climate, key: SceneKey) -> list[Moment]:
    """Draw the dates of one scene; the first has the season that the climate was drawn with.

    Later dates are spread evenly over `recipe.years`, each strayed by up to a fifth of the gap, or have the seasons
    that the recipe names, a year older whenever the season goes back.
    """
    moments, elapsed = [], climate.season
    gap = recipe.years / max(recipe.dates - 1, 1)
    for number in range(recipe.dates):
        own = key.at("date", number)
        stray, flood, tide, rain = (float(own.at(n).rng().random()) for n in ("stray", "flood", "tide", "rain"))
        if number and recipe.seasons:
            season = recipe.seasons[(number - 1) % len(recipe.seasons)]
            elapsed = int(elapsed) + season + (season <= elapsed % 1.0)
        elif number:
            elapsed = climate.season + gap * (number + 0.4 * (stray - 0.5))
        year = int(elapsed) if number else 0
        moments.append(
            Moment(
                number,
                year,
                climate if number == 0 else replace(climate, season=elapsed - year),
                rise_m=_between(recipe.flood_m, flood),
                tide=2.0 * _between(recipe.tide, tide) - 1.0,
                rain=_between(recipe.rain, rain),
            )
        )
    return moments


def _between(span: tuple[float, float], u01: float) -> float:
    return span[0] + (span[1] - span[0]) * u01


def first_moments(climates: Sequence[Climate]) -> list[Moment]:
    """The first date of each scene, when nobody asks for more."""
    return [Moment(0, 0, climate) for climate in climates]
