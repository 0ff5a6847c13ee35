"""The case: a scene that questions are asked of, and what is printed on its sheet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from terraficta.synth.card.patch import border_lengths_m
from terraficta.synth.card.place_name import place_name
from terraficta.synth.card.plot import scale_bar_m
from terraficta.synth.card.sheet import Sheet, sheet_of_tile
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.tile import Tile

BARS = (0.12, 0.2, 0.45)
"""parts of the width that the scale bar may take: one is drawn, so that sheets of one scale differ"""
QUARTERS = ("north-west", "north-east", "south-west", "south-east")


@dataclass(frozen=True, eq=False)
class Case:
    """A scene with all that its questions need.

    Parameters
    ----------
    id : str
        of the tile
    sheet : Sheet
        its planes; heights are known
    title : str
        printed on its sheet
    bar_m : float
        length of its scale bar [m]
    codes : dict[str, int]
        number of each class in the legend of its sheet, in an order of its own
    climate : str
        printed in its margin
    """

    id: str
    sheet: Sheet
    title: str
    bar_m: float
    codes: dict[str, int]
    climate: str

    @property
    def elevation_m(self) -> NDArray[np.float32]:
        """(H, W) height of the ground [m]."""
        assert self.sheet.elevation_m is not None
        return self.sheet.elevation_m

    @cached_property
    def slope(self) -> NDArray[np.float64]:
        """(H, W) rise over run, by differences of neighbouring pixels, at the rim one-sided."""
        down, right = np.gradient(self.elevation_m.astype(np.float64), self.sheet.grid.gsd_m)
        slope: NDArray[np.float64] = np.hypot(down, right)
        return slope

    @cached_property
    def pixels(self) -> NDArray[np.int64]:
        """(K + 1,) pixels of every class by its label; those not known first."""
        return np.bincount(self.sheet.label.reshape(-1), minlength=len(self.sheet.legend) + 1)

    @cached_property
    def border_px(self) -> NDArray[np.float64]:
        """(K, K) pixel sides along which two classes meet."""
        return border_lengths_m(self.sheet) / self.sheet.grid.gsd_m

    @property
    def known(self) -> int:
        """Pixels whose class is known."""
        return int(self.pixels[1:].sum())

    def value(self, name: str) -> int:
        """Label of a class."""
        return self.sheet.legend.index(name) + 1

    def among(self, *names: str) -> NDArray[np.bool_]:
        """(H, W) where the class is one of these."""
        return np.isin(self.sheet.label, [self.value(name) for name in names])

    def by_quarter(self, mask: NDArray[np.bool_]) -> list[int]:
        """Pixels of a mask in each of `QUARTERS`; the middle row and column belong to the south and the east."""
        y, x = (side // 2 for side in self.sheet.shape)
        return [int(part.sum()) for half in (mask[:y], mask[y:]) for part in (half[:, :x], half[:, x:])]


def case_of(tile: Tile) -> Case:
    """A tile of a corpus as a case.

    Raises
    ------
    Refusal
        where it has no heights, no place of its own among scenes, or other classes than ours
    """
    sheet = sheet_of_tile(tile)
    if sheet.elevation_m is None or sheet.key is None:
        mend = "make the corpus with --set 'truth.layers=[elevation_m, cloud]', or name --recipe"
        raise Refusal(tile.id, "elevation_m", "no such layer", "a corpus with heights", mend)
    own = sheet.key.at("sheet")
    rng = own.rng()
    present = [name for k, name in enumerate(sheet.legend.classes) if (sheet.label == k + 1).any()]
    order = rng.permutation(len(present))
    return Case(
        id=tile.id,
        sheet=sheet,
        title=f"{place_name(own, 'settlement', *sheet.shape)} {own.field_seed() % 900 + 100}",
        bar_m=scale_bar_m(sheet.shape[1] * sheet.grid.gsd_m, float(rng.choice(BARS))),
        codes={present[int(k)]: n for n, k in enumerate(order, start=1)},
        climate=str(tile.facts.get("kind", "unknown")),
    )
