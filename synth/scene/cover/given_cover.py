"""The wish: what a given class map allows each cell to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from terraficta.synth.scene.cover.climate import Climate
from terraficta.synth.scene.cover.plan import CoverPlan
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.cells import partition
from terraficta.synth.scene.world.chance import hashed, per_scene, seeds_of, uniform
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.crosswalk import crosswalk_to
from terraficta.synth.types.legend import TERRAFICTA

LOT_M = (24.0, 18.0)
"""sides of the lots that fill built-up ground on which the generator set no town [m]"""
BUILT = 0.45
"""share of such lots with a roof; the others are paved"""
ROLES = ("shrubland", "grassland", "cropland", "wetland", "bare_soil", "moss_lichen", "mangrove", "snow", "water")
"""what a class that allows several becomes, after the trees of the climate, when nothing drawn fits"""


@dataclass(frozen=True)
class Wish:
    """What N scenes may hold.

    Parameters
    ----------
    given : Tensor
        (N, H, W) int64 class of the given map; -1: anything goes
    allowed : Tensor
        (G + 1, K) bool, which of our classes each of theirs may be; the last row is for -1
    """

    given: Tensor
    allowed: Tensor

    @classmethod
    def of(cls, land: GivenLand, window: Window) -> Wish | None:
        """The class map under N windows, whose cells are counted from its corner; None where no map is given."""
        if land.cover is None or land.legend is None:
            return None
        given = torch.stack([land.cover_at(y, x) for y, x in zip(window.y_m, window.x_m, strict=True)])
        may = crosswalk_to(land.legend.name).matrix(given.device) > 0
        return cls(given, torch.cat([may, torch.ones_like(may[:1])]))

    def settled(self) -> Tensor:
        """(N, H, W) bool: where a town may stand, and a cell so hold more than its own class."""
        return self.allowed[self.given, TERRAFICTA.index("building")]

    def conformed(
        self, cover: Tensor, parcel: Tensor, plans: Sequence[CoverPlan], window: Window
    ) -> tuple[Tensor, Tensor]:
        """Cover and parcels (N, H, W) that the given map allows: drawn ones where they fit it, else what does.

        Trees are of the climate, built-up ground is cut into lots of roofs and paving.
        """
        fits = self.allowed[self.given, cover.long()]
        instead = torch.stack([self._instead(p.climate) for p in plans])  # (N, G + 1)
        scene = torch.arange(len(plans), device=cover.device)[:, None, None]
        filled = instead[scene, self.given]
        lot = _lots(window, [p.seeds.lot for p in plans])
        built = filled == TERRAFICTA.index("building")
        paved = built & (uniform(lot, salt.GivenLot.PAVED) > BUILT)
        filled = torch.where(paved, TERRAFICTA.index("road"), filled)
        identity = torch.where(built, lot | (1 << 38), 0)
        return torch.where(fits, cover, filled).to(torch.uint8), torch.where(fits, parcel, identity)

    def _instead(self, climate: Climate) -> Tensor:
        """(G + 1,) what each given class becomes where nothing drawn fits."""
        order = [climate.planted_tree, *ROLES, "building", *TERRAFICTA.classes]
        at = torch.tensor([TERRAFICTA.index(name) for name in order], device=self.allowed.device)
        return at[self.allowed[:, at].to(torch.uint8).argmax(1)]


def _lots(window: Window, seeds: Sequence[int]) -> Tensor:
    """(N, H, W) int64 hash of the lot that a cell lies in."""
    seed = seeds_of(seeds, window.cell_m.device)[:, None]
    y, x = (m / per_scene([side] * len(seeds), seed.device)[:, None] for m, side in
            zip((window.y_m, window.x_m), LOT_M, strict=True))  # fmt: skip
    row, _, _ = partition(y.to(torch.float32), hashed(seed, salt.GivenLots.ROWS), 0.5)
    column, _, _ = partition(x.to(torch.float32), hashed(seed, salt.GivenLots.COLUMNS), 0.5)
    return hashed(hashed(seed, row)[:, :, None], column[:, None, :])
