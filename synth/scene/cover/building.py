"""Buildings: streets, lots, roofs and yards within the settled ground, from farmyard to city centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import partition
from terraficta.synth.scene.world.chance import fraction, hashed, turn, uniform
from terraficta.synth.scene.world.choice import choose
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.within import POOL_BIT, POOLS

HIGHWAY_M = 3000.0
"""typical distance between main roads [m]"""
PITCH = 0.55
"""rise over run of a pitched roof: 29 degrees"""
DRY, TROPICAL = ("desert", "steppe", "mediterranean"), ("savanna", "monsoon", "rainforest")
"""where towns are of courtyards, and where they are of small lots; elsewhere houses stand in gardens"""
PLANNED = {"desert": 0.6, "steppe": 0.3, "mediterranean": 0.1}
"""share of the scenes of dry climates whose towns are young: straight wide streets, villas, much ground laid out and
not built on yet; chosen"""
WALLED = {"desert": 0.95, "steppe": 0.5, "mediterranean": 0.3, "savanna": 0.5, "monsoon": 0.3}
"""most of the street blocks whose lots lie behind walls; chosen"""
PITCHED = {"desert": 0.04, "steppe": 0.4, "mediterranean": 0.75, "savanna": 0.7}
"""share of the street blocks with pitched roofs, elsewhere all; chosen"""
VACANT = {"desert": 0.3, "steppe": 0.2, "savanna": 0.2, "mediterranean": 0.1}
"""most of the street blocks that nobody has built on, elsewhere a few, in young towns twice; chosen"""
WALL_M = (0.3, 2.4)
"""width of a wall on either lot, and its height [m]"""
SITES = 0.16
"""share of the lots of vacant blocks with a slab or a shell of concrete"""
YARDS_OF_EARTH = 0.7
"""share of the lots whose bare yard is the ground that the town stands on, not brought there"""
GROUND = 1 << 36
"""mark of the identity of ground that nobody has made"""
LEVELS = (1.45, 1.2, 1.0, 0.9, 0.8)
"""sides of a lot from the rim of a town to its middle, over those of its region"""
TREE_M = 8.0
"""side of the squares in which a tree of a garden can stand [m]"""
BROADEST_M = 3.8
"""radius of the largest crown of a garden [m]"""
VEHICLE_M = 1.5
"""height of a vehicle [m]"""
KERB_M, LANE_M = (0.2, 2.0), (0.6, 2.4)
"""where vehicles stand, inwards from the kerb, and where they drive, outwards from the middle of the street [m]"""
PARKED_M, MOVING_M = 5.9, 24.0
"""from vehicle to vehicle in a full street [m]"""
STALL_M, AISLE_M = (2.6, 5.0), 16.0
"""width and length of a stall of a car park; from aisle to aisle, two rows of stalls between [m]"""
LINE_M = 0.13
"""width of a marking [m]"""
LINES_SEEN_M = 0.6
"""in cells wider than this no marking is seen [m]"""
ROOF, STREET, LAWN, TREE, BARE, PAVED = range(6)
"""what lies at a place in a town; in the end PAVED is STREET, of the pool of yards"""


@dataclass(frozen=True)
class TownPlan:
    """How the towns of one scene are built.

    Parameters
    ----------
    highway_m : float
        distance between main roads [m]
    block_m : tuple[float, float]
        sides of a street block [m]
    lot_m : tuple[float, float]
        sides of a lot [m]
    street_m : float
        half the width of a street [m]
    winding_m : float
        how far old streets stray from straight lines [m]
    compact : float
        0 houses far apart in gardens .. 1 wall to wall
    reach : float
        how far out towns stay dense, over their customary radius
    rows : float
        density from which on houses line the streets around courtyards
    estates : float
        share of the street blocks of some density with slabs or towers in green
    bare : float
        share of the yards that are trodden earth
    wooded : float
        share of the places in gardens at which a tree stands
    unpaved : float
        density below which streets are of gravel or earth
    industry : float
        share of the street blocks that are works
    greenery : float
        share of the street blocks that are parks
    main_m : float
        half the width of a main road [m]
    planned : bool
        a young town of dry land, of villas
    walled : float
        share of the street blocks whose lots lie behind walls
    pitched : float
        share of the street blocks with pitched roofs
    vacant : float
        share of the street blocks at the rim that nobody has built on
    """

    highway_m: float
    block_m: tuple[float, float]
    lot_m: tuple[float, float]
    street_m: float
    winding_m: float
    compact: float
    reach: float
    rows: float
    estates: float
    bare: float
    wooded: float
    unpaved: float
    industry: float
    greenery: float
    main_m: float
    planned: bool
    walled: float
    pitched: float
    vacant: float


def draw_town_plan(climate: Climate, key: SceneKey) -> TownPlan:
    """Draw one scene's way of building.

    Where dry courtyards and winding lanes, or villas in a wide grid; small lots in the tropics.
    """
    r = [float(v) for v in key.at("settlement", "plan").rng().random(14)]
    young, wall, left, wide = (float(v) for v in key.at("settlement", "dry").rng().random(4))
    dry, tropical = climate.kind in DRY, climate.kind in TROPICAL
    small = 0.75 if tropical or climate.kind == "desert" else 0.9 if dry else 1.0
    street = (2.6 + 2.8 * r[5]) * (0.8 if dry or tropical else 1.0)
    plan = TownPlan(
        highway_m=HIGHWAY_M * (0.6 + r[0]),
        block_m=(70 + 90 * r[1], 55 + 50 * r[2]),
        lot_m=(small * (15 + 13 * r[3]), small * (22 + 13 * r[4])),
        street_m=street,
        winding_m=36.0 * max(r[6] - (0.1 if dry else 0.3), 0.0),
        compact=min(1.0, r[7] * 0.8 + (0.3 if dry else 0.2 if tropical else 0.0)),
        reach=0.45 * 5.0 ** r[8],
        rows=(0.5 if dry else 0.62) + 0.25 * r[9],
        estates=0.3 * r[10] ** 2,
        bare=(0.35 + 0.6 * r[11]) if dry else (0.1 + 0.5 * r[11]) if tropical else 0.25 * r[11] ** 2,
        wooded=(0.08 + 0.3 * r[12]) if dry else 0.2 + 0.6 * r[12],
        unpaved=(0.2 + 0.3 * r[13]) if tropical or dry else 0.3 * r[13],
        industry=climate.industry,
        greenery=climate.greenery * (0.5 if climate.kind == "desert" else 1.0),
        main_m=1.25 * street,
        planned=young < PLANNED.get(climate.kind, 0.0),
        walled=WALLED.get(climate.kind, 0.0) * wall,
        pitched=PITCHED.get(climate.kind, 1.0),
        vacant=VACANT.get(climate.kind, 0.05) * left,
    )
    return _young(plan, r, wide) if plan.planned else plan


def _young(plan: TownPlan, r: Sequence[float], wide: float) -> TownPlan:
    """A town of the same region laid out at once, for cars; `r`, `wide` numbers in [0, 1)."""
    street = 3.6 + 3.4 * r[5]
    return replace(
        plan,
        block_m=(130 + 120 * r[1], 58 + 30 * r[2]),
        lot_m=(17 + 11 * r[3], 22 + 10 * r[4]),
        street_m=street,
        winding_m=0.0,
        compact=0.05 + 0.5 * r[7],
        rows=0.75 + 0.3 * r[9],
        unpaved=0.25 * r[13] ** 2,
        main_m=street * (1.2 + 2.4 * wide),
        pitched=0.6 * plan.pitched,
        vacant=2 * plan.vacant,
    )


@dataclass(frozen=True)
class Spots:
    """Places in towns (M,).

    Parameters
    ----------
    y_m, x_m : Tensor
        where in the world, float32 [m]
    scene : Tensor
        int64, which of the N plans
    town : Tensor
        int64 identity of the town
    density : Tensor
        0 open country .. 1 the middle of a city
    bend : Tensor
        how far old streets stray, of unit variance
    cell_m : Tensor
        side of the cell that a place stands for [m]
    u01 : Tensor
        uniform in [0, 1): lines narrower than a cell are drawn by their share of it
    """

    y_m: Tensor
    x_m: Tensor
    scene: Tensor
    town: Tensor
    density: Tensor
    bend: Tensor
    cell_m: Tensor
    u01: Tensor

    @property
    def lines_seen(self) -> bool:
        """Whether any stands for a cell small enough to show a marking, or a wall."""
        return len(self.cell_m) > 0 and float(self.cell_m.amin()) < LINES_SEEN_M

    def some(self, at: Tensor, y_m: Tensor, x_m: Tensor) -> Spots:
        """Other places, near those at (K,)."""
        rest = (
            value.index_select(0, at)
            for value in (self.scene, self.town, self.density, self.bend, self.cell_m, self.u01)
        )
        return Spots(y_m, x_m, *rest)


@dataclass(frozen=True)
class Built:
    """What was built at places (M,).

    Parameters
    ----------
    what : Tensor
        int8: ROOF, STREET, PAVED, LAWN, TREE or BARE
    identity : Tensor
        int64 of the building on a roof, else of the lot; with the pool of materials that it is of
    height_m : Tensor
        of roofs and vehicles above the ground; pitched on houses, flat on halls and rows [m]
    """

    what: Tensor
    identity: Tensor
    height_m: Tensor


@dataclass(frozen=True)
class _Object:
    """What each place (M,) lies in, by its identity; numbers are drawn once."""

    identity: Tensor
    _drawn: dict[salt.Salt, Tensor] = field(default_factory=dict, kw_only=True, repr=False, compare=False)

    def draw(self, number: salt.Salt) -> Tensor:
        """(M,) uniform in [0, 1), one an object."""
        if number not in self._drawn:
            self._drawn[number] = uniform(self.identity, number)
        return self._drawn[number]


@dataclass(frozen=True)
class _Block(_Object):
    """The street block of each place (M,): identity, use, and the frame of its streets."""

    street: Tensor
    along_m: Tensor
    across_m: Tensor
    u: Tensor
    v: Tensor
    inner_m: Tensor
    dense: Tensor
    works: Tensor
    park: Tensor
    square: Tensor
    estate: Tensor
    rows: Tensor
    vacant: Tensor
    walled: Tensor


@dataclass(frozen=True)
class _Lot(_Object):
    """The lot of each place (M,): identity, place in it from its corner, its sides [m]."""

    u: Tensor
    v: Tensor
    side_u: Tensor
    side_v: Tensor

    @property
    def wall_m(self) -> Tensor:
        return torch.minimum(torch.minimum(self.u, self.side_u - self.u), torch.minimum(self.v, self.side_v - self.v))

    def within(self, half_u: Tensor | float, half_v: Tensor | float) -> Tensor:
        """Whether a place lies in a rectangle around its middle."""
        return ((self.u - 0.5 * self.side_u).abs() < half_u) & ((self.v - 0.5 * self.side_v).abs() < half_v)


def build(plans: Sequence[TownPlan], spots: Spots) -> Built:
    """Build at places in towns.

    What stands on a lot hangs on its town and on the density alone, not on how far the town reaches by now: a town that
    grows adds quarters and changes none.

    Parameters
    ----------
    plans : Sequence[TownPlan]
        one a scene
    spots : Spots
        the M places
    """
    table = torch.tensor([_numbers(plan) for plan in plans], device=spots.y_m.device)
    of_scene = table.T if len(plans) == 1 else table.T.index_select(1, spots.scene)
    number = dict(zip(NUMBERS, of_scene, strict=True))
    block = _block(number, spots)
    lot = _lot(number, block)
    roof, height_m, large = _roofs(number, block, lot)
    what, yard = _yards(number, block, lot, spots)
    tree = _trees(number, block, spots, what)
    what = choose(tree, TREE, what)
    roof &= block.inner_m > 1.0
    if any(plan.walled for plan in plans) and spots.lines_seen:
        wall = block.walled & ~roof & ((lot.wall_m < WALL_M[0]) | (block.inner_m < 1.0 + 2 * WALL_M[0]))
        wall &= (block.inner_m > 1.0) & (spots.cell_m < LINES_SEEN_M)
        height_m, roof = choose(wall, WALL_M[1], height_m), roof | wall
    what = choose(roof, ROOF, what)
    pool = choose(roof, large, yard).view(torch.int8)
    identity = choose(block.park | block.square, block.identity, lot.identity)
    identity = choose(~roof & (block.inner_m < 0), block.street, identity)
    made = ~block.vacant & (lot.draw(salt.Lot.EARTH) > YARDS_OF_EARTH)
    earth = (what == BARE) & ~made
    identity = choose(earth, hashed(spots.town, salt.TownSeed.GROUND) | GROUND, identity)
    vehicle, car, line = _traffic(block, lot, spots, (what == STREET) & ~yard)
    vehicle_pool, line_pool = (POOLS["road"].index(name) for name in ("vehicle", "marking"))
    pool = choose(vehicle, vehicle_pool, pool if line is None else choose(line, line_pool, pool)).to(torch.int64)
    identity = choose(vehicle, car, identity) | pool << POOL_BIT
    return Built(what, identity, choose(roof, height_m, choose(vehicle, VEHICLE_M, 0.0)))


NUMBERS = (
    "street_m", "winding_m", "rows", "estates", "bare", "wooded", "unpaved", "industry", "greenery", "planned",
    "walled", "pitched", "vacant", "block_u", "block_v", "lot_u", "lot_v",
)  # fmt: skip
"""what places need of a plan"""


def _numbers(plan: TownPlan) -> list[float]:
    return [*(getattr(plan, name) for name in NUMBERS[:-4]), *plan.block_m, *plan.lot_m]


def _block(number: dict[str, Tensor], spots: Spots) -> _Block:
    town = spots.town
    sin, cos = turn(town, salt.Town.DIRECTION)
    stray = spots.bend * number["winding_m"] * (uniform(town, salt.Town.WINDING) < 0.6)
    u, v = spots.x_m * cos + spots.y_m * sin + stray, spots.y_m * cos - spots.x_m * sin - stray
    i, du, _ = partition(u / number["block_u"], hashed(town, salt.TownSeed.BLOCKS_U), 0.5)
    j, dv, _ = partition(v / number["block_v"], hashed(town, salt.TownSeed.BLOCKS_V), 0.5)
    block = hashed(town, i, j)
    dense = spots.density + 0.22 * (uniform(block, salt.StreetBlock.DENSITY) - 0.5)
    street = number["street_m"] * (0.6 + 0.8 * spots.density)
    across = torch.minimum(du * number["block_u"], dv * number["block_v"])
    inner = across - street
    # what a street block is used for: rows in the middle, works at the rim, parks anywhere
    works = (uniform(block, salt.StreetBlock.WORKS) < number["industry"]) & (dense > 0.22) & (dense < 0.62)
    park = (uniform(block, salt.StreetBlock.USE) < number["greenery"]) & ~works & (dense > 0.2)
    square = (uniform(block, salt.StreetBlock.SQUARE) < 0.06 * dense) & ~works & ~park
    idle = number["vacant"] * (1.3 - dense).clamp(max=1.0)
    vacant = (uniform(block, salt.StreetBlock.VACANT) < idle) & ~(works | park | square)
    rest = ~(works | park | square | vacant)
    estate = rest & (uniform(block, salt.StreetBlock.ESTATE) < number["estates"]) & (dense > 0.3)
    # a street is of one piece: the line of blocks that it runs along
    first = du * number["block_u"] < dv * number["block_v"]
    line = choose(first, torch.floor(u / number["block_u"] + 0.5), torch.floor(v / number["block_v"] + 0.5))
    way = hashed(town, salt.TownSeed.STREETS, line.to(torch.int64), first.to(torch.int64))
    rows = rest & ~estate & (dense > number["rows"])
    along = choose(first, v, u)
    walled = (uniform(block, salt.StreetBlock.WALLED) < number["walled"]) & ((rest & ~estate & ~rows) | works)
    return _Block(block, way, along, across, u, v, inner, dense, works, park, square, estate, rows, vacant, walled)


def _lot(number: dict[str, Tensor], block: _Block) -> _Lot:
    own = block.identity
    level = ((block.dense + 0.2 * (uniform(own, salt.StreetBlock.LEVEL) - 0.5)) * len(LEVELS)).long()
    level = level.clamp(0, len(LEVELS) - 1)
    scale = torch.tensor(LEVELS, device=own.device)[level]
    level = choose(block.works, 8, choose(block.estate, 9, level))
    whole_u = choose(block.works, 58.0, choose(block.estate, 42.0, number["lot_u"] * scale))
    whole_v = choose(block.works, 76.0, choose(block.estate, 62.0, number["lot_v"] * scale))
    a, pu, side_u = _piece(block.u / whole_u, hashed(own, salt.StreetBlock.LOTS_U, level))
    b, pv, side_v = _piece(block.v / whole_v, hashed(own, salt.StreetBlock.LOTS_V, level))
    identity = hashed(own, level, a, b)
    return _Lot(identity, pu * whole_u, pv * whole_v, side_u * whole_u, side_v * whole_v)


def _piece(along: Tensor, seed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number of the piece of a line, the way into it from its start, its length; as `partition` cuts."""
    piece, _, length = partition(along, seed, 0.4)
    start = piece.to(torch.float32) + 0.4 * (fraction(hashed(seed, piece)) - 0.5)
    return piece, along - start, length


