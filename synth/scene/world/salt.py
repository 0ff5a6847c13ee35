"""Salts: the names of the numbers that tell apart what is drawn from one seed. One registry for all rooms.

A seed, or the identity of an object, is good for many fields and numbers: `hashed(seed, salt.Coast.BARS)` is the seed
of one field of it, `uniform(identity, salt.Cirque.RADIUS)` one number of an object. A salt's value is part of the
scene: to change one is to draw another world, so values are never renumbered, and a new salt takes a free one.

To add a group: below the heading of your room, a class `@unique class Thing(Salt)`, named for the seed or the object
whose identity it salts; its docstring says which that is, each member's name what it decides. Where two groups salt
the same number (sites have places, whatever stands there), put the pair into `SALTED_TOGETHER`. Import the module and
write `salt.Thing.MEMBER`. Loops may count (`hashed(seed, salt.Thing.OCTAVES, k)`), but no bare number is a salt:
`tests/unit/test_salt.py` holds it for every room in its list `DONE`; add yours.
"""

from __future__ import annotations

from enum import IntEnum, unique


class Salt(IntEnum):
    """Base of the groups: an integer with a name."""


# --- world ------------------------------------------------------------------------------------------------------------


@unique
class Lattice(Salt):
    """The seed of a lattice (`fbm`, `gradient_noise`, `warp`, `voronoi`)."""

    PHASE_Y = 1
    PHASE_X = 2
    WARP = 77


@unique
class Site(Salt):
    """The identity of a square of a lattice: where in it its site lies."""

    Y = 0
    X = 1


# --- terrain ----------------------------------------------------------------------------------------------------------


@unique
class Wander(Salt):
    """`TerrainSeeds.wander`."""

    BEND_Y = 0
    BEND_X = 1
    WIGGLE = 2
    MEANDER = 3


@unique
class Drainage(Salt):
    """`TerrainSeeds.drainage`."""

    FIRST_GUESS = 1
    UPLIFT = 2
    BUMPS = 3
    FLOW_BIAS = 4
    LATTICE_PHASE = 9


@unique
class Valleys(Salt):
    """`TerrainSeeds.valleys`."""

    CORNER = 5


@unique
class Line(Salt):
    """The identity of a line between two corners of the lattice of great valleys."""

    PASS_HEIGHT = 1


@unique
class Node(Salt):
    """The identity of a node of the drainage, `Drainage.place`."""

    KETTLE = 21
    KETTLE_SIZE = 22
    KETTLE_KEPT = 23
    MEANDER = 24


@unique
class RaisedGround(Salt):
    """`TerrainSeeds.ground`."""

    GULLY = 2
    FINE = 3
    BROAD = 4


@unique
class Shore(Salt):
    """`TerrainSeeds.shore`."""

    LINE = 1


@unique
class Coast(Salt):
    """`TerrainSeeds.coast`."""

    CLIFFS = 1
    BARS = 2


@unique
class Dunes(Salt):
    """`TerrainSeeds.style` of a scene with dunes."""

    SWING = 1
    ROW = 2
    SAND = 9


@unique
class Barchan(Salt):
    """The identity of the site of a crescent dune."""

    SIZE = 2
    PRESENT = 3


@unique
class Glacier(Salt):
    """`TerrainSeeds.style` of a glacial scene."""

    CIRQUES = 1
    DRUMLINS = 2
    DRUMLIN_FIELD = 3


@unique
class Cirque(Salt):
    """The identity of the site of a cirque."""

    RADIUS = 2


@unique
class Drumlin(Salt):
    """The identity of the site of a drumlin."""

    LENGTH = 2
    HEIGHT = 3
    PRESENT = 4


@unique
class Karst(Salt):
    """`TerrainSeeds.style` of a scene on limestone."""

    DOLINES = 1
    DOLINE_CLUSTERS = 2
    CONES = 3
    CONE_CLUSTERS = 4
    BEND = 5


