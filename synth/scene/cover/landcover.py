"""Land cover: what grows, stands and lies on the ground, from the causes that put it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from terraficta.synth.scene.cover.building import LAWN, ROOF, STREET, TREE
from terraficta.synth.scene.cover.corridor import clear_swaths, dig_canals
from terraficta.synth.scene.cover.crown import crowned, lone_trees, seen
from terraficta.synth.scene.cover.field import farm, lay_blocks, sow
from terraficta.synth.scene.cover.fire import burn
from terraficta.synth.scene.cover.flood import flood
from terraficta.synth.scene.cover.forestry import fell, plant
from terraficta.synth.scene.cover.given_cover import Wish
from terraficta.synth.scene.cover.habitat import Habitat, find_habitat, natural_cover, snowed_in
from terraficta.synth.scene.cover.parcel import Blocks
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.cover.quarry import dig
from terraficta.synth.scene.cover.season import Moment, first_moments
from terraficta.synth.scene.cover.settlement import Settlement, settle
from terraficta.synth.scene.cover.share import favour_classes
from terraficta.synth.scene.cover.water import Water, fill_water
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.scene.terrain.terrain import Terrain
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import hashed, planes, seeds_of, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.scene.world.places import Places
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.biome import TREELINE_C
from terraficta.synth.types.legend import TERRAFICTA, TIMBER, Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import CoverRecipe
from terraficta.synth.types.within import MORE, packed, unpacked

CROWNS = {
    "needleleaf_forest": 1.1, "evergreen_forest": 1.0, "deciduous_forest": 1.0, "mangrove": 0.4, "plantation": 0.8,
    "orchard": 0.25,
}  # fmt: skip
"""height of the crowns of each kind of forest, over that of a broadleaved one"""
OPEN_GROWN = 0.4
"""height of the trees of gardens, hedges and estates, over that of a forest"""
BARREN_C = 7.0
"""mean temperature of the growing season below which nobody keeps a lawn or a garden tree [deg C]"""
DRIEST_TREE = 0.1
"""moisture below which no tree stands that nobody waters"""
UNWATERED = 0.25
"""moisture below which yards are bare, unless someone waters them"""
PARKLAND = {"savanna": 0.8, "monsoon": 0.4, "mediterranean": 0.35, "rainforest": 0.25, "temperate": 0.12, "boreal": 0.1,
            "steppe": 0.04, "desert": 0.03}  # fmt: skip
"""most of the places for single trees that have one, by climate, where trees are spread evenly; chosen"""
TILLED = {"savanna": 0.35, "monsoon": 0.25}
"""of as many, in fields under crops: farmers keep them"""
OPEN_GROUND = ("grassland", "shrubland", "pasture", "fallow", "bare_soil")
"""classes on which trees stand alone"""
EVEN_GROUND, EVENLY = ("bare_soil", "sand"), 0.5
"""what wind and water have spread, and how far its condition varies, over that of ground with plants"""
UNTILLED = ("wetland", "mangrove", "snow")
"""wild ground that is not ploughed"""


@dataclass(frozen=True)
class LandCover:
    """What covers the ground of N scenes.

    Parameters
    ----------
    cover : Tensor
        (N, H, W) uint8 position in the legend
    parcel : Tensor
        (N, H, W) int64 identity of the object a cell belongs to; 0: natural ground
    vigour : Tensor
        (N, H, W) 0 dry .. 1 lush
    height_m : Tensor
        (N, H, W) of roofs and crowns above the ground [m]
    surface_m : Tensor
        (N, H, W) height of the ground, level where water stands on it [m]
    crop : Tensor
        (N, H, W) uint8, 1 + place in the scene's list of crops (`draw_crops`); 0: none
    row : Tensor
        (N, H, W) direction of the rows of a field [rad] as in `synth/types/crop.py`; 0 elsewhere
    bridge : Tensor
        (N, H, W) bool, road over a river
    within : Tensor
        (N, H, W) int64, what else lies in a cell of a town (`types.within`); 0: the cell is of one piece
    window : Window
        of the world, which it covers
    facts : list[dict[str, Any]]
        what was drawn for each scene
    legend : Legend
        of `cover`
    """

    cover: Tensor
    parcel: Tensor
    vigour: Tensor
    height_m: Tensor
    surface_m: Tensor
    crop: Tensor
    row: Tensor
    bridge: Tensor
    within: Tensor
    window: Window
    facts: list[dict[str, Any]]
    legend: Legend = TERRAFICTA

    @property
    def building(self) -> Tensor:
        """(N, H, W) int64 identity of the building a cell belongs to; 0: none."""
        return choose(self.cover == self.legend.index("building"), self.parcel, 0)

    def standing(self) -> tuple[Tensor, Tensor] | None:
        """What stands in the light, (N, H, W) each: height of roofs and crowns [m], and 0..1 how far it is a canopy.

        None where no cell is small enough to show it.
        """
        shown = seen(self.window.cell_m)[:, None, None]
        if not bool((shown > 0).any()):
            return None
        return shown * self.height_m, shown * self.legend.among(self.cover, tuple(CROWNS))

    def planes(self) -> list[Tensor]:
        """Its fields (N, H, W), in order."""
        return [value for value in vars(self).values() if isinstance(value, Tensor)]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> LandCover:
        """The same land with every plane (N, H, W) changed alike."""
        planes: dict[str, Any] = {
            name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **planes)

    def cropped(self, core: slice) -> LandCover:
        """The same land without its margin: rows and columns of `core`."""
        window = Window(self.window.y_m[:, core], self.window.x_m[:, core], self.window.cell_m)
        return replace(self.mapped(lambda plane: plane[:, core, core]), window=window)

    def abundance(self, factor: int) -> Tensor:
        """(N, K, H/factor, W/factor) area fraction of every class in blocks of factor x factor fine cells."""
        n, height, width = self.cover.shape
        if factor < 1 or height % factor or width % factor:
            raise Refusal("cover", "factor", factor, f"a divisor of {height} and {width}", "change oversampling")
        blocks = self.cover.reshape(n, height // factor, factor, width // factor, factor)
        counts = torch.zeros(n, len(self.legend), height // factor, width // factor, device=self.cover.device)
        # whole numbers, so that no sum hangs on its order: a cell of one piece counts as all the places of a mixed one
        weight = choose(self.within == 0, 1.0 + MORE, 1.0).reshape(blocks.shape)
        for row in range(factor):
            for column in range(factor):
                counts.scatter_add_(1, blocks[:, None, :, row, :, column].to(torch.int64),
                                    weight[:, None, :, row, :, column])  # fmt: skip
        mixed = Places.where(self.within != 0)
        within = mixed.at % (height * width)
        place = (within // width // factor) * (width // factor) + within % width // factor
        first, plane = mixed.scene * len(self.legend), counts.shape[2] * counts.shape[3]
        one = torch.ones(len(place), device=counts.device)
        for kind, _, _ in unpacked(mixed.of(self.within)):
            counts.view(-1).index_add_(0, (first + kind) * plane + place, one)
        return counts / ((1 + MORE) * factor * factor)


def grow_landcover(
    recipe: CoverRecipe,
    terrain: Terrain,
    plans: Sequence[CoverPlan],
    moments: Sequence[Moment] | None = None,
    given: GivenLand | None = None,
) -> LandCover:
    """Cover the ground of N scenes.

    Parameters
    ----------
    recipe : CoverRecipe
        shares of natural classes that are asked for
    terrain : Terrain
        of `grow_terrain`, with the same keys
    plans : Sequence[CoverPlan]
        of `draw_cover_plan`, one a scene
    moments : Sequence[Moment] | None
        date of each scene; None: the first, with the climate that was drawn
    given : GivenLand | None
        real land, whose class map is kept to
    """
    if len(plans) != len(terrain.cell_m):
        raise Refusal("cover", "plans", len(plans), f"{len(terrain.cell_m)} plans", "draw one a scene of the terrain")
    device = terrain.slope.device
    moments = moments or first_moments([p.climate for p in plans])
    climates, years = [m.climate for m in moments], [m.year for m in moments]
    plans = [p.on(climate) for p, climate in zip(plans, climates, strict=True)]
    seed = seeds_of([p.seeds.cover for p in plans], device)
    u01 = uniform(hashed(seed[:, None, None], terrain.window.cells()))
    points = terrain.window.points()
    habitat = find_habitat(climates, terrain, seed)
    water = fill_water(plans, terrain, u01)
    blocks = lay_blocks(plans, terrain.window)
    town = settle(plans, terrain, points, blocks, ~(water.open_water | water.shore | water.tidal), u01)
    favour = favour_classes(recipe, plans, terrain, seed)
    fire = burn(terrain, [p.burnt for p in plans], seed, "burnt" in recipe.shares)
    wild = natural_cover(climates, terrain, habitat, water, fire, favour)
    cover, parcel, row, within = _compose(plans, terrain, habitat, water, wild, blocks, town, u01, years)
    drawn = cover
    wish = None if given is None else Wish.of(given, terrain.window)
    if wish is not None:
        cover, parcel = wish.conformed(cover, parcel, plans, terrain.window)
        within = choose(wish.settled(), within, 0)
    drowned = flood(terrain, water, moments)
    surface = water.surface_m
    if drowned is not None:
        under, surface = drowned
        under &= cover != TERRAFICTA.index("building")
        cover = choose(under, TERRAFICTA.index("water"), cover).to(torch.uint8)
        parcel, row = choose(under, 0, parcel), choose(under, 0.0, row)
    white = snowed_in(climates, terrain, habitat, cover)
    cover = choose(white, TERRAFICTA.index("snow"), cover).to(torch.uint8)
    parcel, row = choose(white, 0, parcel), choose(white, 0.0, row)
    within = choose(cover == drawn, within, 0)
    crop = sow([p.crops for p in plans], cover, parcel, years)
    growth = planes([(1 - 0.45 * c.winter * c.seasons) * (1 - 0.55 * c.dryness) for c in climates], device)
    uneven = choose(TERRAFICTA.among(cover, EVEN_GROUND), EVENLY, 1.0)
    uneven = uneven * (0.07 * habitat.patch + 0.05 * habitat.stand + 0.05 * habitat.grain)
    vigour = ((0.1 + 0.85 * habitat.moisture) * growth + uneven).clamp(0.0, 1.0)
    taller = torch.tensor([CROWNS.get(name, 0.0) for name in TERRAFICTA.classes], device=device)[cover.long()]
    crowns = taller * (5.0 + 22.0 * habitat.moisture) * (0.85 + 0.15 * habitat.grain).clamp(0.3, 1.3)
    crowns = choose(parcel == 0, crowns, OPEN_GROWN * crowns)
    crowns, own = crowned(terrain.window, cover, crowns)
    vigour = (vigour + own).clamp(0.0, 1.0)
    height = choose(TERRAFICTA.among(cover, ("building", "road")), town.height_m, crowns)
    bridge = (cover == TERRAFICTA.index("road")) & water.river
    facts = [m.facts() for m in moments]
    return LandCover(cover, parcel, vigour, height, surface, crop, row, bridge, within, terrain.window, facts)


def _compose(
    plans: Sequence[CoverPlan],
    terrain: Terrain,
    habitat: Habitat,
    water: Water,
    wild: Tensor,
    blocks: Blocks,
    town: Settlement,
    u01: Tensor,
    years: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lay the layers over each other: what grows wild, fields, towns, water, roads.

    Returns
    -------
    tuple[Tensor, Tensor, Tensor, Tensor]
        (N, H, W) class, object, direction of rows, and what else lies within a cell
    """
    device, at = terrain.slope.device, TERRAFICTA.index
    cover = wild

    def lay(where: Tensor, what: Tensor | str) -> None:
        nonlocal cover
        value = at(what) if isinstance(what, str) else what
        cover = choose(where, value, cover).to(torch.uint8)

    free = ~(water.shore | water.open_water | water.tidal | town.inside)
    taken = TERRAFICTA.among(wild, UNTILLED) | ~free
    pits = dig(plans, terrain, habitat, free)
    dug = pits.pit | pits.lake | pits.heap
    stands = plant(plans, terrain, habitat, fell(plans, terrain, wild), u01)
    cover = stands.cover
    tree = torch.tensor([at(p.climate.planted_tree) for p in plans], device=device)[:, None, None]
    fields = farm(plans, terrain, habitat, blocks, ~(taken | dug), u01, tree, years)
    lay(fields.inside, fields.cover)
    swath = clear_swaths(plans, terrain, TERRAFICTA.among(cover, TIMBER), u01)
    lay(swath, choose(habitat.stand > 0.2, at("shrubland"), at("grassland")))
    lay(pits.pit, "quarry")
    lay(pits.heap, "bare_soil")
    canal = dig_canals(plans, terrain, free & ~dug, u01)
    lay(canal | pits.lake, "water")

    settled = Places.where(town.inside)
    own = _classes_of(settled.of(town.what), settled.of(town.lot), settled, habitat, wild, tree)
    lay(town.inside, settled.onto(own, 0))
    lay(town.roof, "building")
    lay(water.shore, "sand")
    lay(water.open_water, "water")
    bridge = town.main_road & water.river
    road = (town.road & ~water.open_water) | bridge
    lay(road, "road")

    more = _classes_of(town.more.what, town.more.identity, town.cells, habitat, wild, tree)
    mixed = packed(more, town.more.identity)
    within = choose(town.main_road, 0, town.cells.onto(mixed, 0))

    parcel = choose(fields.inside, fields.parcel, choose(dug, pits.bench, stands.parcel))
    parcel = choose(town.inside | road, town.lot, choose(swath | (cover == at("water")), 0, parcel))
    row = choose(fields.inside, fields.row, stands.row)
    if not bool((seen(terrain.cell_m) > 0).any()):
        return cover, parcel, row, within
    chance = choose(town.inside | swath | dug, 0.0, _parkland(plans, cover, habitat))
    below, alone = lone_trees(terrain.window, chance, seeds_of([p.seeds.cover for p in plans], device))
    under = below.onto(torch.ones_like(alone, dtype=torch.bool), False)
    lay(under, tree)
    parcel, row = choose(under, below.onto(alone | (1 << 37), 0), parcel), choose(under, 0.0, row)
    return cover, parcel, row, within