def _roofs(number: dict[str, Tensor], block: _Block, lot: _Lot) -> tuple[Tensor, Tensor, Tensor]:
    """Roof or not, its height [m], whether it is of a large building; all (M,)."""
    dense, inner, wall = block.dense, block.inner_m, lot.wall_m
    own, depth = lot.draw(salt.Lot.SIZE), lot.draw(salt.Lot.DEPTH)
    lucky = lot.draw(salt.Lot.BUILT)
    # houses apart, or side by side where it is denser; a shed in a corner of the garden
    terraced = block.draw(salt.StreetBlock.TERRACED) < 1.6 * dense - 0.35
    side = choose(terraced, lot.side_u, 9.0 + 8.0 * own)
    half_u = 0.5 * torch.minimum(side, lot.side_u - choose(terraced, 0.0, 2.0))
    half_v = 0.5 * torch.minimum(8.5 + 5.5 * depth, lot.side_v - 5.0)
    house = lot.within(half_u, half_v) & (lucky < 0.68 + 0.45 * dense)
    ridge = PITCH * (half_v - (lot.v - 0.5 * lot.side_v).abs()).clamp(0.0, 5.0)
    ridge = choose(block.draw(salt.StreetBlock.PITCHED) < number["pitched"], ridge, 0.0)
    shed = (lot.u > 1.0) & (lot.u < 3.5 + 3.5 * own) & (lot.v > 1.0) & (lot.v < 4.0 + 3.0 * depth)
    shed &= lot.draw(salt.Lot.SHED) < 0.55
    if bool(block.walled.any()) or bool((number["planned"] > 0).any()):
        house, shed = _dry_houses(number, block, lot, house, shed)
    house_m = choose(house, 2.5 + 3.0 * (1 + 1.4 * own) + ridge, 2.6)
    roof = (house | shed) & ~(block.park | block.square)
    # rows along the streets; behind them more, the nearer to the middle
    row = (inner > 1.5) & (inner < 10 + 7 * own + 6 * dense) & (own > 0.05)
    behind = (inner > 1.5) & (wall > 1.2) & (lucky < 1.3 * dense - 0.45)
    floors = 2.0 + (1.0 + 6.0 * (dense - 0.5).clamp(min=0.0)) * block.draw(salt.StreetBlock.TOWER)
    roof = choose(block.rows, row | behind, roof)
    height = choose(block.rows, 1.0 + 3.1 * floors * (0.8 + 0.3 * own), house_m)
    # slabs and towers in green; halls that fill their yards
    tower = block.draw(salt.StreetBlock.TOWER) < 0.35
    slab = lot.within(choose(tower, 10.0, 6.5), choose(tower, 10.0, 0.5 * lot.side_v - 7.0))
    roof = choose(block.estate, slab & (inner > 6.0) & (lucky < 0.85), roof)
    height = choose(block.estate, choose(tower, 28.0 + 40.0 * own, 10.0 + 14.0 * own), height)
    hall = (wall > 3.5 + 6.0 * own) & (inner > 7.0) & (lucky < 0.72)
    roof = choose(block.works, hall, roof)
    height = choose(block.works, 5.5 + 7.0 * own, height)
    grand = choose(block.rows, own + 0.9 * dense > 1.25, dense + 0.5 * own > 0.95)  # flat roofs of the middle
    # shells of concrete on ground laid out and not built on
    roof = choose(block.vacant, (wall > 4.0) & (inner > 5.0) & (lucky < 0.6 * SITES), roof)
    height = choose(block.vacant, 3.0 + 3.0 * own, height)
    large = block.works | block.estate | grand | block.vacant
    return roof, height, large