@unique
class Doline(Salt):
    """The identity of the site of a doline."""

    RADIUS = 2
    DEPTH = 3


@unique
class Cone(Salt):
    """The identity of the site of a cone."""

    RADIUS = 2
    STOUTNESS = 3
    PRESENT = 4


# --- cover ------------------------------------------------------------------------------------------------------------


@unique
class Cover(Salt):
    """`CoverSeeds.cover`."""

    REGION = 1
    PATCH = 2
    STAND = 3
    GRAIN = 4
    LONE_TREES = 5
    PARKLAND = 6
    FIRE = 31


@unique
class Water(Salt):
    """`CoverSeeds.water`."""

    BREADTH = 1


@unique
class Pond(Salt):
    """The hash of `CoverSeeds.water` and a node of the drainage: what may hold water there."""

    DAM = 7
    HEIGHT = 8


@unique
class Dam(Salt):
    """That hash again, salted by `Pond`: a number of its own."""

    SHARE = 1


@unique
class Field(Salt):
    """`CoverSeeds.field`."""

    BEND = 1
    BLOCKS = 2
    SURVEY = 3
    PIVOTS = 9


@unique
class Survey(Salt):
    """The seed of a survey, the identity of a block, or `CoverSeeds.power_line`: which way its lines run."""

    DIRECTION = 2


@unique
class Block(Salt):
    """The identity of a block of fields."""

    WIDTH = 3
    STRETCH = 4
    TERRACED = 5
    HABIT = 11
    FARMED = 14
    HEDGE = 15


@unique
class BlockSeed(Salt):
    """The same identity, as the seed of what it is cut into."""

    STRIPS = 5


@unique
class Corner(Salt):
    """The identity of the place where three blocks meet."""

    FARMSTEAD = 2
    YARD = 3
    TRACK = 16
    VILLAGE = 17


@unique
class Strip(Salt):
    """The identity of a row of fields in a block."""

    FIELDS = 6
    LENGTH = 7
    HEDGED = 16


@unique
class Parcel(Salt):
    """The identity of a field."""

    USE = 12
    FOLLOWS_BLOCK = 13
    LEY_BEGUN = 51


@unique
class ParcelYear(Salt):
    """The hash of a field's identity and a year, or of a ley that lasts for several."""

    FALLOW = 14
    LEY = 52
    CROP = 53


@unique
class Pivot(Salt):
    """The identity of the square of a centre pivot."""

    PRESENT = 1
    HALVED = 2


@unique
class Forestry(Salt):
    """`CoverSeeds.forestry`."""

    DIRECTION = 1
    ROWS = 3
    STANDS = 4
    LOTS = 6
    PLOT = 7
    ESTATE_ROWS = 11
    ESTATES = 12
    ESTATE = 13


@unique
class StandRow(Salt):
    """The identity of a row of stands."""

    WIDTH = 4


@unique
class Stand(Salt):
    """The identity of a stand of forest."""

    ORDER = 5


@unique
class Plot(Salt):
    """The identity of what one settler clears."""

    DEPTH = 8


@unique
class Estate(Salt):
    """The identity of an estate of plantations."""

    WIDTH = 1
    DEPTH = 2
    ROWS = 14
    COLUMNS = 15
    PLANTED = 16


@unique
class Compartment(Salt):
    """The identity of a compartment of an estate."""

    PLANTED = 17
    FELLED = 18


@unique
class Squares(Salt):
    """The seed of the squares in which quarries of one size lie: where the squares begin."""

    Y = 0
    X = 1


@unique
class Pit(Salt):
    """The identity of such a square: the pit in it."""

    Y = 1
    X = 2
    AREA = 3
    STEPS = 4
    LAKE = 5
    DIRECTION = 6
    SLENDER = 7
    FLOOR = 8


@unique
class PowerLine(Salt):
    """The seed of the power lines in one of two directions, of `CoverSeeds.power_line`."""

    BEND = 5
    LINES = 6


