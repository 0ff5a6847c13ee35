"""The catalogue: weights that ship, each with its transform and what is to be known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from torch import Tensor

from terraficta.pretrain.model import Mapper
from terraficta.pretrain.scaling import Scaling
from terraficta.pretrain.weights import SHIPPED, read_weights
from terraficta.synth.types.tile import Level


def own_scaling(image: Tensor, level: Level = "BOA") -> Tensor:
    """An image (B, H, W) in product units to the views (4, B, H, W) that a mapper reads, scaled by its own values."""
    return Scaling.of_image(image, level)(image)


@dataclass(frozen=True)
class WeightsEntry:
    """Weights as torchvision and TorchGeo describe theirs.

    Parameters
    ----------
    path : Path
        of the file
    transforms : Callable[..., Tensor]
        from an image to what the network reads
    meta : tuple[tuple[str, str], ...]
        what is to be known of them
    """

    path: Path
    transforms: Callable[..., Tensor]
    meta: tuple[tuple[str, str], ...]


class TerrafictaWeights(Enum):
    """Weights that ship; `TerrafictaWeights.STANDARD.load()` gives the mapper."""

    STANDARD = WeightsEntry(
        SHIPPED,
        own_scaling,
        (
            ("bands", "any number, read by centre and full width at half maximum [nm]; 400 to 2500 nm"),
            ("units", "reflectance (BOA, TOA) or relative numbers (DN, RADIANCE)"),
            ("classes", "the 24 of terraficta.LEGEND"),
            ("trained_on", "fiction alone"),
            ("licence", "Apache-2.0"),
        ),
    )

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.value.path

    @property
    def transforms(self) -> Callable[..., Tensor]:
        """From an image to what the network reads."""
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        """What is to be known, with the run record that the file carries."""
        return dict(self.value.meta) | {"record": read_weights(self.path)[1]}

    def load(self) -> Mapper:
        """The mapper, in evaluation mode."""
        return read_weights(self.path)[0]
