"""The tile: the waist of the hourglass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from terraficta.synth.types.grid import Grid
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor

Level = Literal["BOA", "TOA", "RADIANCE", "DN"]
"""What the numbers of an image are; RADIANCE and DN are not calibrated here, only relative."""


@dataclass(frozen=True)
class Tile:
    """What a user downloads: an image, what is known of it, and class mass. Nothing in it says whether it is real.

    Parameters
    ----------
    id : unique within its corpus or tileset
    image : (B, H, W) float32; reflectance [-] where level is BOA or TOA, else relative units; 0 where not valid
    valid : (H, W) bool
    mass : (K, H, W) float32; hard, soft, weak and absent labels in one: sums per pixel to w in [0, 1], 0 = unlabelled
    sensor : its B bands
    legend : its K classes
    grid : (H, W) and where it lies
    level : BOA | TOA | RADIANCE | DN
    fold : (H, W) uint8: 1 train, 2 test, 0 neither; None where the source has none
    region, date : free text, where known
    facts : what was drawn to make it, or what a product says of itself
    layers : further truth on the same grid, by name, e.g. elevation_m (H, W)
    """

    id: str
    image: Tensor
    valid: Tensor
    mass: Tensor
    sensor: Sensor
    legend: Legend
    grid: Grid
    level: Level
    fold: Tensor | None = None
    region: str | None = None
    date: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bands, shape = len(self.sensor.bands), self.grid.shape
        for name, found, expected in (
            ("image", tuple(self.image.shape), (bands, *shape)),
            ("valid", tuple(self.valid.shape), shape),
            ("mass", tuple(self.mass.shape), (len(self.legend), *shape)),
        ):
            if found != expected:
                raise Refusal(self.id, name, f"shape {found}", f"shape {expected}", "hand over matching arrays")

    def label(self) -> Tensor:
        """(H, W) uint8: the heaviest class + 1, 0 where unlabelled."""
        if len(self.legend) == 0:
            return torch.zeros(self.grid.shape, dtype=torch.uint8)
        weight, best = self.mass.max(0)
        return torch.where(weight > 0, best + 1, 0).to(torch.uint8)

    def in_fold(self, value: int) -> Tensor:
        """(H, W) bool: valid labelled pixels of a fold (1 train, 2 test); every one where the tile has no fold."""
        labelled = self.valid & (self.mass.sum(0) > 0)
        return labelled if self.fold is None else labelled & (self.fold == value)

    def crop(self, y_px: int, x_px: int, height_px: int, width_px: int) -> Tile:
        """The part of the tile that starts at row `y_px`, column `x_px`."""
        rows, cols = slice(y_px, y_px + height_px), slice(x_px, x_px + width_px)
        return replace(
            self,
            image=self.image[:, rows, cols],
            valid=self.valid[rows, cols],
            mass=self.mass[:, rows, cols],
            fold=None if self.fold is None else self.fold[rows, cols],
            grid=self.grid.window(y_px, x_px, height_px, width_px),
            layers={name: layer[rows, cols] for name, layer in self.layers.items()},
        )

    def with_mass(self, mass: Tensor, legend: Legend | None = None) -> Tile:
        """The same tile with other labels."""
        return replace(self, mass=mass, legend=legend or self.legend)