@unique
class Corridor(Salt):
    """The identity of a canal or a power line."""

    PLACE = 1
    WIDTH = 2
    BUILT = 3


@unique
class Settlement(Salt):
    """`CoverSeeds.settlement`."""

    ROAD_BEND = 1
    ROADS = 2
    OUTLINE = 3
    STREET_BEND = 4


@unique
class RoadCell(Salt):
    """The identity of the ground between main roads."""

    STRETCH = 11


@unique
class Stretch(Salt):
    """The identity of a stretch of main road."""

    LONG_BRIDGE = 1


@unique
class Town(Salt):
    """The identity of the place where main roads meet, or of a farmstead: its town."""

    SIZE = 1
    DIRECTION = 5
    WINDING = 6


@unique
class TownSeed(Salt):
    """The same identity, as the seed of the grid of its streets."""

    BLOCKS_U = 6
    BLOCKS_V = 7
    TREES = 8
    STREETS = 9
    GROUND = 10


@unique
class StreetBlock(Salt):
    """The identity of a block between streets."""

    USE = 1
    WORKS = 3
    DENSITY = 4
    GARDEN = 5
    LOTS_U = 8
    LOTS_V = 9
    ESTATE = 11
    TOWER = 12
    SQUARE = 13
    AVENUE = 14
    TERRACED = 15
    LEVEL = 16
    VEHICLES = 17
    VACANT = 18
    WALLED = 19
    PITCHED = 20


@unique
class Lot(Salt):
    """The identity of a lot in a street block."""

    SIZE = 2
    BUILT = 3
    GARDEN = 4
    DEPTH = 5
    YARD = 6
    SHED = 7
    VEHICLES = 8
    FULL = 9
    EARTH = 10


@unique
class Vehicle(Salt):
    """The identity of a place for a vehicle, in a street or a car park."""

    PRESENT = 1


@unique
class GardenTree(Salt):
    """The identity of a square in which a tree of a garden or a street can stand."""

    PRESENT = 1
    Y = 2
    X = 3
    SPREAD = 4


@unique
class Spot(Salt):
    """The number of a cell: a second one, for the place within it at which a house is looked for."""

    X = 9


@unique
class GivenLots(Salt):
    """`CoverSeeds.lot`."""

    ROWS = 1
    COLUMNS = 2


@unique
class GivenLot(Salt):
    """The identity of a lot on ground that a given map says is built up."""

    PAVED = 1


@unique
class EveryScene(Salt):
    """The seed 0, which all scenes share."""

    CROWNS = 41


@unique
class LoneTree(Salt):
    """The identity of a square in which a tree of open country can stand."""

    PRESENT = 1
    Y = 2
    X = 3
    SPREAD = 4


@unique
class Tree(Salt):
    """The identity of a tree."""

    HEIGHT = 7
    GAP = 8
    KIND = 9


@unique
class Burn(Salt):
    """`Event.seed` of a fire, to which it is added."""

    REGROWTH = 1


@unique
class Reaped(Salt):
    """The hash of `Event.seed` of a harvest and the identity of a field."""

    CUT = 1


@unique
class Slide(Salt):
    """The identity of the site of a landslide."""

    PRESENT = 3
    SIZE = 4


# --- material ---------------------------------------------------------------------------------------------------------


@unique
class Material(Salt):
    """The identity of an object: what it is made of."""

    GROUP = 0
    VARIANT = 1


SALTED_TOGETHER: tuple[tuple[type[Salt], type[Salt]], ...] = (
    (Site, Barchan),
    (Site, Cirque),
    (Site, Drumlin),
    (Site, Doline),
    (Site, Cone),
    (Site, Block),
    (Site, BlockSeed),
    (Site, Survey),
    (Site, RoadCell),
    (Site, Tree),
    (Site, Slide),
    (Block, Survey),
    (BlockSeed, Survey),
    (Corner, Town),
    (Corner, TownSeed),
)
"""groups that salt one and the same number: they share no value"""
