"""The recipe of a scene: what a fictional land is made of, and how it is seen; contradictions are refused."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from terraficta.synth.types.biome import ANYWHERE, BIOMES, LAPSE_K_M, can_grow, chances, snow_c, summer_c
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.recipe import AmountSpan, Recipe, Share, ShareSpan, SizeSpan, Span, between
from terraficta.synth.types.refusal import Refusal

# --- contradictions: recipes that no land can follow, refused with the field and the mend ----------------------------

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
    Refusal
        unknown climates or classes, spans without a climate, more than the whole ground, classes that cannot grow
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
    Refusal
        snow where no mountain reaches the snow line, mangroves without a warm tidal coast
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


# --- the recipe ------------------------------------------------------------------------------------------------------

STYLES = ("fluvial", "coast", "dunes", "glacial", "karst")
"""what can shape the ground"""


def _known_styles(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or any(name not in STYLES for name in names):
        raise ValueError(f"name one or more of {', '.join(STYLES)}")
    return names


class TerrainRecipe(Recipe):
    """The shape of the ground."""

    relief_m: AmountSpan = (20.0, 900.0)
    """height between the lowest and the highest ground of a landscape [m], drawn log-uniformly"""
    landform_km: SizeSpan = (3.0, 12.0)
    """size of the largest landforms [km]"""
    hurst: Span = (0.75, 1.0)
    """roughness exponent; 1 is smooth"""
    styles: Annotated[tuple[str, ...], AfterValidator(_known_styles)] = (*["fluvial"] * 4, *STYLES[1:])
    """what shaped the ground, drawn from for each scene; a name may be repeated to weigh it"""


class CoverRecipe(Recipe):
    """What grows and stands on the ground."""

    climates: tuple[str, ...] = tuple(BIOMES)
    """named climates, drawn from for each scene, within the spans of moisture and warmth"""
    moisture: ShareSpan = (0.0, 1.0)
    """from desert (0) to rainforest (1)"""
    warmth: ShareSpan = (0.0, 1.0)
    """from tundra (0) to tropics (1), at the lowest ground"""
    season: ShareSpan = (0.0, 1.0)
    """time of year as a share of the growing cycle"""
    water: ShareSpan = (0.0, 0.25)
    """share of the ground under lakes and rivers"""
    farmland: ShareSpan = (0.0, 0.75)
    """share of the arable ground that is farmed"""
    field_m: SizeSpan = (30.0, 500.0)
    """side of a typical field [m], drawn log-uniformly, but rather small in the tropics"""
    settlement: ShareSpan = (0.0, 0.5)
    """share of the ground in settlements"""
    plantation: ShareSpan = (0.0, 0.35)
    """share of the ground fit for trees, and not farmed, that is planted with them in rows"""
    clearcut: ShareSpan = (0.0, 0.3)
    """share of the forest that was felled in the last decades"""
    quarry: ShareSpan = (0.0, 0.015)
    """share of the ground dug up in quarries and open-cast mines, up to about 0.1"""
    canal: ShareSpan = (0.0, 0.6)
    """share of the possible canals of farmed lowland that were dug"""
    power_line: ShareSpan = (0.0, 0.5)
    """share of the possible power lines that were built, as swaths through forest"""
    industry: ShareSpan = (0.0, 0.4)
    """share of the street blocks outside old towns that are works"""
    greenery: ShareSpan = (0.02, 0.2)
    """share of the street blocks that are parks"""
    shares: dict[str, float] = {}
    """share of the natural ground that a class has in the mean of a corpus; classes not named have what grows there"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_consistent_cover(self)
        return self


class MaterialRecipe(Recipe):
    """What things are made of."""

    variability: Share = 1.0
    """0: every class has its mean spectrum; 1: the full spread of its physical parameters"""


class LightRecipe(Recipe):
    """The sun, and how the ground takes its light."""

    sza_deg: Annotated[Span, between(0.0, 89.0, "the sun must be up")] = (0.0, 0.0)
    """sun zenith angle [deg]"""
    relief: Share = 0.0
    """0: flat light; 1: cosine of incidence and cast shadow"""
    brdf: Share = 0.0
    """0: Lambertian; 1: full directional reflectance"""