def _parkland(plans: Sequence[CoverPlan], cover: Tensor, habitat: Habitat) -> Tensor:
    """(N, H, W) 0..1: share of the places for single trees that have one; they gather where it is wetter."""
    device = cover.device
    thick = uniform(hashed(seeds_of([p.seeds.cover for p in plans], device), salt.Cover.PARKLAND))[:, None, None]
    usual, tilled = (planes([table.get(p.climate.kind, 0.0) for p in plans], device) for table in (PARKLAND, TILLED))
    share = choose(TERRAFICTA.among(cover, OPEN_GROUND), 1.0, 0.0)
    share = choose(cover == TERRAFICTA.index("cropland"), tilled, share)
    gathered = (0.7 + 0.6 * habitat.patch + 0.4 * habitat.stand).clamp(0.05, 2.0)
    grows = (habitat.summer_c > TREELINE_C) & (habitat.moisture > DRIEST_TREE)
    return choose(grows, (usual * thick * gathered).clamp(max=0.95) * share, 0.0)


def _classes_of(what: Tensor, identity: Tensor, cells: Places, habitat: Habitat, wild: Tensor, tree: Tensor) -> Tensor:
    """Classes (..., M) uint8 of what lies at places in towns; where it is too dry or cold, lawns are none.

    Parameters
    ----------
    what, identity : Tensor
        (..., M) as in `Built`
    cells : Places
        the M cells
    habitat : Habitat
        of all cells
    wild : Tensor
        (N, H, W) the class that would be there
    tree : Tensor
        (N, 1, 1) the class that is planted in gardens
    """
    device = what.device

    def at(name: str) -> Tensor:
        return torch.tensor(TERRAFICTA.index(name), dtype=torch.uint8, device=device)

    cold, dry = cells.of(habitat.summer_c) < BARREN_C, cells.of(habitat.moisture) < UNWATERED
    lawn = choose(dry & (identity & 7 > 1), at("bare_soil"), at("park"))
    lawn = choose(cold, at("grassland"), lawn)
    crown = choose(cold, at("grassland"), cells.each(tree.flatten().to(torch.uint8)))
    earth = choose(cells.of(wild) == at("sand"), at("sand"), at("bare_soil"))
    out = choose(what == STREET, at("road"), earth)
    out = choose(what == ROOF, at("building"), out)
    return choose(what == LAWN, lawn, choose(what == TREE, crown, out))