def _dry_houses(
    number: dict[str, Tensor], block: _Block, lot: _Lot, house: Tensor, shed: Tensor
) -> tuple[Tensor, Tensor]:
    """Houses and sheds (M,) as they are, but for villas, and for rooms along the walls of a court."""
    own, depth = lot.draw(salt.Lot.SIZE), lot.draw(salt.Lot.DEPTH)
    lucky, wall = lot.draw(salt.Lot.BUILT), lot.wall_m
    near_u, near_v = lot.u / lot.side_u, lot.v / lot.side_v
    young = number["planned"] > 0
    notch = (near_u > 0.5 + 0.2 * own) & (near_v > 0.45 + 0.3 * depth)
    villa = lot.within(lot.side_u * (0.27 + 0.12 * own), lot.side_v * (0.24 + 0.14 * depth)) & ~notch & (wall > 1.5)
    rooms = (near_v < 0.24 + 0.22 * depth) | ((near_u < 0.32) & (own > 0.35)) | ((near_v > 0.78) & (own > 0.75))
    rooms &= lucky < 0.7 + 0.4 * block.dense
    court = block.walled & ~young
    house = choose(young, villa & (lucky < 0.92), choose(court, rooms, house))
    return house, shed & ~court & ~(young & (own < 0.5))


def _yards(number: dict[str, Tensor], block: _Block, lot: _Lot, spots: Spots) -> tuple[Tensor, Tensor]:
    """What lies between the roofs, and the pool of what is paved; both (M,)."""
    inner, dense = block.inner_m, block.dense
    kind, where = lot.draw(salt.Lot.YARD), lot.draw(salt.Lot.GARDEN)
    garden = 0.7 * block.draw(salt.StreetBlock.GARDEN) + 0.3 * where
    bare = garden < number["bare"]
    open_ground = choose(bare, BARE, torch.full_like(bare, LAWN, dtype=torch.int8))
    # gardens: a drive from the street, a terrace behind the house
    drive = (lot.u > lot.side_u - 2.8) & (lot.v < 0.45 * lot.side_v) & (kind < 0.7)
    terrace = lot.within(4.0 * where, 0.5 * lot.side_v * (0.3 + 0.3 * kind)) & (where > 0.45)
    yard = choose(drive | terrace | (kind < 0.8 * dense - 0.3), PAVED, open_ground)
    # courts are paved or green; slabs stand in lawns with car parks; works on hard standing
    court = choose(kind < 0.9 * dense - 0.05, PAVED, open_ground)
    yard = choose(block.rows, court, yard)
    strip = (lot.u < 9.0) & (kind < 0.7)
    yard = choose(block.estate, choose(strip, STREET, open_ground), yard)
    standing = choose(where < 0.4, BARE, torch.full_like(open_ground, LAWN))
    standing = choose(kind < 0.35, STREET, choose(kind < 0.75, PAVED, standing))
    yard = choose(block.works, choose((inner < 4.0) & (where < 0.6), LAWN, standing), yard)
    yard = choose(block.square, PAVED, yard)
    yard = choose(block.square & (garden < 0.65), STREET, yard)
    path = (lot.u - 0.5 * lot.side_u).abs() < 1.2
    yard = choose(block.park, LAWN, yard)
    yard = choose(block.park & path & (kind < 0.5), PAVED, yard)
    slab = lot.within(0.3 * lot.side_u, 0.3 * lot.side_v) & (lot.draw(salt.Lot.BUILT) > 1 - 0.4 * SITES)
    yard = choose(block.vacant, BARE, yard)
    yard = choose(block.vacant & slab, PAVED, yard)
    footway = ~block.vacant & (inner < 1.5) & (dense > 0.4)
    yard = choose(footway, PAVED, yard)
    lane = spots.density < number["unpaved"]
    street = inner < 0
    what = choose(street, STREET, yard)
    paved = (what == PAVED) | lane
    return choose(what == PAVED, STREET, what), paved