class AirRecipe(Recipe):
    """The atmosphere, the clouds, and how well a product was corrected for them."""

    aot550: AmountSpan = (0.0, 0.0)
    """aerosol optical thickness at 550 nm; (0, 0) and no gas: no air at all"""
    water_vapour_cm: AmountSpan = (0.0, 0.0)
    ozone_cm: AmountSpan = (0.0, 0.0)
    rayleigh: Share = 0.0
    """0: no molecules; 1: a whole atmosphere of them"""
    adjacency: Share = 0.0
    haze: AmountSpan = (0.0, 0.0)
    """extra aerosol optical thickness that varies over the scene"""
    clouds: ShareSpan = (0.0, 0.0)
    """share of the scene under cloud"""
    correction: Literal["none", "perfect", "imperfect"] = "perfect"
    """what the product does about the air: nothing (TOA), inverts it exactly, or with a wrong guess of aerosol"""


class InstrumentRecipe(Recipe):
    """The camera."""

    sensors: tuple[str, ...] = ("sentinel2a",)
    """drawn from for each scene; "invented" draws a plausible sensor that does not exist"""
    psf: Share = 0.0
    """0: a pixel is the plain mean of its ground; 1: the sensor's own point spread function"""
    noise: float = Field(default=0.0, ge=0)
    """times the sensor's own noise"""
    striping: float = Field(default=0.0, ge=0)
    misregistration_px: float = Field(default=0.0, ge=0)
    quantise: bool = False


class TimeRecipe(Recipe):
    """On which dates the same ground is seen, and what the weather was."""

    dates: int = Field(default=1, ge=1, le=64)
    """images of the same ground"""
    years: float = Field(default=1.0, gt=0, le=50)
    """from the first date to the last, spread evenly"""
    seasons: tuple[Share, ...] = ()
    """season of every date after the first, as a share of the growing cycle, in turn; instead of an even spread"""
    flood_m: AmountSpan = (0.0, 0.0)
    """rise of rivers and lakes above their mean level [m]"""
    tide: ShareSpan = (0.0, 0.0)
    """0 low tide .. 1 high tide, on coasts"""
    rain: ShareSpan = (0.0, 0.0)
    """0: dry weather; 1: the ground is soaked"""


EVENTS = ("urban_growth", "deforestation", "mining", "burn", "flood", "dieback", "harvest", "landslide")
"""what can change land between two dates; a change label is 1 + the place in this list"""


class EventRecipe(Recipe):
    """One event, between two dates."""

    kind: Literal["urban_growth", "deforestation", "mining", "burn", "flood", "dieback", "harvest", "landslide"]
    dose: ShareSpan = (0.2, 0.8)
    """0: nothing happens; 1: all that the event can do"""
    after: int = Field(default=0, ge=0)
    """number of the last date that does not show it"""


TRUTHS = (
    "elevation_m", "cloud", "material", "slope", "surface_m", "canopy_height_m", "agb_t_ha", "building_height_m",
    "building", "ndvi", "lai",
)  # fmt: skip
"""what a tile can tell of its ground beyond classes"""


def _known_truths(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in TRUTHS:
            close = difflib.get_close_matches(name, TRUTHS, 1, 0.5)
            mend = f"did you mean {close[0]}?" if close else "use one of these names"
            raise Refusal("", "", name, f"some of {', '.join(TRUTHS)}", mend)
    return names


class TruthRecipe(Recipe):
    """What a tile tells of its ground beyond classes."""

    layers: Annotated[tuple[str, ...], AfterValidator(_known_truths)] = ("elevation_m", "cloud", "material")
    """names out of TRUTHS; `building` numbers the instances, and their boxes are in the tile's facts"""


class SceneRecipe(Recipe):
    """A fictional land and how it is seen. `render(recipe, keys)` makes tiles of it."""

    name: str
    about: str
    size_px: int = Field(default=128, ge=16, le=4096)
    gsd_m: SizeSpan | None = None
    """drawn log-uniformly; None: the sensor's own"""
    oversampling: int = Field(default=2, ge=1, le=8)
    """fine cells along a pixel's side"""
    terrain: TerrainRecipe = TerrainRecipe()
    cover: CoverRecipe = CoverRecipe()
    time: TimeRecipe = TimeRecipe()
    events: tuple[EventRecipe, ...] = ()
    material: MaterialRecipe = MaterialRecipe()
    light: LightRecipe = LightRecipe()
    air: AirRecipe = AirRecipe()
    instrument: InstrumentRecipe = InstrumentRecipe()
    truth: TruthRecipe = TruthRecipe()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_consistent_scene(self)
        return self


RECIPES = Path(__file__).parent.parent / "recipes"


def read_scene_recipe(name_or_file: str | Path, changes: list[str] | None = None) -> SceneRecipe:
    """Read one of `synth/recipes`, or a file."""
    return SceneRecipe.read(name_or_file, RECIPES, changes)
