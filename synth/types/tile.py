"""The tile: the waist of the hourglass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from rasterio.transform import Affine
from torch import Tensor

from terraficta.synth.types.grid import Grid
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor

if TYPE_CHECKING:
    import xarray

Level = Literal["BOA", "TOA", "RADIANCE", "DN"]
"""What the numbers of an image are; RADIANCE and DN are not calibrated here, only relative."""


@dataclass(frozen=True, eq=False, repr=False)
class Tile:
    """What a user downloads: an image, what is known of it, and class mass. Nothing in it says whether it is real.

    Two tiles are equal where all that they hold is equal, wherever their tensors lie.

    Parameters
    ----------
    id : str
        unique within its corpus or tileset
    image : Tensor
        (B, H, W) float32; reflectance [-] where level is BOA or TOA, else relative units; 0 where not valid
    valid : Tensor
        (H, W) bool
    mass : Tensor
        (K, H, W) float32; hard, soft, weak and absent labels in one: sums per pixel to w in [0, 1], 0 = unlabelled
    sensor : Sensor
        its B bands
    legend : Legend
        its K classes
    grid : Grid
        (H, W) and where it lies
    level : Level
        BOA | TOA | RADIANCE | DN
    fold : Tensor | None
        (H, W) uint8: 1 train, 2 test, 0 neither; None where the source has none
    region, date : str | None
        free text, where known
    facts : Mapping[str, Any]
        what was drawn to make it, or what a product says of itself
    layers : Mapping[str, Tensor]
        further truth on the same grid, by name, e.g. elevation_m (H, W)

    Examples
    --------
    >>> from terraficta.synth.types.legend import TERRAFICTA
    >>> from terraficta.synth.types.sensor import read_sensor
    >>> mass = torch.zeros(len(TERRAFICTA), 4, 5)
    >>> sensor, everywhere = read_sensor("sentinel2a").pick(["B04", "B03"]), torch.ones(4, 5, dtype=torch.bool)
    >>> Tile("a", torch.rand(2, 4, 5), everywhere, mass, sensor, TERRAFICTA, Grid(4, 5, 10.0), "BOA")
    Tile(a, sentinel2a, 2 x 4 x 5, 10 m, BOA)
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

    def __repr__(self) -> str:
        size = " x ".join(str(side) for side in self.image.shape)
        return f"Tile({self.id}, {self.sensor.name}, {size}, {self.grid.gsd_m:g} m, {self.level})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tile):
            return NotImplemented
        return all(_alike(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash((self.id, self.facts.get("recipe_digest"), self.image.shape))

    @property
    def dates(self) -> int:
        """Dates that the image stacks: 2 where the task is change."""
        return int(self.facts.get("dates", 1))

    def label(self) -> Tensor:
        """(H, W) uint8: the heaviest class + 1, 0 where unlabelled."""
        if len(self.legend) == 0:
            return torch.zeros(self.grid.shape, dtype=torch.uint8)
        weight, best = torch.zeros_like(self.mass[0]), torch.zeros_like(self.mass[0], dtype=torch.uint8)
        for k in (self.mass.flatten(1).amax(1) > 0).nonzero()[:, 0].tolist():  # few classes lie on one tile
            best = torch.where(self.mass[k] > weight, k + 1, best)
            weight = torch.maximum(weight, self.mass[k])
        return best

    def in_fold(self, value: int) -> Tensor:
        """(H, W) bool: valid labelled pixels of a fold (1 train, 2 test); every one where the tile has no fold."""
        labelled = self.valid & (self.mass.sum(0) > 0)
        return labelled if self.fold is None else labelled & (self.fold == value)

    def crop(self, y_px: int, x_px: int, height_px: int, width_px: int) -> Tile:
        """The part of the tile that starts at row `y_px`, column `x_px`; it ends where the tile does."""
        height_px, width_px = min(height_px, self.grid.height_px - y_px), min(width_px, self.grid.width_px - x_px)
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

    def parts(self, labelled: bool = False) -> Iterator[tuple[int, int, Tile]]:
        """Row, column and tile of parts that cover it, as much at a time as memory holds: of a tile in memory, itself.

        `labelled`: parts without labels may be left out.
        """
        yield 0, 0, self

    def thinned(self, step: int) -> tuple[Tensor, Tensor]:
        """Image (B, h, w) and valid (h, w) of every so many pixels."""
        return self.image[:, ::step, ::step], self.valid[::step, ::step]

    def with_mass(self, mass: Tensor, legend: Legend | None = None) -> Tile:
        """The same tile with other labels."""
        return replace(self, mass=mass, legend=legend or self.legend)

    def to(self, device: torch.device | str) -> Tile:
        """The same tile on a device."""
        return replace(
            self,
            image=self.image.to(device),
            valid=self.valid.to(device),
            mass=self.mass.to(device),
            fold=None if self.fold is None else self.fold.to(device),
            layers={name: layer.to(device) for name, layer in self.layers.items()},
        )

    def numpy(self) -> dict[str, np.ndarray]:
        """Arrays by name: image (B, H, W), valid (H, W), mass (K, H, W), label (H, W), fold where known, each layer."""
        tensors = {"image": self.image, "valid": self.valid, "mass": self.mass, "label": self.label()}
        fold = {} if self.fold is None else {"fold": self.fold}
        return {name: tensor.detach().cpu().numpy() for name, tensor in (tensors | fold | dict(self.layers)).items()}

    def to_xarray(self) -> xarray.Dataset:
        """The same as a labelled data set: dimensions band, class, y, x; what else is known stands in the attributes.

        `y` and `x` are centres of pixels in the units of the CRS; without one, metres from the upper left corner, y
        pointing north. `centre_nm` and `fwhm_nm` lie along the bands [nm].

        Raises
        ------
        Refusal
            Where xarray is not installed.
        """
        try:
            import xarray
        except ImportError:
            raise Refusal(
                "Tile.to_xarray", "xarray", "no such package", "xarray 2024.1 or later", "pip install xarray"
            ) from None
        grid, gsd_m = self.grid, self.grid.gsd_m
        to_ground = grid.transform or Affine(gsd_m, 0.0, 0.0, 0.0, -gsd_m, 0.0)
        dims = {"image": ("band", "y", "x"), "mass": ("class", "y", "x")}
        known = {
            "id": self.id, "sensor": self.sensor.name, "legend": self.legend.name, "level": self.level, "gsd_m": gsd_m,
            "crs": grid.crs, "region": self.region, "date": self.date,
            "facts": json.dumps(dict(self.facts), default=str),
        }  # fmt: skip
        return xarray.Dataset(
            {name: (dims.get(name, ("y", "x")), array) for name, array in self.numpy().items()},
            coords={
                "band": [band.name for band in self.sensor.bands],
                "centre_nm": ("band", self.sensor.centre_nm.numpy()),
                "fwhm_nm": ("band", self.sensor.fwhm_nm.numpy()),
                "class": list(self.legend.classes),
                "y": to_ground.f + to_ground.e * (np.arange(grid.height_px) + 0.5),
                "x": to_ground.c + to_ground.a * (np.arange(grid.width_px) + 0.5),
            },
            attrs={name: value for name, value in known.items() if value is not None},
        )


def _alike(a: Any, b: Any) -> bool:
    """Whether two things are equal, tensors and arrays by content, whatever device they are on."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and torch.equal(a.cpu(), b.cpu())
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(_alike(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) if type(a) is type(b) else False