def _trees(number: dict[str, Tensor], block: _Block, spots: Spots, what: Tensor) -> Tensor:
    """(M,) bool: crowns of gardens, parks, courts, car parks and avenues."""
    u, v = spots.x_m / TREE_M, spots.y_m / TREE_M
    column, line = torch.floor(u), torch.floor(v)
    tree = hashed(spots.town, salt.TownSeed.TREES, column.to(torch.int64), line.to(torch.int64))
    dx, dy = (way - 0.3 - 0.4 * uniform(tree, side) for way, side in
              ((u - column, salt.GardenTree.X), (v - line, salt.GardenTree.Y)))  # fmt: skip
    spread = BROADEST_M / TREE_M * (0.5 + 0.5 * uniform(tree, salt.GardenTree.SPREAD))
    avenue = block.draw(salt.StreetBlock.AVENUE) < 0.4
    wooded = number["wooded"]
    chance = choose(block.works | block.square | block.vacant, 0.15 * wooded, wooded)
    chance = choose(block.park, 0.15 + wooded, chance)
    kerb = (block.inner_m > -1.5) & (block.inner_m < 3.0)
    chance = choose(kerb, choose(avenue, wooded.sqrt(), 0.5 * wooded), chance)
    chance = choose(what == STREET, choose(kerb & avenue, chance, 0.3 * chance), chance)
    return (
        (dx * dx + dy * dy < spread * spread)
        & (uniform(tree, salt.GardenTree.PRESENT) < chance)
        & (block.inner_m > -1.5)
    )


