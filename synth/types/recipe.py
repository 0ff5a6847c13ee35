"""Recipes: typed, whole, and few. What a fictional land is made of, in one YAML file."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.contradiction import require_consistent_cover, require_consistent_scene
from terraficta.synth.types.refusal import Refusal


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("the first number of a span must not exceed the second")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""(least, most): a number that is drawn anew for every scene."""
Share = Annotated[float, Field(ge=0, le=1)]


def _between(least: float, most: float, mend: str) -> AfterValidator:
    def check(span: tuple[float, float]) -> tuple[float, float]:
        if not least <= span[0] <= span[1] <= most:
            limits = f"numbers of at least {least:g}" + (f" and at most {most:g}" if most < math.inf else "")
            raise Refusal("", "", span, limits, mend)
        return span

    return AfterValidator(check)


ShareSpan = Annotated[Span, _between(0.0, 1.0, "write shares, such as [0.0, 0.25]")]
AmountSpan = Annotated[Span, _between(0.0, math.inf, "write amounts that are not negative")]
SizeSpan = Annotated[Span, _between(1e-3, math.inf, "write sizes above zero")]


class Recipe(BaseModel):
    """A frozen, whole set of choices; unknown fields are refused, defaults stand in the class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, name_or_file: str | Path, folder: Path, changes: list[str] | None = None) -> Self:
        """Read a recipe by name (from `folder`) or file, with `a.b=value` changes applied."""
        path = Path(name_or_file)
        if path.suffix not in {".yaml", ".yml"}:
            path = folder / f"{name_or_file}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
            raise Refusal(name_or_file, "recipe", "no such recipe", f"a YAML file or one of {known}", "check the name")
        try:
            content = yaml.safe_load(path.read_text()) or {}
        except yaml.YAMLError as error:
            raise Refusal(path, "yaml", str(error).replace("\n", " "), "valid YAML", "correct the file") from error
        for change in changes or []:
            _apply(content, change)
        return cls.from_dict(content, where=path)

    @classmethod
    def from_dict(cls, content: dict[str, Any], where: str | Path) -> Self:
        """Validate; the first fault becomes a `Refusal` that names its field."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            fault = first.get("ctx", {}).get("error")
            if isinstance(fault, Refusal):
                field = ".".join(part for part in (name, fault.field) if part)
                raise Refusal(where, field, fault.found, fault.expected, fault.mend) from error
            name = name or "recipe"
            raise Refusal(where, name, first.get("input"), first["msg"], "correct this field") from error

    def digest(self) -> str:
        """12 hex digits that identify the content, whatever file it came from."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _apply(content: dict[str, Any], change: str) -> None:
    name, sep, value = change.partition("=")
    if not sep:
        raise Refusal("--set", change, "no '='", "a.b=value", "write --set light.sza_deg=[30,30]")
    *parents, last = name.strip().split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
    content[last] = yaml.safe_load(value)


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
    settlement: ShareSpan = (0.0, 0.2)
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

    sza_deg: Annotated[Span, _between(0.0, 89.0, "the sun must be up")] = (0.0, 0.0)
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
