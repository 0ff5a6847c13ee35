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
)
"""groups that salt one and the same number: they share no value"""