def _traffic(block: _Block, lot: _Lot, spots: Spots, paved: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Whether a vehicle stands there, which, and whether a line is painted there, all (M,); None: no line is seen."""
    half = block.across_m - block.inner_m
    kerb = (block.inner_m < -KERB_M[0]) & (block.inner_m > -KERB_M[1]) & (half > 2.9)
    lane = (block.across_m > LANE_M[0]) & (block.across_m < LANE_M[1]) & ~kerb & (block.inner_m < 0)
    pitch = choose(kerb, PARKED_M, MOVING_M)
    slot = torch.floor(block.along_m / pitch)
    way = block.along_m - slot * pitch
    on_street = hashed(block.identity, salt.StreetBlock.VEHICLES, slot.to(torch.int64), kerb.to(torch.int64))
    many = choose(kerb, 0.08 + 0.55 * block.dense, 0.05 + 0.25 * block.dense)
    stands = (kerb | lane) & (way > 0.7) & (way < 5.2) & (uniform(on_street, salt.Vehicle.PRESENT) < many)
    # car parks: two rows of stalls, an aisle
    ranks = torch.floor(lot.u / AISLE_M)
    deep = lot.u - ranks * AISLE_M
    rank = torch.floor(deep / STALL_M[1])
    stall = torch.floor(lot.v / STALL_M[0])
    u, v = deep - rank * STALL_M[1], lot.v - stall * STALL_M[0]
    in_park = (block.inner_m > 0) & (rank < 2)
    parked = hashed(lot.identity, salt.Lot.VEHICLES, stall.to(torch.int64), (2 * ranks + rank).to(torch.int64))
    full = uniform(parked, salt.Vehicle.PRESENT) < 0.9 * lot.draw(salt.Lot.FULL)
    stands |= in_park & full & (u > 0.4) & (u < 4.7) & (v > 0.4) & (v < 2.2)
    vehicle = stands & paved
    car = choose(in_park, parked, on_street)
    if not spots.lines_seen:
        return vehicle, car, None
    near = choose(in_park, torch.minimum(v, STALL_M[0] - v), 1e3)
    dash = (block.inner_m < 0) & (half > 2.7) & (block.dense > 0.3) & (torch.remainder(block.along_m, 9.0) < 4.0)
    near = choose(dash, block.across_m, near)
    width = torch.maximum(spots.cell_m, torch.full_like(spots.cell_m, LINE_M))
    line = (near < 0.5 * width) & (spots.u01 * width < LINE_M) & (spots.cell_m < LINES_SEEN_M)
    return vehicle, car, line & paved & ~vehicle
