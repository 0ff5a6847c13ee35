"""The plan: all that chance decides of the cover of one scene, drawn once; what grows it takes these numbers alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from terraficta.synth.scene.cover.building import TownPlan, draw_town_plan
from terraficta.synth.scene.cover.climate import Climate, draw_climate
from terraficta.synth.scene.cover.fire import draw_burnt_share
from terraficta.synth.scene.cover.parcel import FieldSystem, FieldUses, draw_field_system, draw_field_uses
from terraficta.synth.types.crop import Crop, draw_crops
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import CoverRecipe

FISHBONE = {"rainforest": 0.7, "monsoon": 0.25}
"""share of the scenes where settlers clear lots along forest roads instead of stands being felled; chosen after
Rondonia in E. Arima et al. 2005, doi:10.1111/j.1467-8306.2005.00462.x"""


@dataclass(frozen=True)
class CoverSeeds:
    """Seeds of 31 bits, one for each thing that is hashed cell by cell.

    Parameters
    ----------
    cover : int
        climate's textures, fires, and the number of each cell that says who has what is narrower than it
    water : int
        dams, beaches, the width of rivers
    field : int
        blocks, parcels, the direction of a survey
    settlement : int
        roads and towns
    forestry : int
        stands, settlers' lots, estates
    quarry, canal, power_line : int
        where they lie
    lot : int
        lots of built-up ground that a given map asks for
    """

    cover: int
    water: int
    field: int
    settlement: int
    forestry: int
    quarry: int
    canal: int
    power_line: int
    lot: int


@dataclass(frozen=True)
class ShorePlan:
    """How water meets the land of one scene.

    Parameters
    ----------
    beaches : bool
        lakes and rivers have any
    beach : float
        height of the beaches, over the tallest there can be
    bars : float
        0 rivers have hardly any bars of sand .. 1 they lie everywhere
    sea_rank : float
        the sea reaches its coast where this is less than the share of full seas, 0 .. 1
    """

    beaches: bool
    beach: float
    bars: float
    sea_rank: float


@dataclass(frozen=True)
class CoverPlan:
    """What was drawn for the cover of one scene.

    Parameters
    ----------
    climate : Climate
        climate and use, with the season of the first date or, after `on`, of another
    crops : tuple[Crop, ...]
        the list that `LandCover.crop` counts
    town : TownPlan
        how towns are built
    system : FieldSystem
        how blocks are cut into fields
    uses : FieldUses
        what the fields are used for
    burnt : float
        share of the wild ground that burnt this year
    shore : ShorePlan
        how water meets land
    settlers : bool
        forests are cleared by settlers along roads; else felled by stands
    seeds : CoverSeeds
        of random fields
    """

    climate: Climate
    crops: tuple[Crop, ...]
    town: TownPlan
    system: FieldSystem
    uses: FieldUses
    burnt: float
    shore: ShorePlan
    settlers: bool
    seeds: CoverSeeds

    def on(self, climate: Climate) -> CoverPlan:
        """The same scene at another season, or put to another use."""
        return replace(self, climate=climate)


def draw_cover_plan(recipe: CoverRecipe, key: SceneKey) -> CoverPlan:
    """Draw all that chance decides of the cover of one scene; each number has its own address."""
    climate = draw_climate(recipe, key)
    return CoverPlan(
        climate=climate,
        crops=draw_crops(climate, key),
        town=draw_town_plan(climate, key),
        system=draw_field_system(climate, key),
        uses=draw_field_uses(climate, key),
        burnt=draw_burnt_share(climate, key),
        shore=draw_shore(key),
        settlers=bool(key.at("forestry", "lots").rng().random() < FISHBONE.get(climate.kind, 0.0)),
        seeds=draw_cover_seeds(key),
    )


def draw_shore(key: SceneKey) -> ShorePlan:
    """Draw how water meets the land of one scene."""
    beaches, bars, beach = (float(v) for v in key.at("water", "river").rng().random(3))
    return ShorePlan(beaches > 0.5, beach, bars, float(key.at("water", "sea").rng().random()))


def draw_cover_seeds(key: SceneKey) -> CoverSeeds:
    """The seeds of one scene."""
    return CoverSeeds(
        cover=key.at("cover").field_seed(),
        water=key.at("water").field_seed(),
        field=key.at("field").field_seed(),
        settlement=key.at("settlement").field_seed(),
        forestry=key.at("forestry").field_seed(),
        quarry=key.at("quarry").field_seed(),
        canal=key.at("canal").field_seed(),
        power_line=key.at("power_line").field_seed(),
        lot=key.at("wish").field_seed(),
    )
